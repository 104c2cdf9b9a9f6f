"""Rows that are numbered in the order in which they become visible.

Readers follow these tables with a cursor: "what came after number n?". On PostgreSQL a number drawn inside a
transaction shows its order of drawing, not of commit: a reader that saw 6 would never see 5 if 5 is committed
later. So such rows wait in memory until the rest of the transaction is written, and are then numbered under a
lock that is held until the commit has ended. Nothing is waited for while holding it, so it cannot deadlock,
and it is held for an insert and a commit. SQLite has one writer at a time, which is the same thing.
"""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select

# Any number that nothing else in this database locks; "asknumbr" in ASCII.
_NUMBERING_LOCK = int.from_bytes(b"asknumbr", "big")


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
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(select(func.pg_advisory_xact_lock(_NUMBERING_LOCK)))
        rows, self._rows = self._rows, []
        for table, alike in groupby(rows, key=lambda pair: pair[0]):
            self._connection.execute(insert(table), [row for _, row in alike])
