"""Writers of one process that wait for each other on SQLite share a transaction.

SQLite writes one transaction at a time, and each commit waits for the disk: with eight writers a request would wait for
eight disks' turns. Whoever waits while another writes goes on in the same transaction instead, each part behind a
savepoint of its own, and one commit makes all of them durable (group commit: DeWitt et al. 1984, Implementation
techniques for main memory database systems). Nobody is answered before that commit.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from loop.store.turns import Turns

_MOST_PARTS = 32
# About what a commit to a disk takes.
_OPEN_SECONDS = 0.01


class CommitGroups:
    """Gives each writer a connection inside a transaction that it may share with those who waited for it.

    open_seconds: how long a transaction takes in further parts, after which the first of them need not wait for more.
    """

    def __init__(self, engine: Engine, timeout_seconds: float, open_seconds: float = _OPEN_SECONDS) -> None:
        self._engine = engine
        self._open_seconds = open_seconds
        self._turns = Turns(timeout_seconds)
        self._open: _Group | None = None  # belongs to whoever has the turn

    @property
    def waiting(self) -> int:
        """How many writers wait for their turn."""
        return self._turns.waiting

    @contextmanager
    def part(self) -> Iterator[Connection]:
        """A part of a transaction: undone where the block raises, durable when it has ended without.

        Raises Unavailable where it was not its turn in time, and what the commit raised, to all whose parts it had.
        """
        self._turns.take()
        try:
            group = self._open = self._open or _Group(self._engine)
        except BaseException:
            self._turns.pass_on()
            raise
        try:
            with group.part() as connection:
                yield connection
        except BaseException:
            self._leave(group)
            raise
        self._leave(group)
        group.wait()

    def _leave(self, group: "_Group") -> None:
        if group.takes_more(self._open_seconds) and self._turns.hand_over():
            return
        self._open = None
        try:
            group.end()
        finally:
            self._turns.pass_on()


class _Group:
    """One transaction of several parts, one after the other."""

    def __init__(self, engine: Engine) -> None:
        self._connection = engine.connect()
        try:
            self._transaction = self._connection.begin()
        except BaseException:
            self._connection.close()
            raise
        self._begun = time.monotonic()
        self._parts = 0
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def takes_more(self, open_seconds: float) -> bool:
        young = time.monotonic() - self._begun < open_seconds
        return young and 0 < self._parts < _MOST_PARTS and self._error is None

    @contextmanager
    def part(self) -> Iterator[Connection]:
        # The first needs no savepoint: where it fails there is nothing else to keep.
        shared = self._parts > 0
        if shared:
            self._say("SAVEPOINT part")
        try:
            yield self._connection
            if shared:
                self._say("RELEASE part")
        except BaseException as error:
            if shared:
                self._undo(error)
            raise
        self._parts += 1

    def _undo(self, error: BaseException) -> None:
        """A full disk or a failing one makes SQLite roll back all of the transaction: then no part has happened."""
        try:
            self._say("ROLLBACK TO part")
            self._say("RELEASE part")
        except Exception:
            self._error = error

    def _say(self, statement: str) -> None:
        """To the driver: SQLAlchemy's savepoints take as long as the statements between them."""
        self._connection.connection.execute(statement)

    def end(self) -> None:
        """Commit what was done; never raises what concerns others than those who `wait`."""
        try:
            if self._parts and self._error is None:
                self._transaction.commit()
            else:
                with suppress(SQLAlchemyError):
                    self._transaction.rollback()
        except BaseException as error:
            self._error = error
            self._connection.invalidate()  # whatever it is in the middle of ends with it
        finally:
            self._connection.close()
            self._ended.set()

    def wait(self) -> None:
        """Until the transaction has ended; raises what kept it from being committed."""
        self._ended.wait()
        if self._error is not None:
            raise self._error
