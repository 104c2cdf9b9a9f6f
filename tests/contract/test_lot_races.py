"""Quality assurance and lots with many real threads at once, on each database."""

import os
from collections import Counter
from contextlib import suppress
from dataclasses import replace

import pytest

from loop.domain.access import Role
from loop.domain.errors import AskanceError, Conflict, Invalid
from loop.domain.policy.workflow import LotRules, Qa, Workflow
from loop.domain.review.lot import LotState
from loop.domain.review.qa import AnswerStanding
from loop.domain.review.tasks import Outcome
from loop.review.desk import Desk
from loop.review.lots import Lots, add_members, in_lots
from loop.store.database import SqlStore
from tests.contract.records import NOW, PROJECT, a_project, a_task, a_token, an_item, later
from tests.contract.test_queue_races import CLIENTS, HERE, Clock, reviewer, together

OPERATORS = [replace(a_token(900 + number), role=Role.OPERATOR, name=f"op{number}") for number in range(CLIENTS)]


def opened(store: SqlStore, workflow: Workflow, items: int) -> None:
    project = a_project()
    with store.begin() as tx:
        tx.projects.add(replace(project, policy=replace(project.policy, workflow=workflow)))
        for number in range(CLIENTS):
            tx.tokens.add(reviewer(number))
        for number in range(items):
            tx.items.add(an_item(number))


def make(store: SqlStore, *numbers: int) -> None:
    """A task for each of the items."""
    with store.begin() as tx:
        project = tx.projects.get(PROJECT)
        tasks = in_lots(tx, project, [a_task(number, item=number) for number in numbers], NOW, os.urandom)
        tx.tasks.add_all(tasks)
        add_members(tx, tasks)


def work(desk: Desk, number: int) -> None:
    """Do what there is to do for a person, and accept what is to be judged."""
    while leased := desk.lease(reviewer(number), PROJECT, 2).assignments:
        for one in leased:
            if one.task.is_first_hand:
                desk.submit(reviewer(number), one.task.id, one.task.epoch, HERE, "")
            else:
                desk.accept(reviewer(number), one.task.id, one.task.epoch)


def test_every_task_is_in_one_lot_and_no_lot_has_too_many(store: SqlStore) -> None:
    """64 clients make three tasks each at one moment; lots of ten."""
    opened(store, Workflow(qa=Qa.LOTS, lots=LotRules(size=10)), items=3 * CLIENTS)
    told = together(lambda number: make(store, *range(3 * number, 3 * number + 3)))
    assert not any(isinstance(one, AskanceError) for one in told)
    lots = Lots(store, lambda: NOW)
    page = lots.page(PROJECT, after=None, limit=200)
    assert Counter(figures.lot.items for figures in page) == Counter({10: 19, 2: 1})
    members = [one.work_id for figures in page for one in lots.get(PROJECT, figures.lot.id)[1]]
    assert sorted(members) == sorted(a_task(number).id for number in range(3 * CLIENTS))


def test_many_people_at_once_leave_each_answer_with_one_judge(store: SqlStore) -> None:
    """Each item is answered by one, judged by another, and has one truth."""
    opened(store, Workflow(qa=Qa.ALL), items=30)
    make(store, *range(30))
    desk = Desk(store, Clock(), os.urandom)
    told = together(lambda number: work(desk, number))
    assert not any(isinstance(one, AskanceError) for one in told)
    for number in range(CLIENTS):
        work(desk, number)  # what the last of them left
    with store.read() as tx:
        for number in range(30):
            said = tx.submissions.of_item(PROJECT, an_item(number).digest)
            assert {one.outcome for one in said} == {Outcome.SUBMITTED, Outcome.ACCEPTED}
            assert len(said) == 2
            assert len({one.reviewer for one in said}) == 2
            truth = tx.truths.current(PROJECT, an_item(number).digest)
            assert truth is not None
            assert truth.version == 1


def test_a_lot_is_judged_once_however_many_answer_at_once(store: SqlStore) -> None:
    """All of its answers become the truth, each once, and the history says so once."""
    opened(store, Workflow(qa=Qa.LOTS, lots=LotRules(size=40, share=0.25, threshold=0.1)), items=40)
    make(store, *range(40))
    desk = Desk(store, Clock(), os.urandom)
    told = together(lambda number: work(desk, number))
    assert not any(isinstance(one, AskanceError) for one in told)
    for number in range(CLIENTS):
        work(desk, number)
    (figures,) = Lots(store, lambda: NOW).page(PROJECT, after=None, limit=9)
    assert (figures.lot.state, figures.lot.defects) == (LotState.ACCEPTED, 0)
    assert figures.answers[AnswerStanding.SETTLED] == 40
    with store.read() as tx:
        kinds = Counter(event.kind for event in tx.events.after(PROJECT, 0, 1000))
        truths = [tx.truths.current(PROJECT, an_item(number).digest) for number in range(40)]
    assert (kinds["lot.closed"], kinds["lot.accepted"]) == (1, 1)
    assert [truth.version for truth in truths if truth] == [1] * 40


@pytest.mark.parametrize("versions", [True, False])
def test_of_operators_who_decide_at_once_one_wins(store: SqlStore, versions: bool) -> None:
    """Who says which version of the lot they saw is told of any other decision; who does not, of the same one."""
    opened(store, Workflow(qa=Qa.LOTS, lots=LotRules(size=2)), items=2)
    make(store, 0, 1)
    lots = Lots(store, lambda: NOW)
    lot = lots.page(PROJECT, after=None, limit=1)[0].lot

    def decide(number: int) -> None:
        act = lots.reopen if versions and number % 2 else lots.accept
        act(OPERATORS[number], PROJECT, lot.id, "seen", version=lot.version if versions else None)

    told = together(decide)
    refused = [one for one in told if isinstance(one, AskanceError)]
    assert len(refused) == CLIENTS - 1
    assert all(isinstance(one, Conflict) and " by op" in one.detail for one in refused)
    winner = next(number for number, one in enumerate(told) if not isinstance(one, AskanceError))
    assert lots.get(PROJECT, lot.id)[0].lot.actor == f"op{winner}"


def test_of_many_who_reopen_a_lot_at_once_one_does(store: SqlStore) -> None:
    """64 that looked at the same lot, all of whose answers count: one decides, the others are told of it, and each
    answer has QA called once."""
    opened(store, Workflow(qa=Qa.LOTS, lots=LotRules(size=6, share=0.17, threshold=0.5)), items=6)
    make(store, *range(6))
    desk = Desk(store, Clock(), os.urandom)
    for number in range(3):
        work(desk, number)
    lots = Lots(store, lambda: NOW)
    ((seen, members),) = [lots.get(PROJECT, one.lot.id) for one in lots.page(PROJECT, after=None, limit=9)]
    assert (seen.lot.state, seen.answers[AnswerStanding.SETTLED]) == (LotState.ACCEPTED, 6)
    unseen = {one.work_id for one in members if one.defect is None}
    assert len(unseen) == 4
    told = together(
        lambda number: lots.reopen(OPERATORS[number], PROJECT, seen.lot.id, "again", version=seen.lot.version)
    )
    refused = [one for one in told if isinstance(one, AskanceError)]
    assert len(refused) == CLIENTS - 1
    assert all(isinstance(one, Conflict) and "is rejected by op" in one.detail for one in refused)
    with store.begin() as tx:
        events = tx.events.after(PROJECT, 0, 1000)
        judging = {
            one.work_id: [task.epoch for task in tx.tasks.work_for_update(one.work_id) if not task.is_first_hand]
            for one in members
        }
    assert [event.kind for event in events].count("lot.reopened") == 1
    assert lots.get(PROJECT, seen.lot.id)[0].lot.version == seen.lot.version + 1
    assert {work_id for work_id, epochs in judging.items() if epochs == [0]} == unseen


def test_a_decision_by_hand_needs_a_reason(store: SqlStore) -> None:
    opened(store, Workflow(qa=Qa.LOTS, lots=LotRules(size=2)), items=1)
    make(store, 0)
    lots = Lots(store, lambda: NOW)
    lot = lots.page(PROJECT, after=None, limit=1)[0].lot
    with pytest.raises(Invalid):
        lots.accept(OPERATORS[0], PROJECT, lot.id, "  ")


def test_rework_that_lapses_while_its_author_holds_it_stays_theirs(store: SqlStore) -> None:
    """The patience of the policy bounds how long others wait for somebody to begin, not how long that one may take."""
    opened(store, Workflow(qa=Qa.ALL, rework_patience_seconds=100.0), items=1)
    make(store, 0)
    clock = Clock()
    desk = Desk(store, clock, os.urandom)
    (first,) = desk.lease(reviewer(0), PROJECT, 1).assignments
    desk.submit(reviewer(0), first.task.id, first.task.epoch, HERE, "")
    (judging,) = desk.lease(reviewer(1), PROJECT, 1).assignments
    desk.give_back(reviewer(1), judging.task.id, judging.task.epoch, [("no", ["#0"])])
    clock.now = later(99)
    assert desk.lease(reviewer(2), PROJECT, 1).assignments == []
    (again,) = desk.lease(reviewer(0), PROJECT, 1).assignments
    clock.now = later(101)
    assert desk.lease(reviewer(2), PROJECT, 1).assignments == []
    with suppress(Conflict):
        desk.release(reviewer(0), again.task.id, again.task.epoch)
    assert len(desk.lease(reviewer(2), PROJECT, 1).assignments) == 1
