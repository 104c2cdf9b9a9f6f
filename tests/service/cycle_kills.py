"""SIGKILL while the real service retrains: `make chaos-cycle`.

What tests/contract/test_cycle_kills.py does quickly with stand-ins, here with all that a service has: Ray, a training,
runtimes that are exported and compared, Ray Serve, MLflow. A restart takes some 20 s, so that the usual run leaves this
file out: its name is not of a kind that pytest collects by itself.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from loop.cycle.telling import told_later
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.item import Split
from loop.domain.model import PromotionState
from loop.domain.ports import Blobs
from loop.settings import load_settings
from loop.store.database import SqlStore
from loop.wiring import open_blobs, projects_of
from serving.api.schemas.models import CycleIn
from tests.mlflow_told import told
from tests.pictures import LABELS, SIZE, keep_picture, picture_bytes
from tests.service.running import ServiceProcess
from tests.tiny_models import tiny_weights
from training.head import read_head
from training.snapshot import Snapshot

PROJECT = "colours"
KILLS = int(os.environ.get("REAL_CYCLE_KILLS", "24"))
PHASES = ("snapshot", "train", "evaluate", "export", "deploy", "flip")  # in their order; "ended" comes after them
OF_A_CYCLE = 3  # kills
LEAST = KILLS // 8  # of each phase
GOLDEN, TRAIN, EPOCHS = 24, 16, 4
EXPORTS_FROM = 0.7  # of the progress of an evaluation: from then on runtimes are made and timed
PHASE_SECONDS = 180.0
END_SECONDS = 300.0
SETTINGS = {
    "ASKANCE_GATE__MARGIN": "0.99",
    "ASKANCE_GATE__CLASS_MARGIN": "0.99",
    "ASKANCE_GATE__SLICE_MARGIN": "0.99",
    "ASKANCE_GATE__CALIBRATION_MARGIN": "0.99",
    "ASKANCE_GATE__LATENCY_RATIO": "1000",  # measured, but nothing depends on how busy the machine is
}


@dataclass
class Site:
    """A service and its files, seen from outside; what was done to it."""

    service: ServiceProcess
    rng: random.Random
    hits: Counter[str] = field(default_factory=Counter)
    lengths: dict[str, float] = field(default_factory=dict)  # seconds of each phase where nobody kills

    def __post_init__(self) -> None:
        self.settings = load_settings(environ=self.service.environment)

    @property
    def blobs(self) -> Blobs:
        return open_blobs(self.settings)

    @contextmanager
    def store(self) -> Iterator[SqlStore]:
        """Closed again before a start, which so finds the database as the kill left it."""
        opened = SqlStore.open(self.settings.database_url)
        try:
            yield opened
        finally:
            opened.close()


@pytest.mark.service
@pytest.mark.timeout(300 + 120 * KILLS)
def test_a_killed_service_goes_on_with_its_cycle(tmp_path: Path) -> None:
    """Every process is killed at random moments of each phase of a cycle. Whatever was under way: what is kept fits
    together and nothing half-written is referred to; the next start serves with the one champion there is; the cycle
    comes to the end that it has without a kill; and MLflow then knows of it once."""
    site = _furnished(tmp_path / "state")
    site.service.start()
    try:
        with site.service.operator() as operator:
            operator.add_model(PROJECT, tiny_weights(LABELS, image_size=SIZE))
            operator.await_champion(PROJECT)
        cycles = [_asked(site)]
        site.lengths = _lengths(site, cycles[0])
        while sum(site.hits.values()) < KILLS or min(site.hits[phase] for phase in PHASES) < LEAST:
            assert len(cycles) <= KILLS, f"some phases are hardly met: {dict(site.hits)}"
            cycles.append(_asked(site))
            for phase in _next_phases(site):
                _killed(site, cycles[-1], phase)
            _check_ended(site, cycles)
    finally:
        site.service.stop()
    print(f"{sum(site.hits.values())} kills in {len(cycles) - 1} cycles: {dict(site.hits)}")


def _furnished(folder: Path) -> Site:
    """Pictures with ground truth, to train on and to judge by."""
    service = ServiceProcess(folder, SETTINGS)
    folder.mkdir()
    site = Site(service, random.Random(int(os.environ.get("REAL_CYCLE_SEED", "20261128"))))
    with site.store() as store:
        store.migrate()
        projects_of(site.settings, store).create(PROJECT, LABELS)
        for number in range(GOLDEN + TRAIN):
            keep_picture(store, site.blobs, PROJECT, number, Split.GOLDEN if number < GOLDEN else Split.TRAIN)
    return site


def _asked(site: Site) -> str:
    """The id of a cycle whose candidate passes the gate, by margins that let anything pass."""
    with site.service.operator() as operator:
        wish = CycleIn(epochs=EPOCHS, image_size=SIZE, mode="non_inferior", reason="to be killed")
        return operator.start_cycle(PROJECT, wish).id


def _next_phases(site: Site) -> list[str]:
    """Those that were met the least, in the order in which a cycle comes to them."""
    drawn = sorted(PHASES, key=lambda phase: (site.hits[phase], site.rng.random()))
    return sorted(drawn[:OF_A_CYCLE], key=PHASES.index)


# --- killing ----------------------------------------------------------------------------------------------------


def _phase(store: SqlStore, cycle_id: str) -> str:
    """Where a cycle is. flip: the pointer has moved, and the cycle does not know of it yet."""
    with store.read() as tx:
        cycle = tx.cycles.get(PROJECT, cycle_id)
        champion_id = tx.projects.get(PROJECT).champion_id
    if cycle.state.finished:
        return "ended"
    if champion_id == cycle.candidate_id:
        return "flip"
    if cycle.step is Step.EVALUATE and cycle.progress >= EXPORTS_FROM:
        return "export"
    return {Step.GATE: "export", Step.PROMOTE: "deploy"}.get(cycle.step, str(cycle.step))


def _lengths(site: Site, cycle_id: str) -> dict[str, float]:
    """Of a cycle that nobody kills."""
    begun: dict[str, float] = {}
    deadline = time.monotonic() + END_SECONDS
    with site.store() as store:
        while (phase := _phase(store, cycle_id)) != "ended":
            begun.setdefault(phase, time.monotonic())
            assert time.monotonic() < deadline, f"the cycle stands still: {phase}"
            time.sleep(0.002)
    ends = [*list(begun.values())[1:], time.monotonic()]
    _check_ended(site, [cycle_id])
    return {phase: end - start for (phase, start), end in zip(begun.items(), ends, strict=True)}


def _killed(site: Site, cycle_id: str, phase: str) -> None:
    """All processes, at a random moment of the phase or, where the machine was quicker, of a later one. Then all is
    looked at, and started again. A cycle that has ended by then is left alone."""
    with site.store() as store:
        deadline = time.monotonic() + PHASE_SECONDS
        while _before(_phase(store, cycle_id), phase):
            assert time.monotonic() < deadline, f"{cycle_id} does not come to {phase}:\n{_log(site)}"
            time.sleep(0.002)
        if _phase(store, cycle_id) == "ended":
            return
    time.sleep(site.rng.uniform(0.0, site.lengths.get(phase, 0.1)))
    _lose_power(site.service)
    with site.store() as store:
        met = _phase(store, cycle_id)
        _check_kept(site, store)
    site.hits[met] += 1
    print(f"kill {sum(site.hits.values())}: {cycle_id} in {met}, aimed at {phase}", flush=True)
    site.service.start()
    _check_serving(site)


def _before(phase: str, other: str) -> bool:
    return phase != "ended" and PHASES.index(phase) < PHASES.index(other)


def _lose_power(service: ServiceProcess) -> None:
    """Also those that were started just then, and are nobody's children any more."""
    service.kill_tree()
    while left := [process for process in psutil.process_iter() if _is_of(process, service)]:
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, timeout=30)


def _is_of(process: psutil.Process, service: ServiceProcess) -> bool:
    try:
        return process.environ().get("ASKANCE_DATA_DIR") == str(service.data_dir)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _log(site: Site) -> str:
    return site.service.log.read_text()[-4000:]


# --- what must hold ---------------------------------------------------------------------------------------------


def _check_kept(site: Site, store: SqlStore) -> None:
    """At any moment: the database is sound, there is one line of champions, and what is named is there and whole."""
    assert store.check() == []
    with store.read() as tx:
        cycles = tx.cycles.page(PROJECT, after=None, limit=10**4)
        models = tx.models.all(PROJECT)
        promotions = tx.promotions.of_project(PROJECT)
        champion_id = tx.projects.get(PROJECT).champion_id
    for model in models:
        assert read_head(site.blobs.get(model.digest)) == model.head
        assert model.reference_key is None or site.blobs.has(model.reference_key)
    for cycle in cycles:
        _check_files(site, cycle)
    made = [model.cycle_id for model in models if model.cycle_id]
    assert len(made) == len(set(made)), "a cycle has two candidates"
    line = [None, *(one.model_id for one in reversed(promotions) if one.state is PromotionState.ACTIVE)]
    assert line[-1] == champion_id and len(line) == len(set(line))


def _check_files(site: Site, cycle: Cycle) -> None:
    if cycle.snapshot_digest:
        Snapshot.read(cycle.snapshot_digest, site.blobs.get)
    for part in ("candidate", "champion"):
        for name in (part, f"{part}_beside", f"{part}_coco", f"{part}_told"):
            if name in cycle.evaluation:
                site.blobs.get(str(cycle.evaluation[name]))


def _check_serving(site: Site) -> None:
    """Each answer is that of one model: the champion before it, or after it, as the cycle goes on meanwhile."""
    with site.service.operator() as operator:
        for number in range(3):
            before = operator.project(PROJECT).champion_id
            answer = operator.predict(PROJECT, picture_bytes(1000 + number))
            assert answer.model_id in (before, operator.project(PROJECT).champion_id)


def _check_ended(site: Site, cycles: Sequence[str]) -> None:
    """The last of the cycles ends promoted, and nothing of it is left to be done; MLflow has each of them once."""
    with site.service.operator() as operator:
        *_, end = operator.follow_cycle(PROJECT, cycles[-1])
    assert (end.state, end.error) == (CycleState.PROMOTED, ""), f"{end.error} {end.decision}\n{_log(site)}"
    deadline = time.monotonic() + END_SECONDS
    scratch = site.service.data_dir / "cycles"
    with site.store() as store:
        while told_later(store).whole.count or (scratch.is_dir() and list(scratch.iterdir())):
            assert time.monotonic() < deadline, f"{told_later(store)}, {list(scratch.iterdir())}\n{_log(site)}"
            time.sleep(0.2)
        _check_kept(site, store)
        _check_mlflow(site, store, cycles)
    _check_serving(site)


def _check_mlflow(site: Site, store: SqlStore, cycles: Sequence[str]) -> None:
    from mlflow.tracking import MlflowClient

    settings = site.settings
    client = MlflowClient(settings.mlflow_tracking_uri, settings.mlflow_tracking_uri)
    found = told(client, settings.mlflow.prefix, PROJECT, Path(settings.mlflow_artifact_root))
    with store.read() as tx:
        models = {model.id: model for model in tx.models.all(PROJECT)}
        champion = models[str(tx.projects.get(PROJECT).champion_id)]
    assert Counter(run["status"] for run in found.runs.values()) == {"FINISHED": len(cycles)}
    made = sorted(model.digest for model in models.values() if model.cycle_id)
    assert sorted(version["tags"]["askance.digest"] for version in found.versions.values()) == made
    assert len(made) == len(cycles) and found.aliases == {"champion": champion.mlflow_version}
