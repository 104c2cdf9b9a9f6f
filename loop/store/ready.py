"""Statements that are run with every lease and every answer, by the driver's own cursor.

SQLAlchemy takes longer to run a small statement than the database to answer it: it makes a context, a result and what
describes it, anew each time. Here it is asked once for the text of a statement and for what turns values into those of
the driver and back; what runs it then is a few lines.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect
from sqlalchemy.exc import DBAPIError, StatementError

Record = TypeVar("Record")
# Turns a value for the driver, or one of the driver.
_Turn = Callable[[Any], Any]


class Ready:
    """A statement that is written once for each database. Parameters are given by name; an `IN` with a list of values,
    whose text changes with their number, cannot be one. Errors come as SQLAlchemy's.

    takes: the columns that an INSERT without values is to fill.
    """

    def __init__(self, statement: Any, *, takes: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._takes = takes
        self._written: dict[str, _Written] = {}  # by dialect

    def rows(self, connection: Connection, given: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if _is_listened_to(connection):
            return [tuple(row) for row in connection.execute(self._statement, given)]
        written = self._of(connection.dialect)
        values = written.bound(given)
        with _cursor(connection, written.text) as cursor:
            cursor.execute(written.text, values)
            rows = cursor.fetchall()
        return written.read(cursor, rows)

    def first(self, connection: Connection, given: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Of a statement that finds at most one row."""
        found = self.rows(connection, given)
        return found[0] if found else None

    def records(self, connection: Connection, kind: Callable[..., Record], given: Mapping[str, Any]) -> list[Record]:
        """Each row as a record whose fields are named as the columns are."""
        names = self._of(connection.dialect).names
        return [kind(**dict(zip(names, row, strict=True))) for row in self.rows(connection, given)]

    def done(self, connection: Connection, given: Mapping[str, Any]) -> int:
        """How many rows it changed."""
        if _is_listened_to(connection):
            return connection.execute(self._statement, given).rowcount
        written = self._of(connection.dialect)
        values = written.bound(given)
        with _cursor(connection, written.text) as cursor:
            cursor.execute(written.text, values)
        return int(cursor.rowcount)

    def done_for_each(self, connection: Connection, given: Sequence[Mapping[str, Any]]) -> None:
        """Once for each of `given`, in their order; drivers send them together."""
        if _is_listened_to(connection):
            connection.execute(self._statement, list(given))
            return
        written = self._of(connection.dialect)
        values = [written.bound(one) for one in given]
        with _cursor(connection, written.text) as cursor:
            cursor.executemany(written.text, values)

    def _of(self, dialect: Dialect) -> "_Written":
        written = self._written.get(dialect.name)
        if written is None:
            written = self._written[dialect.name] = _Written.of(self._statement, dialect, self._takes)
        return written


@dataclass(slots=True)
class _Written:
    """A statement in the words of one database. fixed: values that are always the same; order: of parameters that go by
    place, None where they go by name. found: the turn of each column of a result that needs one; None before the
    first, since it may depend on how the driver describes the column."""

    text: str
    fixed: Mapping[str, Any]
    binds: Mapping[str, _Turn]
    order: Sequence[str] | None
    names: Sequence[str]
    types: Sequence[Any]
    dialect: Dialect
    found: Sequence[tuple[int, _Turn]] | None = None

    @classmethod
    def of(cls, statement: Any, dialect: Dialect, takes: Sequence[str] | None) -> "_Written":
        compiled = statement.compile(dialect=dialect, column_keys=takes)
        named = {name: bind for bind, name in compiled.bind_names.items()}
        turns = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in named.items()}
        binds = {name: turn for name, turn in turns.items() if turn is not None}
        fixed = {
            name: binds[name](bind.effective_value) if name in binds else bind.effective_value
            for name, bind in named.items()
            if not bind.required
        }
        returned = getattr(statement, "exported_columns", None)
        return cls(
            text=str(compiled),
            fixed=fixed,
            binds=binds,
            order=compiled.positiontup,
            names=returned.keys() if returned else (),
            types=[column.type for column in returned or ()],
            dialect=dialect,
        )

    def bound(self, given: Mapping[str, Any]) -> Mapping[str, Any] | Sequence[Any]:
        binds = self.binds
        try:
            values = {name: binds[name](value) if name in binds else value for name, value in given.items()}
        except Exception as error:
            raise StatementError(str(error), self.text, None, error, hide_parameters=True) from error
        if self.fixed:
            values = {**self.fixed, **values}
        return values if self.order is None else [values[name] for name in self.order]

    def read(self, cursor: Any, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        if not rows:
            return rows
        if self.found is None:
            self.found = self._turns(cursor)
        if not self.found:
            return rows
        return [self._turned(row, self.found) for row in rows]

    def _turns(self, cursor: Any) -> list[tuple[int, _Turn]]:
        turns = (
            kind.dialect_impl(self.dialect).result_processor(self.dialect, column[1])
            for kind, column in zip(self.types, cursor.description, strict=True)
        )
        return [(place, turn) for place, turn in enumerate(turns) if turn is not None]

    @staticmethod
    def _turned(row: tuple[Any, ...], turns: Sequence[tuple[int, _Turn]]) -> tuple[Any, ...]:
        values = list(row)
        for place, turn in turns:
            values[place] = turn(values[place])
        return tuple(values)


def _is_listened_to(connection: Connection) -> bool:
    """Whether somebody wants to hear of each statement, as tracing does: then SQLAlchemy runs it, and tells."""
    engine: Any = connection.engine
    return bool(engine._has_events)


@contextmanager
def _cursor(connection: Connection, text: str) -> Iterator[Any]:
    """The driver's, in the transaction of the connection. What it raises comes as SQLAlchemy's."""
    dialect: Any = connection.dialect
    driver = connection.connection
    cursor = driver.cursor()
    try:
        yield cursor
    except dialect.loaded_dbapi.Error as error:
        lost = dialect.is_disconnect(error, driver.dbapi_connection, cursor)
        if lost:
            connection.invalidate(error)
        kind = dialect.loaded_dbapi.Error
        raise DBAPIError.instance(
            text, None, error, kind, hide_parameters=True, connection_invalidated=lost, dialect=dialect
        ) from error
