"""Labels that are doubted go back to people before a training, which does without them until they have answered."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from loop.cycle.label_check import DOUBTED, LabelChecks, label_check_of
from loop.cycle.label_errors import DoubtfulItem, LabelErrors, LabelReport
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.identity import digest_of
from loop.domain.item import Split
from loop.domain.policy.label_rules import LabelRules
from loop.domain.prediction import Detection
from loop.domain.review.tasks import TaskState
from loop.domain.truth import GroundTruth, Shape
from loop.review.asking import Asking
from loop.store.database import SqlStore
from tests.contract.conftest import Databases
from tests.contract.records import PROJECT, a_cycle, a_model, a_prediction, a_project, an_item, digest, later
from training.snapshot import Snapshot, freeze

BOX = (5.0, 5.0, 25.0, 25.0)
RIGHT, OTHER = Shape("seven", BOX), Shape(a_project().recipe.labels[0].name, BOX)
WRONG, HELD_OUT_WRONG, UNSEEN = (3, 7, 11, 15, 19), 40, 41


@dataclass
class World:
    store: SqlStore
    blobs: dict[str, bytes]
    kept: bool = True  # whether images are
    cycles: int = 0

    def put(self, content: bytes) -> str:
        self.blobs[digest_of(content)] = content
        return digest_of(content)

    def get(self, key: str) -> bytes:
        return self.blobs[key]

    def check(self, recipe: Mapping[str, object] | None = None) -> tuple[Snapshot, Cycle]:
        """What the next cycle trains on, and the cycle as it is kept when it has ended."""
        cycle = self.begun(recipe)
        left, told = self.checked(cycle)
        cycle = replace(cycle, evaluation=told, state=CycleState.REFUSED, step=Step.DONE)
        with self.store.begin() as tx:
            tx.cycles.save(cycle)
        return left, cycle

    def begun(self, recipe: Mapping[str, object] | None = None) -> Cycle:
        self.cycles += 1
        cycle = a_cycle(self.cycles, at=later(100 * self.cycles))
        cycle = replace(cycle, state=CycleState.RUNNING, recipe=recipe or {}, actor="ada")
        with self.store.begin() as tx:
            tx.cycles.add(cycle)
        return cycle

    def checked(self, cycle: Cycle) -> tuple[Snapshot, dict[str, object]]:
        with self.store.read() as tx:
            before = freeze(tx.truths.all_current(PROJECT), labels=a_project().recipe.label_names, val_share=0.0)
        asking = Asking(self.store, lambda _: self.kept, lambda: later(86_400), os.urandom)
        return LabelChecks(self.store, self, LabelErrors(self.store, self), asking).before_training(cycle, before)  # type: ignore[arg-type]

    def rechecks(self, count: int) -> None:
        with self.store.begin() as tx:
            policy = tx.projects.get(PROJECT).policy
            quality = replace(policy.quality, labels=LabelRules(recheck=count))
            tx.projects.save_policy(PROJECT, replace(policy, version=policy.version + 1, quality=quality))

    def tasks(self) -> dict[str, TaskState]:
        with self.store.begin() as tx:
            works = [
                tx.tasks.work_for_update(one) for n in range(42) for one in tx.tasks.works_of_item(PROJECT, digest(n))
            ]
        return {task.item_digest: task.state for work in works for task in work}

    def ended(self, numbers: Iterable[int]) -> None:
        """Nobody is asked for these any more."""
        with self.store.begin() as tx:
            for one in [work for n in numbers for work in tx.tasks.works_of_item(PROJECT, digest(n))]:
                for task in tx.tasks.work_for_update(one):
                    done = replace(task, state=TaskState.DONE, epoch=1, owner="bo", leased_at=later(1))
                    tx.tasks.save(replace(done, expires_at=None))

    def answered(self, number: int, shapes: tuple[Shape, ...]) -> None:
        self.ended([number])
        with self.store.begin() as tx:
            tx.truths.add(truth(number, shapes, version=2))


def truth(number: int, shapes: tuple[Shape, ...], version: int = 1) -> GroundTruth:
    return GroundTruth(
        project_id=PROJECT, item_digest=digest(number), version=version, shapes=shapes, submission_ids=(),
        origin="import", created_at=later(10 * version),
    )  # fmt: skip


@pytest.fixture
def world(databases: Databases) -> Iterator[World]:
    """42 items, 41 of them to train on. A sure model sees `seven` in each but one; the truth of five, and of one that
    is held out, says otherwise."""
    with databases() as url:
        store = SqlStore.open(url)
        with store.begin() as tx:
            tx.projects.add(a_project())
            tx.models.add(a_model())
            for number in range(42):
                split = Split.TRAIN if number != HELD_OUT_WRONG else Split.GOLDEN
                tx.items.add(replace(an_item(number), split=split, group="", width=64, height=64))
                wrong = number in (*WRONG, HELD_OUT_WRONG)
                tx.truths.add(truth(number, (OTHER if wrong else RIGHT,)))
                if number != UNSEEN:
                    said = replace(a_prediction(number, item=number, stage=None), created_at=later(1))
                    tx.predictions.add(replace(said, detections=(Detection("seven", 0.9, BOX),)))
        yield World(store, {})
        store.close()


def train_set(snapshot: Snapshot) -> set[str]:
    return {entry.digest for entry in snapshot.of_split(Split.TRAIN)}


def digests(numbers: Iterable[int]) -> set[str]:
    return {digest(number) for number in numbers}


def test_nothing_is_asked_of_people_unless_the_policy_says_so(world: World) -> None:
    snapshot, cycle = world.check()
    assert len(train_set(snapshot)) == 41 and cycle.evaluation == {} and world.tasks() == {}


def test_the_worst_go_back_to_people_and_the_training_does_without_them(world: World) -> None:
    """As many as the policy says, of those to train on alone; head and cycle say how many, with the reason of each."""
    world.rechecks(3)
    snapshot, cycle = world.check()
    gone = digests(range(42)) - {digest(HELD_OUT_WRONG)} - train_set(snapshot)
    assert len(gone) == 3 and gone <= digests(WRONG)
    assert snapshot.left_out == {DOUBTED: 3} == snapshot.head.left_out
    assert set(world.tasks()) == gone
    check = label_check_of(cycle, world.get)
    assert check is not None and set(check.held) == gone
    assert all("misnamed" in one.why and "seven (0.90)" in one.why for one in check.doubted)
    kept = dict(cycle.evaluation["label_check"])
    assert (kept["asked"], kept["held"], kept["unseen"]) == (3, 3, 1)
    assert [len(snapshot.of_split(Split.GOLDEN)), len(snapshot.evaluation_entries)] == [1, 1]


def test_people_read_why(world: World) -> None:
    world.rechecks(1)
    world.check()
    with world.store.begin() as tx:
        (work,) = [one for n in WRONG for one in tx.tasks.works_of_item(PROJECT, digest(n))]
        (task,) = tx.tasks.work_for_update(work)
    assert task.reason.startswith("its labels are doubted before a training: misnamed")


def test_a_cycle_may_ask_for_more_or_none(world: World) -> None:
    """Before what the policy says."""
    world.rechecks(3)
    assert len(train_set(world.check({"recheck": 0})[0])) == 41
    assert len(train_set(world.check({"recheck": 2})[0])) == 39


def test_they_are_held_until_people_answer_and_asked_for_once(world: World) -> None:
    """Who answers nothing holds no cycle up; an answer stands, whatever the model says of it."""
    world.rechecks(2)
    first, _ = world.check()
    gone = sorted(digests(range(42)) - {digest(HELD_OUT_WRONG)} - train_set(first))
    second, cycle = world.check()
    check = label_check_of(cycle, world.get)
    assert check is not None and sorted(check.waiting) == gone and len(check.doubted) == 2
    assert len(train_set(second)) == 37 and set(gone).isdisjoint(train_set(second))
    numbers = [n for n in WRONG if digest(n) in gone]
    world.answered(numbers[0], (OTHER,))
    third, cycle = world.check()
    assert digest(numbers[0]) in train_set(third) and digest(numbers[1]) not in train_set(third)
    check = label_check_of(cycle, world.get)
    assert (
        check is not None
        and numbers[0] not in check.held
        and digest(numbers[0]) not in {one.item_digest for one in check.doubted}
    )


def test_at_most_a_tenth_of_the_images_is_held(world: World) -> None:
    """A model that doubts everything stops no training: of 41 images 4, however often cycles ask."""
    world.rechecks(1000)
    assert len(train_set(world.check()[0])) == 37
    assert len(train_set(world.check()[0])) == 37


def test_a_step_that_is_done_again_holds_the_same(world: World) -> None:
    """People were asked, and the process was killed before the cycle could say so."""
    world.rechecks(3)
    cycle = world.begun()
    first, told = world.checked(cycle)
    again, told_again = world.checked(cycle)
    assert train_set(again) == train_set(first) and len(train_set(again)) == 38 and len(world.tasks()) == 3
    assert told_again == told


def test_what_people_cannot_be_asked_for_is_trained_on(world: World) -> None:
    """Its image was not kept: nobody could ever answer."""
    world.rechecks(3)
    world.kept = False
    snapshot, cycle = world.check()
    assert len(train_set(snapshot)) == 41 and world.tasks() == {}
    check = label_check_of(cycle, world.get)
    assert check is not None and [one.held for one in check.doubted] == [False] * 3


def test_a_task_that_ends_without_an_answer_holds_nothing(world: World) -> None:
    world.rechecks(2)
    first, _ = world.check()
    world.ended(WRONG)
    second, cycle = world.check()
    check = label_check_of(cycle, world.get)
    assert check is not None and check.waiting == ()
    assert digests(range(42)) - {digest(HELD_OUT_WRONG)} - train_set(first) <= train_set(second)


def test_what_has_the_only_boxes_is_trained_on_all_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """People are asked for it; a training without a box would end the cycle."""
    world.rechecks(1)
    with world.store.begin() as tx:
        for number in range(42):
            if number != WRONG[0]:
                tx.truths.add(truth(number, (), version=2))
    doubtful = DoubtfulItem(
        item_digest=digest(WRONG[0]), score=0.1, truth_version=1, split=None, model_id="m", prediction_id="p", doubts=()
    )
    told = LabelReport(total=42, compared=41, unseen=1, items=(doubtful,))
    monkeypatch.setattr(LabelErrors, "found", lambda *_, **__: told)
    snapshot, cycle = world.check()
    assert digest(WRONG[0]) in train_set(snapshot) and snapshot.left_out == {}
    assert set(world.tasks()) == {digest(WRONG[0])}
    kept = dict(cycle.evaluation["label_check"])
    assert (kept["asked"], kept["held"]) == (1, 0)
