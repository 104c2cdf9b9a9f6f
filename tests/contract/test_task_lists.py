"""The queue as operators see it, on each database: what is listed, in which order, and what a page costs."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from loop.domain.access import Role
from loop.domain.errors import AlreadySubmitted, AskanceError, Conflict, Forbidden, Invalid, NotFound, StaleLease
from loop.domain.policy.queue_rules import Lane, QueueRules
from loop.domain.review.listing import TaskQuery
from loop.domain.review.people import Person
from loop.domain.review.tasks import Task, TaskState, Urgency
from loop.domain.stage import Stage
from loop.review.desk import Desk
from loop.review.listing import ListedTask, Listing
from loop.review.people import Oversight
from loop.review.qa import Rework
from loop.store.database import SqlStore
from tests.contract.records import NOW, PROJECT, a_project, a_task, a_token, an_item, furnish, later
from tests.contract.test_plans import Steps
from tests.contract.test_queue_races import HERE, LEASE_SECONDS, OPERATOR, Clock, opened, reviewer, together

ADA, BOB = (replace(a_token(number), name=name) for number, name in enumerate(["ada", "bob"]))
LEADS, NIGHT = ("leads",), ("night",)


def filled(store: SqlStore, *tasks: Task) -> None:
    """A project with an item, two reviewers and these tasks."""
    furnish(store)
    with store.begin() as tx:
        tx.tokens.add(ADA)
        tx.tokens.add(BOB)
        tx.tasks.add_all(tasks)


def of(number: int, *, rank: float, groups: tuple[str, ...] = (), skills: tuple[str, ...] = (), **more: object) -> Task:
    task = replace(a_task(number), rank=rank, **more)  # type: ignore[arg-type]
    return replace(task, lane=Lane(task.stage, groups, skills).key)


def listed(store: SqlStore, *, now: float = 0.0, limit: int = 3, **asked: object) -> list[ListedTask]:
    """All pages."""
    listing = Listing(store, lambda: later(now))
    query = TaskQuery(**asked)  # type: ignore[arg-type]
    found: list[ListedTask] = []
    after = None
    while True:
        page = listing.page(OPERATOR, PROJECT, query, after=after, limit=limit)
        assert len(page.tasks) <= limit and len(found) < 1000
        found += page.tasks
        if page.next is None:
            return found
        after = page.next


def numbers(found: list[ListedTask]) -> list[int]:
    return [int(one.task.id[-5:]) for one in found]


def test_pages_go_through_the_queue_in_its_order(store: SqlStore) -> None:
    """By rank, then by when it was made, whoever may do it; each task once, whatever a page holds."""
    lanes: list[dict[str, tuple[str, ...]]] = [{}, {"groups": LEADS}, {"skills": NIGHT}]
    tasks = [of(n, rank=float(-(n % 4)), created_at=later(n % 3), **lanes[n % 3]) for n in range(12)]
    filled(store, *tasks)
    order = sorted(range(12), key=lambda n: (tasks[n].rank, tasks[n].created_at, tasks[n].id))
    for limit in (1, 3, 5, 100):
        assert numbers(listed(store, limit=limit)) == order
    first = Listing(store, lambda: NOW).page(OPERATOR, PROJECT, TaskQuery(), after=None, limit=3)
    with store.begin() as tx:
        tx.tasks.add(of(50, rank=-99.0))  # comes before what was shown, and moves nothing behind it
    rest = Listing(store, lambda: NOW).page(OPERATOR, PROJECT, TaskQuery(), after=first.next, limit=100)
    assert numbers([*first.tasks, *rest.tasks]) == order


def test_what_is_asked_for_is_what_is_listed(store: SqlStore) -> None:
    """By stage, group, skill, deadline, and all of them together."""
    filled(
        store,
        of(0, rank=0),
        of(1, rank=1, stage=Stage.QA, groups=LEADS),
        of(2, rank=2, groups=LEADS, skills=NIGHT, urgency=Urgency.OVERDUE),
        of(3, rank=3, groups=LEADS, urgency=Urgency.ESCALATED),
        of(4, rank=4, stage=Stage.QA, urgency=Urgency.OVERDUE),
        of(5, rank=5, skills=("signs", "night")),
    )
    told = {
        (0, 1, 2, 3, 4, 5): {},
        (1, 4): {"stage": Stage.QA},
        (1, 2, 3): {"group": "leads"},
        (2, 5): {"skill": "night"},
        (2, 3, 4): {"overdue": True},
        (3,): {"escalated": True},
        (2,): {"overdue": True, "skill": "night", "group": "leads"},
        (4,): {"overdue": True, "stage": Stage.QA},
        (): {"group": "elves"},
    }
    for expected, asked in told.items():
        assert tuple(numbers(listed(store, limit=2, **asked))) == expected, asked


def test_what_nobody_may_do_is_found(store: SqlStore) -> None:
    """Until somebody who may review there has the groups and skills; of a person who is gone, too."""
    filled(store, of(0, rank=0), of(1, rank=1, groups=LEADS, skills=NIGHT), of(2, rank=2, skills=NIGHT))
    elsewhere = replace(a_token(5), project_id="other")
    mine = replace(of(3, rank=3), lane=Lane(Stage.ANNOTATE, person=BOB.id).key)
    with store.begin() as tx:
        tx.projects.add(a_project("other"))
        tx.tokens.add(elsewhere)
        tx.tasks.add(mine)
        tx.people.save(Person(token_id=elsewhere.id, groups=LEADS, skills=NIGHT))
        tx.people.save(Person(token_id=ADA.id, skills=NIGHT))
    assert numbers(listed(store, nobody=True)) == [1]
    assert [one.nobody for one in listed(store)] == [False, True, False, False]
    with store.begin() as tx:
        tx.people.save(Person(token_id=ADA.id, groups=LEADS, skills=NIGHT))
        tx.tokens.revoke(BOB.id, NOW)
    assert numbers(listed(store, nobody=True)) == [3]
    assert [one.kept_for for one in listed(store)] == ["", "", "", "bob"]
    with store.begin() as tx:
        tx.tokens.revoke(ADA.id, NOW)
    assert numbers(listed(store, nobody=True)) == [0, 1, 2, 3]


def test_who_holds_what_is_told_while_the_lease_lasts(store: SqlStore) -> None:
    """By name or id; a lease that has run out is none."""
    filled(store, *(of(n, rank=float(n)) for n in range(5)))
    desk = Desk(store, lambda: NOW, os.urandom)
    desk.lease(ADA, PROJECT, 2)
    desk.lease(BOB, PROJECT, 1)
    assert [(one.state.value, one.holder) for one in listed(store)] == [
        ("leased", "ada"), ("leased", "ada"), ("leased", "bob"), ("open", ""), ("open", ""),
    ]  # fmt: skip
    assert numbers(listed(store, state=TaskState.OPEN, limit=1)) == [3, 4]
    assert numbers(listed(store, state=TaskState.LEASED, limit=2)) == [0, 1, 2]
    assert numbers(listed(store, holder="ada")) == numbers(listed(store, holder=ADA.id)) == [0, 1]
    assert numbers(listed(store, holder="bob", stage=Stage.QA)) == []
    assert numbers(listed(store, state=TaskState.OPEN, now=LEASE_SECONDS)) == [0, 1, 2, 3, 4]
    assert listed(store, state=TaskState.LEASED, now=LEASE_SECONDS) == []
    assert {one.holder for one in listed(store, now=LEASE_SECONDS)} == {""}


def test_what_is_done_comes_last_handed_out_first(store: SqlStore) -> None:
    """With who did it; what was skipped apart, and how many skipped what goes on."""
    opened(store, QueueRules(skips_before_expert=2), works=5)
    clock = Clock()
    desk = Desk(store, clock, os.urandom)
    for number in range(3):
        clock.now = later(number)
        (one,) = desk.lease(reviewer(number), PROJECT, 1).assignments
        desk.submit(reviewer(number), one.task.id, one.task.epoch, HERE, "")
    for number in (10, 11):
        (one,) = desk.lease(reviewer(number), PROJECT, 1).assignments
        desk.skip(reviewer(number), one.task.id, one.task.epoch, "dark")
    (last,) = desk.lease(reviewer(12), PROJECT, 1).assignments
    desk.skip(reviewer(12), last.task.id, last.task.epoch, "dark")
    done = listed(store, state=TaskState.DONE, limit=1)
    assert [one.task.owner for one in done] == ["tok_2", "tok_1", "tok_0"]
    assert numbers(listed(store, state=TaskState.DONE, holder="tok_1")) == numbers(done)[1:2]
    assert listed(store, state=TaskState.DONE, stage=Stage.QA) == []
    assert [one.skips for one in listed(store, state=TaskState.SKIPPED)] == [2]
    assert [(one.task.id, one.skips) for one in listed(store)] == [(last.task.id, 1)]


def test_pages_of_finished_tasks_look_no_further_than_they_must(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of what is rare among them ends where it has looked at enough, and the next goes on from there: nothing is
    left out."""
    monkeypatch.setattr("loop.review.listing._LOOKED_AT", 4)
    kinds = [TaskState.SKIPPED if number % 7 == 0 else TaskState.DONE for number in range(21)]
    filled(
        store,
        *(
            of(n, rank=0.0, state=state, epoch=1, owner=ADA.id, leased_at=later(n // 2))
            for n, state in enumerate(kinds)
        ),
    )
    for limit in (1, 3, 100):
        assert numbers(listed(store, state=TaskState.SKIPPED, limit=limit)) == [14, 7, 0]
        assert len(listed(store, state=TaskState.DONE, limit=limit)) == 18


def test_golden_items_are_listed_once_somebody_has_them(store: SqlStore) -> None:
    """They wait for nobody: each is made for who gets it."""
    golden = replace(a_task(0, stage=Stage.GOLDEN), lane=Lane(Stage.GOLDEN, person=ADA.id).key)
    held = replace(
        golden, id="task_digits_00001", work_id="task_digits_00001", state=TaskState.LEASED, owner=ADA.id, epoch=1,
        leased_at=NOW, expires_at=later(60),
    )  # fmt: skip
    filled(store, golden, held)
    assert listed(store) == []
    assert numbers(listed(store, state=TaskState.LEASED)) == numbers(listed(store, holder="ada")) == [1]
    assert numbers(listed(store, state=TaskState.LEASED, stage=Stage.GOLDEN)) == [1]


def test_one_task_is_told_by_its_id(store: SqlStore) -> None:
    """To operators of its project."""
    filled(store, of(0, rank=0))
    listing = Listing(store, lambda: NOW)
    told = listing.get(OPERATOR, a_task(0).id)
    assert (told.task.id, told.state, told.item) == (a_task(0).id, TaskState.OPEN, an_item(0))
    with pytest.raises(NotFound):
        listing.get(OPERATOR, "task_9")
    with pytest.raises(Forbidden):
        listing.get(replace(a_token(8), role=Role.OPERATOR, project_id="other"), a_task(0).id)


@pytest.mark.parametrize(
    ("asked", "after", "error"),
    [
        ({"holder": "zoe"}, None, NotFound),
        ({"holder": "ada", "state": TaskState.OPEN}, None, Invalid),
        ({"nobody": True, "state": TaskState.DONE}, None, Invalid),
        ({}, "task_1", Invalid),
        ({}, "x~2026-03-01T12:00:00Z~task_1", Invalid),
        ({}, "1.0~2026-03-01T12:00:00~task_1", Invalid),
        ({"state": TaskState.DONE}, "1.0~2026-03-01T12:00:00Z~task_1", Invalid),
    ],
)
def test_what_cannot_be_asked_is_refused(
    store: SqlStore, asked: dict[str, object], after: str | None, error: type[Exception]
) -> None:
    """With what to do."""
    filled(store)
    with pytest.raises(error):
        Listing(store, lambda: NOW).page(OPERATOR, PROJECT, TaskQuery(**asked), after=after, limit=9)  # type: ignore[arg-type]


# --- taking a lease back -----------------------------------------------------------------------------


def test_a_lease_that_is_taken_back_is_worth_nothing(store: SqlStore) -> None:
    """Its holder is refused from then on, another gets the task, and the history tells who did it."""
    opened(store, QueueRules(), works=1)
    desk, oversight = Desk(store, lambda: NOW, os.urandom), Oversight(store, lambda: NOW)
    (mine,) = desk.lease(reviewer(0), PROJECT, 1).assignments
    oversight.take_back(OPERATOR, mine.task.id, epoch=mine.task.epoch)
    for late in (
        lambda: desk.submit(reviewer(0), mine.task.id, mine.task.epoch, HERE, ""),
        lambda: desk.heartbeat(reviewer(0), mine.task.id, mine.task.epoch),
        lambda: desk.draft(reviewer(0), mine.task.id, mine.task.epoch, {}),
    ):
        with pytest.raises(StaleLease):
            late()
    (theirs,) = desk.lease(reviewer(1), PROJECT, 1).assignments
    assert theirs.task.epoch > mine.task.epoch + 1
    desk.submit(reviewer(1), theirs.task.id, theirs.task.epoch, HERE, "")
    with store.read() as tx:
        (event,) = (one for one in tx.events.after(PROJECT, 0, 99) if one.kind == "task.taken_back")
    assert (event.actor, event.body["task_id"], event.body["reviewer"]) == (OPERATOR.name, mine.task.id, "tok_0")


def test_what_is_taken_back_comes_to_others_too(store: SqlStore) -> None:
    """Also what was meant for its holder, and kept for them."""
    lane = Lane(Stage.ANNOTATE, person=ADA.id).key
    filled(store, replace(of(0, rank=0), lane=lane, meant_for=ADA.id, reserved_until=later(9999)))
    desk = Desk(store, lambda: NOW, os.urandom)
    (mine,) = desk.lease(ADA, PROJECT, 1).assignments
    assert desk.lease(BOB, PROJECT, 1).assignments == []
    Oversight(store, lambda: NOW).take_back(OPERATOR, mine.task.id)
    Rework(store, lambda: NOW).free_lapsed()
    (theirs,) = desk.lease(BOB, PROJECT, 1).assignments
    assert (theirs.task.id, theirs.task.meant_for) == (mine.task.id, "")


def test_of_many_who_take_back_at_once_one_does(store: SqlStore) -> None:
    """And the holder's answer, sent at that moment, counts or is refused, never both."""
    opened(store, QueueRules(), works=1)
    desk, oversight = Desk(store, lambda: NOW, os.urandom), Oversight(store, lambda: NOW)
    (one,) = desk.lease(reviewer(0), PROJECT, 1).assignments

    def act(number: int) -> object:
        if number == 0:
            return desk.submit(reviewer(0), one.task.id, one.task.epoch, HERE, "")
        return oversight.take_back(OPERATOR, one.task.id, epoch=one.task.epoch)

    told = together(act)
    (won,) = (number for number, answer in enumerate(told) if not isinstance(answer, AskanceError))
    with store.read() as tx:
        kinds = [event.kind for event in tx.events.after(PROJECT, 0, 999)]
        state = tx.tasks.get(one.task.id).state
    assert kinds == ["task.submitted" if won == 0 else "task.taken_back"]
    assert state is (TaskState.DONE if won == 0 else TaskState.OPEN)


def test_only_a_lease_that_was_seen_is_taken_back(store: SqlStore) -> None:
    """Not that of who got the task since, none that has run out, and nothing that is done."""
    opened(store, QueueRules(), works=1)
    clock = Clock()
    desk, oversight = Desk(store, clock, os.urandom), Oversight(store, clock)
    with pytest.raises(Conflict):
        oversight.take_back(OPERATOR, a_task(0).id)
    (first,) = desk.lease(reviewer(0), PROJECT, 1).assignments
    clock.now = later(LEASE_SECONDS)
    with pytest.raises(Conflict):
        oversight.take_back(OPERATOR, a_task(0).id)
    (second,) = desk.lease(reviewer(1), PROJECT, 1).assignments
    with pytest.raises(StaleLease):
        oversight.take_back(OPERATOR, a_task(0).id, epoch=first.task.epoch)
    desk.submit(reviewer(1), second.task.id, second.task.epoch, HERE, "")
    with pytest.raises(AlreadySubmitted):
        oversight.take_back(OPERATOR, a_task(0).id)
    with pytest.raises(Forbidden):
        oversight.take_back(reviewer(2), a_task(0).id)


# --- what a page costs -------------------------------------------------------------------------------

QUERIES = [
    TaskQuery(),
    TaskQuery(state=TaskState.OPEN),
    TaskQuery(overdue=True),
    TaskQuery(escalated=True),
    TaskQuery(stage=Stage.QA),
    TaskQuery(nobody=True),
    TaskQuery(state=TaskState.DONE),
    TaskQuery(state=TaskState.DONE, holder="ada"),
    TaskQuery(state=TaskState.LEASED),
    TaskQuery(holder="ada"),
]


def queued(numbers: range) -> list[Task]:
    """For each that somebody holds, is late or has to wait for nobody, a hundred that are none of that; as many are
    done."""

    def one(number: int) -> Task:
        rare = number % 100
        if number % 2:
            done = {"state": TaskState.DONE, "epoch": 1, "leased_at": later(number)}
            return of(number, rank=float(number), owner=ADA.id if rare == 1 else BOB.id, **done)
        if rare == 10:
            live = {"state": TaskState.LEASED, "epoch": 1, "leased_at": NOW, "expires_at": later(99)}
            return of(number, rank=float(number), owner=ADA.id, **live)
        if rare == 20:
            return of(number, rank=float(number), urgency=Urgency.OVERDUE)
        if rare == 30:
            return of(number, rank=float(number), groups=LEADS, urgency=Urgency.ESCALATED)
        return of(number, rank=float(number), stage=Stage.QA if rare == 40 else Stage.ANNOTATE)

    return [one(number) for number in numbers]


def test_a_page_costs_the_same_in_a_long_queue(
    sqlite_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of eight times as many tasks, for each filter, and behind the first page, SQLite takes as many steps."""
    monkeypatch.setattr("loop.review.listing._LOOKED_AT", 300)
    path = tmp_path / "askance.db"
    path.write_bytes(sqlite_template.read_bytes())
    with Steps() as steps:
        store = SqlStore.open(f"sqlite:///{path}")
        filled(store, *queued(range(1000)))
        listing = Listing(store, lambda: NOW)

        def asked() -> list[int]:
            """Of the second page of each."""
            first = [listing.page(OPERATOR, PROJECT, query, after=None, limit=5).next for query in QUERIES]
            return [
                steps.of(lambda query=query, after=after: listing.page(OPERATOR, PROJECT, query, after=after, limit=5))
                for query, after in zip(QUERIES, first, strict=True)
            ]

        few = asked()
        with store.begin() as tx:
            tx.tasks.add_all(queued(range(1000, 8000)))
        grown = [
            (query, before, after)
            for query, before, after in zip(QUERIES, few, asked(), strict=True)
            if after > 1.5 * before + 20 and not query.of_held  # which is bounded by what people may hold
        ]
        store.close()
    assert grown == []


def test_postgresql_walks_an_index_for_each_page(url: str, store: SqlStore) -> None:
    """With its statistics, of 20,000 tasks: no statement reads the table through, or sorts more than what is held."""
    if not url.startswith("postgresql"):
        return
    filled(store, *queued(range(20_000)))
    with store._engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE tasks")
    plans: list[str] = []

    def explained(connection: sa.Connection, _: object, statement: str, given: object, *__: object) -> None:
        if "FROM tasks" in statement and not statement.startswith("EXPLAIN"):
            told = connection.exec_driver_sql(f"EXPLAIN {statement}", given)  # type: ignore[arg-type]
            plans.append("\n".join(told.scalars()))

    listing = Listing(store, lambda: NOW)
    first = [listing.page(OPERATOR, PROJECT, query, after=None, limit=100).next for query in QUERIES]
    sa.event.listen(sa.Engine, "before_cursor_execute", explained)
    try:
        for query, after in zip(QUERIES, first, strict=True):
            listing.page(OPERATOR, PROJECT, query, after=after, limit=100)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", explained)
    assert len(plans) > len(QUERIES)
    assert [plan for plan in plans if "Seq Scan on tasks" in plan] == []
