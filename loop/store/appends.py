"""Rows that are numbered in the order in which they become visible.

Readers follow these tables with a cursor: "what came after number n?". On PostgreSQL a number drawn inside a
transaction shows its order of drawing, not of commit: a reader that saw 6 would never see 5 if 5 is committed
later. So such rows wait in memory until the rest of the transaction is written, and are then numbered under a
lock that is held until the commit has ended. Nothing is waited for while holding it, so it cannot deadlock,
and it is held for an insert and a commit. SQLite has one writer at a time, which is the same thing.
"""

from collections.abc import Mapping
from functools import cache
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Table, bindparam, func, insert, literal_column, select

from loop.store.ready import Ready
from loop.store.statements import insert_all

# Any number that nothing else in this database locks; "asknumbr" in ASCII.
_NUMBERING_LOCK = int.from_bytes(b"asknumbr", "big")
_LOCKED = func.pg_advisory_xact_lock(literal_column(str(_NUMBERING_LOCK)))


class Appends:
    """The rows that this transaction will append when it ends."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[tuple[Table, Mapping[str, Any]]] = []

    def add(self, table: Table, row: Mapping[str, Any]) -> None:
        self._rows.append((table, row))

    def write(self) -> None:
        """Number and insert what was added, in that order. The last statements before the commit."""
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        postgresql = self._connection.dialect.name == "postgresql"
        if postgresql and len(rows) == 1:
            table, row = rows[0]
            _numbered(table, tuple(row)).done(self._connection, row)
            return
        if postgresql:
            self._connection.execute(select(_LOCKED))
        for table, alike in groupby(rows, key=lambda pair: pair[0]):
            insert_all(self._connection, table, [row for _, row in alike])


@cache
def _numbered(table: Table, names: tuple[str, ...]) -> Ready:
    """For PostgreSQL: the lock and one row in one statement. The row is made of what is read from the lock, so that it
    gets its number when the lock is had."""
    lock = select(_LOCKED).cte("numbering").prefix_with("MATERIALIZED")
    row = select(*(bindparam(name, type_=table.c[name].type) for name in names)).select_from(lock)
    return Ready(insert(table).from_select(list(names), row).inline())
