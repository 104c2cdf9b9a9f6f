"""From the last correction to the new model serving: a cycle of the service as its users start it."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from askance.client import Client
from benchmarks.fod import FOLDER, coco_start, frames
from loop.domain.access import Role
from loop.domain.cycle import Cycle, CycleState, Step
from loop.exchange.importer import import_dataset
from loop.settings import load_settings
from loop.store.database import SqlStore
from loop.wiring import open_blobs, projects_of
from serving.api.schemas.models import CycleIn
from serving.api.schemas.shapes import ShapeIO
from serving.images import inspect_image
from tests.service.running import ServiceProcess

PROJECT = "pavement"
SIZE = 160
_LOOK = 0.05  # seconds from one look at the cycle to the next
_ACCOUNT = 1.0  # seconds from one look at the CPU that was spent to the next
_PATIENCE = 1800.0
# It is asked what a cycle takes, not whether a training of one epoch is worth a promotion. Nor what it takes beside
# others: Ray's workers are born at a priority at which whatever else the machine does would keep them waiting for good.
_SETTINGS = {
    "RAY_worker_niceness": "0",
    "ASKANCE_GATE__MODE": "non_inferior",
    **{f"ASKANCE_GATE__{name}_MARGIN": "0.99" for name in ("CLASS", "SLICE", "FAILURE", "CALIBRATION")},
    "ASKANCE_GATE__MARGIN": "0.99",
}


@dataclass(frozen=True, slots=True)
class Turnaround:
    """Seconds. whole: from the answer to the last correction until a prediction is the new model's. training: by the
    pace that was reported. steps: each step of the cycle; that of the training includes `training`. cpu: of each step,
    in all processes of the service; a little less where they ended in it. rollback: from the start of the command until
    a prediction is the earlier model's, which is on standby. further: the same once more, to a model that has to start.
    """

    whole: float
    training: float
    steps: dict[Step, float]
    cpu: dict[Step, float]
    rollback: float
    further: float

    @property
    def rest(self) -> float:
        return self.whole - self.training


def turnaround(items: int, epochs: int, *, prepared: int) -> Turnaround:
    """Of a project with so many labelled images of FOD-A and a YOLOv5n at 160 pixels as its champion. prepared: epochs
    of its training before."""
    with tempfile.TemporaryDirectory(prefix="askance-turnaround-") as made:
        folder = Path(made)
        chosen = [frame.image for frame in frames()[::2][:items]]
        labels = tuple(sorted({shape.label for image in chosen for shape in image.shapes}))
        settings = load_settings(environ={"ASKANCE_DATA_DIR": str(folder / "data")})
        store = _filled(folder, [image.path for image in chosen])
        with _running(ServiceProcess(settings.data_dir, _SETTINGS)) as service:
            operator = service.operator()
            operator.add_model(PROJECT, coco_start(labels, SIZE))
            fresh = operator.await_champion(PROJECT, timeout_s=_PATIENCE)
            # A champion that finds nothing yet would leave the gate nothing to resample.
            _cycle(store, operator, prepared, fresh)
            before = operator.await_champion(PROJECT)
            content = chosen[0].path.read_bytes()
            operator.predict(PROJECT, content, review="always")
            _correct(service, operator, labels[0])
            started = time.perf_counter()
            watch = _cycle(store, operator, epochs, before)
            while operator.predict(PROJECT, content, review="never").model_id == before:
                time.sleep(_LOOK)
            whole = time.perf_counter() - started
            back = [_rolled_back(service, operator, content, to) for to in (before, fresh)]
        return Turnaround(whole, watch.training, watch.steps, watch.cpu, *back)


def _rolled_back(service: ServiceProcess, operator: Client, content: bytes, to: str) -> float:
    """Seconds of one command, and until it is so."""
    started = time.perf_counter()
    command = service.run("models", "rollback", "--project", PROJECT, "--reason", "the benchmark")
    if command.returncode:
        raise RuntimeError(command.stderr)
    while (by := operator.predict(PROJECT, content, review="never").model_id) != to:
        if time.perf_counter() - started > _PATIENCE:
            raise RuntimeError(f"{by} serves, not {to}")
        time.sleep(_LOOK)
    return time.perf_counter() - started


def _cycle(store: SqlStore, operator: Client, epochs: int, before: str) -> "_Watch":
    """Until another model than `before` is the champion."""
    started = time.perf_counter()
    cycle = operator.start_cycle(PROJECT, CycleIn(epochs=epochs, reason="the benchmark"))
    watch = _Watch(store, cycle.id, started)
    watch.follow()
    if operator.await_champion(PROJECT) == before:
        raise RuntimeError("the champion is still the old one")
    return watch


def _filled(folder: Path, paths: list[Path]) -> SqlStore:
    for kind in ("Annotations", "JPEGImages"):
        (folder / "set" / kind).mkdir(parents=True)
    for path in paths:
        (folder / "set" / "JPEGImages" / path.name).symlink_to(path)
        annotation = f"{path.stem}.xml"
        (folder / "set" / "Annotations" / annotation).symlink_to(FOLDER / "Annotations" / annotation)
    settings = load_settings(environ={"ASKANCE_DATA_DIR": str(folder / "data")})
    settings.data_dir.mkdir()
    store, blobs = SqlStore.open(settings.database_url), open_blobs(settings)
    store.migrate()
    import_dataset(
        store, blobs, projects_of(settings, store), project_id=PROJECT, format="voc", folder=folder / "set",
        inspect_image=lambda content: inspect_image(content, max_pixels=40_000_000), clock=lambda: datetime.now(UTC),
    )  # fmt: skip
    return store


@contextmanager
def _running(service: ServiceProcess) -> Iterator[ServiceProcess]:
    try:
        service.start()
        yield service
    finally:
        service.stop()


def _correct(service: ServiceProcess, operator: Client, label: str) -> None:
    """The correction that the cycle is asked for behind."""
    secret = operator.create_token("reviewer", Role.REVIEWER.value, PROJECT).secret
    with Client(service.url, secret) as reviewer:
        (task,) = reviewer.lease(PROJECT).tasks
        reviewer.submit(task.id, task.epoch, [ShapeIO(label=label, box=[10.0, 10.0, 60.0, 60.0])])


class _Watch:
    """What is seen of a cycle while it goes on."""

    def __init__(self, store: SqlStore, cycle_id: str, started: float) -> None:
        self._store, self._id = store, cycle_id
        self.steps: dict[Step, float] = {}
        self.cpu: dict[Step, float] = {}
        self._spent = _Spent()
        self._begun, self._spent_before, self._step = started, self._spent(), Step.SNAPSHOT
        self._told: list[tuple[float, float]] = []  # when, and which share of the training was done

    def follow(self) -> None:
        """Until it was promoted; raises where it was not."""
        self._await(lambda cycle: cycle.state.finished)
        if (cycle := self._cycle()).state is not CycleState.PROMOTED:
            raise RuntimeError(f"the cycle was {cycle.state}: {cycle.error or cycle.decision}")

    @property
    def training(self) -> float:
        """From the first share that was told to the end, and the same pace before."""
        (first, share), (last, _) = self._told[0], self._told[-1]
        return (last - first) / (1.0 - share) if share < 1.0 else 0.0

    def _await(self, there: Callable[[Cycle], bool]) -> None:
        deadline = time.perf_counter() + _PATIENCE
        while time.perf_counter() < deadline:
            cycle, now = self._cycle(), time.perf_counter()
            spent = self._spent()
            if cycle.step is not self._step:
                self.steps[self._step], self.cpu[self._step] = now - self._begun, spent - self._spent_before
                self._begun, self._spent_before, self._step = now, spent, cycle.step
            if cycle.step is Step.TRAIN and cycle.progress and cycle.progress not in [s for _, s in self._told]:
                self._told.append((now, cycle.progress))
            if there(cycle):
                return
            time.sleep(_LOOK)
        raise RuntimeError(f"the cycle was still at {self._step} after {_PATIENCE:.0f} s")

    def _cycle(self) -> Cycle:
        with self._store.read() as tx:
            return tx.cycles.get(PROJECT, self._id)


class _Spent:
    """Seconds of CPU of all processes below this one. Ray keeps no account of those that ended: each is looked at while
    it is there, now and then, since a look is dear."""

    def __init__(self) -> None:
        self._of: dict[psutil.Process, float] = {}
        self._looked = -_ACCOUNT

    def __call__(self) -> float:
        if time.perf_counter() - self._looked >= _ACCOUNT:
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    times = process.cpu_times()
                    self._of[process] = times.user + times.system
            self._looked = time.perf_counter()
        return sum(self._of.values())
