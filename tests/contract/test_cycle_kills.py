"""SIGKILL at any point of a retrain cycle: a restart goes on, and one champion serves.

A usual run kills at some of a cycle's points, on each database; `make chaos` at all of them, again and again. Training,
deployment and MLflow are files here (tests/cycle_worker.py); what decides and keeps is real.
"""

import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from loop.cycle.label_check import DOUBTED, label_check_of
from loop.cycle.telling import told_later
from loop.domain.cycle import Cycle, CycleState
from loop.domain.identity import digest_of
from loop.domain.item import Split
from loop.domain.model import ModelVersion, Promotion, PromotionState
from loop.domain.ports import Transaction
from loop.domain.review.tasks import Task, TaskState
from loop.domain.truth import Shape
from tests.cycle_worker import (
    BOX,
    EPOCHS,
    GOLDEN,
    LABELS,
    PROJECT,
    TRAIN,
    Ledger,
    Service,
    Site,
    add_image,
    add_prediction,
    furnished,
    work,
)
from tests.killable import Killable
from tests.tiny_models import tiny_weights
from training.snapshot import Snapshot

KILLS = int(os.environ.get("CYCLE_KILLS", "45"))
CRITICAL = {"registry: register", "deployed"}
TRAINS = "training: images written"
CYCLE_SECONDS = 60  # within which what was started again must have ended
# doubting: people are asked again for labels that are doubted, before the training (`recheck`).
OUTCOMES = {"seeing": CycleState.PROMOTED, "blind": CycleState.REFUSED, "doubting": CycleState.PROMOTED}


@pytest.fixture
def service(url: str, tmp_path: Path) -> Iterator[Service]:
    """A project whose champion finds nothing, seen from outside of the process that is killed. What another model has
    said of its images agrees with their labels."""
    made = furnished(url, tmp_path, tiny_weights(LABELS))
    for number in range(GOLDEN + TRAIN):
        _say(made, number)
    yield made
    made.store.close()


def _asked(service: Service, kind: str) -> Cycle:
    service.site.blind.unlink(missing_ok=True)
    if kind == "blind":
        service.site.blind.touch()
    if kind == "doubting":
        _spoil(service)
    recheck = int(kind == "doubting")
    cycle = service.controller.request(PROJECT, "ada", "kill it", {"mode": "non_inferior", "recheck": recheck})
    service.site.points.file.unlink(missing_ok=True)
    return cycle


def _spoil(service: Service) -> None:
    """One more image to train on, with a label that nobody would give it. Whoever was asked for earlier ones has
    answered."""
    _answer(service)
    with service.store.read() as tx:
        number = GOLDEN + TRAIN + len(_asked_again(tx))
    add_image(service, number, Split.TRAIN, (Shape("square", BOX),))
    _say(service, number)


def _say(service: Service, number: int) -> None:
    """By the model that was registered, of which nobody knows what it has learned."""
    with service.store.read() as tx:
        (oldest,) = [model for model in tx.models.all(PROJECT) if model.cycle_id is None]
    add_prediction(service, number, oldest.id)


def _answer(service: Service) -> None:
    """All that people are asked for."""
    for task in _open_tasks(service):
        done = replace(task, state=TaskState.DONE, epoch=1, owner="bo", leased_at=task.created_at, expires_at=None)
        with service.store.begin() as tx:
            before = tx.truths.current_of(PROJECT, [task.item_digest])[task.item_digest]
            tx.tasks.save(done)
            tx.truths.add(replace(before, version=2, shapes=(Shape("circle", BOX),)))


def _open_tasks(service: Service) -> list[Task]:
    with service.store.begin() as tx:
        asked = _asked_again(tx)
        works = [tx.tasks.work_for_update(one) for digest in asked for one in tx.tasks.works_of_item(PROJECT, digest)]
    return [task for work in works for task in work if not task.finished]


def _asked_again(tx: Transaction) -> list[str]:
    """Items, as often as people were asked for them."""
    events = tx.events.after(PROJECT, 0, 10**5)
    return [str(event.body["item_digest"]) for event in events if event.kind == "item.asked"]


def _worker(service: Service, stop_at: int = 0) -> Killable:
    site = service.site
    return Killable(work, Site(site.url, site.folder, stop_at), log=site.folder / "worker.log")


def _ended(service: Service) -> None:
    """A worker that nobody kills does what is left, and ends."""
    last = _worker(service)
    last.start()
    assert last.wait(CYCLE_SECONDS) == 0, last.told()


def _passed(service: Service, kind: str) -> list[str]:
    """The points of a cycle that nobody kills, in their order."""
    _asked(service, kind)
    _ended(service)
    _check(service, kind)
    return service.site.points.lines()


def _killed_at(service: Service, point: int) -> None:
    """The worker kills itself at this point."""
    doomed = _worker(service, point)
    doomed.start()
    assert doomed.wait(CYCLE_SECONDS) == -9, doomed.told()
    assert len(service.site.points.lines()) == point


def _killed_about(service: Service, seconds: float) -> str:
    """The last point that it passed when it was killed so long after it began to work, "" where it had ended."""
    before = len(service.site.points.lines())
    doomed = _worker(service)
    doomed.start()
    deadline = time.monotonic() + CYCLE_SECONDS
    while len(service.site.points.lines()) == before and doomed.alive and time.monotonic() < deadline:
        time.sleep(0.005)
    if doomed.wait(seconds) is not None:
        assert doomed.wait(0) == 0, doomed.told()
        return ""
    doomed.kill()
    return service.site.points.lines()[-1]


@pytest.mark.timeout(300 + 10 * KILLS)
def test_a_killed_cycle_goes_on_and_one_champion_serves(service: Service) -> None:
    """The worker kills itself at points of all steps (around each commit, each blob, each checkpoint, the
    deployment, the flip), now and then the next one is killed at a random moment, and another does what is left. Then
    the cycle has the end that it has without a kill; all that is kept fits together; and the next cycle begins."""
    rng = random.Random(20261126)
    points = _to_die_at({kind: _passed(service, kind) for kind in OUTCOMES}, rng)
    about = []
    for number, (kind, point) in enumerate(islice(itertools.cycle(points), KILLS)):
        _asked(service, kind)
        _killed_at(service, point)
        if number % 4 == 0:
            about.append(_killed_about(service, rng.uniform(0, 0.25)))
        _ended(service)
        _check(service, kind)
    told = dict(Counter(filter(None, about)))
    print(f"{KILLS} kills at {min(KILLS, len(points))} of {len(points)} points, and at random moments after {told}")


def _to_die_at(passed: dict[str, list[str]], rng: random.Random) -> list[tuple[str, int]]:
    """All points by their numbers (from 1), those of one kind of cycle and of others what is not the same: first the
    moments when a candidate becomes one and when a champion does, then all others in any order."""
    points = [("seeing", number) for number in range(len(passed["seeing"]))]
    points += [("blind", number) for number in range(_alike(passed, "blind"), len(passed["blind"]))]
    points += [("doubting", number) for number in range(_alike(passed, "doubting"), passed["doubting"].index(TRAINS))]
    rng.shuffle(points)
    points.sort(key=lambda point: not CRITICAL & set(passed[point[0]][max(point[1] - 3, 0) : point[1] + 1]))
    return [(kind, number + 1) for kind, number in points]


def _alike(passed: dict[str, list[str]], kind: str) -> int:
    """How many points a cycle of this kind begins with that one of another passes, too."""
    pairs = enumerate(zip(passed["seeing"], passed[kind], strict=False))
    return next(number for number, (one, other) in pairs if one != other)


# --- what must hold ---------------------------------------------------------------------------------------------


def _check(service: Service, kind: str) -> None:
    store = service.store
    assert store.check() == []
    with store.read() as tx:
        cycles = tx.cycles.page(PROJECT, after=None, limit=10**4)
        models = tx.models.all(PROJECT)
        promotions = tx.promotions.of_project(PROJECT)
        champion = tx.models.get(PROJECT, str(tx.projects.get(PROJECT).champion_id))
        assert tx.cycles.unfinished() == [] and tx.promotions.queued() == []
    assert (cycles[0].state, cycles[0].error) == (OUTCOMES[kind], "")
    _check_events(service, cycles)
    if kind == "doubting":
        _check_labels(service, cycles[0])
    _check_models(service, cycles, models)
    _check_promotions(cycles, promotions, champion)
    _check_files(service, cycles, champion)
    _check_registry(service, cycles, champion)


def _check_events(service: Service, cycles: Sequence[Cycle]) -> None:
    """Of each cycle: that it was asked for and how it ended, once; and each flip once."""
    with service.store.read() as tx:
        events = tx.events.after(PROJECT, 0, 10**5)
    told = Counter((event.kind, event.body.get("cycle_id")) for event in events if event.kind.startswith("cycle."))
    assert told == Counter((kind, cycle.id) for cycle in cycles for kind in ("cycle.queued", "cycle.finished"))
    ends = {event.body["cycle_id"]: event.body["state"] for event in events if event.kind == "cycle.finished"}
    assert ends == {cycle.id: cycle.state for cycle in cycles}
    flips = [event.body["model_id"] for event in events if event.kind == "model.promoted"]
    assert len(flips) == len(set(flips)) == 1 + sum(cycle.state is CycleState.PROMOTED for cycle in cycles)


def _check_labels(service: Service, cycle: Cycle) -> None:
    """People are asked for the image with the wrong label, once, however often the step was done, and this training
    did without it."""
    with service.store.read() as tx:
        asked = _asked_again(tx)
    kept = label_check_of(cycle, service.blobs.get)
    assert kept is not None and len(asked) == len(set(asked))
    (doubted,) = kept.held
    assert [task.item_digest for task in _open_tasks(service)] == [doubted] == asked[-1:]
    snapshot = Snapshot.read(str(cycle.snapshot_digest), service.blobs.get)
    assert not snapshot.trains_on(doubted) and snapshot.left_out == {DOUBTED: 1}


def _check_models(service: Service, cycles: Sequence[Cycle], models: Sequence[ModelVersion]) -> None:
    """One candidate of each cycle, and all that is named is there and undamaged."""
    made = {model.cycle_id: model.id for model in models if model.cycle_id}
    assert made == {cycle.id: cycle.candidate_id for cycle in cycles} and len(models) == len(cycles) + 1
    for model in models:
        weights = service.blobs.get(model.digest)
        assert digest_of(weights) == model.digest and service.models.read_head(weights) == model.head
        assert model.reference_key and service.blobs.has(model.reference_key)
    for cycle in cycles:
        Snapshot.read(str(cycle.snapshot_digest), service.blobs.get)
        for name in ("candidate", "candidate_told", "champion", "champion_told"):
            assert service.blobs.get(str(cycle.evaluation[name]))


def _check_promotions(cycles: Sequence[Cycle], promotions: Sequence[Promotion], champion: ModelVersion) -> None:
    """One for each cycle that promoted; each takes over from the one before, and the last is the champion's."""
    oldest_first = list(reversed(promotions))
    assert all(promotion.state is PromotionState.ACTIVE for promotion in oldest_first)
    assert {p.actor: p.id for p in oldest_first[1:]} == {c.id: c.promotion_id for c in cycles if c.promotion_id}
    assert len(oldest_first) == 1 + sum(cycle.state is CycleState.PROMOTED for cycle in cycles)
    line = [None, *(promotion.model_id for promotion in oldest_first)]
    assert [promotion.previous_id for promotion in oldest_first] == line[:-1] and line[-1] == champion.id


def _check_files(service: Service, cycles: Sequence[Cycle], champion: ModelVersion) -> None:
    """What serves is the champion, and no scratch file of a cycle is left."""
    assert service.site.served.read_text().splitlines()[-1] == champion.id
    assert list(service.controller.workshop.left()) == []


def _check_registry(service: Service, cycles: Sequence[Cycle], champion: ModelVersion) -> None:
    """The registry tells the same: one run of each cycle, ended, with one point at each step; each version once; who
    serves; and nobody is a candidate. Nothing is left to be told."""
    ledger = service.telling.registry
    assert isinstance(ledger, Ledger) and told_later(service.store).whole.count == 0
    runs = {str(cycle.mlflow_run_id) for cycle in cycles}
    assert Counter(line["run"] for line in ledger.lines("start")) == Counter(runs)
    assert {(line["run"], line["status"]) for line in ledger.lines("finish")} == {(run, "FINISHED") for run in runs}
    assert Counter(line["digest"] for line in ledger.lines("register")) == Counter(_candidates(service, cycles))
    points = {(line["run"], line["step"], line["at"]) for line in ledger.lines("metrics")}
    steps = [0, *(round(1000 * (epoch + 1) / EPOCHS) for epoch in range(EPOCHS))]
    assert Counter((run, step) for run, step, _ in points) == Counter((run, step) for run in runs for step in steps)
    files = {(line["run"], line["name"]) for line in ledger.lines("artifact")}
    assert files == {(run, f"{name}.json") for run in runs for name in ("environment", "snapshot", "decision", "coco")}
    assert ledger.lines("aliases")[-1]["versions"] == {"champion": champion.mlflow_version, "candidate": None}


def _candidates(service: Service, cycles: Sequence[Cycle]) -> set[str]:
    with service.store.read() as tx:
        return {tx.models.get(PROJECT, str(cycle.candidate_id)).digest for cycle in cycles}
