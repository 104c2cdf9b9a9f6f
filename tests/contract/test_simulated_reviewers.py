"""Reviewers who err at known rates, through the desk and a store: lots, golden scores and what several people's answers
come to are as planned.

The rules alone are simulated at length in tests/test_sampling_plans.py, test_reviewer_quality.py and test_consensus.py;
here fewer runs show a wrong wire between them and the database.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.consensus import outcome, plain_vote
from benchmarks.simulated_reviewers import PEOPLE, TRUTH, Scene, answered, scene_of
from loop.domain.access import Role, Token
from loop.domain.policy.quality_rules import ConsensusRules, GoldenRules, QualityPolicy, QualityRules
from loop.domain.policy.queue_rules import QueueRules
from loop.domain.policy.sampling_plans import curve_of
from loop.domain.policy.workflow import LotRules, PlanKind, Qa, Workflow
from loop.domain.quality.answers import Answer
from loop.domain.review.lot import Lot, LotState
from loop.domain.review.queueing import seats
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.review.desk import Desk
from loop.review.golden import GoldenItems
from loop.review.lots import Lots, add_members, in_lots
from loop.review.uploads import Uploads
from loop.store.database import SqlStore
from tests.contract.records import NOW, PROJECT, a_project, a_task, an_item
from tests.contract.test_golden import FIRST_GOLDEN, RIGHT, World
from tests.contract.test_golden import opened as with_golden
from tests.contract.test_queue_races import Clock

ADA, BOB = (
    Token(id=f"tok_{name}", name=name, role=Role.REVIEWER, secret_digest=name, project_id=None, created_at=NOW)
    for name in ("ada", "bob")
)
SENDER = replace(ADA, id="tok_sender", role=Role.PRODUCER, secret_digest="sender")
AMISS = (Shape("seven", (0.0, 20_000.0, 1.0, 20_500.0)),)
STANDARD_ERRORS = 3.3  # which one of a thousand right services exceeds; draws are the same in each run


class _Keyed(SqlStore):
    """Whose draws are the same in each run."""

    def secret(self) -> bytes:
        return b"thirty-two bytes of a known secret"


@pytest.fixture
def store(sqlite_template: Path) -> Iterator[SqlStore]:
    """In memory where that can be had: nothing here asks what a power cut leaves."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        path = Path(folder) / "askance.db"
        path.write_bytes(sqlite_template.read_bytes())
        opened = _Keyed.open(f"sqlite:///{path}")
        yield opened
        opened.close()


# --- lots -------------------------------------------------------------------------------------------------


LOT, LOTS = 12, 40
RISKS = {"aql": 0.1, "ltpd": 0.5, "alpha": 0.1, "beta": 0.1}


@pytest.mark.parametrize(
    ("rules", "bad"),
    [
        pytest.param(LotRules(plan=PlanKind.SHARE, share=0.25, threshold=0.0), (1, 4), id="share"),
        pytest.param(LotRules(plan=PlanKind.SHARE, share=0.5, threshold=0.2), (2, 5), id="share with a threshold"),
        pytest.param(LotRules(plan=PlanKind.SINGLE, **RISKS), (2, 4), id="single"),
        pytest.param(LotRules(plan=PlanKind.SEQUENTIAL, **RISKS), (2, 4), id="sequential"),
    ],
)
def test_lots_are_accepted_at_the_planned_rate(store: SqlStore, rules: LotRules, bad: tuple[int, int]) -> None:
    """40 uploads with so many spoiled at random by one author, and as many with more, which another person looks at: as
    many of either kind are accepted as the plan's curve says, within the binomial error, and so many answers are looked
    at until then. Each item has its truth in the end; of a rejected lot all of it is right."""
    workflow = Workflow(qa=Qa.LOTS, lots=rules)
    project = a_project()
    with store.begin() as tx:
        tx.projects.add(replace(project, policy=replace(project.policy, workflow=workflow)))
        for person in (ADA, BOB):
            tx.tokens.add(person)
        tx.items.add_all([an_item(number) for number in range(LOT * LOTS * len(bad))])
    rng = np.random.default_rng(5)
    curve = curve_of(rules.as_plan(), LOT, list(bad))
    for kind, spoiled in enumerate(bad):
        starts = range(kind * LOT * LOTS, (kind + 1) * LOT * LOTS, LOT)
        lots = [uploaded_and_judged(store, range(start, start + LOT), rng, spoiled) for start in starts]
        accepted, expected = np.mean([lot.state is LotState.ACCEPTED for lot in lots]), float(curve.accepts[kind])
        assert abs(accepted - expected) <= STANDARD_ERRORS * np.sqrt(expected * (1 - expected) / LOTS)
        looked = np.array([lot.inspected for lot in lots])
        error = STANDARD_ERRORS * looked.std() / np.sqrt(LOTS) + 1e-9
        assert abs(looked.mean() - curve.inspects[kind]) <= error


def uploaded_and_judged(store: SqlStore, numbers: range, rng: np.random.Generator, bad: int) -> Lot:
    """The lot as it ended."""
    lots, desk = Lots(store, lambda: NOW), Desk(store, Clock(), os.urandom)
    uploads = Uploads(store, lots, lambda: NOW, rng.bytes)
    lot = uploads.open(SENDER, PROJECT)
    with store.begin() as tx:
        made = [replace(a_task(number, item=number), lot_id=lot.id) for number in numbers]
        tasks = in_lots(tx, tx.projects.get(PROJECT), made, NOW, os.urandom)
        tx.tasks.add_all(tasks)
        add_members(tx, tasks)
    uploads.close(SENDER, PROJECT, lot.id)
    spoiled = {a_task(int(number)).id for number in rng.choice(numbers, bad, replace=False)}
    while leased := desk.lease(ADA, PROJECT, 20).assignments:
        for one in leased:
            desk.submit(ADA, one.task.id, one.task.epoch, AMISS if one.task.id in spoiled else RIGHT, "")
    looked_at = corrected = 0
    while leased := desk.lease(BOB, PROJECT, 1).assignments:
        (one,) = leased
        assert one.task.stage is Stage.QA
        looked_at += 1
        if one.answers[0].shapes == RIGHT:
            desk.accept(BOB, one.task.id, one.task.epoch)
        else:
            desk.submit(BOB, one.task.id, one.task.epoch, RIGHT, "")
            corrected += 1
    return as_it_ended(store, lot.id, numbers, looked_at, corrected)


def as_it_ended(store: SqlStore, lot_id: str, numbers: range, looked_at: int, corrected: int) -> Lot:
    with store.read() as tx:
        lot = tx.lots.get(PROJECT, lot_id)
        truths = [tx.truths.current(PROJECT, an_item(number).digest) for number in numbers]
    assert lot.state.decided
    accepted = lot.state is LotState.ACCEPTED
    assert (looked_at, corrected) == (lot.inspected, lot.defects) if accepted else looked_at == len(numbers)
    assert all(truth is not None and (accepted or truth.shapes == RIGHT) for truth in truths)
    return lot


# --- golden items -------------------------------------------------------------------------------------------


def test_golden_intervals_hold_the_truth(store: SqlStore) -> None:
    """160 reviewers of four qualities answer ten golden items of five shapes each, which they are handed among other
    work: of the 95 % intervals of recall in their reports at least 93 of 100 hold the rate at which each finds a
    shape, and they say something: most are narrower than 0.35."""
    golden, people, rates = 10, 160, (0.6, 0.75, 0.88, 0.96)
    judged_late = QualityRules(min_items=golden, window=golden)
    world = with_golden(store, works=golden, golden=golden, rules=GoldenRules(rate=1.0), standing=judged_late)
    reviewers = [replace(ADA, id=f"tok_{number}", secret_digest=f"secret {number}") for number in range(people)]
    with store.begin() as tx:
        for person in reviewers:
            tx.tokens.add(person)
    rng = np.random.default_rng(8)
    intervals = np.array(
        [interval_of(world, person, rates[at % len(rates)], golden, rng) for at, person in enumerate(reviewers)]
    )
    truth = np.resize(rates, people)
    assert np.mean((intervals[:, 0] <= truth) & (truth <= intervals[:, 1])) >= 0.93
    assert np.median(intervals[:, 1] - intervals[:, 0]) < 0.35


def interval_of(world: World, person: Token, rate: float, golden: int, rng: np.random.Generator) -> tuple[float, float]:
    """Of the recall of somebody who finds each shape with this probability, and marks nothing else."""
    leased = world.desk.lease(person, PROJECT, golden).assignments
    assert [one.task.stage for one in leased] == [Stage.GOLDEN] * golden
    for one in leased:
        found = [shape for shape in RIGHT if rng.random() < rate]
        world.desk.submit(person, one.task.id, one.task.epoch, found, "")
    quality = world.standings.of(PROJECT, person.id).quality
    assert quality is not None
    assert quality.items == golden
    return quality.overall.recall.low, quality.overall.recall.high


# --- several people -----------------------------------------------------------------------------------------


PANEL = tuple(PEOPLE)
SIDE = 1000
PICTURES, GOLDEN_PICTURES = 60, 20


@dataclass(frozen=True)
class _Pictures:
    """By item, what is there, and what each person marks."""

    scenes: Mapping[str, Scene]
    marked: Mapping[tuple[str, str], Answer]


def test_what_several_people_mark_is_worth_more_together(store: SqlStore) -> None:
    """Five people who miss, invent, misplace and misname boxes answer golden pictures and then sixty others. The truth
    of these, merged from their answers by what golden items tell of each, is better than the best of them and than a
    plain vote: in F1 at IoU 0.5 and at 0.75, and in IoU."""
    pictures = _drawn(np.random.default_rng(17))
    _each_by_all(store, pictures)
    desk = Desk(store, Clock(), os.urandom)
    for name in PANEL:
        while leased := desk.lease(_token(name), PROJECT, 20).assignments:
            for one in leased:
                shapes = _shapes(pictures.marked[name, one.task.item_digest])
                desk.submit(_token(name), one.task.id, one.task.epoch, shapes, "")
    items = [an_item(number).digest for number in range(PICTURES)]
    with store.read() as tx:
        merged = [tx.truths.current(PROJECT, digest) for digest in items]
    labels = a_project().recipe.label_names
    truths = [pictures.scenes[digest].truth for digest in items]
    together = outcome([_answer("merged", truth.shapes) for truth in merged if truth], truths, labels)
    single = [outcome([pictures.marked[name, digest] for digest in items], truths, labels) for name in PANEL]
    plain = outcome([plain_vote([pictures.marked[name, digest] for name in PANEL]) for digest in items], truths, labels)
    for iou in (0.5, 0.75):
        assert together.f1[iou] > max(other.f1[iou] for other in (*single, plain))
    assert together.iou > max(other.iou for other in (*single, plain))


def _drawn(rng: np.random.Generator) -> _Pictures:
    labels = a_project().recipe.label_names
    numbers = (*range(PICTURES), *range(FIRST_GOLDEN, FIRST_GOLDEN + GOLDEN_PICTURES))
    scenes = {an_item(number).digest: scene_of(_some_boxes(labels, rng), (SIDE, SIDE), rng) for number in numbers}
    marked = {
        (name, digest): _inside(answered(scene, name, PEOPLE[name], labels=labels, rng=rng))
        for digest, scene in scenes.items()
        for name in PANEL
    }
    return _Pictures(scenes, marked)


def _some_boxes(labels: Sequence[str], rng: np.random.Generator) -> Answer:
    """Three to eight objects."""
    count = int(rng.integers(3, 9))
    sides = rng.uniform(80.0, 240.0, (count, 2))
    corners = rng.uniform(0.0, SIDE - sides)
    return Answer(TRUTH, tuple(rng.choice(labels, count).tolist()), np.concatenate([corners, corners + sides], axis=1))


def _inside(answer: Answer) -> Answer:
    return replace(answer, boxes=np.clip(answer.boxes, 0.0, SIDE))


def _each_by_all(store: SqlStore, pictures: _Pictures) -> None:
    """A project where each picture is answered by all five, and what is merged stands, however unsure."""
    project = a_project()
    rules = QueueRules(people={Stage.ANNOTATE: len(PANEL)})
    quality = QualityPolicy(
        consensus=ConsensusRules(min_certainty=0.5),
        golden=GoldenRules(rate=1.0),
        standing=QualityRules(min_items=GOLDEN_PICTURES + 1, window=GOLDEN_PICTURES + 1),
    )
    with store.begin() as tx:
        tx.projects.add(replace(project, policy=replace(project.policy, queue=rules, quality=quality)))
        for name in PANEL:
            tx.tokens.add(_token(name))
        for digest in pictures.scenes:
            tx.items.add(replace(an_item(int(digest, 16)), width=SIDE, height=SIDE))
        for number in range(PICTURES):
            tx.tasks.add_all(seats(a_task(number, item=number), rules, (), several=True))
    golden = GoldenItems(store, lambda: NOW)
    for number in range(FIRST_GOLDEN, FIRST_GOLDEN + GOLDEN_PICTURES):
        digest = an_item(number).digest
        golden.mark(PROJECT, digest, _shapes(pictures.scenes[digest].truth), "op")


def _token(name: str) -> Token:
    return replace(ADA, id=f"tok_{name}", name=name, secret_digest=f"secret {name}")


def _shapes(answer: Answer) -> tuple[Shape, ...]:
    return tuple(
        Shape(label, (x1, y1, x2, y2))
        for label, (x1, y1, x2, y2) in zip(answer.labels, answer.boxes.tolist(), strict=True)
    )


def _answer(name: str, shapes: Sequence[Shape]) -> Answer:
    return Answer(name, tuple(one.label for one in shapes), np.array([one.box for one in shapes]).reshape(-1, 4))
