"""The review queue with many real threads at once, on each database. The clock is moved by hand."""

import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
import sqlalchemy as sa

from loop.domain.access import Role, Token
from loop.domain.errors import AlreadySubmitted, AskanceError, Conflict, NotFound, StaleLease
from loop.domain.policy.queue_rules import Lane, QueueRules
from loop.domain.ports import Queue
from loop.domain.review.people import Person
from loop.domain.review.queueing import placed, seats
from loop.domain.review.tasks import Draft
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.review.desk import Desk
from loop.review.escalation import sound_alarms
from loop.review.people import Oversight
from loop.store.database import SqlStore
from loop.store.engine import engine_for
from tests.contract.records import NOW, PROJECT, a_policy, a_project, a_task, a_token, an_item, later

Result = TypeVar("Result")

CLIENTS = 64
LEASE_SECONDS = a_policy().lease_seconds
HERE = (Shape("seven", (0.0, 0.0, 1.0, 100.0)),)
OPERATOR = replace(a_token(999), role=Role.OPERATOR)


class Clock:
    """Everybody's; pauses are as long as the test says."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def together(act: Callable[[int], Result]) -> "list[Result | AskanceError]":
    """What each of the clients got or was told, all begun at one moment."""
    start = threading.Barrier(CLIENTS)

    def run(number: int) -> Result | AskanceError:
        start.wait()
        try:
            return act(number)
        except AskanceError as error:
            return error

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(run, range(CLIENTS)))


def reviewer(number: int) -> Token:
    return a_token(number)


def opened(store: SqlStore, rules: QueueRules, works: int) -> None:
    """A project with so many works, and a token for each client."""
    project = a_project()
    with store.begin() as tx:
        tx.projects.add(replace(project, policy=replace(project.policy, queue=rules)))
        for number in range(CLIENTS):
            tx.tokens.add(reviewer(number))
        for number in range(works):
            tx.items.add(an_item(number))
            tx.tasks.add_all(seats(a_task(number, item=number), rules, (), several=True))


def test_who_pauses_past_the_expiry_is_refused(store: SqlStore) -> None:
    """64 clients lease, half of them stop for longer than their lease; others do their tasks meanwhile. Every late
    submission is refused, each task counts once, and nobody who was in time is refused."""
    opened(store, QueueRules(), works=CLIENTS)
    clock = Clock()
    desk = Desk(store, clock, os.urandom)

    def lease(number: int) -> tuple[str, int]:
        (one,) = desk.lease(reviewer(number), PROJECT, 1).assignments
        return one.task.id, one.task.epoch

    held = together(lease)
    assert len({ticket[0] for ticket in held if isinstance(ticket, tuple)}) == CLIENTS

    def stay_or_pause(number: int) -> object:
        task_id, epoch = held[number]  # type: ignore[misc]
        return desk.submit(reviewer(number), task_id, epoch, HERE, "") if number % 2 else None

    in_time = together(stay_or_pause)
    clock.now = later(LEASE_SECONDS)

    def late_or_new(number: int) -> object:
        if number % 2 == 0:
            task_id, epoch = held[number]  # type: ignore[misc]
            return desk.submit(reviewer(number), task_id, epoch, HERE, "late")
        task_id, epoch = lease(number)
        return desk.submit(reviewer(number), task_id, epoch, HERE, "new")

    afterwards = together(late_or_new)
    assert all(not isinstance(told, AskanceError) for told in in_time)
    assert all(isinstance(told, StaleLease | AlreadySubmitted) for told in afterwards[::2])
    assert all(not isinstance(told, AskanceError) for told in afterwards[1::2])
    with store.read() as tx:
        kept = tx.submissions.page(PROJECT, after=None, limit=999)
    assert Counter(one.task_id for one in kept) == Counter(a_task(n).id for n in range(CLIENTS))
    assert {one.note for one in kept} == {"", "new"}


def test_so_many_people_as_are_asked_for_answer_and_no_more(store: SqlStore) -> None:
    """64 clients on 20 items that three people each are to answer: three distinct people, one truth for each."""
    opened(store, QueueRules(people={Stage.ANNOTATE: 3}), works=20)
    desk = Desk(store, Clock(), os.urandom)

    def work(number: int) -> int:
        done = 0
        while leased := desk.lease(reviewer(number), PROJECT, 1).assignments:
            for one in leased:
                desk.submit(reviewer(number), one.task.id, one.task.epoch, HERE, "")
                done += 1
        return done

    done = together(work)
    assert sum(count for count in done if isinstance(count, int)) == 60, done
    with store.read() as tx:
        kept = tx.submissions.page(PROJECT, after=None, limit=999)
        truths = [tx.truths.current(PROJECT, an_item(number).digest) for number in range(20)]
    assert Counter(one.work_id for one in kept) == Counter({a_task(n).id: 3 for n in range(20)})
    assert len({(one.work_id, one.reviewer) for one in kept}) == 60
    assert [truth.version for truth in truths if truth] == [1] * 20
    assert sum(one.settles for one in kept) == 20


def test_answers_of_one_moment_settle_an_item_once(store: SqlStore) -> None:
    """The last two of an item's people submit together: neither misses the other."""
    opened(store, QueueRules(people={Stage.ANNOTATE: 2}), works=CLIENTS // 2)
    desk = Desk(store, Clock(), os.urandom)
    held = [desk.lease(reviewer(number), PROJECT, 1).assignments[0].task for number in range(CLIENTS)]
    together(lambda number: desk.submit(reviewer(number), held[number].id, held[number].epoch, HERE, ""))
    with store.read() as tx:
        truths = [tx.truths.current(PROJECT, an_item(number).digest) for number in range(CLIENTS // 2)]
    assert [truth.version if truth else 0 for truth in truths] == [1] * (CLIENTS // 2)


def test_limits_hold_when_one_person_asks_many_times_at_once(store: SqlStore) -> None:
    """A page in 64 tabs: together they hold no more than one person may, and no two tasks of an item."""
    opened(store, QueueRules(people={Stage.ANNOTATE: 2}, max_leases=3), works=10)
    desk = Desk(store, Clock(), os.urandom)
    together(lambda number: desk.lease(reviewer(0), PROJECT, 1 + number % 5))
    with store.read() as tx:
        held = tx.tasks.held_by(PROJECT, reviewer(0).id, NOW)
    assert len(held) == len({task.work_id for task in held}) == 3


def test_of_operators_who_reopen_at_once_one_does_it(store: SqlStore) -> None:
    """The others are told that it is open."""
    opened(store, QueueRules(), works=1)
    desk, oversight = Desk(store, Clock(), os.urandom), Oversight(store, Clock())
    task = desk.lease(reviewer(0), PROJECT, 1).assignments[0].task
    desk.submit(reviewer(0), task.id, task.epoch, HERE, "")
    told = together(lambda _: oversight.reopen_task(OPERATOR, task.id))
    assert sum(isinstance(one, Conflict) for one in told) == CLIENTS - 1
    with store.read() as tx:
        assert (tx.tasks.get(task.id).round, tx.tasks.get(task.id).epoch) == (1, 2)


# --- what the store keeps ------------------------------------------------------------------------------


def test_a_person_comes_back(store: SqlStore) -> None:
    """Who is not described has nothing; a second description takes the place of the first."""
    described = Person(token_id="tok_1", groups=("leads",), skills=("night", "signs"), max_leases=2)
    with store.begin() as tx:
        tx.tokens.add(a_token(1))
        assert tx.people.for_update("tok_1") == Person(token_id="tok_1")
        tx.people.save(described)
        tx.people.save(replace(described, max_tasks_a_day=9))
        assert tx.people.for_update("tok_1") == replace(described, max_tasks_a_day=9)
        assert list(tx.people.all()) == ["tok_1"]
    with store.read() as tx, pytest.raises(NotFound):
        tx.tokens.get("tok_2")


def test_a_policy_comes_back_with_its_rules(store: SqlStore) -> None:
    """All of them, typed; rows from before have those that projects begin with."""
    rules = QueueRules(
        risk_weight=0.1, people={Stage.AUDIT: 3}, stage_groups={Stage.AUDIT: ("leads",)},
        due_seconds={Stage.AUDIT: 9.5}, escalate_after_seconds=1.5,
        escalation_group="leads", source_shares={"north": 2.0}, fair_sources=True,
    )  # fmt: skip
    project = a_project()
    with store.begin() as tx:
        tx.projects.add(replace(project, policy=replace(project.policy, queue=rules)))
    with store.read() as tx:
        assert tx.projects.get(PROJECT).policy.queue == rules


def test_a_draft_is_the_persons_and_never_older(store: SqlStore) -> None:
    """Under a later epoch it is replaced, under an earlier one it is refused; others have theirs."""
    opened(store, QueueRules(), works=1)
    task_id = a_task(0).id

    def draft(epoch: int, text: str, who: str = "tok_1") -> Draft:
        return Draft(task_id=task_id, reviewer=who, epoch=epoch, content={"text": text}, saved_at=NOW)

    with store.begin() as tx:
        tx.drafts.save(draft(2, "a"))
        tx.drafts.save(draft(3, "b"))
        tx.drafts.save(draft(1, "c", "tok_2"))
    with pytest.raises(StaleLease), store.begin() as tx:
        tx.drafts.save(draft(2, "late"))
    with store.begin() as tx:
        assert tx.drafts.of([task_id], "tok_1") == {task_id: draft(3, "b")}
        tx.drafts.drop(task_id, "tok_1")
        assert tx.drafts.of([task_id], "tok_1") == {}
        assert list(tx.drafts.of([task_id], "tok_2")) == [task_id]


def test_queues_are_found_without_a_look_at_their_tasks(store: SqlStore) -> None:
    """Each lane with unfinished tasks, each source in it where that is asked."""
    with store.begin() as tx:
        tx.projects.add(a_project())
        tx.items.add(an_item(0))
        for number, (stage, source) in enumerate(
            [("annotate", "b"), ("audit", ""), ("annotate", "a"), ("annotate", "b")]
        ):
            tx.tasks.add(replace(a_task(number, stage=Stage(stage)), source=source))
        annotate, audit = Lane(Stage.ANNOTATE).key, Lane(Stage.AUDIT).key
        assert tx.tasks.queues(PROJECT, by_source=False) == [Queue(annotate), Queue(audit)]
        assert tx.tasks.queues(PROJECT, by_source=True) == [
            Queue(annotate, "a"),
            Queue(annotate, "b"),
            Queue(audit, ""),
        ]
        assert tx.tasks.queues("other", by_source=True) == []
        found = tx.tasks.leasable(PROJECT, Queue(annotate, "b"), person="tok_1", now=NOW, limit=9)
        assert [task.id for task in found] == [a_task(0).id, a_task(3).id]


def test_alarms_of_many_are_sounded_once(store: SqlStore) -> None:
    """By however many at once, a part at a time."""
    rules = QueueRules(due_seconds={Stage.ANNOTATE: 10.0})
    opened(store, rules, works=30)

    def sound(_: int) -> int:
        with store.begin() as tx:
            return sound_alarms(tx, tx.projects.get(PROJECT), later(10), 3)

    assert sum(count for count in together(sound) if isinstance(count, int)) == 30
    with store.read() as tx:
        assert len([event for event in tx.events.after(PROJECT, 0, 999) if event.kind == "task.overdue"]) == 30
        assert not tx.tasks.has_alarms(PROJECT, later(10))


@pytest.mark.parametrize("by_source", [False, True])
def test_a_lease_reads_each_queue_through_its_index(url: str, store: SqlStore, by_source: bool) -> None:
    """Neither scans nor sorts, however many tasks are open and whoever asks."""
    engine = engine_for(url)
    where = "project_id = 'digits' AND lane = 'annotate||' AND state IN ('open', 'leased')"
    where += " AND source = 'gate'" if by_source else ""
    statement = (
        f"SELECT * FROM tasks WHERE {where} AND (expires_at IS NULL OR expires_at <= '2026-01-01 00:00:00') "
        "ORDER BY rank, created_at, id LIMIT 5"
    )
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off"))
        explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
        plan = " ".join(str(row) for row in connection.exec_driver_sql(explain + statement))
    engine.dispose()
    # Of two that serve PostgreSQL takes the one that its statistics favour, which know nothing of so few rows.
    fitting = ["ix_tasks_sources" if by_source else "ix_tasks_queue"]
    fitting += ["ix_tasks_queue"] if engine.dialect.name == "postgresql" else []
    assert any(index in plan for index in fitting)
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan.replace("Sort Key", "")


def test_as_many_tasks_as_are_asked_for_come_from_as_many_items(store: SqlStore) -> None:
    """However many people each of them needs."""
    opened(store, QueueRules(people={Stage.ANNOTATE: 3}), works=12)
    leased = Desk(store, Clock(), os.urandom).lease(reviewer(0), PROJECT, 10).assignments
    assert len({one.task.work_id for one in leased}) == 10


def test_a_task_that_a_person_had_a_part_in_is_passed_over(store: SqlStore) -> None:
    """However many of them are more urgent than the first that the person may take."""
    rules = QueueRules(people={Stage.ANNOTATE: 2})
    opened(store, rules, works=0)
    desk = Desk(store, Clock(), os.urandom)
    with store.begin() as tx:
        for number in range(60):
            tx.items.add(an_item(number))
            first = replace(a_task(number, item=number), priority=1 - number / 60)
            tx.tasks.add_all(seats(placed(first, rules, (), begins=NOW), rules, (), several=True))
    for number in range(60):
        (one,) = desk.lease(reviewer(0), PROJECT, 1).assignments
        assert one.task.work_id == a_task(number).id
        desk.submit(reviewer(0), one.task.id, one.task.epoch, HERE, "")
    assert desk.lease(reviewer(0), PROJECT, 1).assignments == []
    assert desk.lease(reviewer(1), PROJECT, 1).assignments[0].task.work_id == a_task(0).id


def test_the_first_of_a_queue_is_taken_as_whoever_looks_would(store: SqlStore) -> None:
    """The most urgent that the person may do; not one of a work that the person holds, or has answered."""
    rules = QueueRules(people={Stage.ANNOTATE: 2})
    opened(store, rules, works=3)
    clock = Clock()
    desk = Desk(store, clock, os.urandom)
    for wanted in (1, 1, 2):  # of which the last is held from before
        with store.begin() as tx:
            (queue,) = tx.tasks.queues(PROJECT, by_source=False)
            looked = tx.tasks.leasable(PROJECT, queue, person=reviewer(0).id, now=clock.now, limit=1)
            taken = tx.tasks.take_first(PROJECT, queue.lane, person=reviewer(0).id, now=clock.now)
            assert taken == looked and len(taken) == 1
        (*_, leased) = desk.lease(reviewer(0), PROJECT, wanted).assignments
        assert leased.task.id == taken[0].id
        if leased.task.id == a_task(0).id:
            desk.submit(reviewer(0), leased.task.id, leased.task.epoch, HERE, "")
    with store.begin() as tx:
        assert tx.tasks.take_first(PROJECT, queue.lane, person=reviewer(0).id, now=clock.now) == []


def test_a_thousand_open_tasks_are_counted_once_a_second(store: SqlStore) -> None:
    """Fewer are counted with each lease, and told exactly."""
    opened(store, QueueRules(), works=1015)
    clock = Clock()
    desk = Desk(store, clock, os.urandom)
    assert desk.lease(reviewer(0), PROJECT, 10).open == 1000  # 1,005
    assert desk.lease(reviewer(1), PROJECT, 10).open == 1000  # 995, counted a moment ago
    clock.now += timedelta(seconds=1)
    assert desk.lease(reviewer(2), PROJECT, 1).open == 994
    assert desk.lease(reviewer(3), PROJECT, 1).open == 993


def test_what_somebody_is_about_to_take_is_passed_over_and_nothing_else(store: SqlStore, url: str) -> None:
    """On PostgreSQL, where others take at the same time: each the next, without waiting."""
    if not url.startswith("postgresql"):
        return
    opened(store, QueueRules(), works=3)
    lane = Lane(Stage.ANNOTATE).key
    with ExitStack() as open_:
        taken = [
            open_.enter_context(store.begin()).tasks.take_first(PROJECT, lane, person=reviewer(n).id, now=NOW)
            for n in range(4)
        ]
    assert [[task.id for task in one] for one in taken] == [[a_task(0).id], [a_task(1).id], [a_task(2).id], []]
