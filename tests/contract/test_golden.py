"""Golden items through the desk, on both databases: who gets them, what becomes of answers, who is paused."""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib import import_module

import numpy as np
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations

from loop.domain.access import Role, Token
from loop.domain.errors import Conflict, Invalid, NotFound, StaleLease
from loop.domain.items.clips import ClipWork
from loop.domain.policy.quality_rules import GoldenRules, QualityPolicy, QualityRules, Standing
from loop.domain.policy.queue_rules import QueueRules, SkillRule
from loop.domain.policy.workflow import Qa, Workflow
from loop.domain.ports import Transaction
from loop.domain.review.people import Person
from loop.domain.review.queueing import placed, seats
from loop.domain.review.tasks import Submission, Task, TaskState
from loop.domain.stage import Stage
from loop.domain.truth import GroundTruth, Shape
from loop.review.assignments import Assignment
from loop.review.desk import Desk, Leased
from loop.review.golden import GoldenItems, TrainedSubmission
from loop.review.people import Oversight
from loop.review.standings import Standings
from loop.store.database import SqlStore
from loop.store.engine import engine_for
from tests.contract.records import (
    NOW,
    PROJECT,
    a_model,
    a_prediction,
    a_project,
    a_task,
    a_truth,
    an_item,
    digest,
)
from tests.contract.test_groups import a_group, frame

RIGHT = tuple(Shape("seven", (0.0, 1000.0 * n, 1.0, 1000.0 * n + 500.0)) for n in range(5))
WRONG = tuple(Shape("seven", (0.0, 1000.0 * n + 600.0, 1.0, 1000.0 * n + 700.0)) for n in range(5))
HALF = RIGHT[:2]
FIRST_GOLDEN = 500  # numbers of items from here on are golden
PEOPLE = {
    name: Token(id=f"tok_{name}", name=name, role=Role.REVIEWER, secret_digest=name, project_id=None, created_at=NOW)
    for name in ("ada", "bob", "cyd")
}
OPERATOR = Token(id="tok_op", name="op", role=Role.OPERATOR, secret_digest="op", project_id=None, created_at=NOW)
STANDING = QualityRules(bar=0.8, confidence=0.9, min_items=3, window=20)


@dataclass(frozen=True)
class _Keyed:
    """A store whose draws are the same in each run."""

    store: SqlStore

    def secret(self) -> bytes:
        return b"thirty-two bytes of a known secret"

    def begin(self) -> AbstractContextManager[Transaction]:
        return self.store.begin()


@dataclass
class World:
    """A project with ordinary work and golden items; the clock is moved by hand."""

    store: SqlStore
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.desk = Desk(_Keyed(self.store), self.now, os.urandom)  # type: ignore[arg-type]
        self.golden = GoldenItems(self.store, self.now)
        self.standings = Standings(self.store, self.now)
        self.oversight = Oversight(self.store, self.now)

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def lease(self, name: str, count: int = 1) -> Leased:
        self.seconds += 1
        return self.desk.lease(PEOPLE[name], PROJECT, count)

    def next(self, name: str) -> Assignment:
        (one,) = self.lease(name).assignments
        return one

    def submit(self, name: str, one: Assignment, shapes: Sequence[Shape] = RIGHT) -> Submission:
        self.seconds += 1
        return self.desk.submit(PEOPLE[name], one.task.id, one.task.epoch, shapes, "")

    def answer(self, name: str, shapes: Sequence[Shape] = RIGHT, *, golden: Sequence[Shape] | None = None) -> bool:
        """The next task of a person; whether it was a golden item, which may get another answer."""
        one = self.next(name)
        is_golden = one.task.stage is Stage.GOLDEN
        self.submit(name, one, shapes if golden is None or not is_golden else golden)
        return is_golden

    def standing(self, name: str) -> Standing:
        return self.standings.of(PROJECT, PEOPLE[name].id).standing

    def events(self, kind: str) -> list[dict]:
        with self.store.read() as tx:
            return [dict(one.body) for one in tx.events.after(PROJECT, 0, 10_000) if one.kind == kind]

    def truth(self, number: int) -> GroundTruth | None:
        with self.store.read() as tx:
            return tx.truths.current(PROJECT, digest(number))


def opened(
    store: SqlStore,
    *,
    works: int = 0,
    golden: int = 0,
    rules: GoldenRules | None = None,
    queue: QueueRules | None = None,
    standing: QualityRules = STANDING,
    qa: Qa = Qa.OFF,
    predicted: bool = True,
) -> World:
    """predicted: whether the work begins with what a model proposes; golden items have a prediction anyway."""
    queue = queue or QueueRules()
    quality = QualityPolicy(golden=rules or GoldenRules(rate=0.5), standing=standing)
    project = a_project()
    with store.begin() as tx:
        policy = replace(project.policy, queue=queue, quality=quality, workflow=Workflow(qa=qa))
        tx.projects.add(replace(project, policy=policy))
        for token in (*PEOPLE.values(), OPERATOR):
            tx.tokens.add(token)
        tx.models.add(a_model())
        for number in [*range(works), *range(FIRST_GOLDEN, FIRST_GOLDEN + golden)]:
            tx.items.add(an_item(number))
            tx.predictions.add(a_prediction(number, item=number))
        for number in range(works):
            prediction = number if predicted else None
            first = a_task(number, item=number, prediction=prediction, at=NOW + timedelta(seconds=number))
            tx.tasks.add_all(seats(placed(first, queue, (), begins=first.created_at), queue, (), several=True))
        for number in range(FIRST_GOLDEN, FIRST_GOLDEN + golden):
            tx.truths.add(replace(a_truth(), item_digest=digest(number), shapes=RIGHT))
    world = World(store)
    for number in range(FIRST_GOLDEN, FIRST_GOLDEN + golden):
        world.golden.mark(PROJECT, digest(number), None, "op")
    return world


# --- marking -----------------------------------------------------------------------------------------------


def test_an_item_is_marked_with_its_truth_or_other_shapes(store: SqlStore) -> None:
    """Marked again with the same it stays; with others it is the next version. Taken back, it is golden no more."""
    world = opened(store, works=1, golden=1)
    number = FIRST_GOLDEN
    (marked,) = world.golden.all(PROJECT)
    assert (marked.item_digest, marked.version, marked.shapes, marked.predicted) == (digest(number), 1, RIGHT, True)
    assert world.golden.mark(PROJECT, digest(number), None, "op").version == 1
    assert world.golden.mark(PROJECT, digest(number), HALF, "op").version == 2
    with pytest.raises(NotFound, match="no ground truth"):
        world.golden.mark(PROJECT, digest(0), None, "op")
    world.golden.remove(PROJECT, digest(number), "op")
    assert world.golden.all(PROJECT) == []
    with pytest.raises(NotFound, match="not golden"):
        world.golden.remove(PROJECT, digest(number), "op")
    assert world.golden.mark(PROJECT, digest(number), HALF, "op").version == 3
    assert [one["version"] for one in world.events("golden.marked")] == [1, 2, 3]


# --- handing out --------------------------------------------------------------------------------------------


def test_golden_items_come_among_other_work_each_once(store: SqlStore) -> None:
    """With the rate of the project, to each person; the work that one stands in for comes later, and all is done."""
    world = opened(store, works=30, golden=6, rules=GoldenRules(rate=0.4))
    handed: list[str] = []
    kinds: list[bool] = []
    while True:
        leased = world.lease("ada").assignments
        if not leased:
            break
        handed.append(leased[0].task.item_digest)
        kinds.append(leased[0].task.stage is Stage.GOLDEN)
        world.submit("ada", leased[0])
    assert len(handed) == len(set(handed)) == 36
    assert sum(kinds) == 6
    assert kinds.index(True) < 29  # not behind everything else
    assert all(world.truth(number) for number in range(30))


def test_nobody_gets_an_item_again_before_the_time(store: SqlStore) -> None:
    """again_days after it was given it may come again; what somebody answered as ordinary work never does."""
    world = opened(store, works=20, golden=1, rules=GoldenRules(rate=1.0, again_days=10))
    assert [world.answer("ada") for _ in range(4)] == [True, False, False, False]
    world.golden.mark(PROJECT, digest(0), RIGHT, "op")
    with store.read() as tx:
        said = [one.item_digest for one in tx.submissions.page(PROJECT, after=None, limit=9)]
    assert digest(0) in said
    assert not world.answer("ada")
    world.seconds += 11 * 86_400
    assert [world.answer("ada") for _ in range(3)] == [True, False, False]
    assert list(_golden_tasks(store, "ada")) == [digest(FIRST_GOLDEN)]


def _golden_tasks(store: SqlStore, name: str) -> dict[str, list[str]]:
    """By item, the golden tasks that a person has answered."""
    with store.read() as tx:
        found: dict[str, list[str]] = {}
        for one in tx.golden.scored(PROJECT, PEOPLE[name].id, limit=500):
            found.setdefault(one.item_digest, []).append(one.submission_id)
        return found


def test_giving_a_task_back_never_makes_another_draw(store: SqlStore) -> None:
    """The draw belongs to the task, the person and how many golden items they had: who releases gets the same again."""
    world = opened(store, works=10, golden=20, rules=GoldenRules(rate=0.5))
    for _ in range(8):
        one = world.next("ada")
        world.desk.release(PEOPLE["ada"], one.task.id, one.task.epoch)
        again = world.next("ada")
        assert again.task.id == one.task.id
        world.submit("ada", again)


def test_a_golden_task_is_one_persons_and_keeps_its_draft(store: SqlStore) -> None:
    """Released, or run out, it comes back to the same person with what was drawn; nobody else ever gets it."""
    world = opened(store, works=1, golden=1, rules=GoldenRules(rate=1.0))
    one = world.next("ada")
    assert one.task.stage is Stage.GOLDEN
    world.desk.draft(PEOPLE["ada"], one.task.id, one.task.epoch, {"text": "half"})
    world.seconds += 10_000
    (others,) = world.lease("bob", 5).assignments
    assert others.task.id != one.task.id
    again = world.next("ada")
    assert (again.task.id, again.task.epoch, again.draft.content) == (one.task.id, 2, {"text": "half"})
    with pytest.raises(StaleLease):
        world.desk.submit(PEOPLE["bob"], again.task.id, 2, RIGHT, "")
    with pytest.raises(Conflict, match="golden"):
        world.oversight.reopen_task(OPERATOR, one.task.id)


def mark_unpredicted(world: World) -> None:
    """An item that no model saw."""
    with world.store.begin() as tx:
        tx.items.add(an_item(900))
    assert world.golden.mark(PROJECT, digest(900), RIGHT, "op").predicted is False


def test_an_item_without_a_prediction_is_not_among_work_that_has_one(store: SqlStore) -> None:
    """Such work begins with what the model proposes; without, it would be told. Who qualifies gets it."""
    world = opened(store, works=5, golden=0, rules=GoldenRules(rate=1.0))
    mark_unpredicted(world)
    assert not any(world.answer("ada") for _ in range(5))
    world.standings.change(OPERATOR, PROJECT, "bob", standing=Standing.NEW, reason="new here")
    assert world.next("bob").task.item_digest == digest(900)


@pytest.mark.parametrize("blind_share", [0.0, 1.0])
def test_before_there_is_a_model_golden_items_begin_empty_too(store: SqlStore, blind_share: float) -> None:
    """They stand in for work without a proposal: what has no prediction, and what has one, which is not shown. Neither
    the lease nor the answer tells them from it, whatever share of predictions is hidden by lot."""
    queue = QueueRules(blind_share=blind_share)
    world = opened(store, works=5, golden=2, rules=GoldenRules(rate=1.0), queue=queue, predicted=False)
    mark_unpredicted(world)
    looks, kinds = set(), []
    while leased := world.lease("ada").assignments:
        (one,) = leased
        sent = world.submit("ada", one, HALF)
        kinds.append(one.task.stage is Stage.GOLDEN)
        looks.add((one.proposal, one.task.proposal_shown, one.task.prediction_id, one.frames, str(sent.corrections)))
    assert (len(kinds), sum(kinds)) == (8, 3)
    assert looks == {((), None, None, None, "{}")}
    assert world.standing("ada") is Standing.WARNED  # they tell of a person what others do


def test_where_both_kinds_of_work_are_each_has_golden_items_of_its_own(store: SqlStore) -> None:
    """A proposal is there exactly where the task that is replaced has one."""
    world = opened(store, works=4, golden=6, rules=GoldenRules(rate=0.5))
    with store.begin() as tx:
        for number in range(20, 24):  # each between two that have a prediction
            tx.items.add(an_item(number))
            began = NOW + timedelta(seconds=number - 20 + 0.5)
            tx.tasks.add(placed(a_task(number, item=number, at=began), QueueRules(), (), begins=began))
    seen = set()
    while leased := world.lease("ada").assignments:
        (one,) = leased
        if one.task.stage is Stage.GOLDEN:
            like = next(task for task in _open_tasks(store) if task.rank == one.task.rank)
            seen.add((like.prediction_id is not None, bool(one.proposal)))
        world.submit("ada", one)
    assert seen == {(True, True), (False, False)}


def _open_tasks(store: SqlStore) -> list[Task]:
    with store.read() as tx:
        ids = [a_task(number).id for number in (*range(4), *range(20, 24))]
        return [task for task in map(tx.tasks.get, ids) if not task.finished]


def test_a_clip_is_never_replaced(store: SqlStore) -> None:
    """No golden item is one: a single image among clips would be told."""
    world = opened(store, works=1, golden=3, rules=GoldenRules(rate=1.0), predicted=False)
    with store.begin() as tx:
        tx.groups.add(a_group(frames=1))
        tx.groups.append([frame(0)])
        work = a_task(0).id
        tx.groups.add_works([ClipWork(work_id=work, project_id=PROJECT, group_id="group_0", first=0, count=1)])
    assert [one.task.id for one in world.lease("ada").assignments] == [work]


def test_a_golden_item_asks_for_no_skill_that_the_person_has_not(store: SqlStore) -> None:
    """Nobody is judged by what they would not be asked."""
    with store.begin() as tx:
        tx.tokens.add(replace(OPERATOR, id="tok_x", secret_digest="x"))
    queue = QueueRules(skills=(SkillRule(skill="sevens", source=an_item().source),))
    world = opened(store, golden=2, rules=GoldenRules(qualification=True), queue=queue)
    assert world.lease("ada").assignments == []
    with store.begin() as tx:
        tx.people.save(Person(token_id=PEOPLE["ada"].id, skills=("sevens",)))
    assert world.next("ada").task.stage is Stage.GOLDEN


def test_the_daily_limit_counts_golden_items(store: SqlStore) -> None:
    """Who may answer twelve tasks a day answers twelve, whatever they are."""
    world = opened(store, works=20, golden=10, rules=GoldenRules(rate=0.5), queue=QueueRules(max_tasks_a_day=12))
    kinds = [world.answer("ada") for _ in range(12)]
    assert any(kinds)
    assert not all(kinds)
    assert world.lease("ada").assignments == []


# --- answers ------------------------------------------------------------------------------------------------


def test_an_answer_to_a_golden_item_counts_nowhere_but_in_the_score(store: SqlStore) -> None:
    """It is no submission and no truth, moves no figure, and the item may still be selected as before."""
    world = opened(store, works=1, golden=1, rules=GoldenRules(rate=1.0))
    with store.read() as tx:
        before = _figures(tx, world)
    one = world.next("ada")
    sent = world.submit("ada", one, HALF)
    assert sent.corrections  # as of any task with a proposal
    assert world.submit("ada", one, HALF).id == sent.id
    with pytest.raises(Conflict):
        world.submit("ada", one, RIGHT)
    with store.read() as tx:
        assert _figures(tx, world) == before
        (scored,) = tx.golden.scored(PROJECT, PEOPLE["ada"].id, limit=9)
    assert (scored.submission_id, scored.item_digest) == (sent.id, digest(FIRST_GOLDEN))
    report = world.standings.of(PROJECT, "ada")
    assert report.quality.overall.precision.value == 1.0
    assert report.quality.overall.recall.value == pytest.approx(0.4)
    assert [one["recall"] for one in world.events("golden.answered")] == [pytest.approx(0.4)]
    assert world.truth(FIRST_GOLDEN).version == 1


def test_a_golden_item_that_is_skipped_has_no_score(store: SqlStore) -> None:
    """Who cannot say loses nothing by it, and does not get it again."""
    world = opened(store, golden=1, rules=GoldenRules(qualification=True))
    one = world.next("ada")
    sent = world.desk.skip(PEOPLE["ada"], one.task.id, one.task.epoch, "dark")
    assert world.desk.skip(PEOPLE["ada"], one.task.id, one.task.epoch, "dark").id == sent.id
    assert world.standings.of(PROJECT, "ada").quality is None
    assert world.lease("ada").assignments == []


def _figures(tx: Transaction, world: World) -> object:
    of_item = digest(FIRST_GOLDEN)
    return (
        tx.tasks.counts(PROJECT, world.now()),
        tx.submissions.of_item(PROJECT, of_item),
        tx.submissions.page(PROJECT, after=None, limit=9),
        [one.answered for one in tx.people.reviewers(None, after=None, limit=100)],
        tx.submissions.count_reviewed(PROJECT, a_model().id),
        tx.truths.count_reviewed_since(PROJECT, None),
        sorted(tx.tasks.items(PROJECT)),
        tx.tasks.works_of_item(PROJECT, of_item),
        tx.items.settled(PROJECT, [digest(0), of_item]),
        tx.tasks.by_recipe(PROJECT),
    )


def test_scores_count_against_the_present_trusted_shapes_alone(store: SqlStore) -> None:
    """A trusted answer that was wrong is mended: what was scored by it counts no more, nor what was taken back."""
    world = opened(store, golden=2, rules=GoldenRules(qualification=True))
    world.answer("ada", HALF)
    world.answer("ada", HALF)
    assert world.standings.of(PROJECT, "ada").decision.items == 2
    world.golden.mark(PROJECT, digest(FIRST_GOLDEN), HALF, "op")
    assert world.standings.of(PROJECT, "ada").decision.items == 1
    world.golden.remove(PROJECT, digest(FIRST_GOLDEN + 1), "op")
    assert world.standings.of(PROJECT, "ada").quality is None


def test_in_training_an_answer_comes_with_the_trusted_one(store: SqlStore) -> None:
    """For a project, or for one person; nobody else sees it, and ordinary work has none."""
    world = opened(store, works=2, golden=3, rules=GoldenRules(rate=1.0))
    assert not isinstance(world.submit("ada", world.next("ada")), TrainedSubmission)
    world.standings.change(OPERATOR, PROJECT, "ada", training={"training": True})
    one = world.next("ada")
    told = world.submit("ada", one, (*HALF, WRONG[0]))
    assert isinstance(told, TrainedSubmission)
    assert (told.golden.shapes, told.golden.right) == (RIGHT, 2)
    assert (told.golden.precision, told.golden.recall) == (pytest.approx(2 / 3), pytest.approx(0.4))
    assert isinstance(world.submit("ada", one, (*HALF, WRONG[0])), TrainedSubmission)
    assert not isinstance(world.submit("bob", world.next("bob")), TrainedSubmission)
    world.submit("ada", world.next("ada"))
    ordinary = world.next("ada")
    assert ordinary.task.stage is Stage.ANNOTATE
    assert not isinstance(world.submit("ada", ordinary), TrainedSubmission)


# --- standing -------------------------------------------------------------------------------------------------


def test_new_people_qualify_by_golden_items_alone(store: SqlStore) -> None:
    """They are told how many more; where none is left, the operator is told to mark more. Then they get other work."""
    world = opened(store, works=3, golden=2, rules=GoldenRules(rate=0.0, qualification=True))
    leased = world.lease("ada", 5)
    assert {one.task.stage for one in leased.assignments} == {Stage.GOLDEN}
    assert len(leased.assignments) == 2
    assert "not qualified yet" in leased.why and "more" in leased.why
    for one in leased.assignments:
        world.submit("ada", one)
    stuck = world.lease("ada")
    assert stuck.assignments == []
    assert "mark about 1 more" in stuck.why
    with store.begin() as tx:
        tx.items.add(an_item(900))
    world.golden.mark(PROJECT, digest(900), RIGHT, "op")
    assert world.answer("ada")
    assert world.standing("ada") is Standing.QUALIFIED
    assert [one["before"] for one in world.events("reviewer.qualified")] == ["new"]
    assert len(world.lease("ada", 5).assignments) == 3
    assert world.lease("ada", 5).why == ""


def test_a_poor_person_is_warned_then_paused_and_their_work_is_done_anew(store: SqlStore) -> None:
    """What they alone decided since their last good golden item, once, by others; what is done anew already stays."""
    world = opened(store, works=40, golden=30, rules=GoldenRules(rate=0.5))
    early = [_ordinary(world, "ada", RIGHT) for _ in range(3)]
    while not world.answer("ada", RIGHT):
        pass  # this golden item vouches for all before it
    seen: list[str] = []
    warned = ""
    while world.standing("ada") is not Standing.PAUSED:
        leased = world.lease("ada")
        warned = leased.why or warned
        (one,) = leased.assignments
        if one.task.stage is Stage.ANNOTATE:
            seen.append(one.task.work_id)
        world.submit("ada", one, RIGHT if one.task.stage is Stage.ANNOTATE else WRONG)
    assert "warned" in warned
    assert [len(world.events(f"reviewer.{standing}")) for standing in ("warned", "paused")] == [1, 1]
    (paused,) = world.events("reviewer.paused")
    assert sorted(paused["works"]) == sorted(seen)
    assert paused["count"] == len(seen)
    assert not set(paused["works"]) & set(early)
    done_before = seen[0]
    world.oversight.reopen_task(OPERATOR, done_before)  # an operator was quicker
    while world.standings.redo():
        pass
    reopened = [one["task_id"] for one in world.events("task.reopened")]
    assert sorted(reopened) == sorted(seen)  # none twice
    leased = world.lease("ada", 3)
    assert {one.task.stage for one in leased.assignments} == {Stage.GOLDEN}
    assert "paused" in leased.why
    with store.read() as tx:
        assert {(task.state, task.round) for task in map(tx.tasks.get, seen)} == {(TaskState.OPEN, 1)}


def _ordinary(world: World, name: str, shapes: Sequence[Shape]) -> str:
    """Answers the next ordinary task, and golden items on the way."""
    while True:
        one = world.next(name)
        world.submit(name, one, shapes)
        if one.task.stage is Stage.ANNOTATE:
            return one.task.work_id


def test_a_pause_takes_what_the_person_holds(store: SqlStore) -> None:
    """Other work goes back to the queue at once, and cannot be answered any more."""
    world = opened(store, works=5)
    held = world.lease("ada", 3).assignments
    world.standings.change(OPERATOR, PROJECT, "ada", standing=Standing.PAUSED, reason="on leave")
    for one in held:
        with pytest.raises(StaleLease):
            world.submit("ada", one)
    assert len(world.lease("bob", 5).assignments) == 5
    assert world.lease("ada").assignments == []


def test_redoing_goes_on_where_it_was_killed(store: SqlStore) -> None:
    """What is asked for is kept with the pause; each work is opened in a transaction of its own, once."""
    world = opened(store, works=6)
    for _ in range(6):
        world.answer("ada")
    world.standings.change(OPERATOR, PROJECT, "ada", standing=Standing.PAUSED, reason="errs")
    calls = 0

    def dying() -> datetime:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return world.now()

    with pytest.raises(KeyboardInterrupt):
        Standings(store, dying).redo()
    assert len(world.events("task.reopened")) == 2
    assert Standings(store, world.now).redo() == 4
    assert Standings(store, world.now).redo() == 0
    assert len({one["task_id"] for one in world.events("task.reopened")}) == 6
    world.standings.change(OPERATOR, PROJECT, "ada", standing=Standing.PAUSED, reason="still")
    assert world.standings.redo() == 0


def test_what_was_done_anew_meanwhile_is_left_alone(store: SqlStore) -> None:
    """An operator opened it and another person has answered it before its turn came: that answer stands."""
    world = opened(store, works=2)
    first, second = (_ordinary(world, "ada", RIGHT) for _ in range(2))
    world.standings.change(OPERATOR, PROJECT, "ada", standing=Standing.PAUSED, reason="errs")
    world.oversight.reopen_task(OPERATOR, first)
    assert _ordinary(world, "bob", HALF) == first
    assert world.standings.redo() == 2
    assert [one["task_id"] for one in world.events("task.reopened")] == [first, second]
    with store.read() as tx:
        assert [tx.tasks.get(work).state for work in (first, second)] == [TaskState.DONE, TaskState.OPEN]


def test_work_that_others_answered_too_is_not_done_anew_but_told_of(store: SqlStore) -> None:
    """Consensus has weighed who erred; only what a person decided alone rests on that person. An operator sees the
    others until they are asked for again."""
    world = opened(store, works=2, queue=QueueRules(people={Stage.ANNOTATE: 2}))
    for name in ("ada", "bob"):
        for _ in range(2):
            world.answer(name)
    assert world.truth(0) and world.truth(1)
    assert world.standings.of(PROJECT, "ada").shared == ()
    for name in ("ada", "bob"):
        world.standings.change(OPERATOR, PROJECT, name, standing=Standing.PAUSED, reason="errs")
    assert world.standings.redo() == 0
    works = [a_task(number).id for number in range(2)]
    assert [(one["works"], one["shared"], one["shared_count"]) for one in world.events("reviewer.paused")] == [
        ([], works, 2)
    ] * 2
    world.oversight.reopen_task(OPERATOR, works[0])
    (left,) = world.standings.of(PROJECT, "ada").shared
    assert (left.work_id, left.item_digest) == (works[1], digest(1))


@pytest.mark.parametrize("judging", ["adjudicated", "corrected"])
def test_what_another_person_decided_does_not_rest_on_who_answered(store: SqlStore, judging: str) -> None:
    """Their answers are no part of the truth any more."""
    qa = Qa.ALL if judging == "corrected" else Qa.OFF
    world = opened(store, works=1, queue=QueueRules(people={Stage.ANNOTATE: 2}), qa=qa)
    world.answer("ada")
    world.answer("bob", RIGHT if judging == "corrected" else WRONG)
    world.answer("cyd", HALF)
    assert world.truth(0).shapes == HALF
    world.standings.change(OPERATOR, PROJECT, "ada", standing=Standing.PAUSED, reason="errs")
    assert world.standings.of(PROJECT, "ada").shared == ()


def test_a_good_golden_item_vouches_for_a_share_too(store: SqlStore) -> None:
    """Told is what was answered since."""
    world = opened(store, works=4, golden=1, rules=GoldenRules(rate=0.0), queue=QueueRules(people={Stage.ANNOTATE: 2}))
    _ordinary(world, "ada", RIGHT)
    with store.begin() as tx:
        policy = tx.projects.get(PROJECT).policy
        quality = replace(policy.quality, golden=GoldenRules(rate=1.0))
        tx.projects.save_policy(PROJECT, replace(policy, version=policy.version + 1, quality=quality))
    assert world.answer("ada")
    later = _ordinary(world, "ada", RIGHT)
    for _ in range(3):
        _ordinary(world, "bob", RIGHT)
    world.standings.change(OPERATOR, PROJECT, "ada", standing=Standing.PAUSED, reason="errs")
    assert [one.work_id for one in world.standings.of(PROJECT, "ada").shared] == [later]


@pytest.mark.parametrize("people", [1, 2])
def test_what_one_person_corrected_in_qa_is_done_anew(store: SqlStore, people: int) -> None:
    """The correction alone is the truth, however many answered before it; so the work begins anew. What was accepted
    rests on its authors too: QA alone is asked again."""
    world = opened(store, works=2, queue=QueueRules(people={Stage.ANNOTATE: people}), qa=Qa.ALL)
    for name in ("ada", "bob")[:people]:
        for _ in range(2):
            world.answer(name)
    corrected, accepted = world.lease("cyd", 2).assignments
    world.submit("cyd", corrected, HALF)
    world.desk.accept(PEOPLE["cyd"], accepted.task.id, accepted.task.epoch)
    for name in ("ada", "bob", "cyd"):
        world.standings.change(OPERATOR, PROJECT, name, standing=Standing.PAUSED, reason="errs")
    paused = world.events("reviewer.paused")
    assert [sorted(one["works"]) for one in paused] == [[], [], sorted([corrected.task.work_id, accepted.task.work_id])]
    assert world.standings.redo() == 2
    assert [one["task_id"] for one in world.events("task.reopened")] == [corrected.task.work_id]


def _accepted_in_qa(store: SqlStore, *, golden: int = 0) -> tuple[World, Assignment]:
    """Ada's answer, which cyd let stand."""
    world = opened(store, works=1, golden=golden, rules=GoldenRules(rate=0.0), qa=Qa.ALL)
    world.answer("ada")
    judging = world.next("cyd")
    world.desk.accept(PEOPLE["cyd"], judging.task.id, judging.task.epoch)
    return world, judging


def _paused(world: World, name: str) -> int:
    """How many works were looked at."""
    world.seconds += 1
    world.standings.change(OPERATOR, PROJECT, name, standing=Standing.PAUSED, reason="errs")
    return world.standings.redo()


@pytest.mark.parametrize("right", [True, False])
def test_what_a_paused_person_let_stand_is_judged_by_another(store: SqlStore, right: bool) -> None:
    """The truth stays until then, and does not count as settled; the other accepts, or corrects, as ever."""
    world, judged = _accepted_in_qa(store)
    before = world.truth(0)
    assert _paused(world, "cyd") == 1
    assert world.truth(0) == before
    with store.read() as tx:
        assert not any(one.settles for one in tx.submissions.of_work(judged.task.work_id))
    assert [one.task.stage for one in world.lease("cyd").assignments] == []
    assert [one.task.stage for one in world.lease("ada").assignments] == []  # the author does not judge
    again = world.next("bob")
    assert (again.task.id, again.answers[0].shapes) == (judged.task.id, RIGHT)
    sent = (
        world.desk.accept(PEOPLE["bob"], again.task.id, again.task.epoch) if right else world.submit("bob", again, HALF)
    )
    now = world.truth(0)
    assert (now.version, now.shapes) == (2, RIGHT if right else HALF)
    made_of = (before.submission_ids[0], sent.id) if right else (sent.id,)
    assert now.submission_ids == made_of
    assert world.standings.redo() == 0


def test_a_verdict_that_is_no_truth_any_more_is_left_alone(store: SqlStore) -> None:
    """Somebody asked for the work again meanwhile."""
    world, judged = _accepted_in_qa(store)
    world.standings.change(OPERATOR, PROJECT, "cyd", standing=Standing.PAUSED, reason="errs")
    world.oversight.reopen_task(OPERATOR, judged.task.work_id)
    assert world.standings.redo() == 1
    assert [one.task.stage for one in world.lease("bob").assignments] == [Stage.ANNOTATE]


def test_a_verdict_before_a_good_golden_item_stands(store: SqlStore) -> None:
    world, _ = _accepted_in_qa(store, golden=1)
    world.standings.change(OPERATOR, PROJECT, "cyd", standing=Standing.NEW, reason="measure")
    assert world.answer("cyd")
    assert _paused(world, "cyd") == 0


def test_an_item_that_a_paused_person_gave_up_is_asked_for_again(store: SqlStore) -> None:
    """The skip with which the work ended, not one after which others were asked."""
    world = opened(store, works=2, queue=QueueRules(skips_before_expert=2))
    for name in ("ada", "bob"):
        one = world.next(name)
        world.desk.skip(PEOPLE[name], one.task.id, one.task.epoch, "dark")
    assert one.task.id == a_task(0).id
    assert _paused(world, "ada") == 0  # bob could not say either, after ada
    assert _paused(world, "bob") == 1
    assert [one["task_id"] for one in world.events("task.reopened")] == [a_task(0).id]
    assert {one.task.id for one in world.lease("cyd", 5).assignments} == {a_task(0).id, a_task(1).id}


def test_an_item_that_got_a_truth_meanwhile_is_not_asked_for_again(store: SqlStore) -> None:
    world = opened(store, works=1)
    one = world.next("ada")
    world.desk.skip(PEOPLE["ada"], one.task.id, one.task.epoch, "dark")
    with store.begin() as tx:
        later = world.now() + timedelta(seconds=1)
        tx.truths.add(replace(a_truth(), item_digest=digest(0), origin="import", created_at=later))
    assert _paused(world, "ada") == 1
    assert world.events("task.reopened") == []


def test_a_truth_of_an_earlier_round_is_not_one_from_elsewhere(store: SqlStore) -> None:
    """Though the clock has gone back since, so that it looks newer than the skip."""
    world = opened(store, works=1)
    world.answer("ada")
    world.oversight.reopen_task(OPERATOR, a_task(0).id)
    world.seconds -= 10
    one = world.next("bob")
    world.desk.skip(PEOPLE["bob"], one.task.id, one.task.epoch, "dark")
    assert _paused(world, "bob") == 1
    assert len(world.events("task.reopened")) == 2


def test_an_answer_that_a_paused_person_gave_up_in_qa_is_asked_for_again(store: SqlStore) -> None:
    """The skip of who was to judge it left the item without any truth."""
    world = opened(store, works=1, qa=Qa.ALL)
    world.answer("ada")
    judging = world.next("cyd")
    world.desk.skip(PEOPLE["cyd"], judging.task.id, judging.task.epoch, "dark")
    assert _paused(world, "cyd") == 1
    assert [one.task.stage for one in world.lease("bob").assignments] == [Stage.ANNOTATE]


def test_a_standing_by_hand_has_a_reason(store: SqlStore) -> None:
    """It is recorded with who gave it; golden items go on from there."""
    world = opened(store, works=1)
    with pytest.raises(Invalid, match="reason"):
        world.standings.change(OPERATOR, PROJECT, "ada", standing=Standing.WARNED)
    report = world.standings.change(OPERATOR, PROJECT, "ada", standing=Standing.WARNED, reason="look closer")
    assert (report.standing, report.known.actor, report.known.why) == (Standing.WARNED, "op", "look closer")
    assert "look closer" in world.lease("ada").why
    with pytest.raises(NotFound, match="no reviewer"):
        world.standings.of(PROJECT, "nobody")


def test_a_reviewer_is_told_of_yesterday_while_golden_items_are_hidden(store: SqlStore) -> None:
    """Figures that move with each answer would tell which items are golden."""
    world = opened(store, works=30, golden=5, rules=GoldenRules(rate=1.0))
    assert world.answer("ada")
    assert world.standings.own(PEOPLE["ada"], PROJECT).decision.items == 0
    assert world.standings.of(PROJECT, "ada").decision.items == 1
    world.seconds += 86_400
    assert world.standings.own(PEOPLE["ada"], PROJECT).decision.items == 1


# --- consensus --------------------------------------------------------------------------------------------------


def test_golden_items_weigh_people_in_a_consensus(store: SqlStore) -> None:
    """Of two who differ, the one who is right on golden items is believed, and nobody has to decide."""
    world = opened(
        store, works=4, golden=12, rules=GoldenRules(rate=0.0), queue=QueueRules(people={Stage.ANNOTATE: 2}),
        standing=QualityRules(min_items=12),
    )  # fmt: skip
    first = world.next("ada")
    world.submit("ada", first, RIGHT)
    world.submit("bob", world.next("bob"), RIGHT[:4])
    assert world.truth(int(first.task.item_digest, 16)) is None  # nothing is known of either
    for name, shapes in (("ada", RIGHT), ("bob", RIGHT[:3])):
        world.standings.change(OPERATOR, PROJECT, name, standing=Standing.NEW, reason="measure")
        for _ in range(12):
            world.answer(name, shapes)
        world.standings.change(OPERATOR, PROJECT, name, standing=Standing.QUALIFIED, reason="measured")
    second = world.next("ada")
    world.submit("ada", second, RIGHT)
    world.submit("bob", world.next("bob"), RIGHT[:4])
    assert len(world.truth(int(second.task.item_digest, 16)).shapes) == 5
    with store.read() as tx:
        kept = tx.agreements.last(PROJECT, limit=9)
    assert [one.adjudicated for one in kept] == [False, True]
    assert all(0.8 < one.f1 < 1.0 and one.iou == 1.0 for one in kept)


def test_scores_hold_the_truth_of_simulated_people(store: SqlStore) -> None:
    """Played through the desk: recall lies in its interval, the good works on, and the poor is paused."""
    world = opened(
        store, works=60, golden=60, rules=GoldenRules(rate=0.5),
        standing=QualityRules(bar=0.8, confidence=0.9, min_items=5, window=50),
    )  # fmt: skip
    rng = np.random.default_rng(7)
    for name, rate in (("ada", 0.95), ("bob", 0.5)):
        answered = 0
        while answered < 30 and world.standing(name) is not Standing.PAUSED:
            found = tuple(shape for shape in RIGHT if rng.random() < rate)
            answered += world.answer(name, found)
        recall = world.standings.of(PROJECT, name).quality.overall.recall
        assert recall.low <= rate <= recall.high
    assert world.standing("ada") is Standing.QUALIFIED
    assert world.standing("bob") is Standing.PAUSED
    assert world.standings.redo() == world.events("reviewer.paused")[0]["count"] > 0


def test_an_old_policy_keeps_its_overlap(empty_url: str) -> None:
    """How much overlap makes two answers the same was a rule of the queue; stored policies bring it along."""
    store = SqlStore.open(empty_url)
    store.migrate()
    with store.begin() as tx:
        tx.projects.add(a_project())
    engine = engine_for(empty_url)
    migration = import_module("loop.store.migrations.versions.r0013_golden")
    with engine.begin() as connection:
        connection.exec_driver_sql("""UPDATE policies SET queue = '{"agreement_iou": 0.7, "max_leases": 3}'""")
        connection.exec_driver_sql("ALTER TABLE policies DROP COLUMN quality")
        with Operations.context(MigrationContext.configure(connection)):
            migration._policies()
    engine.dispose()
    with store.read() as tx:
        policy = tx.projects.get(PROJECT).policy
    assert (policy.quality.consensus.iou, policy.queue.max_leases) == (0.7, 3)
    store.close()
