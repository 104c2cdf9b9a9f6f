"""What items are asked for by: a row of facts and some terms for each, which repeat what other tables say.

Written in the transaction that changes what they repeat. At its end, not where it happens: a transaction changes an
item several times, and who writes rows in one order never waits for who waits for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    ScalarSelect,
    Table,
    Update,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    update,
)

from loop.domain.item import Item
from loop.domain.queries import META, captured_in, number_in
from loop.domain.review import TaskState
from loop.store.schema import (
    ORDINARY_TASK,
    efforts,
    ground_truths,
    item_facts,
    item_terms,
    predictions,
    submissions,
    tasks,
)
from loop.store.statements import in_parts

# Of a text; an index of PostgreSQL holds 2.7 kB of a row.
LONGEST = 200
LONGEST_KEY = 100

DETECTION, SHAPE = "detection", "shape"
_OF_ITEM = ("media_type", "width", "height", "created_at", "split")


def _same_item(table: Table) -> Any:
    return and_(table.c.project_id == item_facts.c.project_id, table.c.item_digest == item_facts.c.digest)


def _newest_prediction(wanted: Any) -> ScalarSelect[Any]:
    newest = predictions.c.created_at.desc(), predictions.c.id.desc()
    return select(wanted).where(_same_item(predictions)).order_by(*newest).limit(1).scalar_subquery()


_WORK = (
    select(
        func.max(
            case(
                (tasks.c.state.in_((TaskState.DONE, TaskState.SKIPPED)), "done"),
                else_=func.substr(tasks.c.state, 1),  # as text, for the two to be of one type
            )
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
# What was read before the lock may be old by the time it is given: the statement behind it reads anew.
_LOCKED = select(item_facts.c.digest).where(_THESE).order_by(item_facts.c.digest).with_for_update()
# What of the facts each kind of change can change.
PREDICTED, ANSWERED, SETTLED, WORKED = "predicted", "answered", "settled", "worked"
_CHANGED = {
    PREDICTED: {
        "model_id": _newest_prediction(predictions.c.model_id),
        "risk": _newest_prediction(predictions.c.risk),
        "routed": _newest_prediction(
            func.coalesce(func.substr(predictions.c.stage, 1), func.substr(predictions.c.action, 1))
        ),
    },
    ANSWERED: {"corrections": _CORRECTIONS},
    SETTLED: {
        "truth_version": select(func.coalesce(func.max(ground_truths.c.version), 0))
        .where(_same_item(ground_truths))
        .scalar_subquery()
    },
    WORKED: {"work": _WORK},
}
_THIS = and_(item_facts.c.project_id == bindparam("of_project"), item_facts.c.digest == bindparam("of_item"))


@cache
def _refreshed(changes: frozenset[str], *, one: bool) -> Update:
    """Made once: each lease and each answer waits for one. one: of a single item, which is quicker to say."""
    values = {name: value for change in sorted(changes) for name, value in _CHANGED[change].items()}
    return update(item_facts).where(_THIS if one else _THESE).values(**values)


_LABELLED = {
    DETECTION: select(
        item_facts.c.digest, item_facts.c.created_at, _newest_prediction(predictions.c.detections).label("labelled")
    ).where(_THESE),
    SHAPE: select(item_facts.c.digest, item_facts.c.created_at, _SHAPES.label("labelled")).where(_THESE),
}
_FORGOTTEN = delete(item_terms).where(
    item_terms.c.project_id == bindparam("of_project"),
    item_terms.c.field == bindparam("of_field"),
    item_terms.c.item_digest.in_(bindparam("of_items", expanding=True)),
)


class ItemFacts:
    """The items that this transaction adds, and those that it says something new of."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._touched: dict[tuple[str, str], set[str]] = {}  # changes, by project and item

    def add(self, new: Sequence[Item]) -> None:
        """Of items that were inserted just now."""
        if not new:
            return
        self._connection.execute(insert(item_facts), [_facts(item) for item in new])
        if terms := [term for item in new for term in _terms_of_meta(item)]:
            self._connection.execute(insert(item_terms), terms)

    def touch(self, project_id: str, digest: str, change: str) -> None:
        """Something that the facts repeat has changed; change: PREDICTED, ANSWERED, SETTLED or WORKED."""
        self._touched.setdefault((project_id, digest), set()).add(change)

    def write(self) -> None:
        """Before the rows that are numbered, whose lock is held until the commit."""
        touched, self._touched = self._touched, {}
        for project_id in sorted({project_id for project_id, _ in touched}):
            of_project = {digest: changes for (project, digest), changes in touched.items() if project == project_id}
            for part in in_parts(sorted(of_project)):
                self._refresh(project_id, {digest: of_project[digest] for digest in part})

    def _refresh(self, project_id: str, changes: Mapping[str, set[str]]) -> None:
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(_LOCKED, {"of_project": project_id, "of_items": list(changes)})
        alike: dict[frozenset[str], list[str]] = {}
        for digest, which in changes.items():
            alike.setdefault(frozenset(which), []).append(digest)
        for together, digests in alike.items():
            one = len(digests) == 1
            these = {"of_item": digests[0]} if one else {"of_items": digests}
            self._connection.execute(_refreshed(together, one=one), {"of_project": project_id, **these})
        for change, field in ((PREDICTED, DETECTION), (SETTLED, SHAPE)):
            if changed := [digest for digest, which in changes.items() if change in which]:
                self._relabel(project_id, field, changed)

    def _relabel(self, project_id: str, field: str, digests: list[str]) -> None:
        these = {"of_project": project_id, "of_items": digests}
        terms = [
            _term(project_id, row.digest, field, label, row.created_at)
            for row in self._connection.execute(_LABELLED[field], these)
            for label in sorted({one.label[:LONGEST] for one in row.labelled or ()})
            if _storable(label)
        ]
        self._connection.execute(_FORGOTTEN, {**these, "of_field": field})
        if terms:
            self._connection.execute(insert(item_terms), terms)


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
    for key, value in item.meta.items():
        # JSON may hold texts that a column does not.
        if len(key) <= LONGEST_KEY and _storable(key + value):
            yield _term(
                item.project_id, item.digest, META + key, value[:LONGEST], item.created_at, number=number_in(value)
            )


def _term(
    project_id: str, digest: str, field: str, value: str, created_at: Any, number: float | None = None
) -> dict[str, Any]:
    return {
        "project_id": project_id,
        "item_digest": digest,
        "field": field,
        "value": value,
        "number": number,
        "created_at": created_at,
    }


def _storable(text: str) -> bool:
    return not any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in text)
