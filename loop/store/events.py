"""A project's history, one line per thing that happened."""

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, select

from loop.domain.ports import Event
from loop.store.appends import Appends
from loop.store.function_calls import Triggers
from loop.store.outbox import Outbox
from loop.store.schema import events
from loop.store.statements import columns

_EVENT = tuple(events.c[field.name] for field in fields(Event))


class SqlEvents:
    """Implements `loop.domain.ports.Events`."""

    def __init__(self, connection: Connection, appends: Appends, outbox: Outbox, triggers: Triggers) -> None:
        self._connection = connection
        self._appends = appends
        self._outbox = outbox
        self._triggers = triggers

    def add(self, event: Event) -> None:
        """The event gets its number when the transaction commits, whatever `event.sequence` says."""
        row = columns(event)
        del row["sequence"]
        item_digest = event.body.get("item_digest")
        row["item_digest"] = item_digest if isinstance(item_digest, str) else None
        self._appends.add(events, row)
        self._outbox.add(event)
        self._triggers.add(event)

    def announce(self, told: Iterable[Event]) -> None:
        for event in told:
            self._outbox.add(event)
            self._triggers.add(event)

    def after(self, project_id: str, sequence: int, limit: int, *, kind: str | None = None) -> list[Event]:
        """At most `limit`, by sequence ascending; start with 0.

        Numbers are given in the order of the commits: going on from the last one seen misses nothing. A
        transaction does not see its own events here.
        """
        rows = self._connection.execute(
            select(*_EVENT)
            .where(*_of(project_id, kind), events.c.sequence > sequence)
            .order_by(events.c.sequence)
            .limit(limit)
        )
        return [Event(**row._mapping) for row in rows]

    def since(self, project_id: str, kind: str, moment: datetime) -> list[Event]:
        rows = self._connection.execute(
            select(*_EVENT)
            .where(events.c.project_id == project_id, events.c.kind == kind, events.c.at >= moment)
            .order_by(events.c.sequence)
        )
        return [Event(**row._mapping) for row in rows]

    def newest(self, project_id: str, kind: str | None, *, limit: int) -> list[Event]:
        rows = self._connection.execute(
            select(*_EVENT).where(*_of(project_id, kind)).order_by(events.c.sequence.desc()).limit(limit)
        )
        return [Event(**row._mapping) for row in rows]


def _of(project_id: str, kind: str | None) -> list[ColumnElement[bool]]:
    whole = events.c.project_id == project_id
    if kind is None:
        return [whole]
    # Without a dot it is the first part of kinds.
    return [whole, events.c.kind == kind if "." in kind else events.c.kind.startswith(f"{kind}.", autoescape=True)]
