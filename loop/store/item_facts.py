"""What items are asked for by: a row of facts and some terms for each, which repeat what other tables say.

Nobody who leases or answers waits for them: a transaction notes which items it changes (`ItemChanges`), and who asks
brings the facts up to date first (`ItemFacts`), many changes of an item at once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import IntFlag
from functools import cache, reduce
from operator import or_
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Table,
    Update,
    and_,
    bindparam,
    case,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from loop.domain.item import Item
from loop.domain.items.queries import META, captured_in, number_in
from loop.domain.review.tasks import TaskState
from loop.store.schema import (
    ORDINARY_TASK,
    changed_items,
    efforts,
    ground_truths,
    item_facts,
    item_revisions,
    item_terms,
    items,
    predictions,
    submissions,
    tasks,
)
from loop.store.statements import in_parts, insert_all

# Of a text; an index of PostgreSQL holds 2.7 kB of a row.
LONGEST = 200
LONGEST_KEY = 100

DETECTION, SHAPE = "detection", "shape"

# Any number that nothing else in this database locks; "askfacts" in ASCII.
_FOLLOWING_LOCK = int.from_bytes(b"askfacts", "big")


class Change(IntFlag):
    """What is new of an item. Each kind can change some of its facts."""

    ADDED = 1
    MOVED = 2  # to another split or group
    PREDICTED = 4
    ANSWERED = 8
    SETTLED = 16
    WORKED = 32
    # What is no fact.
    TAGGED = 64
    LOTTED = 128  # put into a lot, or taken out of it
    GOLDEN = 256
    DESCRIBED = 512  # by what is said of it under free keys


_OF_ITEM = ("media_type", "width", "height", "created_at", "split")


def _same_item(table: Table) -> Any:
    return and_(table.c.project_id == item_facts.c.project_id, table.c.item_digest == item_facts.c.digest)


def _of_item(wanted: ColumnElement[Any]) -> ScalarSelect[Any]:
    mine = items.c.project_id == item_facts.c.project_id, items.c.digest == item_facts.c.digest
    return select(wanted).where(*mine).scalar_subquery()


def _newest_prediction(wanted: Any) -> ScalarSelect[Any]:
    newest = predictions.c.created_at.desc(), predictions.c.id.desc()
    return select(wanted).where(_same_item(predictions)).order_by(*newest).limit(1).scalar_subquery()


# The largest, as words go: open before leased, done, and skipped, which the digit puts below all others everywhere.
_WORK = (
    select(
        func.ltrim(
            func.max(
                case(
                    (tasks.c.state == TaskState.SKIPPED, "0skipped"),
                    else_=func.substr(tasks.c.state, 1),  # as text, for the two to be of one type
                )
            ),
            "0",
        )
    )
    .where(_same_item(tasks), ORDINARY_TASK)
    .scalar_subquery()
)
_CORRECTIONS = (
    select(efforts.c.corrections)
    .join(submissions, submissions.c.id == efforts.c.submission_id)
    .where(_same_item(submissions), submissions.c.settles, efforts.c.corrections.is_not(None))
    .order_by(submissions.c.created_at.desc(), submissions.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_SHAPES = (
    select(ground_truths.c.shapes)
    .where(_same_item(ground_truths))
    .order_by(ground_truths.c.version.desc())
    .limit(1)
    .scalar_subquery()
)

_THESE = and_(
    item_facts.c.project_id == bindparam("of_project"), item_facts.c.digest.in_(bindparam("of_items", expanding=True))
)
_CHANGED: Mapping[Change, Mapping[str, Any]] = {
    Change.MOVED: {
        "split": _of_item(items.c.split),
        "group": _of_item(func.substr(items.c.group, 1, LONGEST)),
    },
    Change.PREDICTED: {
        "model_id": _newest_prediction(predictions.c.model_id),
        "risk": _newest_prediction(predictions.c.risk),
        "routed": _newest_prediction(
            func.coalesce(func.substr(predictions.c.stage, 1), func.substr(predictions.c.action, 1))
        ),
    },
    Change.ANSWERED: {"corrections": _CORRECTIONS},
    Change.SETTLED: {
        "truth_version": select(func.coalesce(func.max(ground_truths.c.version), 0))
        .where(_same_item(ground_truths))
        .scalar_subquery()
    },
    Change.WORKED: {"work": _WORK},
}


# The other kinds change what is kept elsewhere: nothing but the revision.
_OF_FACTS = reduce(or_, _CHANGED)


@cache
def _refreshed(changes: Change) -> Update:
    values = {name: value for change in changes for name, value in _CHANGED[change].items()}
    return update(item_facts).where(_THESE).values(**values)


@cache
def _revised(dialect: str) -> Any:
    """The revision of those that have facts."""
    build: Any = postgresql if dialect == "postgresql" else sqlite
    revision = bindparam("new_revision", type_=item_revisions.c.revision.type)
    having = select(item_facts.c.project_id, item_facts.c.digest, revision).where(_THESE)
    inserted = build.insert(item_revisions).from_select(["project_id", "digest", "revision"], having)
    return inserted.on_conflict_do_update(
        index_elements=["project_id", "digest"], set_={"revision": inserted.excluded.revision}
    )


_TIMED = item_facts.c.digest, item_facts.c.created_at, item_facts.c.captured_at
_LABELLED = {
    DETECTION: select(*_TIMED, _newest_prediction(predictions.c.detections).label("labelled")).where(_THESE),
    SHAPE: select(*_TIMED, _SHAPES.label("labelled")).where(_THESE),
}
_FORGOTTEN = delete(item_terms).where(
    item_terms.c.project_id == bindparam("of_project"),
    item_terms.c.field == bindparam("of_field"),
    item_terms.c.item_digest.in_(bindparam("of_items", expanding=True)),
)
# All fields that begin so: "/" is what comes behind "." and an index is read in this order.
_UNDESCRIBED = delete(item_terms).where(
    item_terms.c.project_id == bindparam("of_project"),
    item_terms.c.item_digest.in_(bindparam("of_items", expanding=True)),
    item_terms.c.field >= META,
    item_terms.c.field < META[:-1] + chr(ord(META[-1]) + 1),
)
_TAKEN = select(item_facts.c.digest, item_facts.c.captured_at).where(_THESE)
_RETIMED = tuple(
    update(table)
    .where(table.c.project_id == bindparam("of_project"), digest == bindparam("of_item"))
    .values(captured_at=bindparam("new", type_=table.c.captured_at.type))
    for table, digest in ((item_facts, item_facts.c.digest), (item_terms, item_terms.c.item_digest))
)


class ItemChanges:
    """The items that this transaction says something new of."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._noted: dict[tuple[str, str], Change] = {}

    def note(self, project_id: str, digest: str, change: Change) -> None:
        key = project_id, digest
        self._noted[key] = self._noted.get(key, Change(0)) | change

    def write(self) -> None:
        if not self._noted:
            return
        noted, self._noted = self._noted, {}
        rows = [
            {"project_id": project_id, "item_digest": digest, "changes": int(changes)}
            for (project_id, digest), changes in noted.items()
        ]
        insert_all(self._connection, changed_items, rows)


class ItemFacts:
    """The facts of all items, made to follow what was noted."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def are_behind(self) -> bool:
        return self._connection.execute(select(changed_items.c.sequence).limit(1)).first() is not None

    def follow(self, limit: int) -> int:
        """Take at most `limit` of the changes that are committed into the facts; how many there were.

        One transaction at a time: who waited reads what is true after the other, and gives the next revision. The lock
        goes with the commit, when all that begins sees it; so who sees a revision sees all below.
        """
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(select(func.pg_advisory_xact_lock(_FOLLOWING_LOCK)))
        oldest = select(changed_items.c.sequence).order_by(changed_items.c.sequence).limit(limit).scalar_subquery()
        taken = delete(changed_items).where(changed_items.c.sequence.in_(oldest))
        rows = self._connection.execute(
            taken.returning(changed_items.c.project_id, changed_items.c.item_digest, changed_items.c.changes)
        ).all()
        by_project: dict[str, dict[str, Change]] = {}
        for project_id, digest, changes in rows:
            of_project = by_project.setdefault(project_id, {})
            of_project[digest] = of_project.get(digest, Change(0)) | Change(changes)
        for project_id, of_project in by_project.items():
            revision = self._next_revision(project_id)
            for part in in_parts(sorted(of_project)):
                self._take(project_id, {digest: of_project[digest] for digest in part}, revision)
        return len(rows)

    def _next_revision(self, project_id: str) -> int:
        largest = select(func.max(item_revisions.c.revision)).where(item_revisions.c.project_id == project_id)
        return int(self._connection.execute(largest).scalar() or 0) + 1

    def _take(self, project_id: str, changes: Mapping[str, Change], revision: int) -> None:
        self._add(project_id, added := _having(Change.ADDED, changes))
        self._describe(project_id, sorted(set(_having(Change.DESCRIBED, changes)) - set(added)))
        alike: dict[Change, list[str]] = {}
        for digest, which in changes.items():
            alike.setdefault(which & _OF_FACTS, []).append(digest)
        for together, digests in alike.items():
            if together:
                self._connection.execute(_refreshed(together), {"of_project": project_id, "of_items": digests})
        self._relabel(project_id, DETECTION, _having(Change.PREDICTED, changes), new=_having(Change.ADDED, changes))
        self._relabel(project_id, SHAPE, _having(Change.SETTLED, changes), new=_having(Change.ADDED, changes))
        revised = _revised(self._connection.dialect.name)
        self._connection.execute(
            revised, {"of_project": project_id, "of_items": list(changes), "new_revision": revision}
        )

    def _add(self, project_id: str, digests: Sequence[str]) -> None:
        if not digests:
            return
        of_project = items.c.project_id == project_id
        rows = self._connection.execute(select(items).where(of_project, items.c.digest.in_(digests)))
        added = [Item(**row._mapping) for row in rows]
        insert_all(self._connection, item_facts, [_facts(item) for item in added])
        insert_all(self._connection, item_terms, [one for item in added for one in _terms_of_meta(item)])

    def _describe(self, project_id: str, digests: Sequence[str]) -> None:
        """What is under `meta.KEY` made anew; when it was taken is beside each other term, too."""
        if not digests:
            return
        these = {"of_project": project_id, "of_items": digests}
        of_project = items.c.project_id == project_id
        rows = self._connection.execute(select(items).where(of_project, items.c.digest.in_(digests)))
        described = [Item(**row._mapping) for row in rows]
        known = {row.digest: row.captured_at for row in self._connection.execute(_TAKEN, these)}
        taken = [
            {"of_project": project_id, "of_item": one.digest, "new": captured_in(one.meta)}
            for one in described
            if known.get(one.digest) != captured_in(one.meta)
        ]
        if taken:
            for retimed in _RETIMED:
                self._connection.execute(retimed, taken)
        self._connection.execute(_UNDESCRIBED, these)
        insert_all(self._connection, item_terms, [term for one in described for term in _terms_of_meta(one)])

    def _relabel(self, project_id: str, field: str, digests: Sequence[str], *, new: Collection[str]) -> None:
        """new: of which there cannot be any label yet."""
        if not digests:
            return
        these = {"of_project": project_id, "of_items": digests}
        terms = [
            term_row(project_id, row.digest, field, label, (row.created_at, row.captured_at))
            for row in self._connection.execute(_LABELLED[field], these)
            for label in sorted({one.label[:LONGEST] for one in row.labelled or ()})
            if is_storable(label)
        ]
        if forgotten := sorted(set(digests) - set(new)):
            self._connection.execute(_FORGOTTEN, {**these, "of_items": forgotten, "of_field": field})
        insert_all(self._connection, item_terms, terms)


def _having(change: Change, changes: Mapping[str, Change]) -> list[str]:
    return [digest for digest, which in changes.items() if change in which]


def _facts(item: Item) -> dict[str, Any]:
    return {
        "project_id": item.project_id,
        "digest": item.digest,
        **{name: getattr(item, name) for name in _OF_ITEM},
        "captured_at": captured_in(item.meta),
        "source": item.source[:LONGEST],
        "group": item.group[:LONGEST],
        "truth_version": 0,
    }


def _terms_of_meta(item: Item) -> Iterable[dict[str, Any]]:
    times = item.created_at, captured_in(item.meta)
    for key, value in item.meta.items():
        # JSON may hold texts that a column does not.
        if len(key) <= LONGEST_KEY and is_storable(key + value):
            yield term_row(item.project_id, item.digest, META + key, value[:LONGEST], times, number=number_in(value))


def term_row(
    project_id: str,
    digest: str,
    field: str,
    value: str,
    times: tuple[datetime, datetime | None],
    number: float | None = None,
) -> dict[str, Any]:
    """times: when the item came, and when it was taken."""
    return {
        "project_id": project_id,
        "item_digest": digest,
        "field": field,
        "value": value,
        "number": number,
        "created_at": times[0],
        "captured_at": times[1],
    }


def is_storable(text: str) -> bool:
    return not any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in text)
