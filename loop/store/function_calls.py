"""The queue of custom functions: filled with the event that calls them, in the same transaction; worked off later.

Where an event calls no function of any project nothing is read, and where no policy asks for one nothing is written.
"""

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, or_, select, update

from loop.domain.functions.calls import FunctionCall
from loop.domain.identity import new_id
from loop.domain.policy.function_uses import FunctionUse, Triggered, triggered
from loop.domain.ports import Event
from loop.store.groups import frames_of_task
from loop.store.projects import SqlProjects
from loop.store.schema import PENDING_CALL, function_calls
from loop.store.statements import columns, ignoring_conflicts, inserted, one

# What a call is from its first row on.
_FIXED = frozenset(
    {"id", "project_id", "function", "trigger", "subject", "item_digest", "actor", "body", "created_at", "epoch"}
)


class Triggers:
    """What this transaction calls functions for. Written at its end."""

    def __init__(self, connection: Connection, projects: SqlProjects) -> None:
        self._connection = connection
        self._projects = projects
        self._waiting: list[tuple[Event, Triggered]] = []

    def awaiting(self, trigger: str, project_ids: Iterable[str]) -> frozenset[str]:
        """Those of the projects that call a function on it."""
        return frozenset(
            project_id for project_id in project_ids if any(trigger in use.on for use in self._uses(project_id))
        )

    def add(self, event: Event) -> None:
        """Does nothing for an event that calls no function."""
        found = triggered(event.kind, event.body, event.at)
        if found is not None:
            self._waiting.append((event, found))

    def write(self) -> None:
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        uses = {project_id: self._uses(project_id) for project_id in {event.project_id for event, _ in waiting}}
        calls: list[dict[str, Any]] = []
        for event, found in waiting:
            called = [use.name for use in uses[event.project_id] if found.trigger in use.on]
            if called:
                items = self._items_of(event, found)
                calls += [columns(_call(event, found, name, digest)) for digest in items for name in called]
        if calls:
            self._connection.execute(ignoring_conflicts(self._connection, function_calls), calls)

    def _items_of(self, event: Event, found: Triggered) -> Sequence[str | None]:
        """Of an answer to a clip each frame: each has its truth."""
        digest, task = event.body.get("item_digest"), event.body.get("task_id")
        frames: list[str] = []
        if found.trigger == "task.completed" and task is not None:
            frames += self._connection.scalars(frames_of_task(str(task)))
        return frames or [None if digest is None else str(digest)]

    def _uses(self, project_id: str) -> tuple[FunctionUse, ...]:
        return self._projects.seen(project_id).policy.functions


def _call(event: Event, found: Triggered, function: str, digest: str | None) -> FunctionCall:
    # Of the frames of a clip, of which the event names the first.
    subject = found.subject if digest == event.body.get("item_digest") else f"{found.subject} {digest}"
    return FunctionCall(
        id=new_id("call", event.at, secrets.token_bytes(10)),
        project_id=event.project_id,
        function=function,
        trigger=found.trigger,
        subject=subject,
        item_digest=digest,
        actor=event.actor,
        body=event.body,
        created_at=event.at,
        due_at=event.at,
    )


class SqlFunctionCalls:
    """Implements `loop.domain.ports.FunctionCalls`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, call: FunctionCall) -> bool:
        return inserted(self._connection, function_calls, columns(call))

    def get(self, project_id: str, call_id: str) -> FunctionCall:
        row = one(self._connection, function_calls, "call of a function", project_id=project_id, id=call_id)
        return FunctionCall(**row._mapping)

    def unfinished(self, project_id: str) -> int:
        counted = select(func.count()).where(PENDING_CALL, function_calls.c.project_id == project_id)
        return int(self._connection.scalars(counted).one())

    def is_due(self, now: datetime) -> bool:
        return self._connection.execute(select(function_calls.c.id).where(_free(now)).limit(1)).first() is not None

    def claim(self, *, now: datetime, until: datetime) -> FunctionCall | None:
        free = self._connection.execute(
            select(function_calls.c.id)
            .where(_free(now))
            .order_by(function_calls.c.due_at, function_calls.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).scalar()
        if free is None:
            return None
        claimed = self._connection.execute(
            update(function_calls)
            .where(function_calls.c.id == free)
            .values(epoch=function_calls.c.epoch + 1, claimed_until=until)
            .returning(function_calls)
        ).one()
        return FunctionCall(**claimed._mapping)

    def settle(self, call: FunctionCall) -> bool:
        values = {name: value for name, value in columns(call).items() if name not in _FIXED}
        written = self._connection.execute(
            update(function_calls)
            .where(function_calls.c.id == call.id, function_calls.c.epoch == call.epoch, PENDING_CALL)
            .values(**values)
        )
        return written.rowcount == 1

    def prune(self, before: datetime, limit: int) -> int:
        old = select(function_calls.c.id).where(function_calls.c.finished_at < before).limit(limit)
        ids = self._connection.execute(old).scalars().all()
        self._connection.execute(delete(function_calls).where(function_calls.c.id.in_(ids)))
        return len(ids)


def _free(now: datetime) -> ColumnElement[bool]:
    """Due, and nobody is running it."""
    unclaimed = or_(function_calls.c.claimed_until.is_(None), function_calls.c.claimed_until <= now)
    return and_(PENDING_CALL, function_calls.c.due_at <= now, unclaimed)
