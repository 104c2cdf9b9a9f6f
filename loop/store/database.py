"""The store: opens the database, keeps its schema at the head, and hands out transactions."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, func, inspect, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from loop.domain import ports
from loop.domain.errors import SettingsError, Unavailable
from loop.store.commit_groups import CommitGroups
from loop.store.configuration import KeptRevision, LoopRevisions
from loop.store.engine import BUSY_TIMEOUT_SECONDS, engine_for, migrating, prepare, reading
from loop.store.faults import place, translated
from loop.store.item_columns_kept import ColumnsOf, KeptColumns
from loop.store.projects import KeptProjects
from loop.store.schema import meta
from loop.store.statements import inserted
from loop.store.transaction import SqlTransaction

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).with_name("migrations")

# Their files are named by their revisions, which ascend.
_NEWEST = max(path.stem[1:].partition("_")[0] for path in (MIGRATIONS / "versions").glob("r[0-9]*.py"))

# Any number that nothing else in this database locks; "askmigra" in ASCII.
_MIGRATION_LOCK = int.from_bytes(b"askmigra", "big")
_SECRET_BYTES = 32

# Alembic keeps its present environment in a global: two databases of one process take turns.
_ALEMBIC = threading.Lock()


class ReadOnlyTransaction(RuntimeError):
    """Something wrote in a transaction of `SqlStore.read`: a bug of the caller."""


class SqlStore:
    """Implements `loop.domain.ports.Store` on SQLite or PostgreSQL.

    Thread-safe: each transaction has a connection of its own. Any method raises Unavailable where the
    database cannot be reached, is locked for longer than 30 s, or has no tables yet.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = reading(engine)
        self._revision = KeptRevision(engine)
        # PostgreSQL has several writers at a time, and its own group commit.
        self._groups = CommitGroups(engine, BUSY_TIMEOUT_SECONDS) if engine.dialect.name == "sqlite" else None
        self._projects: KeptProjects = {}
        self._columns: KeptColumns | None = None
        self._secret: bytes | None = None
        self._secret_lock = threading.Lock()

    @classmethod
    def open(cls, url: str) -> "SqlStore":
        """Connect to `sqlite:////absolute/path.db` (made where missing, its folder must exist) or
        `postgresql+psycopg://user:password@host/database`. Changes no table: see `migrate`.

        Raises SettingsError for a URL that cannot work, Unavailable where the server does not answer.
        """
        engine = engine_for(url)
        with translated(engine.url):
            prepare(engine)
        return cls(engine)

    @contextmanager
    def begin(self) -> Iterator[ports.Transaction]:
        """A writing transaction: commits when the block ends, rolls back when it raises.

        SQLite has one at a time, in the order of asking: never begin one inside another. Those that waited may be
        committed together. On PostgreSQL they run side by side at READ COMMITTED: read what a decision rests on
        with `for_update`, or leave it to the constraints.
        """
        with translated(self._engine.url), self._writing() as connection:
            transaction = SqlTransaction(connection, self._projects, self._columns_of(connection, reads_only=False))
            yield transaction
            transaction.finish()
        transaction.committed()

    def _writing(self) -> AbstractContextManager[Connection]:
        return self._groups.part() if self._groups else self._engine.begin()

    @contextmanager
    def read(self) -> Iterator[ports.Transaction]:
        """A transaction that sees one moment of the database. Raises ReadOnlyTransaction where it writes."""
        with translated(self._engine.url), self._reading() as connection, _write_refused():
            transaction = SqlTransaction(connection, self._projects, self._columns_of(connection, reads_only=True))
            yield transaction
            transaction.finish()
        transaction.committed()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._reader.connect() as connection, connection.begin():
            yield connection

    def hold_columns(self, at_least: int) -> None:
        """From now on answer `tx.item_queries` of projects with so many items from memory (loop/store/item_columns.py),
        as soon as they have been asked for and are loaded; 0: not at all."""
        before, self._columns = self._columns, KeptColumns(self._reading, at_least) if at_least else None
        if before is not None:
            before.close()

    @property
    def columns(self) -> KeptColumns | None:
        return self._columns

    def _columns_of(self, connection: Connection, *, reads_only: bool) -> ColumnsOf | None:
        kept = self._columns
        return None if kept is None else ColumnsOf(connection, kept, time.monotonic(), reads_only)

    def revision(self) -> int:
        """What `tx.configuration.revision()` says in a transaction that begins now, at a tenth of its cost."""
        try:
            return self._revision()
        except (SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error):
            with self.read() as tx:  # perhaps only that connection was cut; else this says what is wrong
                return tx.configuration.revision()

    def revisions(self) -> LoopRevisions:
        """The same for an event loop; close it there."""
        return LoopRevisions(self._engine, self._revision)

    def secret(self) -> bytes:
        """32 random bytes, made once per database whoever asks first, then the same for ever."""
        with self._secret_lock:
            if self._secret is None:
                self._secret = self._stored_secret()
            return self._secret

    def migrate(self) -> None:
        """Bring the tables to this version's schema. Processes that start together do it one after the other.

        Raises SettingsError where a newer version of Askance made the database.
        """
        if self._is_at_head():  # as for every process of a service but the first
            return
        with _ALEMBIC, translated(self._engine.url), migrating(self._engine).begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            self._upgrade(connection)
            _require_keys(connection)

    def check(self) -> list[str]:
        """What is wrong with the database, in words; empty when sound. Reads every page of a SQLite file."""
        with translated(self._engine.url), self._reader.connect() as connection, connection.begin():
            found = _revision(connection)
            problems = [] if found == _NEWEST else [f"the schema is at revision {found}, not {_NEWEST}"]
            if connection.dialect.name == "sqlite":
                results = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
                problems += [str(result) for result in results if result != "ok"]
                problems += _broken_keys(connection)
            return problems

    def close(self) -> None:
        """Close the idle connections; transactions that are under way end by themselves."""
        self.hold_columns(0)
        self._revision.close()
        self._reader.dispose()
        self._engine.dispose()

    def _is_at_head(self) -> bool:
        """Without Alembic, which takes as long as all else that a process does here: it compiles every migration."""
        with translated(self._engine.url), self._reader.connect() as connection, connection.begin():
            return _revision(connection) == _NEWEST

    def _upgrade(self, connection: Connection) -> None:
        from alembic import command
        from alembic.util import CommandError

        try:
            command.upgrade(migrations(connection), "head")
        except CommandError as error:
            raise SettingsError(
                f"the database {place(self._engine.url)} is of another version of Askance ({error}).",
                hint="Install the newest version, or name another database in database.url.",
            ) from error

    def _stored_secret(self) -> bytes:
        asked = select(meta.c.value).where(meta.c.name == "secret")
        with translated(self._engine.url):
            with self._reader.connect() as connection, connection.begin():
                stored = connection.execute(asked).scalar()
            if stored is None:
                with self._engine.connect() as connection, connection.begin():
                    inserted(connection, meta, {"name": "secret", "value": secrets.token_bytes(_SECRET_BYTES)})
                    stored = connection.execute(asked).scalar_one()
        return bytes(stored)


def migrations(connection: Connection) -> "Config":
    """For Alembic's commands on the database of this connection, in its transaction."""
    from alembic.config import Config  # a third of what a process loads for the store, most of which never migrate

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return revision


def _broken_keys(connection: Connection) -> list[str]:
    rows = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    return [f"row {row[1]} of {row[0]} refers to a row of {row[2]} that does not exist" for row in rows]


def _require_keys(connection: Connection) -> None:
    if connection.dialect.name == "sqlite" and (broken := _broken_keys(connection)):
        raise Unavailable(
            f"the migration would leave broken references ({broken[0]}); nothing was changed.",
            hint="Report this, and keep the version of Askance that you had.",
        )


@contextmanager
def _write_refused() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        words = str(error.orig)
        if "readonly database" in words or "read-only transaction" in words:
            raise ReadOnlyTransaction("a reading transaction cannot write; use SqlStore.begin") from error
        raise
