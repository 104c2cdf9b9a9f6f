"""Cycles that are asked for too much: data that is not there, a disk that is full, an MLflow that is away."""

import errno
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loop.cycle.telling import Telling, told_later
from loop.cycle.work import Progress, TrainedWeights, TrainingJob
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.errors import NoPlace, Unavailable
from loop.domain.item import Split
from loop.domain.truth import Shape
from tests.cycle_worker import (
    BLIND,
    BOX,
    EPOCHS,
    LABELS,
    PROJECT,
    Bench,
    Ledger,
    Service,
    Site,
    add_image,
    furnished,
    open_site,
    salted,
)
from tests.tiny_models import tiny_weights
from training.snapshot import Snapshot

FULL = OSError(errno.ENOSPC, "No space left on device")
MODE = {"mode": "non_inferior"}


@pytest.fixture
def url(tmp_path: Path, sqlite_template: Path) -> str:
    database = tmp_path / "askance.db"
    database.write_bytes(sqlite_template.read_bytes())
    return f"sqlite:///{database}"


@pytest.fixture
def service(url: str, tmp_path: Path) -> Iterator[Service]:
    """A champion, and images with ground truth of one of three labels."""
    made = furnished(url, tmp_path, tiny_weights(LABELS))
    yield made
    made.store.close()


@pytest.fixture
def bare(url: str, tmp_path: Path) -> Iterator[Service]:
    """A project, and nothing in it."""
    made = open_site(Site(url, tmp_path))
    made.site.weights.write_bytes(tiny_weights(LABELS))
    made.projects.create(PROJECT, LABELS)
    yield made
    made.store.close()


def cycled(service: Service) -> Cycle:
    """A cycle that has ended."""
    asked = service.controller.request(PROJECT, "ada", "try", MODE)
    while service.step():
        pass
    return stored(service, asked)


def stored(service: Service, cycle: Cycle) -> Cycle:
    with service.store.read() as tx:
        return tx.cycles.get(PROJECT, cycle.id)


def champion(service: Service) -> str | None:
    with service.store.read() as tx:
        return tx.projects.get(PROJECT).champion_id


# --- data -------------------------------------------------------------------------------------------------------

TOO_LITTLE: dict[str, tuple[list[tuple[Split, tuple[Shape, ...]]], str]] = {
    "no ground truth": ([], "there are no images to train on (0 images with ground truth in all)"),
    "no image to judge by": (
        [(Split.TRAIN, (Shape("circle", BOX),))] * 9,
        "none of the 9 images with ground truth is there to evaluate on",
    ),
    "no image to train on": (
        [(Split.GOLDEN, (Shape("circle", BOX),))] * 9,
        "there are no images to train on (9 images",
    ),
    "no box to train on": (
        [(Split.TRAIN, ()), (Split.TRAIN, ()), (Split.GOLDEN, (Shape("circle", BOX),))],
        "there are 2 images and not one box to train on",
    ),
}


@pytest.mark.parametrize("case", TOO_LITTLE)
def test_a_cycle_of_too_little_ends_before_it_trains(bare: Service, case: str) -> None:
    """It says what is missing and what to do about it; nothing was trained, and the next cycle may begin."""
    images, why = TOO_LITTLE[case]
    for number, (split, shapes) in enumerate(images):
        add_image(bare, number, split, shapes)
    ended = cycled(bare)
    assert (ended.state, ended.step, ended.snapshot_digest) == (CycleState.FAILED, Step.SNAPSHOT, None)
    assert why in ended.error and "mport" in ended.error and "eview" in ended.error
    assert not any("training" in point for point in bare.site.points.lines())
    for number in range(100, 130):
        add_image(bare, number, Split.GOLDEN if number % 2 else Split.TRAIN)
    assert cycled(bare).step is Step.DONE


def test_one_class_is_enough(service: Service) -> None:
    """All boxes are of one of three labels: the cycle goes on, and no clause speaks of the classes that nobody saw."""
    ended = cycled(service)
    assert (ended.state, ended.error) == (CycleState.PROMOTED, "")
    clauses = [clause["name"] for clause in ended.decision["clauses"]]  # type: ignore[attr-defined]
    assert not any("square" in name or "bar" in name for name in clauses)


@dataclass(frozen=True)
class Noting(Bench):
    """jobs: that it was given."""

    jobs: list[TrainingJob] = field(default_factory=list)

    def train(self, job: TrainingJob, progress: Progress) -> TrainedWeights:
        self.jobs.append(job)
        return super().train(job, progress)


@pytest.mark.parametrize("golden", [True, False])
def test_no_image_that_is_held_out_is_trained_on(bare: Service, golden: bool) -> None:
    """Neither the golden images, nor those of val, which a golden set leaves unused as judges of the whole, nor what
    shares a group with one of them and has no split of its own. All others are."""
    for number in range(100):
        split = (Split.GOLDEN if golden else Split.VAL, Split.VAL, Split.TRAIN, None)[number % 4]
        group = f"clip {number // 8}" if number >= 72 and split is not Split.TRAIN else ""
        add_image(bare, number, split, group=group)
    bare.models.register(PROJECT, salted(tiny_weights(LABELS), BLIND), "ada")
    while bare.step():
        pass
    bench = Noting(bare.site, bare.controller.workshop.blobs)  # type: ignore[attr-defined]
    cycle = cycled(replace(bare, controller=replace(bare.controller, workshop=bench)))
    assert cycle.step is Step.DONE, cycle.error
    snapshot = Snapshot.read(str(cycle.snapshot_digest), bare.blobs.get)
    (job,) = bench.jobs
    trained = {entry.digest for entry in job.train}
    held_out = {*snapshot.of_split(Split.VAL).digests, *snapshot.of_split(Split.GOLDEN).digests}
    assert snapshot.evaluation_split is (Split.GOLDEN if golden else Split.VAL)
    assert trained.isdisjoint(held_out) and trained | held_out == set(snapshot.entries.digests)
    assert len(trained) > 25 and set(snapshot.evaluation_entries.digests) <= held_out
    of_group = {entry.group for entry in snapshot.entries if entry.digest in held_out} - {""}
    assert not of_group & {entry.group for entry in job.train}


# --- a disk that is full ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FullDisk(Bench):
    """There is room for an epoch or two."""

    def train(self, job: TrainingJob, progress: Progress) -> TrainedWeights:
        def then_full(share: float, figures: object) -> None:
            progress(share, {})
            if share >= 0.4:
                raise FULL

        return super().train(job, then_full)


def test_a_disk_that_fills_while_checkpoints_are_written_ends_the_cycle(service: Service) -> None:
    """With a message that says so; what it wrote is gone, no model was made of it, the champion stays, and with room
    the next cycle comes to its end."""
    before = champion(service)
    full = replace(service.controller, workshop=FullDisk(service.site, service.controller.workshop.blobs))
    ended = cycled(replace(service, controller=full))
    assert (ended.state, ended.step, ended.candidate_id) == (CycleState.FAILED, Step.TRAIN, None)
    assert "No space left on device" in ended.error
    assert list(service.controller.workshop.left()) == []
    with service.store.read() as tx:
        assert len(tx.models.all(PROJECT)) == 1
    assert champion(service) == before
    assert cycled(service).state is CycleState.PROMOTED


def test_a_blob_store_that_is_full_leaves_nothing_half_written(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever blob of a cycle finds no room: the cycle says so, and all that rows name is there, whole."""
    replaced: Callable[..., None] = os.replace
    for room in range(20):
        written = 0

        def until_full(source: object, target: object, room: int = room) -> None:
            nonlocal written
            if "blobs" in str(target):
                written += 1
                if written > room:
                    raise FULL
            replaced(source, target)

        with monkeypatch.context() as disk:
            disk.setattr(os, "replace", until_full)
            ended = cycled(service)
        check_whole(service)
        if ended.state is CycleState.PROMOTED:
            break
        assert ended.state is CycleState.FAILED and "No space left on device" in ended.error, ended
    assert ended.state is CycleState.PROMOTED and room >= 3


def check_whole(service: Service) -> None:
    with service.store.read() as tx:
        cycles, models = tx.cycles.page(PROJECT, after=None, limit=100), tx.models.all(PROJECT)
        assert tx.promotions.queued() == []
    keys = [key for model in models for key in (model.digest, model.reference_key, model.drift_key)]
    keys += [cycle.snapshot_digest for cycle in cycles]
    keys += [str(cycle.evaluation.get(name, "")) for cycle in cycles for name in ("candidate", "champion")]
    for key in filter(None, keys):
        assert service.blobs.get(key)
    assert list(service.blobs._folder._root.glob(".staged/*")) == []  # type: ignore[attr-defined]


# --- an MLflow that is away ---------------------------------------------------------------------------------------


class Mlflow:
    """A registry that cannot be reached while it is `away`. asked: how often it was."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.away = True
        self.asked = 0

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(*given: object, **named: object) -> object:
            self.asked += 1
            if self.away:
                raise Unavailable("MLflow did not do as asked: connection refused.", hint="Check mlflow.tracking_uri.")
            return getattr(self.ledger, name)(*given, **named)

        return call


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def mlflow(service: Service) -> Mlflow:
    return Mlflow(Ledger(service.site))


def recorded(service: Service, mlflow: Mlflow, required: bool, clock: Callable[[], datetime] | None = None) -> Service:
    """With a registry, and a controller that waits for it or not."""
    now = clock or service.controller.clock
    settings = replace(service.controller.settings, mlflow_required=required)
    telling = Telling(service.store, service.blobs, mlflow, now)
    return replace(service, controller=replace(service.controller, settings=settings, clock=now), telling=telling)


def end_of(service: Service, cycle: Cycle) -> Cycle:
    while service.step():
        pass
    return stored(service, cycle)


def test_a_cycle_goes_on_without_mlflow_and_says_so_once(
    service: Service, mlflow: Mlflow, caplog: pytest.LogCaptureFixture
) -> None:
    """All is as ever, but that there is no run and no version yet; MLflow gets them when it is back, and who promoted
    without it is named there, too."""
    clock = Clock()
    here = recorded(service, mlflow, required=False, clock=clock)
    with caplog.at_level(logging.WARNING, logger="askance.cycle"):
        ended = end_of(here, here.controller.request(PROJECT, "ada", "try", MODE))
        clock.now += timedelta(minutes=1)
        here.telling.run(lambda: False)
    assert (ended.state, ended.error, ended.mlflow_run_id) == (CycleState.PROMOTED, "", None)
    with service.store.read() as tx:
        assert tx.models.get(PROJECT, str(ended.candidate_id)).mlflow_version is None
    (line,) = caplog.messages
    assert "connection refused" in line and mlflow.asked == 2
    left = told_later(service.store, PROJECT)
    assert left.lines[ended.id].count >= EPOCHS and "connection refused" in left.error
    mlflow.away = False
    clock.now += timedelta(minutes=1)
    here.telling.run(lambda: False)
    assert told_later(service.store).whole.count == 0
    assert stored(service, ended).mlflow_run_id == f"run of {ended.id}"
    with service.store.read() as tx:
        version = tx.models.get(PROJECT, str(ended.candidate_id)).mlflow_version
    assert version is not None
    assert mlflow.ledger.lines("aliases")[-1]["versions"] == {"champion": version, "candidate": None}


@pytest.mark.parametrize("away_at", [Step.TRAIN, Step.EVALUATE, Step.PROMOTE])
def test_a_cycle_that_requires_mlflow_waits_for_it(
    service: Service, mlflow: Mlflow, caplog: pytest.LogCaptureFixture, away_at: Step
) -> None:
    """It stays at the step before which MLflow went away, and says why, once; it looks again every half minute; when
    MLflow is back it comes to its end, and what was done is not done again."""
    clock = Clock()
    here = recorded(service, mlflow, required=True, clock=clock)
    mlflow.away = False
    cycle = here.controller.request(PROJECT, "ada", "try", MODE)
    while cycle.step is not away_at:
        here.telling.run(lambda: False)
        cycle = here.controller.advance(cycle)
    mlflow.away = True
    with caplog.at_level(logging.WARNING, logger="askance.cycle"):
        for _ in range(4):
            here.telling.run(lambda: False)
            waiting = here.controller.advance(stored(service, cycle))
            assert (waiting.state, waiting.step) == (CycleState.RUNNING, away_at)
            clock.now += timedelta(seconds=31)
    assert "connection refused" in waiting.error
    assert len([line for line in caplog.messages if "waits" in line]) == 1
    mlflow.away = False
    epochs = service.site.points.lines().count("training: epoch done")
    for _ in range(40):
        clock.now += timedelta(seconds=31)
        here.step()
    ended = stored(service, cycle)
    assert (ended.state, ended.error) == (CycleState.PROMOTED, "")
    again = service.site.points.lines().count("training: epoch done") - epochs
    assert again == (EPOCHS if away_at is Step.TRAIN else 0)
    assert told_later(service.store).whole.count == 0


def test_a_cycle_that_failed_before_it_had_a_snapshot_has_no_run(bare: Service) -> None:
    ended = cycled(bare)
    assert (ended.state, ended.mlflow_run_id) == (CycleState.FAILED, None)
    assert told_later(bare.store).whole.count == 0 and not bare.telling.registry.lines("start")  # type: ignore[attr-defined]


def test_who_was_refused_is_no_candidate_any_more(service: Service, mlflow: Mlflow) -> None:
    """While it is judged it is; then the alias is gone, and the champion's stays where it was."""
    mlflow.away = False
    service.site.blind.touch()
    here = recorded(service, mlflow, required=False)
    with service.store.read() as tx:
        champion = tx.models.get(PROJECT, str(tx.projects.get(PROJECT).champion_id))
    ended = here.controller.request(PROJECT, "ada", "try", {"mode": "superior"})
    while not ended.state.finished:
        ended = here.controller.advance(ended)
        here.telling.run(lambda: False)
    assert ended.state is CycleState.REFUSED
    with service.store.read() as tx:
        candidate = tx.models.get(PROJECT, str(ended.candidate_id))
    named = [line["versions"]["candidate"] for line in mlflow.ledger.lines("aliases")]
    assert candidate.mlflow_version in named and named[-1] is None
    assert mlflow.ledger.lines("aliases")[-1]["versions"]["champion"] == champion.mlflow_version


def test_a_cycle_waits_for_the_place_that_its_training_reserves(service: Service, mlflow: Mlflow) -> None:
    """It says what is wanted and left; others come to their turn meanwhile; once there is a place it goes on."""
    clock = Clock()
    here = recorded(service, mlflow, required=False, clock=clock)
    full = [True]

    class Crowded(Bench):
        def train(self, job: TrainingJob, progress: Progress) -> TrainedWeights:
            if full:
                raise NoPlace("other work has all places.", hint="It is tried again by itself.")
            return super().train(job, progress)

    crowded = Crowded(here.site, here.controller.workshop.blobs)  # type: ignore[attr-defined]
    here = replace(here, controller=replace(here.controller, workshop=crowded))
    cycle = here.controller.request(PROJECT, "ada", "try", MODE)
    for _ in range(2):
        here.controller.advance(stored(service, cycle))
    waiting = stored(service, cycle)
    assert (waiting.state, waiting.step) == (CycleState.RUNNING, Step.TRAIN)
    assert "all places" in waiting.error
    full.clear()
    clock.now += timedelta(seconds=31)
    while here.step():
        pass
    ended = stored(service, cycle)
    assert (ended.state, ended.error) == (CycleState.PROMOTED, "")


def test_a_cycle_that_waits_can_be_cancelled(service: Service, mlflow: Mlflow) -> None:
    """Its scratch files go, though nothing works on it any more."""
    clock = Clock()
    here = recorded(service, mlflow, required=True, clock=clock)
    cycle = here.controller.request(PROJECT, "ada", "try", MODE)
    for _ in range(3):
        cycle = here.controller.advance(cycle)
        here.telling.run(lambda: False)
    assert "connection refused" in cycle.error
    (service.site.scratch / cycle.id).mkdir(parents=True)
    here.controller.cancel(PROJECT, cycle.id, "ada", "MLflow is gone for good")
    here.step()
    assert "gone for good" in stored(service, cycle).error
    assert list(service.controller.workshop.left()) == []
