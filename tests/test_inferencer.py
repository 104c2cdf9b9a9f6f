"""What a gateway does when the detector it called ends before it has answered."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from grpc import RpcError
from ray import serve
from ray.exceptions import ActorDiedError, ActorUnavailableError, NodeDiedError
from ray.serve.exceptions import RayServeException

from loop.domain.errors import AskanceError, DeadlinePassed, ModelGone, ModelTimedOut, Unavailable
from loop.domain.model import ModelHead, ModelVersion
from loop.domain.prediction import Timed
from loop.settings import Settings, load_settings
from serving.deployments import RayInferencer, application_name
from serving.detectors import lines_folder
from serving.line import LineServer
from tests.test_calls import timed

MODEL = ModelVersion(
    id="model_1",
    project_id="p",
    digest="0" * 64,
    head=ModelHead(backend="ultralytics", architecture={}, labels=("circle",), image_size=64, embedding_dim=8),
    origin="registered",
    cycle_id=None,
    reference_key=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)


class Replicas:
    """Ray Serve's side of a handle: each call ends as the script says, then all are answered."""

    def __init__(self, *script: Exception) -> None:
        self._script: Iterator[Exception] = iter(script)
        self.budgets: list[float] = []
        self.looked_up = 0

    def handle(self, _: str) -> "Replicas":
        self.looked_up += 1
        return self

    @property
    def infer(self) -> "Replicas":
        return self

    def remote(self, contents: list[bytes], budgets_s: list[float]) -> "asyncio.Future[list[Timed | AskanceError]]":
        self.budgets += budgets_s
        answer: asyncio.Future[list[Timed | AskanceError]] = asyncio.get_running_loop().create_future()
        if (error := next(self._script, None)) is not None:
            answer.set_exception(error)
        else:
            answer.set_result([timed(content) for content in contents])
        return answer


def settings(tmp_path: Path) -> Settings:
    return load_settings(None, {"ASKANCE_DATA_DIR": str(tmp_path)})


def asked(replicas: Replicas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int = 1) -> list[object]:
    """What each of so many requests, one after the other, came to."""
    monkeypatch.setattr(serve, "get_app_handle", replicas.handle)

    async def story() -> list[object]:
        inferencer = RayInferencer(settings(tmp_path))
        ends: list[object] = []
        for _ in range(times):
            try:
                ends.append(await inferencer.infer(MODEL, b"image", asyncio.get_running_loop().time() + 30))
            except AskanceError as error:
                ends.append(error)
        return ends

    return asyncio.run(story())


@pytest.mark.parametrize(
    "gone", [ActorDiedError(), ActorUnavailableError("away", None), NodeDiedError("node"), RpcError("cancelled")]
)
def test_a_replica_that_died_is_replaced_by_another_at_once(
    gone: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same handle, which has learnt whom not to ask, and with the time that is left."""
    replicas = Replicas(gone)
    (end,) = asked(replicas, tmp_path, monkeypatch)
    assert isinstance(end, Timed)
    assert replicas.looked_up == 1
    assert 0 < replicas.budgets[1] < replicas.budgets[0] <= 30


def test_what_ends_every_replica_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that kills detectors does not go through all of them: 503 after the third."""
    replicas = Replicas(*[ActorDiedError()] * 9)
    (end,) = asked(replicas, tmp_path, monkeypatch)
    assert type(end) is Unavailable
    assert len(replicas.budgets) == 3


def test_an_application_that_is_gone_is_told_from_a_replica(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ModelGone, by which the gateway looks for the present champion; the next request asks for a fresh handle."""
    replicas = Replicas(RayServeException("the application is deleted"))
    gone, after = asked(replicas, tmp_path, monkeypatch, times=2)
    assert isinstance(gone, ModelGone)
    assert isinstance(after, Timed)
    assert replicas.looked_up == 2


class Silent(Replicas):
    """Ray Serve's side of a handle whose replica answers nothing."""

    def remote(self, contents: list[bytes], budgets_s: list[float]) -> "asyncio.Future[list[Timed | AskanceError]]":
        self.budgets += budgets_s
        return asyncio.get_running_loop().create_future()

    def options(self, **_: object) -> "Silent":
        return self


@pytest.mark.parametrize(
    ("allowed_s", "patience_s", "error"), [(0.1, 30.0, ModelTimedOut), (20.0, 0.1, DeadlinePassed)]
)
def test_a_model_has_its_own_time_to_answer(
    allowed_s: float, patience_s: float, error: type[AskanceError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is over first counts, and is told: the model's time, or its caller's. The detector knows of it, too."""
    replicas = Silent()
    monkeypatch.setattr(serve, "get_app_handle", replicas.handle)

    async def story() -> float:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(DeadlinePassed) as caught:
            model = replace(MODEL, serving={"timeout_s": allowed_s})
            await RayInferencer(settings(tmp_path)).infer(model, b"image", begun + patience_s)
        assert type(caught.value) is error
        return loop.time() - begun

    assert asyncio.run(story()) < 5
    assert replicas.budgets[0] <= 0.1


@pytest.mark.parametrize(("shared", "under_way"), [("0", 2), ("3", 6)])
def test_as_many_calls_are_under_way_as_there_are_processes_for_a_model(
    shared: str, under_way: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two for each: its own one, or all that models share."""
    replicas = Silent()
    monkeypatch.setattr(serve, "get_app_handle", replicas.handle)
    environ = {
        "ASKANCE_DATA_DIR": str(tmp_path),
        "ASKANCE_SERVING__SHARED_REPLICAS": shared,
        "ASKANCE_SERVING__IMAGES_PER_CALL": "1",
    }

    async def story() -> None:
        inferencer = RayInferencer(load_settings(None, environ))
        until = asyncio.get_running_loop().time() + 1
        ends = await asyncio.gather(
            *(inferencer.infer(MODEL, b"image", until) for _ in range(9)), return_exceptions=True
        )
        assert all(isinstance(end, DeadlinePassed) for end in ends)

    asyncio.run(story())
    assert len(replicas.budgets) == under_way


# --- by a line of the same machine -------------------------------------------------------------------


class Behind:
    """A detector behind a line, which hangs up at the image `fatal`, and says of `late` that it is ending."""

    def __init__(self, tmp_path: Path) -> None:
        folder = lines_folder(settings(tmp_path))
        assert folder is not None
        self.asked: list[bytes] = []
        self.server = LineServer(folder, application_name(settings(tmp_path), MODEL), self.submit)

    def submit(self, content: bytes, budget_s: float) -> "Future[Timed]":
        self.asked.append(content)
        answer: Future[Timed] = Future()
        if content == b"fatal":
            self.server.close()
        elif content == b"late":
            answer.set_exception(ModelGone("the model made room.", hint="Try again."))
        else:
            answer.set_result(timed(content))
        return answer


def test_where_a_line_leads_to_the_detector_ray_carries_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replicas, behind = Replicas(), Behind(tmp_path)
    ends = asked(replicas, tmp_path, monkeypatch, times=3)
    behind.server.close()
    assert all(isinstance(end, Timed) for end in ends)
    assert behind.asked == [b"image"] * 3
    assert replicas.looked_up == 0


@pytest.mark.parametrize("content", [b"fatal", b"late"])
def test_a_detector_that_ends_is_covered_by_ray(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed, or stopped by Ray while its model serves: within the same request, with the time that is left, and it is
    not asked again. An ending replica answers at once, and would draw all requests that others could answer."""
    replicas, behind = Replicas(), Behind(tmp_path)
    monkeypatch.setattr(serve, "get_app_handle", replicas.handle)

    async def story() -> list[Timed]:
        inferencer = RayInferencer(settings(tmp_path))
        until = asyncio.get_running_loop().time() + 30
        return [await inferencer.infer(MODEL, sent, until) for sent in (content, b"image")]

    ends = asyncio.run(story())
    behind.server.close()
    assert all(isinstance(end, Timed) for end in ends)
    assert behind.asked == [content]
    assert len(replicas.budgets) == 2
    assert 0 < replicas.budgets[0] < 30


def test_any_number_of_models_is_served_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of a model that is asked for seldom makes room; the one that asks now is never the one."""
    replicas = Replicas()
    monkeypatch.setattr(serve, "get_app_handle", replicas.handle)

    async def story() -> None:
        inferencer = RayInferencer(settings(tmp_path))
        for number in range(40):
            model = replace(MODEL, digest=f"{number:064d}"[::-1])
            await inferencer.infer(model, b"image", asyncio.get_running_loop().time() + 30)

    asyncio.run(story())
    assert replicas.looked_up == 40
