"""One number that tells whether anything was written that a gateway keeps in memory or the reconcile loop waits for.

Every write to projects, models, tokens and rollouts raises it first, in its own transaction, and so does whatever asks
for a promotion, a cycle, an annotation or a map. On PostgreSQL the row is
then locked until the commit: such transactions run one after the other, so the numbers become visible in their order,
and taking this lock before any other keeps them from deadlock. SQLite has one writer at a time anyway.
"""

import threading
from typing import Any

from sqlalchemy import Connection, Engine, PoolProxiedConnection, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from loop.store.engine import CONNECT_TIMEOUT_SECONDS
from loop.store.ready import Ready
from loop.store.schema import configuration

_REVISION_SQL = f"SELECT revision FROM {configuration.name} WHERE id = 1"  # noqa: S608 - a name of ours
REVISION = select(configuration.c.revision).where(configuration.c.id == literal_column("1"))
_REVISION = Ready(REVISION)


def revision_in(connection: Connection) -> int | None:
    """As the transaction of the connection sees it now; None in a database where nothing was written yet."""
    found = _REVISION.first(connection, {})
    return None if found is None else int(found[0])


class SqlConfiguration:
    """Implements `loop.domain.ports.Configuration`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def revision(self) -> int:
        """0 in a database where nothing was written yet."""
        return revision_in(self._connection) or 0


class KeptRevision:
    """The revision that is committed, by a connection which is kept for nothing else and has no transaction: it is
    asked for with every request, and a reading transaction costs ten times as much. Thread-safe.

    Raises what the driver and SQLAlchemy raise; the next call connects anew.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: PoolProxiedConnection | None = None

    def __call__(self) -> int:
        with self._lock:
            return self._asked()

    def at_once(self) -> int | None:
        """The same without waiting for anything, for an event loop: SQLite is in this process, and readers of a WAL
        wait for nobody. None where it cannot be had so."""
        if self._engine.dialect.name != "sqlite" or not self._lock.acquire(blocking=False):
            return None
        try:
            return self._asked()
        except (SQLAlchemyError, self._engine.dialect.loaded_dbapi.Error):
            return None
        finally:
            self._lock.release()

    def _asked(self) -> int:
        if self._connection is None:
            self._connection = self._connected()
        try:
            cursor = self._connection.cursor()
            cursor.execute(_REVISION_SQL)
            rows = cursor.fetchall()  # to the end: an open statement would keep SQLite's checkpoints waiting
            cursor.close()
        except BaseException:
            connection, self._connection = self._connection, None
            connection.invalidate()
            raise
        return int(rows[0][0]) if rows else 0

    def close(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _connected(self) -> PoolProxiedConnection:
        connection = self._engine.raw_connection()
        if self._engine.dialect.name == "postgresql":
            connection.driver_connection.autocommit = True  # type: ignore[union-attr]
        else:
            connection.cursor().execute("PRAGMA busy_timeout = 0")  # whoever can wait asks in a transaction then
        connection.detach()  # it never goes back to the pool
        return connection


def raise_revision(connection: Connection) -> None:
    """Called before each write that others must learn of at once."""
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    first = dialect.insert(configuration).values(id=1, revision=1)
    connection.execute(
        first.on_conflict_do_update(index_elements=["id"], set_={"revision": configuration.c.revision + 1})
    )


class LoopRevisions:
    """Implements `loop.domain.ports.Revisions`. On PostgreSQL by a connection of the event loop: to hand the question
    to a thread and back takes seven times the processor time of asking it, and has two threads wait for each other."""

    def __init__(self, engine: Engine, kept: KeptRevision) -> None:
        self._engine = engine
        self._kept = kept
        self._connection: Any = None  # psycopg.AsyncConnection

    def at_once(self) -> int | None:
        return self._kept.at_once()

    async def awaited(self) -> int | None:
        if self._engine.dialect.name != "postgresql":
            return None
        try:
            return await self._asked()
        except (OSError, self._engine.dialect.loaded_dbapi.Error):
            await self.close()  # whoever asks in a thread learns what is wrong; the next call connects anew
            return None

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _asked(self) -> int:
        if self._connection is None:
            self._connection = await self._connected()
        cursor = await self._connection.execute(_REVISION_SQL)
        row = await cursor.fetchone()
        return int(row[0]) if row else 0

    async def _connected(self) -> Any:
        from psycopg import AsyncConnection

        arguments, named = self._engine.dialect.create_connect_args(self._engine.url)
        return await AsyncConnection.connect(
            *arguments, **named, connect_timeout=CONNECT_TIMEOUT_SECONDS, autocommit=True
        )
