"""What every table asks of the database: insert or say no, one row or NotFound, a page by its last key."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, Table, TextClause, bindparam, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from loop.domain.errors import Invalid, NotFound
from loop.store.schema import predictions

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


_AT_ONCE = 10_000  # rows of a stream


def columns(record: "DataclassInstance") -> dict[str, Any]:
    """The fields of a record by name, not descending into their values."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def inserted(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert `row`; False where a unique constraint forbids it.

    No error reaches the database session, so that a PostgreSQL transaction stays usable. A transaction that
    inserted the same key and is still open is waited for. Broken foreign keys and checks raise IntegrityError.
    """
    key = next(iter(table.primary_key.columns))
    statement = ignoring_conflicts(connection, table).values(**row).returning(key)
    return connection.execute(statement).first() is not None


def ignoring_conflicts(connection: Connection, table: Table) -> Any:
    """An insert that leaves rows alone which a unique constraint forbids."""
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def inserted_of(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert `rows` at once; how many a unique constraint did not forbid. As `inserted` in all else."""
    key = next(iter(table.primary_key.columns))
    statement = ignoring_conflicts(connection, table).returning(key)
    return len(connection.execute(statement, list(rows)).all())


def put(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert `row`, or write it over the one with its primary key."""
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    key = [column.name for column in table.primary_key.columns]
    connection.execute(dialect.insert(table).values(row).on_conflict_do_update(index_elements=key, set_=dict(row)))


def one(connection: Connection, table: Table, what: str, **where: object) -> Row[Any]:
    """The row whose columns equal `where`. Raises NotFound, calling it `what`."""
    found = first(connection, table, **where)
    if found is None:
        raise not_found(what, **where)
    return found


def first(connection: Connection, table: Table, **where: object) -> Row[Any] | None:
    return connection.execute(_equal_to(table, tuple(where)), where).first()


@cache
def _equal_to(table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Made once: SQLAlchemy takes as long to make a small query as SQLite to answer it."""
    return select(table).where(*(table.c[name] == bindparam(name, type_=table.c[name].type) for name in names))


def each_once(
    connection: Connection, column: Column[str], project_id: str, *where: ColumnElement[bool] | TextClause
) -> Iterator[str]:
    """The values of a column in a project's rows, in no order; not all of them are held at once."""
    found = select(column).where(column.table.c.project_id == project_id, *where).distinct()
    return iter(connection.execute(found, execution_options={"yield_per": _AT_ONCE}).scalars())


def feed_after(
    connection: Connection, feed: Table, *wanted: Column[Any], project_id: str, model_id: str, sequence: int, limit: int
) -> Sequence[Row[Any]]:
    """At most `limit` rows of a model's feed behind a sequence, in its order: `sequence`, `prediction_id`, and the
    columns `wanted`, of the feed or of its predictions.

    Numbers are given in the order of the commits (loop/store/appends.py), so a reader that goes on from the last number
    it saw misses nothing and sees nothing twice. Numbers may have gaps. A transaction does not see its own rows here.
    """
    statement = (
        select(feed.c.sequence, feed.c.prediction_id, *wanted)
        .join(predictions, predictions.c.id == feed.c.prediction_id)
        .where(feed.c.project_id == project_id, feed.c.model_id == model_id, feed.c.sequence > sequence)
        .order_by(feed.c.sequence)
        .limit(limit)
    )
    return connection.execute(statement).all()


def not_found(what: str, **where: object) -> NotFound:
    described = ", ".join(f"{name} {value!r}" for name, value in where.items())
    return NotFound(
        f"there is no {what} with {described}.", hint="Check the id, and that it is of this project.", **where
    )


def newest_first(
    connection: Connection, table: Table, *, key: Column[str], project_id: str, after: str | None, limit: int
) -> Sequence[Row[Any]]:
    """At most `limit` rows of a project by (created_at, key) descending, starting behind the row `after`.

    Rows that are inserted meanwhile neither shift nor repeat a page. Raises Invalid for an unknown `after`.
    """
    order = (table.c.created_at, key)
    statement = select(table).where(table.c.project_id == project_id)
    if after is not None:
        statement = statement.where(_behind(connection, table, key, project_id, after))
    statement = statement.order_by(*(column.desc() for column in order)).limit(limit)
    return connection.execute(statement).all()


def _behind(connection: Connection, table: Table, key: Column[str], project_id: str, after: str) -> ColumnElement[bool]:
    cursor = connection.execute(
        select(table.c.created_at).where(table.c.project_id == project_id, key == after)
    ).scalar()
    if cursor is None:
        raise Invalid(
            f"the page cannot start after {after!r}: it is not in this list.",
            hint="Take `after` from the last entry of the page before, or leave it out to start again.",
            after=after,
        )
    return tuple_(table.c.created_at, key) < tuple_(cursor, after)
