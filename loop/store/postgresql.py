"""What a statement costs on PostgreSQL beside running it: less than its driver and SQLAlchemy make of it.

Imported only where a database is of PostgreSQL: psycopg need not be there otherwise.
"""

import select
import time
from collections.abc import Callable, Sequence
from typing import Any, overload

import psycopg
from psycopg import Column

# Longer idle, a connection may have been cut on the way without a word, as by a router that forgets it.
_TRUSTED_SECONDS = 2.0


class LazilyDescribed(psycopg.Cursor[Any]):
    """A cursor whose columns are described when somebody looks: SQLAlchemy asks for them with every result, and keeps
    what it makes of them with the statement."""

    @property
    def description(self) -> list[Column] | None:
        result = self.pgresult
        if result is None or not result.nfields:
            return super().description
        return _Described(self, result.nfields)  # type: ignore[return-value]  # is read only, as this is meant to be

    def described(self) -> list[Column]:
        return super().description or []


class _Described(Sequence[Column]):
    def __init__(self, cursor: LazilyDescribed, count: int) -> None:
        self._cursor = cursor
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> Column: ...
    @overload
    def __getitem__(self, at: slice) -> list[Column]: ...
    def __getitem__(self, at: int | slice) -> Column | list[Column]:
        return self._cursor.described()[at]


class Ping:
    """Whether a connection of the pool still works, without asking the server where it was used just now: one that the
    server has ended says so on its socket. asked: how SQLAlchemy asks."""

    def __init__(self, asked: Callable[[Any], bool]) -> None:
        self._asked = asked

    def __call__(self, connection: Any) -> bool:
        now = time.monotonic()
        trusted = now - getattr(connection, "found_working_at", float("-inf")) < _TRUSTED_SECONDS
        if not (trusted and _is_silent(connection)):
            self._asked(connection)  # raises where it does not work
        connection.found_working_at = now
        return True


def _is_silent(connection: Any) -> bool:
    """The server has sent nothing that nobody read: neither a farewell nor the end of the stream."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    return not poll.poll(0)
