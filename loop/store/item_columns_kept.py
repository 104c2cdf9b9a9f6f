"""Columns of large projects in the memory of a process, and how they follow the database.

An item gets a new revision whenever what it is asked for by changes (loop/store/item_facts.py), and revisions become
visible in their order. So who asks reads what has a revision above the one that is held, in the transaction of the
question, and answers from columns that are as new as it. They are loaded beside the requests, in short transactions;
until then, and where too much has changed at once, the database answers.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, and_, func, literal, not_, null, select

from loop.domain.items.queries import SORTS
from loop.store.item_columns import FACTS, GOLDEN, LOT, Columns, Level, NotInColumns, Part, Term, merged
from loop.store.schema import golden_items, item_facts, item_revisions, item_terms, lot_items, lots
from loop.store.statements import in_parts, not_looked_up

log = logging.getLogger("askance.store")

# Items that a question waits for; of more that have changed the background reads so many at a time.
MOST_FOLLOWED = 5_000
_AT_ONCE = 10_000  # items of a transaction that loads
_LOOK_AGAIN_SECONDS = 60.0  # whether a project has become large, or what failed goes by now
_NOT_AGAIN_SECONDS = 3600.0  # where some of its digests are none, which reading them again does not change

_FACTS = [item_facts.c[name] for name in FACTS]
_SAME = and_(item_revisions.c.project_id == item_facts.c.project_id, item_revisions.c.digest == item_facts.c.digest)
# Gives a connection in a transaction that sees one moment.
Reading = Callable[[], AbstractContextManager[Connection]]
# Which of the items, by a column of their digests.
Which = Callable[[Column[str]], ColumnElement[bool]]


@dataclass(slots=True)
class _Held:
    """Columns of a project. since: when they were last brought forward."""

    columns: Columns
    since: float
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class ColumnsOf:
    """The columns for one transaction, which began at this time of `time.monotonic`. reads_only: else it sees what may
    be undone yet, and answers from columns only where they are of the same revision."""

    connection: Connection
    kept: "KeptColumns"
    begun: float
    reads_only: bool

    def __call__(self, project_id: str) -> Columns | None:
        """None: ask the database."""
        return self.kept.of(self.connection, project_id, begun=self.begun, follows=self.reads_only)


class KeptColumns:
    """Of all projects with at least so many items that somebody has asked for. Thread-safe."""

    def __init__(self, reading: Reading, at_least: int) -> None:
        self._reading = reading
        self._at_least = at_least
        self._held: dict[str, _Held] = {}
        self._looked_at: dict[str, float] = {}
        self._due: set[str] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def of(self, connection: Connection, project_id: str, *, begun: float, follows: bool) -> Columns | None:
        """As of the transaction of this connection or, where others have brought them forward since it has begun,
        somewhat newer; None: ask the database. follows: the transaction sees what is committed, and nothing else."""
        held = self._held.get(project_id)
        if held is None:
            self._look_at(project_id)
            return None
        columns, since = held.columns, held.since
        newest, witness = _seen(connection, project_id, columns.witness)
        if witness is None or min(newest, witness) < columns.revision:
            if since >= begun:
                return columns
            self._forget(project_id, held)
            return None
        if newest == columns.revision:
            return columns
        return self._brought_forward(connection, project_id, held, newest) if follows else None

    def load(self, project_id: str) -> bool:
        """All of a project's items, a part at a time; whether there are any. Raises NotInColumns."""
        with self._reading() as connection:
            newest = _newest(connection, project_id)
        if newest is None:
            return False
        levels = [Level(part) for part in self._parts(project_id)]
        columns = Columns((Level(merged(levels)),), *newest)
        held = _Held(columns, time.monotonic())
        while self._follow(project_id, held):
            pass
        held.columns = _as_one(held.columns)
        self._held[project_id] = held
        return True

    def see_to(self, project_id: str) -> None:
        """Load it where it is large; take all that has changed; make one part of many."""
        held = self._held.get(project_id)
        if held is None:
            if self._is_large(project_id):
                begun = time.monotonic()
                self.load(project_id)
                log.info("items of project %s are held in memory after %.0f s", project_id, time.monotonic() - begun)
            return
        while not self._stopped and self._follow(project_id, held):
            pass
        if held.columns.is_worn:
            _renew(held)

    def held(self, project_id: str) -> Columns | None:
        held = self._held.get(project_id)
        return None if held is None else held.columns

    def close(self) -> None:
        self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    # --- what a question waits for

    def _brought_forward(self, connection: Connection, project_id: str, held: _Held, newest: int) -> Columns | None:
        last = _last(connection, project_id, held.columns.revision, MOST_FOLLOWED)
        if last is not None and last < newest:
            self._ask_for(project_id)
            return None
        with held.lock:
            if newest <= held.columns.revision:  # another has done so meanwhile
                return held.columns
            try:
                _take(connection, project_id, held, newest)
            except NotInColumns:
                self._forget(project_id, held)
                return None
        if held.columns.is_worn:
            self._ask_for(project_id)
        return held.columns

    def _forget(self, project_id: str, held: _Held) -> None:
        """The database is not what it was."""
        with self._lock:
            if self._held.get(project_id) is held:
                del self._held[project_id]
        self._ask_for(project_id)

    def _look_at(self, project_id: str) -> None:
        looked_at = self._looked_at.get(project_id)
        if looked_at is None or time.monotonic() - looked_at > _LOOK_AGAIN_SECONDS:
            self._ask_for(project_id)

    # --- what goes on beside

    def _ask_for(self, project_id: str) -> None:
        with self._lock:
            self._looked_at[project_id] = time.monotonic()
            self._due.add(project_id)
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="columns of items", daemon=True)
                self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        while not self._stopped:
            self._wake.wait()
            self._wake.clear()
            with self._lock:
                due, self._due = self._due, set()
            for project_id in sorted(due):
                try:
                    self.see_to(project_id)
                except NotInColumns:
                    self._looked_at[project_id] = time.monotonic() + _NOT_AGAIN_SECONDS
                    if not self._stopped:
                        log.info("project %s has items that cannot be held in memory", project_id)
                except Exception:
                    if not self._stopped:
                        log.exception("items of project %s are not held in memory for a while", project_id)

    def _is_large(self, project_id: str) -> bool:
        of_project = item_facts.c.project_id == project_id
        last = select(item_facts.c.digest).where(of_project).order_by(item_facts.c.digest).offset(self._at_least - 1)
        with self._reading() as connection:
            return connection.execute(last.limit(1)).first() is not None

    def _parts(self, project_id: str) -> Iterator[Part]:
        after = ""
        while not self._stopped:
            begun = time.monotonic()
            with self._reading() as connection:
                part = _part_behind(connection, project_id, after)
            if part is None:
                return
            yield part
            after = part.digest(len(part) - 1)
            time.sleep(time.monotonic() - begun)  # half of the interpreter is for those who ask
        raise NotInColumns

    def _follow(self, project_id: str, held: _Held) -> bool:
        """Take some of what has changed; whether there was any."""
        with self._reading() as connection, held.lock:
            newest, witness = _seen(connection, project_id, held.columns.witness)
            if witness is None or min(newest, witness) < held.columns.revision:
                return False  # who asks finds out
            if newest == held.columns.revision:
                return False
            last = _last(connection, project_id, held.columns.revision, MOST_FOLLOWED)
            _take(connection, project_id, held, newest if last is None else last)
            return True


def _take(connection: Connection, project_id: str, held: _Held, until: int) -> None:
    """Under its lock: what has a revision up to this one."""
    revision = item_revisions.c.revision
    since = item_revisions.c.project_id == project_id, revision > held.columns.revision, revision <= until
    facts = connection.execute(select(*_FACTS, revision).join(item_revisions, _SAME).where(*since)).all()
    witness = next(row.digest for row in facts if row.revision == until)
    part = Part.of([row[:-1] for row in facts], _terms_of(connection, project_id, [row.digest for row in facts]))
    # In this order, and read in the other: columns are never newer than what is said of them.
    held.since = time.monotonic()
    held.columns = held.columns.changed(part, until, witness)


def _renew(held: _Held) -> None:
    """All parts become one, while others go on to ask and to take what is new; that is read again, by its revision."""
    renewed = _as_one(held.columns)
    with held.lock:
        held.columns = renewed


def _as_one(columns: Columns) -> Columns:
    levels = columns.levels
    one = levels[0].part if len(levels) == 1 and not levels[0].dead else merged(levels)
    for name in SORTS:
        one.order(name)
    return Columns((Level(one),), columns.revision, columns.witness)


# --- what is read ------------------------------------------------------------------------------------------


def _newest(connection: Connection, project_id: str) -> tuple[int, str] | None:
    """The largest revision, 0 where there is none, and an item that has it; None for a project without items."""
    of_project, revision = item_revisions.c.project_id == project_id, item_revisions.c.revision
    newest = select(revision, item_revisions.c.digest).where(of_project).order_by(revision.desc()).limit(1)
    any_item = select(literal(0), item_facts.c.digest).where(item_facts.c.project_id == project_id).limit(1)
    row = connection.execute(newest).first() or connection.execute(any_item).first()
    return None if row is None else (row[0], row[1])


def _seen(connection: Connection, project_id: str, witness: str) -> tuple[int, int | None]:
    """The largest revision, and that of one item, None where it is gone."""
    largest = select(func.max(item_revisions.c.revision)).where(item_revisions.c.project_id == project_id)
    of_witness = (
        select(func.coalesce(item_revisions.c.revision, 0))
        .select_from(item_facts.outerjoin(item_revisions, _SAME))
        .where(item_facts.c.project_id == project_id, item_facts.c.digest == witness)
    )
    row = connection.execute(select(func.coalesce(largest.scalar_subquery(), 0), of_witness.scalar_subquery())).one()
    return row[0], row[1]


def _last(connection: Connection, project_id: str, above: int, count: int) -> int | None:
    """The revision behind so many that are above this one, all items of which are to be read together; None where there
    are fewer."""
    revision = item_revisions.c.revision
    following = select(revision).where(item_revisions.c.project_id == project_id, revision > above).order_by(revision)
    return connection.execute(following.offset(count).limit(1)).scalar()


def _part_behind(connection: Connection, project_id: str, after: str) -> Part | None:
    digest = item_facts.c.digest
    of_project = item_facts.c.project_id == project_id, digest > after
    facts = connection.execute(select(*_FACTS).where(*of_project).order_by(digest).limit(_AT_ONCE)).all()
    if not facts:
        return None
    last = facts[-1][0]
    return Part.of(facts, _terms_where(connection, project_id, lambda column: (column > after) & (column <= last)))


def _terms_of(connection: Connection, project_id: str, digests: Sequence[str]) -> Iterator[Term]:
    for part in in_parts(digests):
        yield from _terms_where(connection, project_id, partial(_is_one_of, part))


def _is_one_of(digests: Sequence[str], column: Column[str]) -> ColumnElement[bool]:
    return column.in_(digests)


def _terms_where(connection: Connection, project_id: str, which: Which) -> Iterator[Term]:
    """And lots and golden items, which are no terms in the database."""
    sqlite = connection.dialect.name == "sqlite"
    yield from _rows(
        connection,
        select(item_terms.c.item_digest, item_terms.c.field, item_terms.c.value, item_terms.c.number).where(
            item_terms.c.project_id == project_id, which(item_terms.c.item_digest)
        ),
    )
    yield from _rows(
        connection,
        select(golden_items.c.item_digest, literal(GOLDEN), literal(""), null()).where(
            golden_items.c.project_id == project_id, which(golden_items.c.item_digest), not_(golden_items.c.removed)
        ),
    )
    of_project = not_looked_up(lots.c.project_id, sqlite=sqlite) == project_id
    yield from _rows(
        connection,
        select(lot_items.c.item_digest, literal(LOT), lot_items.c.lot_id, null())
        .join(lots, lots.c.id == lot_items.c.lot_id)
        .where(which(lot_items.c.item_digest), of_project, not_(lot_items.c.void))
        .distinct(),
    )


def _rows(connection: Connection, statement: Any) -> Iterator[Term]:
    for row in connection.execute(statement):
        yield tuple(row)
