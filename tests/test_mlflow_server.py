"""A cycle and a real MLflow server, which is killed in the middle of it and started again."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import count
from pathlib import Path

import pytest

from loop.cycle.telling import Telling, told_later
from loop.cycle.work import Progress, TrainedWeights, TrainingJob
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.model import ModelVersion
from serving.transport import free_ports
from tests.cycle_worker import EPOCHS, LABELS, PROJECT, Bench, Service, furnished, open_site
from tests.mlflow_told import told
from tests.tiny_models import tiny_weights
from training.registry import Registry

_START_SECONDS = 60


@dataclass
class Server:
    """`mlflow server` on a SQLite file; files of runs go through it."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db",
            "--artifacts-destination", str(self.folder / "files"), "--host", "127.0.0.1", "--port", str(self.port),
            "--workers", "1",
        ]  # fmt: skip
        with (self.folder / "server.log").open("ab") as log:
            environment = {
                **os.environ,
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
            }
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environment)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < deadline, (self.folder / "server.log").read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        """With its workers, which are of its session."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, free_ports(1)[0])
    made.start()
    yield made
    made.kill()


class Clock:
    """Of today, so much ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Run:
    """A cycle of a service whose registry is the server. prefix: of its names there."""

    service: Service
    server: Server
    required: bool
    clock: Clock

    @property
    def prefix(self) -> str:
        return "waits" if self.required else "goes-on"

    @cached_property
    def asked(self) -> Cycle:
        return self.service.controller.request(PROJECT, "ada", "try", {"mode": "non_inferior"})

    def start(self, service: Service) -> None:
        """Again, after its service has died."""
        settings = replace(service.controller.settings, mlflow_required=self.required)
        controller = replace(service.controller, settings=settings, clock=self.clock)
        registry = Registry(self.server.url, prefix=self.prefix)
        telling = Telling(service.store, service.blobs, registry, self.clock)
        self.service = replace(service, controller=controller, telling=telling)

    def tell(self) -> None:
        self.service.telling.run(lambda: False)

    def train(self, after_epoch: Callable[[], None]) -> None:
        bench = self.service.controller.workshop
        assert isinstance(bench, Bench)

        class Watched(Bench):
            def train(self, job: TrainingJob, progress: Progress) -> TrainedWeights:
                def watched(share: float, figures: Mapping[str, float]) -> None:
                    progress(share, figures)
                    after_epoch()

                return bench.train(job, watched)

        watched = Watched(bench.site, bench.blobs)
        replace(self.service.controller, workshop=watched).advance(self.cycle)

    @property
    def cycle(self) -> Cycle:
        with self.service.store.read() as tx:
            return tx.cycles.get(PROJECT, self.asked.id)

    @property
    def champion(self) -> ModelVersion:
        with self.service.store.read() as tx:
            return tx.models.get(PROJECT, str(tx.projects.get(PROJECT).champion_id))

    @property
    def ended(self) -> bool:
        return self.cycle.state.finished and told_later(self.service.store).whole.count == 0


@pytest.fixture
def runs(server: Server, tmp_path: Path, sqlite_template: Path) -> Iterator[list[Run]]:
    """One that goes on without MLflow, one that waits for it."""
    made = []
    for required in (False, True):
        folder = tmp_path / str(required)
        folder.mkdir()
        shutil.copyfile(sqlite_template, folder / "askance.db")
        service = furnished(f"sqlite:///{folder}/askance.db", folder, tiny_weights(LABELS))
        made.append(Run(service, server, required, Clock()))
        made[-1].start(service)
    yield made
    for run in made:
        run.service.store.close()


@pytest.mark.timeout(300)
def test_an_outage_costs_nothing(runs: list[Run], server: Server) -> None:
    """The server is killed while a model is trained, and the services die meanwhile. A cycle waits or goes on, as it is
    set; in the end MLflow has the whole of it once, with the moments when it happened."""
    for run in runs:
        run.service.controller.advance(run.asked)
        run.tell()
    goes_on, waits = runs
    epochs = count(1)
    goes_on.train(lambda: goes_on.tell() if next(epochs) == 1 else server.kill())
    waits.train(lambda: None)
    for run in runs:
        assert told_later(run.service.store).lines[run.asked.id].count >= EPOCHS - 1
        run.service.store.close()
        run.start(open_site(run.service.site))
        for _ in range(8):
            run.service.step()
            run.clock.ahead += timedelta(seconds=31)
        assert "MLflow did not do as asked" in told_later(run.service.store).error
    assert (goes_on.cycle.step, goes_on.cycle.error) == (Step.DONE, "")
    assert waits.cycle.step is Step.EVALUATE and "MLflow did not do as asked" in waits.cycle.error

    server.start()
    for run in runs:
        while not run.ended:
            run.clock.ahead += timedelta(seconds=31)
            run.service.step()
        check(run)


def check(run: Run) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(run.server.url, run.server.url)
    found = told(client, run.prefix, PROJECT, run.server.folder / "files")
    cycle, model, there = run.cycle, run.champion, found.runs[run.asked.id]
    assert (cycle.state, there["status"], len(found.runs)) == (CycleState.PROMOTED, "FINISHED", 1)
    assert cycle.finished_at is not None and there["ended"] == round(cycle.finished_at.timestamp() * 1000)
    epochs = [(step, at) for key, step, at, _ in there["points"] if key == "loss"]
    assert [step for step, _ in epochs] == [round(1000 * (epoch + 1) / EPOCHS) for epoch in range(EPOCHS)]
    assert all(there["begun"] <= at < round(cycle.finished_at.timestamp() * 1000) - 60_000 for _, at in epochs)
    assert {"environment.json", "snapshot.json", "decision.json", "coco.json"} < set(there["files"])
    assert there["files"]["model/weights.safetensors"] == run.service.blobs.get(model.digest)
    assert found.versions["1"]["tags"]["askance.digest"] == model.digest and len(found.versions) == 1
    assert found.aliases == {"champion": "1"} and model.mlflow_version == "1"
