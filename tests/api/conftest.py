"""The HTTP application over a real store, real blobs and a real (untrained) detector, without Ray."""

import asyncio
import functools
import io
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from loop.domain.access import Role
from loop.domain.errors import ModelGone
from loop.domain.model import ModelVersion
from loop.domain.prediction import Timed
from loop.settings import Settings, load_settings
from loop.wiring import Services, wire
from serving.api.app import create_app
from serving.backends.load import load_detector
from serving.client import Client
from serving.image_queue import ImageQueue
from serving.images import decode_image
from tests.tiny_models import tiny_weights

LABELS = ["circle", "square", "bar"]


class InProcess:
    """Inference without Ray: the same detector code, one call at a time."""

    def __init__(self) -> None:
        self.calls = 0
        self.gone: list[str] = []  # model ids that answer ModelGone

    async def infer(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        self.calls += 1
        if model.id in self.gone:
            raise ModelGone(f"{model.id} does not serve.", hint="Try again.")
        return await asyncio.wrap_future(self._images().submit(content, 30.0))

    @staticmethod
    @functools.cache
    def _images() -> ImageQueue:
        detector = load_detector(tiny_weights(), threads=1)
        decode = functools.partial(decode_image, max_pixels=40_000_000, enough=64)
        return ImageQueue(detector, decode=decode, score_floor=0.0001, batch_wait_s=0.0, decoders=1)


@dataclass
class Service:
    """A running application and tokens for it."""

    client: TestClient
    services: Services
    inferencer: InProcess
    tokens: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, role: str | None = "operator", **request):
        headers = request.pop("headers", {})
        if role is not None:
            headers = {"Authorization": f"Bearer {self.tokens[role]}", **headers}
        return self.client.request(method, path, headers=headers, **request)

    def predict(self, content: bytes, role: str = "producer", **request):
        return self.call("POST", "/v1/projects/shapes/predictions", role, content=content, **request)


@pytest.fixture
def service(tmp_path: Path, sqlite_template: Path) -> Iterator[Service]:
    with running_in(tmp_path, sqlite_template) as started:
        yield started


@pytest.fixture
def audited_service(tmp_path: Path, sqlite_template: Path) -> Iterator[Service]:
    """As `service`, with audits as a new project has them."""
    with running_in(tmp_path, sqlite_template, audit_rate=load_settings(environ={}).policy.audit_rate) as started:
        yield started


@contextmanager
def running_in(folder: Path, template: Path, *, audit_rate: float = 0.0, **environ: str) -> Iterator[Service]:
    """A project `shapes` whose champion is a tiny detector; every prediction is risky enough to be routed. folder: an
    empty one. template: a migrated database. audit_rate: none by default, since an audit is of another stage and comes
    before other work, and a test that does not speak of them would fail once in so many runs. environ: further
    settings."""
    furnished = _furnished(template, audit_rate)
    shutil.copytree(furnished.folder, folder, dirs_exist_ok=True)
    inferencer = InProcess()
    services = wire(_settings(folder, environ), inferencer)
    with _application(services) as app, TestClient(app, raise_server_exceptions=False) as client:
        yield Service(client, services, inferencer, dict(furnished.tokens))
    services.store.close()


@dataclass(frozen=True)
class _Furnished:
    """A data folder to copy, and the tokens that its database knows, by role."""

    folder: Path
    tokens: Mapping[str, str]


@functools.cache
def _furnished(template: Path, audit_rate: float) -> _Furnished:
    """The project, its champion and a token of each role. Made once: a copy takes a third of what making them takes."""
    folder = template.with_name(f"furnished-{audit_rate}")
    folder.mkdir()
    shutil.copyfile(template, folder / "askance.db")
    services = wire(_settings(folder, {"ASKANCE_POLICY__AUDIT_RATE": str(audit_rate)}), InProcess())
    tokens = {role.value: services.tokens.create(role.value, role, None)[1] for role in Role}
    services.projects.create("shapes", tuple(LABELS))
    _, promotion = services.models.register("shapes", tiny_weights(), "test")
    assert promotion is not None
    services.succession.settle(promotion, deploy=lambda _model: None)
    services.store.close()
    return _Furnished(folder, tokens)


def _settings(folder: Path, environ: Mapping[str, str]) -> Settings:
    here = {"ASKANCE_DATA_DIR": str(folder), "ASKANCE_POLICY__THRESHOLD": "0.0"}
    return load_settings(environ=here | dict(environ))


_idle: list[FastAPI] = []


@contextmanager
def _application(services: Services) -> Iterator[FastAPI]:
    """One that another test has used, where there is one: the first request to a new one takes a quarter of a second,
    and nothing of a service stays in it."""
    app = _idle.pop() if _idle else create_app(services)
    app.state.services = services
    yield app
    _idle.append(app)


@contextmanager
def listening(service: Service) -> Iterator[str]:
    """A second gateway of the service on a real port; gives its URL."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(create_app(service.services), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


def client_within(service: Service) -> Client:
    """A client of the service's operator that asks the application itself; it stays open where it is used as a
    context."""

    class Within(Client):
        def __init__(self) -> None:
            super().__init__("http://testserver", service.tokens["operator"])
            self._http.close()
            self._http = service.client
            self._http.headers.update(self._settings["headers"])

        def __exit__(self, *_: object) -> None:
            return

    return Within()


def files_of_images(service: Service) -> list[str]:
    """In the blob folder, but for the model's; what is dropped there goes a moment after the answer."""
    root = Path(service.services.settings.blobs_url)
    with service.services.store.read() as tx:
        weights = [model.digest for model in tx.models.all("shapes")]
    deadline = time.monotonic() + 10
    while any((root / ".staged").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return [path.name for path in root.rglob("*") if path.is_file() and path.name not in weights]


def picture(seed: int = 0, width: int = 64, height: int = 48, kind: str = "PNG") -> bytes:
    """A small image with noise, as the bytes of a file."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()
