"""What every table asks of the database: insert or say no, one row or NotFound, a page by its last key."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    TextClause,
    UnaryExpression,
    bindparam,
    insert,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import operators

from loop.domain.errors import Invalid, NotFound
from loop.store.ready import Ready
from loop.store.schema import predictions

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


Record = TypeVar("Record")

_AT_ONCE = 10_000  # rows of a stream
_IN_ONE_QUERY = 500  # values; databases limit them
_MANY = 50  # rows from which on a COPY is quicker than to send one INSERT after another


def columns(record: "DataclassInstance") -> dict[str, Any]:
    """The fields of a record by name, not descending into their values."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def inserted(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert `row`; False where a unique constraint forbids it.

    No error reaches the database session, so that a PostgreSQL transaction stays usable. A transaction that
    inserted the same key and is still open is waited for. Broken foreign keys and checks raise IntegrityError.
    """
    return _inserting(connection.dialect.name, table, tuple(row)).first(connection, row) is not None


def ignoring_conflicts(connection: Connection, table: Table) -> Any:
    """An insert that leaves rows alone which a unique constraint forbids."""
    return _ignoring_conflicts(connection.dialect.name, table)


def replaced(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert `row`, or write it over the one with its primary key."""
    _replacing(connection.dialect.name, table, tuple(row)).done(connection, row)


def inserted_of(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert `rows` at once; how many a unique constraint did not forbid. As `inserted` in all else."""
    return len(connection.execute(_returning_key(connection.dialect.name, table), list(rows)).all())


def insert_all(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, which name the same columns. Broken constraints raise IntegrityError.

    PostgreSQL takes many by COPY, for half of the CPU of here and there; an INSERT with many rows costs more than one
    for each, since SQLAlchemy writes its text anew.
    """
    if connection.dialect.name == "postgresql" and len(rows) >= _MANY:
        _copy(connection, table, rows)
    elif len(rows) == 1:
        insert_one(connection, table, rows[0])
    elif rows:
        _inserting_one(table, tuple(rows[0])).done_for_each(connection, rows)


def insert_one(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert `row`. Broken constraints raise IntegrityError."""
    _inserting_one(table, tuple(row)).done(connection, row)


@cache
def _inserting_one(table: Table, names: tuple[str, ...]) -> Ready:
    # Inline: PostgreSQL would else be asked for the number that it gave.
    return Ready(insert(table).inline(), takes=names)


def _copy(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """As an INSERT would bind the values; errors come as SQLAlchemy's."""
    dialect: Any = connection.dialect
    names = list(rows[0])
    quoted = dialect.identifier_preparer.quote
    text = f"COPY {quoted(table.name)} ({', '.join(map(quoted, names))}) FROM STDIN"
    bound = [(name, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names]
    driver: Any = connection.connection
    try:
        with driver.cursor() as cursor, cursor.copy(text) as copy:
            for row in rows:
                copy.write_row([row[name] if bind is None else bind(row[name]) for name, bind in bound])
    except dialect.loaded_dbapi.Error as error:
        raise DBAPIError.instance(
            text, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
        ) from error


@cache
def _ignoring_conflicts(dialect: str, table: Table) -> Any:
    return _insert(dialect, table).on_conflict_do_nothing()


def _insert(dialect: str, table: Table) -> Any:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table)


@cache
def _replacing(dialect: str, table: Table, names: tuple[str, ...]) -> Ready:
    insert = _insert(dialect, table)
    written = {name: insert.excluded[name] for name in names}
    return Ready(
        insert.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=written), takes=names
    )


@cache
def _inserting(dialect: str, table: Table, names: tuple[str, ...]) -> Ready:
    return Ready(_returning_key(dialect, table), takes=names)


@cache
def _returning_key(dialect: str, table: Table) -> Any:
    return _ignoring_conflicts(dialect, table).returning(next(iter(table.primary_key.columns)))


def one(connection: Connection, table: Table, what: str, **where: object) -> Row[Any]:
    """The row whose columns equal `where`. Raises NotFound, calling it `what`."""
    found = first(connection, table, **where)
    if found is None:
        raise not_found(what, **where)
    return found


def record(connection: Connection, kind: Callable[..., Record], table: Table, what: str, **where: object) -> Record:
    """The row whose columns equal `where`, as a record whose fields are the columns of the table. Raises NotFound,
    calling it `what`."""
    found = _ready_equal_to(table, tuple(where)).records(connection, kind, where)
    if not found:
        raise not_found(what, **where)
    return found[0]


@cache
def _ready_equal_to(table: Table, names: tuple[str, ...]) -> Ready:
    return Ready(_equal_to(table, names))


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


def not_looked_up(column: ColumnElement[Any], *, sqlite: bool) -> ColumnElement[Any]:
    """The column where no index is to be searched for it: without figures of a table SQLite's planner may take one that
    leaves nearly all of it, and takes none for a column with a plus before it."""
    return UnaryExpression(column, operator=operators.custom_op("+"), type_=column.type) if sqlite else column


def sorted_after(connection: Connection, *order: Column[Any], descending: bool = False) -> list[ColumnElement[Any]]:
    """To sort the few rows by that a condition leaves. Without figures of a table SQLite's planner would rather walk an
    index that has this order past all rows of the project."""
    fixed = [not_looked_up(column, sqlite=connection.dialect.name == "sqlite") for column in order]
    return [column.desc() if descending else column.asc() for column in fixed]


def in_parts(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many at a time as a query can name."""
    return (values[start : start + _IN_ONE_QUERY] for start in range(0, len(values), _IN_ONE_QUERY))


def not_found(what: str, **where: object) -> NotFound:
    described = ", ".join(f"{name} {value!r}" for name, value in where.items())
    return NotFound(
        f"there is no {what} with {described}.", hint="Check the id, and that it is of this project.", **where
    )


def newest_first(
    connection: Connection,
    table: Table,
    *,
    key: Column[str],
    project_id: str,
    after: str | None,
    limit: int,
    at: Column[Any] | None = None,
    where: Iterable[ColumnElement[bool]] = (),
) -> Sequence[Row[Any]]:
    """At most `limit` rows of a project by (at, key) descending, starting behind the row `after`. at: None: created_at.
    where: of those that meet all of it.

    Rows that are inserted meanwhile neither shift nor repeat a page. Raises Invalid for an unknown `after`.
    """
    at = table.c.created_at if at is None else at
    order = (at, key)
    statement = select(table).where(table.c.project_id == project_id, *where)
    if after is not None:
        statement = statement.where(_behind(connection, at, key, project_id, after))
    statement = statement.order_by(*(column.desc() for column in order)).limit(limit)
    return connection.execute(statement).all()


def _behind(
    connection: Connection, at: Column[Any], key: Column[str], project_id: str, after: str
) -> ColumnElement[bool]:
    cursor = connection.execute(select(at).where(at.table.c.project_id == project_id, key == after)).scalar()
    if cursor is None:
        raise Invalid(
            f"the page cannot start after {after!r}: it is not in this list.",
            hint="Take `after` from the last entry of the page before, or leave it out to start again.",
            after=after,
        )
    return tuple_(at, key) < tuple_(cursor, after)
