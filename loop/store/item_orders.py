"""In which orders indexes have items, and which queries are read as several lists in the order that is asked for.

Pure: what is said of indexes here is what loop/store/schema/item_tables.py makes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from loop.domain.items.queries import (
    META,
    ORDERING,
    And,
    Compare,
    Has,
    Leaf,
    Not,
    OneOf,
    Op,
    Or,
    Place,
    Query,
    Sort,
    all_of,
)

COLUMNS = {"model": "model_id", "decision": "routed", "stage": "routed", "truth": "truth_version",
           "failed": "corrections"}  # fmt: skip
REVIEWED = ("annotate", "audit")
TIMES = frozenset({"created_at", "captured_at"})
# So many lists are merged; of more, another way is quicker.
MOST_CHOICES = 8

_TERMS: Mapping[str, tuple[str, ...]] = {
    "detection": ("detection",),
    "shape": ("shape",),
    "label": ("detection", "shape"),
    "tag": ("tag",),
}
# By what they begin with, the orders of indexes.
_ORDERS = {
    name: TIMES | {"risk"} if name in ("routed", "work") else TIMES
    for name in ("source", "group", "split", "model_id", "routed", "truth_version", "corrections", "work")
}
# Of these each value may be looked up in turn: texts by their beginning, and what is counted.
_TEXTS = frozenset({"source", "group", "split", "model"})
_COUNTED = frozenset({"corrections", "truth"})
_FAILED = Compare("failed", Op.EQUAL, True)

# The values that a condition leaves to its field, should they be at most MOST_CHOICES; None where they are more.
Values = Callable[[Leaf], Sequence[str | float] | None]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Of a list in this order: its items that have what it is sorted by, or those that have not (without_key), which
    come last. after: behind this place. until: up to this one."""

    sort: Sort
    after: Place | None
    until: Place | None = None
    without_key: bool = False


def parts_of(query: Query) -> tuple[Query, ...]:
    """All of what must hold."""
    return query.parts if isinstance(query, And) else (query,)


def terms_of(field: str) -> tuple[str, ...] | None:
    """What it is called in item_terms; None for what is no term."""
    return (field,) if field.startswith(META) else _TERMS.get(field)


def is_one_term(part: Query) -> TypeGuard[Compare]:
    if not isinstance(part, Compare) or part.op is not Op.EQUAL or not isinstance(part.value, str):
        return False
    return len(terms_of(part.field) or ()) == 1


def leads(part: Query, sort: Sort) -> bool:
    """Whether an index has the facts of the items which meet it in the order of the sort."""
    match part:
        case Has("truth") | Not(Has("truth")):
            return sort.field in TIMES
        case Compare("failed", Op.EQUAL, bool()):
            return sort.field in TIMES | {"risk"}
        case Compare(field, Op.EQUAL, value):
            several = field == "decision" and value == "review"
            return sort.field in _ORDERS.get(COLUMNS.get(field, field), ()) and not several
    return False


def named_index(part: Query, sort: Sort) -> str | None:
    """The index that `leads` means where it is one of a part of the items: SQLite may take that of all for as good."""
    match part:
        case Has("truth") | Compare("truth", Op.EQUAL, True):
            name = "labelled"
        case Compare("failed", Op.EQUAL, True):
            name = "failed"
        case Compare("failed", Op.EQUAL, False) if sort.field == "risk":
            name = "right"
        case _:
            return None
    return f"ix_item_facts_{name}" if sort.field == "created_at" else f"ix_item_facts_{name}_{sort.field}"


def is_in_order(part: Query, sort: Sort) -> bool:
    """Whether an index has the items which meet it in the order of the sort."""
    return leads(part, sort) or (sort.field in TIMES and is_one_term(part))


def is_of_key(part: Query, sort: Sort) -> bool:
    """Whether it says where in the order what meets it begins or ends."""
    return isinstance(part, Compare) and part.field == sort.field


def alternatives(query: Query, sort: Sort, values: Values) -> list[Query]:
    """Queries that together find what this one does, none of them for what nothing can meet. Each may have an index in
    the order of the list, where the query has none: of the first condition that leaves a choice, each choice; else of
    the first that leaves its field only few values, each value."""
    parts = parts_of(query)
    for place, part in enumerate(parts):
        chosen = _choices(part)
        if 1 < len(chosen) <= MOST_CHOICES:
            return _each(parts, place, chosen)
    if any(is_in_order(part, sort) for part in parts):
        return [query]
    for place, part in enumerate(parts):
        if isinstance(part, (Compare, Has)) and _is_of_values(part) and is_in_order(_valued(part, ""), sort):
            left = values(part)
            if left is not None:
                return _each(parts, place, [_valued(part, value) for value in left])
    return [_with_failed(query) if sort.field == "risk" else query]


def _each(parts: tuple[Query, ...], place: int, chosen: Sequence[Query]) -> list[Query]:
    return [all_of((*parts[:place], one, *parts[place + 1 :])) for one in chosen]


def _choices(part: Query) -> tuple[Query, ...]:
    match part:
        case Or(parts):
            return parts
        case OneOf(field, values):
            return tuple(Compare(field, Op.EQUAL, value) for value in values)
        case Compare("label", op, value):
            return (Compare("detection", op, value), Compare("shape", op, value))
        case Compare("decision", op, "review"):
            return tuple(Compare("stage", op, stage) for stage in REVIEWED)
    return (part,)


def _is_of_values(part: Leaf) -> bool:
    """Whether its values can be looked up one after the other."""
    texts = len(terms_of(part.field) or ()) == 1 or part.field in _TEXTS
    match part:
        case Has(field):
            return texts or field == "corrections"
        case Compare(_, Op.STARTS, _):
            return texts
        case Compare(field, op, float() | int()):
            return field in _COUNTED and op in ORDERING
    return False


def _valued(part: Compare | Has, value: str | float) -> Compare:
    return Compare(part.field, Op.EQUAL, value)


def _with_failed(query: Query) -> Query:
    """With what it says without naming it: an index has what failed by its risk."""
    parts = parts_of(query)
    return all_of((_FAILED, *parts)) if any(_is_of_failed(part) for part in parts) else query


def _is_of_failed(part: Query) -> bool:
    match part:
        case Compare("corrections", Op.MORE, float() | int() as count):
            return count >= 0
        case Compare("corrections", Op.EQUAL | Op.AT_LEAST, float() | int() as count):
            return count > 0
    return False
