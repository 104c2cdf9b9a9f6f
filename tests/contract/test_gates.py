"""Callers who wait for people, on each database: the order of the queue, and how it ends."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from loop.domain.access import Role, Token
from loop.domain.errors import Conflict
from loop.domain.policy.gate import Ending, Fallback, GateRules
from loop.domain.policy.quality_rules import GoldenRules, QualityPolicy
from loop.domain.policy.queue_rules import QueueRules
from loop.domain.policy.workflow import LotRules, Qa, Workflow
from loop.domain.quality.golden import GoldenItem
from loop.domain.review.queueing import seats
from loop.domain.review.tasks import Outcome, Task
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.review.desk import Desk
from loop.review.lots import Lots, add_members, in_lots
from loop.review.people import Oversight
from loop.routing.gate import Gates, ReviewTimes, hurried
from loop.store.database import SqlStore
from tests.contract.records import (
    NOW,
    PROJECT,
    a_model,
    a_policy,
    a_prediction,
    a_project,
    a_task,
    a_token,
    an_item,
    later,
)

HERE = (Shape("seven", (0.0, 0.0, 1.0, 100.0)),)
ELSEWHERE = (Shape("seven", (0.0, 500.0, 1.0, 600.0)),)
ADA, BOB, CYD = (a_token(number) for number in range(3))
OPERATOR = replace(a_token(9), role=Role.OPERATOR)


class Site:
    """A project on a store, a clock that is moved by hand, and what people do."""

    def __init__(self, store: SqlStore, rules: QueueRules, workflow: Workflow, quality: QualityPolicy) -> None:
        self.store = store
        self.now = NOW
        self.project = replace(
            a_project(),
            policy=replace(
                a_policy(), queue=rules, workflow=workflow, quality=quality, gate=GateRules(fallback=Fallback.ERROR)
            ),
        )
        self.desk = Desk(store, self.clock, os.urandom)
        self.gates = Gates(store, ReviewTimes(store, self.clock), self.clock)
        with store.begin() as tx:
            tx.projects.add(self.project)
            tx.models.add(a_model())
            for token in (ADA, BOB, CYD, OPERATOR):
                tx.tokens.add(token)

    def clock(self) -> datetime:
        return self.now

    def asked(self, number: int, wait: float | None = None, *, priority: float = 0.5, source: str = "") -> str:
        """A prediction that needs a person, for whose answer a caller waits so many seconds; its id."""
        prediction = a_prediction(number, item=number, at=self.now)
        first = replace(a_task(number, item=number, prediction=number, priority=priority, at=self.now), source=source)
        tasks: tuple[Task, ...] = seats(first, self.project.policy.queue, (), several=True)
        if wait is not None:
            by = self.now + timedelta(seconds=wait)
            tasks = tuple(hurried(task, self.project, by, 0.0, self.now) for task in tasks)
        with self.store.begin() as tx:
            tx.items.add(an_item(number))
            tx.predictions.add(prediction)
            placed = in_lots(tx, self.project, tasks, self.now, os.urandom)
            tx.tasks.add_all(placed)
            add_members(tx, placed)
        return prediction.id

    def lease(self, token: Token = ADA, count: int = 1) -> list[Task]:
        return [one.task for one in self.desk.lease(token, PROJECT, count).assignments]

    def order(self, token: Token = ADA, count: int = 20) -> list[int]:
        """The numbers of the tasks that a person gets, in their order."""
        return [int(task.id.split("_")[-1].split("-")[0]) for task in self.lease(token, count)]

    def answer(self, token: Token = ADA, shapes: tuple[Shape, ...] = HERE) -> None:
        (task,) = self.lease(token)
        self.desk.submit(token, task.id, task.epoch, shapes, "")

    def ending(self, prediction_id: str) -> Ending | None:
        with self.store.read() as tx:
            return tx.gates.endings([prediction_id, "pred_none"]).get(prediction_id)

    def task(self, number: int) -> Task:
        with self.store.read() as tx:
            return tx.tasks.get(a_task(number).id)


@pytest.fixture
def site(store: SqlStore) -> Site:
    return Site(store, QueueRules(), Workflow(), QualityPolicy())


def a_site(
    store: SqlStore,
    *,
    rules: QueueRules = QueueRules(),  # noqa: B008 - frozen
    workflow: Workflow = Workflow(),  # noqa: B008
    quality: QualityPolicy = QualityPolicy(),  # noqa: B008
) -> Site:
    return Site(store, rules, workflow, quality)


# --- the order -----------------------------------------------------------------------------------------------


def test_what_callers_wait_for_comes_first_by_deadline(site: Site) -> None:
    """Before riskier and older work; among themselves the one that is due first."""
    site.asked(0, priority=1.0)
    site.asked(1, wait=200, priority=0.0)
    site.asked(2, wait=100, priority=0.0)
    site.asked(3, wait=150, priority=1.0)
    assert site.order() == [2, 3, 1, 0]


def test_fair_turns_of_sources_wait_for_callers(store: SqlStore) -> None:
    """However much of a source was handed out."""
    site = a_site(store, rules=QueueRules(fair_sources=True, source_shares={"south": 0.001}))
    site.asked(0, source="north")
    site.asked(1, wait=100, source="south")
    site.asked(2, wait=50, source="south")
    assert site.order(count=2) == [2, 1]


def test_it_is_handed_out_to_the_last_moment_and_not_after(site: Site) -> None:
    """Not when less time is left than the policy asks for; after the deadline it is ordinary work again, where it was
    before."""
    site.asked(0, wait=60, priority=0.2)
    site.asked(1, priority=0.9)
    site.asked(2, priority=0.1)
    usual = site.task(0).usual_rank
    site.now = later(49.9)
    assert site.order(ADA, 1) == [0]
    site.desk.release(ADA, site.task(0).id, site.task(0).epoch)
    site.now = later(50)
    assert site.order(BOB) == [1, 2]
    assert site.gates.put_back() == 0
    site.now = later(60)
    assert site.gates.put_back() == 1
    assert (site.task(0).rank, site.task(0).answer_by, site.task(0).start_by) == (usual, None, None)
    site.desk.release(BOB, site.task(1).id, site.task(1).epoch)
    site.desk.release(BOB, site.task(2).id, site.task(2).epoch)
    assert site.order(CYD) == [1, 0, 2]


def test_people_who_are_slow_are_given_more_time(site: Site) -> None:
    """It is not handed out when less is left than people usually need, as the last answers say."""
    for number in range(6):
        site.asked(number)
        (task,) = site.lease()
        site.now += timedelta(seconds=90)
        site.desk.submit(ADA, task.id, task.epoch, HERE, "")
    usual = ReviewTimes(site.store, site.clock).usual(PROJECT)
    assert usual == 90
    by = site.now + timedelta(seconds=100)
    hurries = hurried(a_task(7), site.project, by, usual, site.now)
    assert hurries.start_by == by - timedelta(seconds=90)
    assert hurried(a_task(7), site.project, by, usual, site.now + timedelta(seconds=10)).answer_by is None


def test_who_holds_it_past_the_deadline_may_answer(site: Site) -> None:
    """The lease is as good as before, and the answer counts."""
    prediction = site.asked(0, wait=60)
    (task,) = site.lease()
    site.now = later(61)
    assert site.gates.put_back() == 1
    site.desk.heartbeat(ADA, task.id, task.epoch)
    assert site.task(0).answer_by is None
    site.desk.submit(ADA, task.id, task.epoch, HERE, "")
    assert site.ending(prediction) is Ending.SETTLED


def test_many_go_back_together(site: Site) -> None:
    """When everybody has gone home with gates open; those whose time is not over stay."""
    for number in range(205):
        site.asked(number, wait=60)
    site.asked(300, wait=120)
    site.now = later(60)
    assert site.gates.put_back() == 205
    assert site.gates.put_back() == 0
    assert site.order(count=2)[0] == 300


@pytest.mark.parametrize("days", [1.0, 400.0])
def test_a_deadline_of_a_clock_that_was_ahead_is_over(site: Site, days: float) -> None:
    """Once the clock is right again nobody can be waiting so long: the task goes back to its place."""
    site.asked(0, priority=1.0)
    site.now += timedelta(days=days)
    site.asked(1, wait=200, priority=0.0)
    site.now -= timedelta(days=days)
    site.asked(2, wait=100, priority=0.0)
    assert (site.gates.put_back(), site.gates.put_back()) == (1, 0)
    assert site.task(1).answer_by is None
    assert site.order() == [2, 0, 1]


def test_a_clock_that_goes_back_a_little_keeps_the_hurry(site: Site) -> None:
    """And so do gateways whose clocks differ; the task is in a hurry for longer by as much."""
    by = site.now + timedelta(seconds=3600)
    site.asked(0, wait=3600)
    site.now -= timedelta(minutes=30)
    assert (site.gates.put_back(), site.task(0).answer_by) == (0, by)
    site.now = by
    assert site.gates.put_back() == 1


def test_a_clock_that_goes_forward_ends_the_hurry_and_not_the_work(site: Site) -> None:
    """The task goes back to its place, and an answer still ends it for who waits."""
    prediction = site.asked(0, wait=200)
    site.now += timedelta(hours=1)
    assert site.gates.put_back() == 1
    site.answer()
    assert site.ending(prediction) is Ending.SETTLED


def test_what_others_lock_goes_back_the_next_time(site: Site, url: str) -> None:
    """A sweep waits for nobody. SQLite has one writer: there is nobody to wait for."""
    site.asked(0, wait=60)
    site.now = later(60)
    if url.startswith("sqlite"):
        assert site.gates.put_back() == 1
        return
    with site.store.begin() as holding:
        holding.tasks.for_update(site.task(0).id)
        with site.store.begin() as tx:
            assert tx.gates.put_back(site.now, limit=10) == 0
    assert site.gates.put_back() == 1


def test_somebody_who_waits_again_brings_the_hurry_back(site: Site) -> None:
    """With the later deadline; an earlier one changes nothing, and what is done stays done."""
    prediction = site.asked(0, wait=60)
    site.asked(1, priority=1.0)
    usual = site.task(0).usual_rank
    site.now = later(60)
    site.gates.put_back()
    site.gates.wait_again(site.project, prediction, later(200))
    site.gates.wait_again(site.project, prediction, later(100))
    assert (site.task(0).answer_by, site.task(0).usual_rank) == (later(200), usual)
    assert site.order(count=1) == [0]
    task = site.task(0)
    site.desk.submit(ADA, task.id, task.epoch, HERE, "")
    site.gates.wait_again(site.project, prediction, later(300))
    assert site.task(0).answer_by == later(200)


def test_who_is_at_it_learns_of_callers_with_the_next_heartbeat(site: Site) -> None:
    """Of one that came since, even where the time were too short to begin; of one that waits longer, not of one that
    waits less; and that nobody waits any more."""
    prediction = site.asked(0)
    (task,) = site.lease()
    assert task.answer_by is None

    def told() -> datetime | None:
        return site.desk.heartbeat(ADA, task.id, task.epoch).answer_by

    site.gates.wait_again(site.project, prediction, later(5))
    assert told() == later(5)
    site.gates.wait_again(site.project, prediction, later(100))
    assert told() == later(100)
    site.gates.wait_again(site.project, prediction, later(50))
    assert told() == later(100)
    site.now = later(101)
    site.gates.put_back()
    assert told() is None


def test_no_golden_item_takes_its_place(store: SqlStore) -> None:
    """Where every task that a person is handed would be one."""
    site = a_site(store, quality=QualityPolicy(golden=GoldenRules(rate=1.0)))
    site.asked(50)
    with store.begin() as tx:
        tx.golden.save(
            GoldenItem(
                project_id=PROJECT, item_digest=an_item(50).digest, shapes=HERE, added_by="op", added_at=NOW, version=1
            )
        )
    site.asked(0, wait=100)
    (task,) = site.lease()
    assert (task.id, task.stage) == (a_task(0).id, Stage.ANNOTATE)


# --- the end -------------------------------------------------------------------------------------------------


def test_an_answer_ends_it(site: Site) -> None:
    """The answer that brings the item its truth, and none before."""
    prediction = site.asked(0, wait=100)
    assert site.ending(prediction) is None
    site.answer()
    assert site.ending(prediction) is Ending.SETTLED


def test_people_who_differ_end_it_with_the_decision(store: SqlStore) -> None:
    """The adjudication comes first, too: its caller waits still."""
    site = a_site(store, rules=QueueRules(people={Stage.ANNOTATE: 2}))
    prediction = site.asked(0, wait=100)
    site.asked(1, priority=1.0)
    site.answer(ADA)
    site.answer(BOB, ELSEWHERE)
    assert site.ending(prediction) is None
    (deciding,) = site.lease(CYD)
    assert (deciding.stage, deciding.answer_by) == (Stage.ADJUDICATE, later(100))
    site.desk.submit(CYD, deciding.id, deciding.epoch, HERE, "")
    assert site.ending(prediction) is Ending.SETTLED


def test_an_answer_that_is_returned_ends_it_when_it_is_accepted(store: SqlStore) -> None:
    """Each step of the way is in the same hurry."""
    site = a_site(store, workflow=Workflow(qa=Qa.ALL))
    prediction = site.asked(0, wait=100)
    site.answer(ADA)
    (judging,) = site.lease(BOB)
    site.desk.give_back(BOB, judging.id, judging.epoch, (), "more boxes")
    (again,) = site.lease(ADA)
    assert again.answer_by == later(100)
    site.desk.submit(ADA, again.id, again.epoch, HERE, "")
    (judging,) = site.lease(BOB)
    assert (judging.answer_by, site.ending(prediction)) == (later(100), None)
    site.desk.accept(BOB, judging.id, judging.epoch)
    assert site.ending(prediction) is Ending.SETTLED


def test_an_answer_in_a_lot_ends_it_with_the_lot(store: SqlStore) -> None:
    """While the lot is undecided there is no truth."""
    site = a_site(store, workflow=Workflow(qa=Qa.LOTS, lots=LotRules(size=2)))
    prediction = site.asked(0, wait=100)
    site.answer()
    assert site.ending(prediction) is None
    with store.read() as tx:
        (lot,) = tx.lots.page(PROJECT, after=None, limit=9)
    Lots(store, site.clock).accept(OPERATOR, PROJECT, lot.id, "enough")
    assert site.ending(prediction) is Ending.SETTLED


@pytest.fixture
def skipped(site: Site) -> Iterator[tuple[Site, str]]:
    prediction = site.asked(0, wait=100)
    (task,) = site.lease()
    site.desk.skip(ADA, task.id, task.epoch, "too dark")
    yield site, prediction


def test_a_work_that_ends_without_an_answer_ends_it(skipped: tuple[Site, str]) -> None:
    """Where nobody is asked any more."""
    site, prediction = skipped
    assert site.ending(prediction) is Ending.SKIPPED


def test_a_work_that_is_asked_for_again_goes_on(skipped: tuple[Site, str]) -> None:
    """Nobody waits for it by itself; an answer settles it."""
    site, prediction = skipped
    Oversight(site.store, site.clock).reopen_task(OPERATOR, site.task(0).id)
    assert (site.ending(prediction), site.task(0).answer_by) == (None, None)
    site.answer(BOB)
    assert site.ending(prediction) is Ending.SETTLED


def test_a_decision_that_was_skipped_is_no_end_of_the_next_round(store: SqlStore) -> None:
    """Opened again, the adjudication rests, closed, until the new answers differ."""
    site = a_site(store, rules=QueueRules(people={Stage.ANNOTATE: 2}))
    prediction = site.asked(0, wait=100)
    site.answer(ADA)
    site.answer(BOB, ELSEWHERE)
    (deciding,) = site.lease(CYD)
    site.desk.skip(CYD, deciding.id, deciding.epoch, "cannot tell")
    assert site.ending(prediction) is Ending.SKIPPED
    Oversight(site.store, site.clock).reopen_task(OPERATOR, site.task(0).id)
    assert site.ending(prediction) is None


def test_a_skip_that_others_follow_does_not_end_it(store: SqlStore) -> None:
    """The next person gets it, in the same hurry."""
    site = a_site(store, rules=QueueRules(skips_before_expert=2))
    prediction = site.asked(0, wait=100)
    (task,) = site.lease()
    site.desk.skip(ADA, task.id, task.epoch, "too dark")
    assert site.ending(prediction) is None
    (task,) = site.lease(BOB)
    assert task.answer_by == later(100)
    assert site.desk.skip(BOB, task.id, task.epoch, "too dark").outcome is Outcome.SKIPPED
    assert site.ending(prediction) is Ending.SKIPPED


def test_a_settled_prediction_stays_so_when_it_is_asked_for_again(site: Site) -> None:
    """The truth stays until the next."""
    prediction = site.asked(0, wait=100)
    site.answer()
    Oversight(site.store, site.clock).reopen_task(OPERATOR, site.task(0).id)
    assert site.ending(prediction) is Ending.SETTLED
    with pytest.raises(Conflict):
        Oversight(site.store, site.clock).reopen_task(OPERATOR, site.task(0).id)


def test_whether_the_service_ends_is_known_to_all_its_processes(store: SqlStore) -> None:
    """Said twice it is the same, and it can be taken back."""
    for closing in (True, True, False, False):
        with store.begin() as tx:
            tx.gates.set_closing(closing=closing)
        with store.read() as tx:
            assert tx.gates.is_closing() is closing
