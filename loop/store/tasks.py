"""Tasks: the review queue."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from loop.domain.errors import AlreadySubmitted, Conflict, StaleLease
from loop.domain.policy.quality_rules import Standing
from loop.domain.ports import Kept, Queue
from loop.domain.review.queueing import one_of_each_work
from loop.domain.review.tasks import Outcome, Task, TaskState, may_be_handed_out
from loop.domain.stage import Stage
from loop.store.groups import works_of_frame
from loop.store.item_facts import Change, ItemChanges
from loop.store.ready import Ready
from loop.store.schema import (
    ALARMING_TASK,
    HANDED_TASK,
    LEASED_TASK,
    MEANT_TASK,
    ORDINARY_TASK,
    RESERVED_TASK,
    UNFINISHED_TASK,
    standings,
    submissions,
    tasks,
    tokens,
)
from loop.store.statements import columns, each_once, in_parts, insert_all, inserted, not_found, one

_URGENCY = (tasks.c.rank, tasks.c.created_at, tasks.c.id)
_CHANGING = (
    "state", "epoch", "owner", "leased_at", "valid_from", "expires_at",
    "rank", "lane", "round", "due_at", "alarm_at", "urgency", "with_experts", "begun",
    "meant_for", "reserved_until", "proposal_shown", "answer_by", "start_by", "usual_rank",
)  # fmt: skip


# Statements of the way from lease to submission are made once: making one takes as long as running it.
_NOW = bindparam("now", type_=tasks.c.expires_at.type)


def _written(value: str | int, column: ColumnElement[Any] | None = None) -> ColumnElement[Any]:
    """In place of a parameter. SQLite plans a statement anew for each value by which it could choose an index of a
    part; PostgreSQL does so each time where a plan for the value that it has looks cheaper, as with a limit. Either
    takes ten times as long as to run it."""
    return literal_column(
        str(value) if isinstance(value, int) else f"'{value}'", Integer if column is None else column.type
    )


_OPEN, _LEASED = (_written(state, tasks.c.state) for state in (TaskState.OPEN, TaskState.LEASED))
_MOST = bindparam("most", type_=Integer)

_PROJECT = tasks.c.project_id == bindparam("project")


def _free(task: FromClause) -> ColumnElement[bool]:
    """Of an unfinished task: nobody has it under a live lease, as in loop/domain/review/tasks.py."""
    return or_(
        task.c.expires_at.is_(None),
        task.c.expires_at <= _NOW,
        and_(task.c.valid_from.is_not(None), task.c.valid_from > _NOW),
    )


_FREE = _free(tasks)
# No caller waits for it, or one who can still get the answer of who begins now.
_IN_TIME = or_(tasks.c.start_by.is_(None), tasks.c.start_by > _NOW)
_RAN_OUT = and_(tasks.c.state == TaskState.LEASED, _FREE)
_PERSON: BindParameter[str] = bindparam("person")
# Works that the person holds a task of.
_beside = tasks.alias("beside")
_HOLDS = exists().where(
    _beside.c.work_id == tasks.c.work_id,
    _beside.c.owner == _PERSON,
    _beside.c.state == _LEASED,
    not_(_free(_beside)),
)
# Works that the person answered or skipped in their present round; where the task is of QA, also those that the person
# answered in any round since they were opened.
_SAID = exists().where(
    submissions.c.work_id == tasks.c.work_id,
    submissions.c.reviewer == _PERSON,
    or_(
        submissions.c.round == tasks.c.round,
        and_(
            tasks.c.stage == _written(Stage.QA, tasks.c.stage),
            submissions.c.outcome == _written(Outcome.SUBMITTED, submissions.c.outcome),
            submissions.c.round >= tasks.c.begun,
        ),
    ),
)
# What one person is to answer and nobody ever leased is nobody's yet.
_UNTOUCHED = and_(tasks.c.people == _written(1), tasks.c.epoch == _written(0), tasks.c.seat > _written(0))
_NOT_THEIRS = or_(_UNTOUCHED, and_(not_(_HOLDS), not_(_SAID)))
_LEASABLE = (
    select(tasks)
    .where(_PROJECT, tasks.c.lane == bindparam("lane"), UNFINISHED_TASK, _FREE, _IN_TIME, _NOT_THEIRS)
    .order_by(*_URGENCY)
)
_LEASABLE_OF_SOURCE = _LEASABLE.where(tasks.c.source == bindparam("source"))
# Rows that others lock are passed over one by one, so that no more are locked than are found.
_NEXT = Ready(_LEASABLE.limit(_written(1)).with_for_update(skip_locked=True))


@cache
def _leasable(limit: int, *, of_source: bool) -> Ready:
    return Ready((_LEASABLE_OF_SOURCE if of_source else _LEASABLE).limit(_written(limit)))


def _each_once(key: Column[str], *where: ColumnElement[bool]) -> Select[Any]:
    """Its values in unfinished tasks, in their order: one index seek for each, from each to the next larger, however
    many tasks have it (a loose index scan, which neither database does by itself)."""
    smallest = select(func.min(key)).where(_PROJECT, UNFINISHED_TASK, *where)
    found = select(smallest.scalar_subquery().label(key.name)).cte(f"{key.name}s", recursive=True)
    behind = smallest.where(key > found.c[key.name]).scalar_subquery()
    found = found.union_all(select(behind).where(found.c[key.name].is_not(None)))
    return select(found.c[key.name]).where(found.c[key.name].is_not(None)).order_by(found.c[key.name])


_LANES = Ready(_each_once(tasks.c.lane))
_SOURCES = _each_once(tasks.c.source, tasks.c.lane == bindparam("lane"))
_TAKEN = (
    select(tasks)
    .where(tasks.c.id.in_(bindparam("ids", expanding=True)), UNFINISHED_TASK, _FREE, _IN_TIME)
    .with_for_update(skip_locked=True)
)
_HELD = Ready(
    select(tasks).where(_PROJECT, tasks.c.owner == bindparam("owner"), LEASED_TASK, not_(_FREE)).order_by(*_URGENCY)
)
# Always in the same order, so that who locks a work never waits for who waits for it.
_WORK = Ready(
    select(tasks)
    .where(tasks.c.work_id == select(tasks.c.work_id).where(tasks.c.id == bindparam("task")).scalar_subquery())
    .order_by(tasks.c.seat)
    .with_for_update()
)
_SOME = select(_written(1)).where(_PROJECT).limit(_MOST)
_OPEN_COUNT = Ready(
    select(
        *(
            select(func.count()).select_from(_SOME.where(*where).subquery()).scalar_subquery()
            for where in ((tasks.c.state == _OPEN,), (LEASED_TASK, _FREE))
        )
    )
)
_SAVED = (
    update(tasks)
    .where(tasks.c.id == bindparam("of_id"))
    .values({name: bindparam(f"new_{name}", type_=tasks.c[name].type) for name in _CHANGING})
)
_EPOCH = bindparam("new_epoch", type_=tasks.c.epoch.type)
_SAVED_UNFINISHED = Ready(_SAVED.where(UNFINISHED_TASK, tasks.c.epoch <= _EPOCH))
_REOPENED = Ready(_SAVED.where(tasks.c.epoch < _EPOCH))

_MEANT_FOR_PAUSED = exists().where(
    standings.c.project_id == tasks.c.project_id,
    standings.c.reviewer == tasks.c.meant_for,
    standings.c.standing == Standing.PAUSED,
)
_MEANT = (
    select(tasks)
    .where(_PROJECT, tasks.c.meant_for == _PERSON, MEANT_TASK, _FREE, _IN_TIME, _NOT_THEIRS)
    .order_by(*_URGENCY)
)
_REVOKED = select(tokens.c.id).where(tokens.c.revoked_at.is_not(None))
_LAPSED = (
    select(tasks)
    .where(
        RESERVED_TASK, or_(tasks.c.reserved_until <= _NOW, tasks.c.meant_for.in_(_REVOKED), _MEANT_FOR_PAUSED), _FREE
    )
    .with_for_update(skip_locked=True, of=tasks)
)
# Mostly neither, which one statement tells for less than two that look for tasks.
_KEPT = Ready(
    select(
        exists().where(_PROJECT, RESERVED_TASK).label("for_a_time"),
        exists().where(_PROJECT, tasks.c.meant_for == _PERSON, MEANT_TASK).label("for_person"),
    )
)


@cache
def _meant(limit: int) -> Ready:
    return Ready(_MEANT.limit(_written(limit)))


@cache
def _lapsed(limit: int, *, of_project: bool) -> Ready:
    return Ready((_LAPSED.where(_PROJECT) if of_project else _LAPSED).limit(_written(limit)))


_ALARMING = (
    select(tasks)
    .where(_PROJECT, ALARMING_TASK, tasks.c.alarm_at <= _NOW)
    .order_by(tasks.c.alarm_at)
    .limit(_MOST)
    .with_for_update(skip_locked=True)
)


class SqlTasks:
    """Implements `loop.domain.ports.Tasks`."""

    def __init__(self, connection: Connection, changes: ItemChanges) -> None:
        self._connection = connection
        self._changes = changes

    def add(self, task: Task) -> None:
        if not inserted(self._connection, tasks, columns(task)):
            raise Conflict(
                f"prediction {task.prediction_id} has its task under policy version {task.policy_version}.",
                hint="Work on that task.",
                task=task.id,
                prediction=task.prediction_id,
            )
        self._changes.note(task.project_id, task.item_digest, Change.WORKED)

    def add_all(self, given: Sequence[Task]) -> None:
        """Raises Conflict where one is there already; the transaction is then spoilt."""
        if not given:
            return
        try:
            insert_all(self._connection, tasks, [columns(task) for task in given])
        except IntegrityError as error:
            raise Conflict("one of these predictions has its task already.", hint="Keep the first.") from error
        for task in given:
            self._changes.note(task.project_id, task.item_digest, Change.WORKED)

    def get(self, task_id: str) -> Task:
        """Raises NotFound."""
        return Task(**one(self._connection, tasks, "task", id=task_id)._mapping)

    def for_update(self, task_id: str) -> Task:
        row = self._connection.execute(select(tasks).where(tasks.c.id == task_id).with_for_update()).first()
        if row is None:
            raise not_found("task", id=task_id)
        return Task(**row._mapping)

    def work_for_update(self, task_id: str) -> list[Task]:
        found = self._ready(_WORK, task=task_id)
        if not found:
            raise not_found("task", id=task_id)
        return found

    def audited(self, project_id: str, digests: Sequence[str]) -> frozenset[str]:
        found: set[str] = set()
        for part in in_parts(digests):
            drawn = select(tasks.c.item_digest).where(
                tasks.c.project_id == project_id, tasks.c.item_digest.in_(part), tasks.c.stage == Stage.AUDIT
            )
            found.update(self._connection.scalars(drawn))
        return frozenset(found)

    def works_of_item(self, project_id: str, item_digest: str) -> list[str]:
        of_item = select(tasks.c.work_id).where(
            tasks.c.project_id == project_id, tasks.c.item_digest == item_digest, ORDINARY_TASK
        )
        of_clip = works_of_frame(project_id, item_digest)
        return sorted(self._connection.scalars(of_item.union(of_clip)))

    def queues(self, project_id: str, *, by_source: bool) -> list[Queue]:
        lanes = [lane for (lane,) in _LANES.rows(self._connection, {"project": project_id})]
        if not by_source:
            return [Queue(lane) for lane in lanes]
        return [
            Queue(lane, source)
            for lane in lanes
            for source in self._connection.scalars(_SOURCES, {"project": project_id, "lane": lane})
        ]

    def leasable(self, project_id: str, queue: Queue, *, person: str, now: datetime, limit: int) -> list[Task]:
        wanted = _leasable(limit, of_source=queue.source is not None)
        source = {} if queue.source is None else {"source": queue.source}
        return self._ready(wanted, project=project_id, lane=queue.lane, person=person, now=now, **source)

    def take_first(self, project_id: str, lane: str, *, person: str, now: datetime) -> list[Task]:
        return self._ready(_NEXT, project=project_id, lane=lane, person=person, now=now)

    def kept_for(self, project_id: str, person: str) -> Kept:
        ((for_a_time, for_person),) = _KEPT.rows(self._connection, {"project": project_id, "person": person})
        return Kept(bool(for_a_time), bool(for_person))

    def meant_for(self, project_id: str, *, person: str, now: datetime, limit: int) -> list[Task]:
        return self._ready(_meant(limit), project=project_id, person=person, now=now)

    def lapsed(self, now: datetime, *, project_id: str | None, limit: int) -> list[Task]:
        project = {} if project_id is None else {"project": project_id}
        return self._ready(_lapsed(limit, of_project=project_id is not None), now=now, **project)

    @property
    def contended(self) -> bool:
        return self._connection.dialect.name != "sqlite"  # which has one writer: what it has read is so still

    def take(self, candidates: Sequence[Task], *, now: datetime, limit: int) -> list[Task]:
        """Rows are only locked, not changed: lease and `save` them in the same transaction."""
        if not self.contended:
            return one_of_each_work(task for task in candidates if may_be_handed_out(task, now))[:limit]
        taken: dict[str, Task] = {}  # by work
        waiting = list(candidates)
        while waiting and len(taken) < limit:
            tried = {task.id for task in one_of_each_work(waiting)[: limit - len(taken)]}
            taken |= {task.work_id: task for task in self._all(_TAKEN, ids=list(tried), now=now)}
            waiting = [task for task in waiting if task.id not in tried and task.work_id not in taken]
        place = {task.id: number for number, task in enumerate(candidates)}
        return sorted(taken.values(), key=lambda task: place[task.id])

    def handed_out(self, project_id: str, *, limit: int) -> Mapping[str, int]:
        last = (
            select(tasks.c.source)
            .where(tasks.c.project_id == project_id, HANDED_TASK)
            .order_by(tasks.c.leased_at.desc(), tasks.c.id.desc())
            .limit(limit)
            .subquery()
        )
        rows = self._connection.execute(select(last.c.source, func.count()).group_by(last.c.source))
        return {str(source): int(count) for source, count in rows}

    def alarming(self, project_id: str, now: datetime, limit: int) -> list[Task]:
        return self._all(_ALARMING, project=project_id, now=now, most=limit)

    def has_alarms(self, project_id: str, now: datetime) -> bool:
        due = select(literal(1)).where(tasks.c.project_id == project_id, ALARMING_TASK, tasks.c.alarm_at <= now)
        return self._connection.execute(due.limit(1)).first() is not None

    def held_by(self, project_id: str, owner: str, now: datetime) -> list[Task]:
        """Tasks that `owner` has under a live lease, the most urgent first."""
        return self._ready(_HELD, project=project_id, owner=owner, now=now)

    def of_prediction(self, prediction_id: str) -> list[Task]:
        """Oldest first."""
        of_it = select(tasks).where(tasks.c.prediction_id == prediction_id)
        return self._all(of_it.order_by(tasks.c.created_at, tasks.c.id))

    def _all(self, statement: Select[Any], **given: object) -> list[Task]:
        return [Task(**row._mapping) for row in self._connection.execute(statement, given)]

    def _ready(self, statement: Ready, **given: object) -> list[Task]:
        return statement.records(self._connection, Task, given)

    def items(self, project_id: str) -> Iterator[str]:
        return each_once(self._connection, tasks.c.item_digest, project_id, ORDINARY_TASK)

    def save(self, task: Task) -> None:
        """Write what changes of a task.

        Fenced, whatever the caller read: raises StaleLease where the stored epoch is later, AlreadySubmitted
        where the task is answered or skipped, NotFound.
        """
        self._write(_SAVED_UNFINISHED, task)

    def reopen(self, task: Task) -> None:
        """Write a task that may be closed. Raises StaleLease unless its epoch is later than the stored one."""
        self._write(_REOPENED, task)

    def _write(self, fenced: Ready, task: Task) -> None:
        values = {f"new_{name}": getattr(task, name) for name in _CHANGING}
        if fenced.done(self._connection, {"of_id": task.id, **values}) == 0:
            raise _refused(self.get(task.id), task)
        self._changes.note(task.project_id, task.item_digest, Change.WORKED)

    def by_recipe(self, project_id: str) -> Mapping[int, int]:
        rows = self._connection.execute(
            select(tasks.c.recipe_version, func.count())
            .where(tasks.c.project_id == project_id, UNFINISHED_TASK, ORDINARY_TASK)
            .group_by(tasks.c.recipe_version)
        )
        return {version: count for version, count in rows}  # noqa: C416 - rows are no pairs to a type checker

    def move_to_recipe(self, project_id: str, version: int) -> int:
        moved = self._connection.execute(
            update(tasks)
            .where(tasks.c.project_id == project_id, UNFINISHED_TASK, tasks.c.recipe_version != version)
            .values(recipe_version=version)
        )
        return moved.rowcount

    def count_open(self, project_id: str, now: datetime, *, at_most: int) -> int:
        given = {"project": project_id, "now": now, "most": at_most}
        ((free, ran_out),) = _OPEN_COUNT.rows(self._connection, given)
        return int(min(free + ran_out, at_most))

    def counts(self, project_id: str, now: datetime) -> Mapping[TaskState, int]:
        """Has every state as a key."""
        state = case((_RAN_OUT, literal(TaskState.OPEN, tasks.c.state.type)), else_=tasks.c.state)
        counted = select(state, func.count()).where(tasks.c.project_id == project_id, ORDINARY_TASK)
        rows = self._connection.execute(counted.group_by(state), {"now": now})
        return dict.fromkeys(TaskState, 0) | {TaskState(state): count for state, count in rows}


def _refused(stored: Task, task: Task) -> AlreadySubmitted | StaleLease:
    if stored.state in (TaskState.DONE, TaskState.SKIPPED):
        return AlreadySubmitted(f"task {task.id} is {stored.state}.", hint="Lease the next task.", task=task.id)
    return StaleLease(
        f"task {task.id} was leased again (epoch {stored.epoch}, not {task.epoch}).",
        hint="Lease the task again; a draft kept by the page can be sent with the new epoch.",
        task=task.id,
        epoch=task.epoch,
        current_epoch=stored.epoch,
    )
