"""Tasks as operators list them: each page by an index, whatever else there is."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, not_, or_, select, tuple_

from loop.domain.review.listing import Ended, Waiting
from loop.domain.review.tasks import Outcome, Task, TaskState, Urgency
from loop.domain.stage import Stage
from loop.store.schema import HANDED_TASK, LEASED_TASK, UNFINISHED_TASK, URGENT_TASK, submissions, tasks
from loop.store.statements import in_parts

_URGENCY = (tasks.c.rank, tasks.c.created_at, tasks.c.id)
_HANDED = (tasks.c.leased_at, tasks.c.id)


class SqlTaskLists:
    """Implements `loop.domain.ports.TaskLists`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def waiting(
        self,
        project_id: str,
        lanes: Sequence[str],
        *,
        urgencies: Sequence[Urgency] | None,
        unheld_at: datetime | None,
        after: Waiting | None,
        limit: int,
    ) -> list[Task]:
        first = _behind(select(tasks).where(tasks.c.project_id == project_id, UNFINISHED_TASK), after)
        if unheld_at is not None:
            first = first.where(not_(_held(unheld_at)))
        first = first.order_by(*_URGENCY).limit(limit)
        # Each is a walk along an index; all lanes in one statement would be sorted whole.
        walks = [self._all(first.where(tasks.c.lane == lane, *where)) for lane in lanes for where in _each(urgencies)]
        return list(islice(merge(*walks, key=lambda task: (task.rank, task.created_at, task.id)), limit))

    def held(
        self,
        project_id: str,
        now: datetime,
        *,
        owners: Sequence[str] | None,
        lanes: Sequence[str] | None,
        urgencies: Sequence[Urgency] | None,
        after: Waiting | None,
        limit: int,
    ) -> list[Task]:
        wanted = select(tasks).where(tasks.c.project_id == project_id, LEASED_TASK, _held(now))
        for column, values in ((tasks.c.owner, owners), (tasks.c.lane, lanes), (tasks.c.urgency, urgencies)):
            if values is not None:
                wanted = wanted.where(column.in_(list(values)))
        return self._all(_behind(wanted, after).order_by(*_URGENCY).limit(limit))

    def ended(
        self,
        project_id: str,
        state: TaskState,
        *,
        stage: Stage | None,
        owners: Sequence[str] | None,
        urgencies: Sequence[Urgency] | None,
        after: Ended | None,
        limit: int,
        looked_at: int,
    ) -> tuple[list[Task], Ended | None]:
        newest = [column.desc() for column in _HANDED]
        handed = select(tasks).where(tasks.c.project_id == project_id, HANDED_TASK).order_by(*newest)
        if after is not None:
            handed = handed.where(tuple_(*_HANDED) < tuple_(after.leased_at, after.task_id))
        walked = handed.with_only_columns(*_HANDED).offset(looked_at - 1).limit(1)
        edge = self._connection.execute(walked).first()
        wanted = handed.where(tasks.c.state == state)
        if edge is not None:
            wanted = wanted.where(tuple_(*_HANDED) >= tuple_(edge.leased_at, edge.id))
        for column, values in ((tasks.c.owner, owners), (tasks.c.urgency, urgencies)):
            if values is not None:
                wanted = wanted.where(column.in_(list(values)))
        if stage is not None:
            wanted = wanted.where(tasks.c.stage == stage)
        found = self._all(wanted.limit(limit))
        return found, None if edge is None else Ended(edge.leased_at, edge.id)

    def skips(self, work_ids: Iterable[str]) -> Mapping[tuple[str, int], int]:
        found: dict[tuple[str, int], int] = {}
        for part in in_parts(sorted(set(work_ids))):
            counted = (
                select(submissions.c.work_id, submissions.c.round, func.count(submissions.c.reviewer.distinct()))
                .where(submissions.c.work_id.in_(part), submissions.c.outcome == Outcome.SKIPPED)
                .group_by(submissions.c.work_id, submissions.c.round)
            )
            found |= {(work_id, number): int(count) for work_id, number, count in self._connection.execute(counted)}
        return found

    def _all(self, wanted: Select[Any]) -> list[Task]:
        return [Task(**row._mapping) for row in self._connection.execute(wanted)]


def _held(now: datetime) -> ColumnElement[bool]:
    """Under a live lease, as in loop/domain/review/tasks.py."""
    begun = or_(tasks.c.valid_from.is_(None), tasks.c.valid_from <= now)
    return and_(tasks.c.state == TaskState.LEASED, tasks.c.expires_at > now, begun)


def _behind(wanted: Select[Any], after: Waiting | None) -> Select[Any]:
    if after is None:
        return wanted
    return wanted.where(tuple_(*_URGENCY) > tuple_(after.rank, after.created_at, after.task_id))


def _each(urgencies: Sequence[Urgency] | None) -> Sequence[tuple[Any, ...]]:
    """Conditions of one walk each."""
    if urgencies is None:
        return [()]
    return [(URGENT_TASK, tasks.c.urgency == urgency) for urgency in urgencies]
