"""What a query means, in plain Python, and random ones: what the compiled SQL is held against."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from loop.domain.items.queries import (
    FIELDS,
    META,
    OPS,
    Ago,
    And,
    Compare,
    Has,
    Kind,
    Not,
    OneOf,
    Op,
    Or,
    Query,
    Sort,
    Value,
    all_of,
    any_of,
    field_of,
    number_in,
)

COUNTING = 200  # characters of a text (docs/items.md)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
WORDS = ("cam", "cam-1", "Cam", "cam-2/x", "é", "🦉", "a b", "%", "_", "", "and", "5", "\ud7ff", "\U0010ffff")
KEYS = ("k", "odd key", "", "and")
MODELS = ("model_digits_0", "model_digits_1")


@dataclass(frozen=True)
class Known:
    """All that can be asked of an item. None, "" and nothing: it has none."""

    digest: str
    created_at: datetime
    width: int
    height: int
    source: str = ""
    group: str = ""
    media_type: str = "image/png"
    split: str | None = None
    captured_at: datetime | None = None
    model: str | None = None
    risk: float | None = None
    routed: str | None = None
    truth: int = 0
    work: str | None = None
    corrections: int | None = None
    golden: bool = False
    lot: str | None = None
    tags: frozenset[str] = frozenset()
    detections: frozenset[str] = frozenset()
    shapes: frozenset[str] = frozenset()
    meta: Mapping[str, str] = field(default_factory=dict)


def met(query: Query, item: Known, now: datetime = NOW) -> bool:
    match query:
        case And(parts):
            return all(met(part, item, now) for part in parts)
        case Or(parts):
            return any(met(part, item, now) for part in parts)
        case Not(part):
            return not met(part, item, now)
        case Has(name):
            return any(value not in ("", 0) or name in ("corrections", "risk") for value in _has(name, item)) or (
                name.startswith(META) and bool(_has(name, item))
            )
        case Compare(name, op, value):
            return any(_compared(has, op, value, now) for has in _has(name, item))
        case OneOf(name, values):
            return any(_compared(has, Op.EQUAL, value, now) for has in _has(name, item) for value in values)


def _has(name: str, item: Known) -> list[object]:
    if name.startswith(META):
        return [item.meta[key]] if (key := name.removeprefix(META)) in item.meta else []
    several = {
        "tag": item.tags,
        "detection": item.detections,
        "shape": item.shapes,
        "label": item.detections | item.shapes,
    }
    if name in several:
        return sorted(several[name])
    if name == "decision":
        return [] if item.routed is None else ["accept" if item.routed == "accept" else "review"]
    if name == "stage":
        return [item.routed] if item.routed in ("annotate", "audit") else []
    if name == "failed":
        return [] if item.corrections is None else [item.corrections > 0]
    if name == "truth":
        return [_Version(item.truth)] if item.truth else [_Version(0)]
    value = getattr(item, name)
    return [] if value is None else [value]


class _Version(int):
    """Equal to yes and no, too."""


def _compared(has: object, op: Op, value: Value, now: datetime) -> bool:
    if isinstance(has, _Version) and isinstance(value, bool):
        return bool(has) is value
    if isinstance(value, Ago):
        value = now - timedelta(seconds=value.seconds)
    if isinstance(has, str) and isinstance(value, float):
        number = number_in(has)
        return number is not None and _ordered(number, op, value)
    if isinstance(has, str) and isinstance(value, str) and op is not Op.CONTAINS:
        return _ordered(has[:COUNTING], op, value[:COUNTING])
    return _ordered(has, op, value)


def _ordered(has, op: Op, value) -> bool:
    match op:
        case Op.EQUAL:
            return has == value
        case Op.LESS:
            return has < value
        case Op.AT_MOST:
            return has <= value
        case Op.MORE:
            return has > value
        case Op.AT_LEAST:
            return has >= value
        case Op.CONTAINS:
            return value in has
        case Op.STARTS:
            return has.startswith(value)


def has(name: str, item: Known) -> bool:
    return bool(_has(name, item))


def in_order(query: Query, sort: Sort, items: list[Known]) -> list[str]:
    """Digests."""
    chosen = [item for item in items if met(query, item)]
    keyed = [item for item in chosen if getattr(item, sort.field) is not None]
    keyed.sort(key=lambda item: (getattr(item, sort.field), item.digest), reverse=sort.descending)
    others = sorted((item.digest for item in chosen if getattr(item, sort.field) is None), reverse=sort.descending)
    return [item.digest for item in keyed] + others


# --- random ones ------------------------------------------------------------------------------------------

moments = st.integers(-5, 5).map(lambda days: NOW + timedelta(days=days))
numbers = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 1.0, 2.0, 2.5, 640.0, 640.5, -1.0, 1e300, -1e300, 1e-5])
texts = st.sampled_from([*WORDS, *MODELS, "lot_1", "image/png", "image/", f"{3:064x}", "0", "q\"u'o\\te", "a" * 250])


def _values(name: str, op: Op) -> st.SearchStrategy[Value]:
    field = field_of(name)
    assert field is not None
    match field.kind:
        case Kind.NUMBER:
            return numbers
        case Kind.TIME:
            return moments | st.integers(0, 10).map(lambda days: Ago(days * 43_200))
        case Kind.FLAG:
            return st.booleans()
        case Kind.VERSION:
            return st.booleans() | numbers if op is Op.EQUAL else numbers
        case Kind.CHOICE:
            return st.sampled_from(field.options)
        case Kind.META if op not in (Op.CONTAINS, Op.STARTS):
            return texts | numbers
    return texts


@st.composite
def leaves(draw: st.DrawFn) -> Query:
    name = draw(st.sampled_from([*FIELDS, *(META + key for key in KEYS)]))
    kind = field_of(name).kind  # type: ignore[union-attr]
    how = draw(st.sampled_from(["compare", "compare", "one of", "has"]))
    if how == "compare" or kind is Kind.FLAG:
        op = draw(st.sampled_from(sorted(OPS[kind])))
        return Compare(name, op, draw(_values(name, op)))
    if how == "has":
        return Has(name)
    return OneOf(name, tuple(draw(st.lists(_values(name, Op.EQUAL), min_size=1, max_size=3))))


queries: st.SearchStrategy[Query] = st.recursive(
    leaves(),
    lambda inner: (
        inner.map(Not)
        | st.lists(inner, min_size=2, max_size=3).map(all_of)
        | st.lists(inner, min_size=2, max_size=3).map(any_of)
    ),
    max_leaves=6,
)
