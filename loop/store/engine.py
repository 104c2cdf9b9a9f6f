"""Connections with the settings that durability and the locks rely on (PITFALLS: SQLite, PostgreSQL)."""

import importlib
import json
import sqlite3
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, Select, create_engine, event, make_url
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from loop.domain.errors import SettingsError

BUSY_TIMEOUT_SECONDS = 30
# A client that stops in mid-transaction (SIGSTOP, a lost network) must not hold its locks for long.
_IDLE_IN_TRANSACTION_SECONDS = 60
CONNECT_TIMEOUT_SECONDS = 10

# The one driver of each database; a URL may leave it out.
_DRIVERS = {"sqlite+pysqlite": "sqlite", "postgresql": "postgresql+psycopg"}

# Made once: json.dumps would make an encoder for each document, and json.loads guess how each is written.
_JSON = json.JSONEncoder(allow_nan=False).encode
_DECODER = json.JSONDecoder()

_URL_HINT = "Set database.url to sqlite:////absolute/path.db or postgresql+psycopg://user@host/database."


def _document(kept: str | bytes) -> Any:
    return _DECODER.decode(kept if isinstance(kept, str) else str(kept, "utf-8"))


def engine_for(url: str) -> Engine:
    """An engine for `url`; connects to nothing. Raises SettingsError for a URL that names no usable database."""
    parsed = _parsed(url)
    return (
        _sqlite_engine(parsed, _WRITING, **_POOLED)
        if parsed.get_backend_name() == "sqlite"
        else _postgresql_engine(parsed)
    )


def reading(engine: Engine) -> Engine:
    """Of the same database, for transactions that see one moment and may not write."""
    if engine.dialect.name == "postgresql":
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    return _sqlite_engine(engine.url, _READING, **_POOLED)


def migrating(engine: Engine) -> Engine:
    """Of the same database, for transactions that change tables; keeps no connection."""
    if engine.dialect.name == "postgresql":
        return engine
    return _sqlite_engine(engine.url, _MIGRATING, poolclass=NullPool)


def prepare(engine: Engine) -> None:
    """Connect once; on SQLite choose the journal, which the file remembers."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            _set_journal(connection, "wal" if _wal_is_safe(_sqlite_version(engine)) else "delete")


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError("the database URL cannot be read.", hint=_URL_HINT) from None
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise SettingsError(f"{parsed.drivername!r} is not a database that Askance can use.", hint=_URL_HINT)
    if parsed.drivername == "sqlite":
        _check_file(parsed)
    return parsed


def _check_file(url: URL) -> None:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise SettingsError("the SQLite URL names no file.", hint=_URL_HINT)
    folder = Path(url.database).parent
    if not folder.is_dir():
        raise SettingsError(f"the folder {folder} of the database does not exist.", hint=f"Make it: mkdir -p {folder}")


# --- SQLite --------------------------------------------------------------------------------------


def _sqlite_module() -> ModuleType:
    """pysqlite3 brings a newer SQLite than Python; where it has no wheels, Python's own must do."""
    if sys.platform == "linux":
        try:
            return importlib.import_module("pysqlite3.dbapi2")
        except ImportError:
            return sqlite3
    return sqlite3


def _sqlite_version(engine: Engine) -> tuple[int, ...]:
    version: tuple[int, ...] = engine.dialect.dbapi.sqlite_version_info  # type: ignore[union-attr]
    return version


def _wal_is_safe(version: tuple[int, ...]) -> bool:
    """Versions 3.7.0 to 3.51.2 can corrupt a WAL database that has several connections, but for backports."""
    backported = (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return version >= (3, 51, 3) or backported


@dataclass(frozen=True, slots=True)
class _Use:
    """What the connections of an engine are for. begin: how their transactions do."""

    begin: str
    pragmas: tuple[str, ...] = ("foreign_keys = ON",)


# Writers take the lock before they read: a transaction that reads first and writes later fails at once with
# SQLITE_BUSY_SNAPSHOT where another has written in between, whatever the timeout.
_WRITING = _Use("BEGIN IMMEDIATE")
_READING = _Use("BEGIN", ("query_only = ON",))
# Rebuilding a table drops it, which would delete what refers to it. Cannot be set inside a transaction.
_MIGRATING = _Use("BEGIN IMMEDIATE", ("foreign_keys = OFF",))

_POOLED: dict[str, Any] = {"pool_size": 20, "max_overflow": 40}


def _sqlite_engine(url: URL, use: _Use, **pool: Any) -> Engine:
    engine = create_engine(
        url,
        module=_sqlite_module(),
        # None: the driver begins nothing by itself; the dialect does.
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "isolation_level": None, "check_same_thread": False},
        json_serializer=_JSON,
        json_deserializer=_document,
        hide_parameters=True,
        **pool,
    )
    event.listen(engine, "connect", partial(_set_pragmas, use.pragmas))
    # Not by SQLAlchemy's event: an engine that is listened to spends a twentieth more on every statement.
    dialect: Any = engine.dialect
    dialect.do_begin = partial(_begin, use.begin)
    dialect.statement_compiler = _Compiler
    return engine


class _Compiler(SQLiteCompiler):
    """SQLite plans a statement anew whenever a bare parameter is bound that the plan may rest on, as in `LIMIT ?`: that
    takes several times as long as to run it. It does not look into an expression."""

    def limit_clause(self, select: Select[Any], **given: Any) -> str:
        limit, offset = select._limit_clause, select._offset_clause
        if limit is None and offset is None:
            return ""
        text = "\n LIMIT " + ("-1" if limit is None else "+" + self.process(limit, **given))
        return text if offset is None else f"{text} OFFSET {self.process(offset, **given)}"

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
        """`INDEXED BY …`, which SQLAlchemy leaves out."""
        return text


def _set_pragmas(pragmas: Sequence[str], connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (f"busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000}", "synchronous = FULL", *pragmas):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(statement: str, connection: Any) -> None:
    connection.execute(statement)


def _set_journal(connection: Connection, mode: str) -> None:
    """SQLite does not wait for the lock that changing the journal needs, so we do."""
    raw = connection.connection.cursor()
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    try:
        while raw.execute("PRAGMA journal_mode").fetchone()[0] != mode:
            try:
                raw.execute(f"PRAGMA journal_mode = {mode}")
            except Exception as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise _as_sqlalchemy(error) from error
                time.sleep(0.05)
    finally:
        raw.close()


def _as_sqlalchemy(error: Exception) -> DBAPIError:
    return DBAPIError("PRAGMA journal_mode", None, error)


# --- PostgreSQL ----------------------------------------------------------------------------------


def _postgresql_engine(url: URL) -> Engine:
    try:
        driver = importlib.import_module("loop.store.postgresql")
        engine = create_engine(
            url,
            # Whatever the server's default: the compare-and-swaps count on each statement seeing what is committed.
            isolation_level="READ COMMITTED",
            connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS, "cursor_factory": driver.LazilyDescribed},
            pool_pre_ping=True,
            pool_size=10,
            max_overflow=20,
            json_serializer=_JSON,
            json_deserializer=_document,
            hide_parameters=True,
        )
    except (NoSuchModuleError, ImportError):
        raise SettingsError("psycopg is not installed.", hint="pip install 'psycopg[binary]'") from None
    event.listen(engine, "connect", _set_session)
    dialect: Any = engine.dialect
    dialect.do_ping = driver.Ping(dialect.do_ping)
    return engine


def _set_session(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET timezone = 'UTC'")
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_IN_TRANSACTION_SECONDS}s'")
        cursor.execute(f"SET lock_timeout = '{BUSY_TIMEOUT_SECONDS}s'")
        # Off would answer before the commit is on disk; stronger settings of the server stay.
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()
