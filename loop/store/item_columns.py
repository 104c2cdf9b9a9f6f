"""Items of a project in columns, and what a query finds in them: what the SQL of item_queries.py does, in milliseconds.

Pure. A part never changes and is sorted by digest, so that rows are in the order of digests. A project is one large
part and a few small ones of what has changed since, each of which stands for its items in place of the parts before it
(a log-structured merge tree: O'Neil et al. 1996, The log-structured merge-tree). So whoever reads waits for nobody.
"""

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loop.domain.items.queries import (
    META,
    Ago,
    And,
    Compare,
    Has,
    Key,
    Leaf,
    Not,
    OneOf,
    Op,
    Or,
    Place,
    Query,
    Sort,
    Value,
    prefix_end,
)
from loop.store.item_facts import LONGEST
from loop.store.item_orders import COLUMNS, REVIEWED, TIMES, terms_of

# A field with more values has no list of them, and what asks for its texts is left to the database: there an index
# finds few items for each.
MOST_VALUES = 60_000
# Keys of meta that are held, those of most items first.
MOST_KEYS = 100
# Of the large part: when so much of it is dead, or beside it, all parts become one.
WORN = 0.05
_FEWEST_WORN = 1_000
# A small part is merged with the one before it unless that is so many times as large, so that there are few of them.
_STEEP = 4
# Of the items: fewer are sorted, of more the first are looked for along the order of all.
_FEW = 32

TEXTS = ("media_type", "source", "group", "split", "model_id", "routed", "work")
COUNTS = ("width", "height", "truth_version", "corrections")
# A row of facts, in this order.
FACTS = ("digest", "created_at", "captured_at", "risk", *COUNTS, *TEXTS)
LOT, GOLDEN = "lot", "golden"

Mask = NDArray[np.bool_]
Rows = NDArray[np.intp] | NDArray[np.int32]
# item, field as in item_terms (or LOT, GOLDEN), value, number
Term = tuple[str, str, str, float | None]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NO_TIME = np.iinfo(np.int64).min
_NO_COUNT = -1
_COMPARED: Mapping[Op, Callable[[Any, Any], Mask]] = {
    Op.EQUAL: operator.eq,
    Op.LESS: operator.lt,
    Op.AT_MOST: operator.le,
    Op.MORE: operator.gt,
    Op.AT_LEAST: operator.ge,
}


class NotInColumns(Exception):
    """Something is asked for that only the database can answer."""


# --- values of a field -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Values:
    """All that a field has, each once, in the order of the texts; code n + 1 is the n-th. numbers: of what is one, else
    NaN."""

    texts: Sequence[str]
    numbers: NDArray[np.float64]

    def accepted(self, leaf: Compare | OneOf, longest: int | None = LONGEST) -> Mask:
        """By code, of which 0 is none. longest: how much of a text is kept, and so compared."""
        found = np.zeros(len(self.texts) + 1, dtype=bool)
        for value in leaf.values:
            if not isinstance(value, str):
                found[1:] |= _COMPARED[leaf.op](self.numbers, value)
            elif leaf.op is Op.CONTAINS:
                found[1:] |= np.fromiter((value in text for text in self.texts), bool, len(self.texts))
            else:
                low, high = _between(self.texts, leaf.op, value[:longest])
                found[1 + low : 1 + high] = True
        return found


def _between(texts: Sequence[str], op: Op, value: str) -> tuple[int, int]:
    """Where those begin and end that meet it."""
    low, high = bisect_left(texts, value), bisect_right(texts, value)
    match op:
        case Op.LESS:
            return 0, low
        case Op.AT_MOST:
            return 0, high
        case Op.MORE:
            return high, len(texts)
        case Op.AT_LEAST:
            return low, len(texts)
        case Op.STARTS:
            end = prefix_end(value)
            return low, len(texts) if end is None else bisect_left(texts, end)
    return low, high


def _chosen(codes: NDArray[Any], accepted: Mask) -> Mask:
    """Which of the codes are accepted."""
    some = np.flatnonzero(accepted)
    if not len(some):
        return np.zeros(len(codes), dtype=bool)
    low, high = int(some[0]), int(some[-1])
    if low == high:
        return codes == low  # type: ignore[no-any-return]
    if high - low + 1 == len(some):
        return (codes >= low) & (codes <= high)
    return accepted.take(codes)


def _coded(keys: Sequence[tuple[str, float]]) -> Values:
    """keys: in order."""
    return Values(tuple(text for text, _ in keys), np.array([number for _, number in keys], dtype=np.float64))


def _narrow(codes: NDArray[Any], values: int) -> NDArray[Any]:
    return codes.astype(np.min_scalar_type(values))


@dataclass(frozen=True, slots=True)
class Texts:
    """One for each row, or none. values: None where there are too many, then without codes."""

    values: Values | None
    codes: NDArray[Any]

    @classmethod
    def of(cls, texts: Sequence[str | None]) -> "Texts":
        values = sorted({text for text in texts if text is not None})
        if len(values) > MOST_VALUES:
            return cls(None, np.empty(0, np.uint8))
        code: dict[str | None, int] = {text: place for place, text in enumerate(values, 1)}
        codes = np.array([code.get(text, 0) for text in texts], dtype=np.int64)
        return cls(_coded([(text, np.nan) for text in values]), _narrow(codes, len(values)))

    def met(self, leaf: Compare | OneOf) -> Mask:
        if self.values is None:
            raise NotInColumns
        return _chosen(self.codes, self.values.accepted(leaf))

    def among(self, texts: Iterable[str]) -> Mask:
        return self.met(OneOf("", tuple(texts)))

    def given(self) -> Mask:
        if self.values is None:
            raise NotInColumns
        return self.codes != 0  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Terms:
    """Any number for each row. rows: of each, in order; None where each row has exactly one. values: None where there
    are too many; then there are the numbers of each in place of codes."""

    rows: NDArray[np.int32] | None
    values: Values | None
    codes: NDArray[Any]

    @classmethod
    def of(cls, rows: NDArray[np.int32], values: Values | None, codes: NDArray[Any], count: int) -> "Terms":
        order = np.argsort(rows, kind="stable")
        rows, codes = rows[order], codes[order]
        each = len(rows) == count and bool((rows == np.arange(count)).all())
        return cls(None if each else rows, values, codes if values is None else _narrow(codes, len(values.texts)))

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def numbers(self) -> NDArray[np.float64]:
        """Of each, NaN where it is none."""
        return self.codes if self.values is None else np.append(np.nan, self.values.numbers)[self.codes]

    def rows_of(self, count: int) -> NDArray[np.int32]:
        return np.arange(count, dtype=np.int32) if self.rows is None else self.rows

    def met(self, leaf: Leaf, count: int, longest: int | None = LONGEST) -> Mask:
        """The rows, of which there are so many, that have one which meets it."""
        return self._of_rows(None if isinstance(leaf, Has) else self._each(leaf, longest), count)

    def _each(self, leaf: Compare | OneOf, longest: int | None) -> Mask:
        if self.values is not None:
            return _chosen(self.codes, self.values.accepted(leaf, longest))
        if any(isinstance(value, str) for value in leaf.values):
            raise NotInColumns
        return reduce(operator.or_, (_COMPARED[leaf.op](self.codes, value) for value in leaf.values))

    def _of_rows(self, each: Mask | None, count: int) -> Mask:
        if self.rows is None:
            return np.ones(count, dtype=bool) if each is None else each
        found = np.zeros(count, dtype=bool)
        found[self.rows if each is None else self.rows[each]] = True
        return found


# --- a part --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """Rows by what they are sorted by, then by digest; those without it behind the others, by digest."""

    known: Rows
    others: Rows


class Part:
    """Items in the order of their digests. keys: by name, microseconds since 1970, counts and risk. left_out: there are
    keys of meta which are not in the terms."""

    def __init__(
        self,
        digests: NDArray[np.bytes_],
        keys: Mapping[str, NDArray[Any]],
        texts: Mapping[str, Texts],
        terms: Mapping[str, Terms],
        *,
        left_out: bool,
    ) -> None:
        self.digests = digests
        self.keys = keys
        self.texts = texts
        self.terms = terms
        self.left_out = left_out
        self._orders: dict[str, Order] = {}

    @classmethod
    def of(cls, facts: Iterable[Sequence[Any]], terms: Iterable[Term]) -> "Part":
        """facts: one for each item. Raises NotInColumns where a digest is none."""
        column = dict(zip(FACTS, zip(*sorted(facts, key=operator.itemgetter(0)), strict=True), strict=True))
        row = {digest: place for place, digest in enumerate(column["digest"])}
        keys: dict[str, NDArray[Any]] = {name: _microseconds(column[name]) for name in sorted(TIMES)}
        keys["risk"] = np.array([np.nan if one is None else one for one in column["risk"]], dtype=np.float64)
        for name in COUNTS:
            keys[name] = np.array([_NO_COUNT if one is None else one for one in column[name]], dtype=np.int32)
        texts = {name: Texts.of(column[name]) for name in TEXTS}
        held, left_out = _terms_of(terms, row)
        return cls(_digests(column["digest"]), keys, texts, held, left_out=left_out)

    def __len__(self) -> int:
        return len(self.digests)

    @property
    def nbytes(self) -> int:
        arrays = [self.digests, *self.keys.values(), *(one.codes for one in self.texts.values())]
        arrays += [array for one in self.terms.values() for array in (one.codes, one.rows) if array is not None]
        arrays += [rows for one in self._orders.values() for rows in (one.known, one.others)]
        return sum(array.nbytes for array in arrays)

    def digest(self, row: int) -> str:
        return self.digests[row : row + 1].tobytes().hex()

    def between(self, op: Op, value: str) -> tuple[int, int]:
        """Of rows whose digests meet it."""
        return _between(_Digests(self), op, value)

    def rows(self, digests: NDArray[np.bytes_]) -> Rows:
        """Of those that are here."""
        places = np.searchsorted(self.digests, digests)
        inside = places < len(self)
        places, digests = places[inside], digests[inside]
        found: Rows = places[self.digests[places] == digests]
        return found

    def is_given(self, name: str) -> Mask:
        keys = self.keys[name]
        return ~np.isnan(keys) if name == "risk" else keys != (_NO_TIME if name in TIMES else _NO_COUNT)  # type: ignore[no-any-return]

    def order(self, name: str) -> Order:
        if name not in self._orders:
            given = self.is_given(name)
            known, others = (np.flatnonzero(one).astype(np.int32) for one in (given, ~given))
            self._orders[name] = Order(known[np.argsort(self.keys[name][known], kind="stable")], others)
        return self._orders[name]

    def order_of(self, chosen: Mask, name: str) -> Order:
        """The order of a few."""
        rows, given = np.flatnonzero(chosen), self.is_given(name)
        known, others = rows[given[rows]], rows[~given[rows]]
        return Order(known[np.argsort(self.keys[name][known], kind="stable")], others)

    def key(self, name: str, row: int) -> Key:
        value: float = self.keys[name][row].item()
        return _EPOCH + value * _MICROSECOND if name in TIMES else value


class _Digests(Sequence[str]):
    """Of a part, as texts."""

    def __init__(self, part: Part) -> None:
        self._part = part

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, row: Any) -> Any:
        return self._part.digest(row)


def _digests(digests: Sequence[str]) -> NDArray[np.bytes_]:
    text = "".join(digests)
    try:
        found = bytes.fromhex(text)
    except ValueError:
        raise NotInColumns from None
    if found.hex() != text or any(len(digest) != 64 for digest in digests):
        raise NotInColumns
    return np.frombuffer(found, dtype="S32")


def _microseconds(times: Sequence[datetime | None]) -> NDArray[np.int64]:
    plain = [None if time is None else time.astimezone(UTC).replace(tzinfo=None) for time in times]
    return np.array(plain, dtype="datetime64[us]").astype(np.int64)


def _terms_of(terms: Iterable[Term], row: Mapping[str, int]) -> tuple[dict[str, Terms], bool]:
    rows: dict[str, list[int]] = {}
    keys: dict[str, list[tuple[str, float]]] = {}
    for digest, field, value, number in terms:
        if digest not in row:  # it has no facts yet
            continue
        rows.setdefault(field, []).append(row[digest])
        keys.setdefault(field, []).append((value, np.nan if number is None else number))
    return _held({field: _coded_terms(rows[field], keys[field], len(row)) for field in rows}, left_out=False)


def _coded_terms(rows: Sequence[int], keys: Sequence[tuple[str, float]], count: int) -> Terms:
    code = {key: place for place, key in enumerate(sorted(set(keys), key=_in_order), 1)}
    at = np.array(rows, dtype=np.int32)
    if len(code) > MOST_VALUES:
        return Terms.of(at, None, np.array([number for _, number in keys], dtype=np.float64), count)
    return Terms.of(at, _coded(list(code)), np.array([code[key] for key in keys], dtype=np.int64), count)


def _in_order(key: tuple[str, float]) -> tuple[str, bool, float]:
    text, number = key
    return (text, False, 0.0) if number != number else (text, True, number)


def _held(terms: dict[str, Terms], *, left_out: bool) -> tuple[dict[str, Terms], bool]:
    """Without keys of meta that are too many."""
    keys = sorted((field for field in terms if field.startswith(META)), key=lambda field: (-len(terms[field]), field))
    for field in keys[MOST_KEYS:]:
        del terms[field]
    return terms, left_out or len(keys) > MOST_KEYS


# --- parts become one ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Level:
    """alive: rows of the part that no later one replaces; None: all."""

    part: Part
    alive: Mask | None = None

    def __len__(self) -> int:
        return len(self.part) if self.alive is None else int(np.count_nonzero(self.alive))

    @property
    def dead(self) -> int:
        return len(self.part) - len(self)

    def without(self, digests: NDArray[np.bytes_]) -> "Level":
        rows = self.part.rows(digests)
        if not len(rows):
            return self
        alive = np.ones(len(self.part), dtype=bool) if self.alive is None else self.alive.copy()
        alive[rows] = False
        return Level(self.part, alive)

    @property
    def rows(self) -> Rows:
        return np.arange(len(self.part)) if self.alive is None else np.flatnonzero(self.alive)


def merged(levels: Sequence[Level]) -> Part:
    """One part of all that is alive in them."""
    parts, rows = [level.part for level in levels], [level.rows for level in levels]
    digests = np.concatenate([part.digests[kept] for part, kept in zip(parts, rows, strict=True)])
    order = np.argsort(digests, kind="stable")
    keys = {
        name: np.concatenate([part.keys[name][kept] for part, kept in zip(parts, rows, strict=True)])[order]
        for name in parts[0].keys
    }
    texts = {name: _merged_texts([part.texts[name] for part in parts], rows, order) for name in TEXTS}
    terms, left_out = _merged_terms(parts, _new_rows(parts, rows, order))
    return Part(digests[order], keys, texts, terms, left_out=left_out)


def _new_rows(parts: Sequence[Part], rows: Sequence[Rows], order: NDArray[np.intp]) -> list[NDArray[np.int32]]:
    """Where each row of each part is in that order; -1: nowhere."""
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    found, begun = [], 0
    for part, kept in zip(parts, rows, strict=True):
        new = np.full(len(part), -1, dtype=np.int32)
        new[kept] = place[begun : begun + len(kept)]
        begun += len(kept)
        found.append(new)
    return found


def _merged_texts(each: Sequence[Texts], rows: Sequence[Rows], order: NDArray[np.intp]) -> Texts:
    values, tables = _together([one.values for one in each])
    if values is None:
        return Texts(None, np.empty(0, np.uint8))
    codes = [table[one.codes[kept]] for table, one, kept in zip(tables, each, rows, strict=True)]
    return Texts(values, _narrow(np.concatenate(codes)[order], len(values.texts)))


def _together(each: Sequence[Values | None]) -> tuple[Values | None, list[NDArray[np.int64]]]:
    """The values of all, and for each its codes as codes of these; None where they are too many."""
    listed = [list(zip(one.texts, one.numbers.tolist(), strict=True)) for one in each if one is not None]
    # NaN is not equal to itself: what is no number is known by its text alone.
    known = {(text, None if number != number else number): (text, number) for one in listed for text, number in one}
    if len(listed) < len(each) or len(known) > MOST_VALUES:
        return None, []
    code = {key: place for place, key in enumerate(sorted(known, key=lambda key: _in_order(known[key])), 1)}
    tables = [
        np.array([0, *(code[text, None if number != number else number] for text, number in one)]) for one in listed
    ]
    return _coded([known[key] for key in code]), tables


def _merged_terms(parts: Sequence[Part], new: Sequence[NDArray[np.int32]]) -> tuple[dict[str, Terms], bool]:
    count = sum(int(np.count_nonzero(rows >= 0)) for rows in new)
    found: dict[str, Terms] = {}
    for field in {field for part in parts for field in part.terms}:
        if not any(part.left_out and field.startswith(META) and field not in part.terms for part in parts):
            having = [(part.terms[field], rows) for part, rows in zip(parts, new, strict=True) if field in part.terms]
            one = _merged_field(having, count)
            if len(one):
                found[field] = one
    return _held(found, left_out=any(part.left_out for part in parts))


def _merged_field(each: Sequence[tuple[Terms, NDArray[np.int32]]], count: int) -> Terms:
    values, tables = _together([terms.values for terms, _ in each])
    at = [new[terms.rows_of(len(new))] for terms, new in each]
    if values is None:
        codes = [terms.numbers for terms, _ in each]
    else:
        codes = [table[terms.codes] for table, (terms, _) in zip(tables, each, strict=True)]
    rows = np.concatenate(at)
    return Terms.of(rows[rows >= 0], values, np.concatenate(codes)[rows >= 0], count)


# --- conditions --------------------------------------------------------------------------------------------------


def met(part: Part, query: Query, now: datetime) -> Mask:
    """The rows of a part that meet it. Raises NotInColumns."""
    match query:
        case And(parts):
            everything = np.ones(len(part), dtype=bool)
            return reduce(operator.and_, (met(part, one, now) for one in parts), everything)
        case Or(parts):
            return reduce(operator.or_, (met(part, one, now) for one in parts))
        case Not(inner):
            return ~met(part, inner, now)
    if query.field == GOLDEN:
        return _golden(part, query)
    if query.field == LOT:
        return _terms_met(part, LOT, query, longest=None)
    names = terms_of(query.field)
    if names is not None:
        return reduce(operator.or_, (_terms_met(part, name, query) for name in names))
    if query.field == "digest":
        return _digest_met(part, query)
    return _has(part, query.field) if isinstance(query, Has) else _fact(part, query, now)


def _golden(part: Part, leaf: Leaf) -> Mask:
    golden = _terms_met(part, GOLDEN, Has(GOLDEN))
    return golden if isinstance(leaf, Compare) and leaf.value else ~golden


def _terms_met(part: Part, name: str, leaf: Leaf, longest: int | None = LONGEST) -> Mask:
    if name in part.terms:
        return part.terms[name].met(leaf, len(part), longest)
    if part.left_out and name.startswith(META):
        raise NotInColumns
    return np.zeros(len(part), dtype=bool)


def _digest_met(part: Part, leaf: Leaf) -> Mask:
    if isinstance(leaf, Has):
        return np.ones(len(part), dtype=bool)
    if leaf.op is Op.CONTAINS:
        raise NotInColumns
    found = np.zeros(len(part), dtype=bool)
    for value in leaf.values:
        low, high = part.between(leaf.op, str(value)[:LONGEST])
        found[low:high] = True
    return found


def _has(part: Part, field: str) -> Mask:
    name = COLUMNS.get(field, field)
    if field == "truth":
        return part.keys[name] != 0  # type: ignore[no-any-return]
    if field in ("source", "group"):
        return part.texts[name].met(Compare(field, Op.MORE, ""))
    if field == "stage":
        return part.texts[name].among(REVIEWED)
    return part.texts[name].given() if name in part.texts else part.is_given(name)


def _fact(part: Part, leaf: Compare | OneOf, now: datetime) -> Mask:
    name = COLUMNS.get(leaf.field, leaf.field)
    if name not in part.keys:
        return _text(part.texts[name], leaf)
    each = (_number(leaf.field, part.keys[name], leaf.op, value, now) for value in leaf.values)
    return part.is_given(name) & reduce(operator.or_, each)


def _text(texts: Texts, leaf: Compare | OneOf) -> Mask:
    if leaf.field != "decision":
        return texts.met(leaf)
    wanted = {str(value) for value in leaf.values}
    return texts.among(wanted - {"review"} | (set(REVIEWED) if "review" in wanted else set()))


def _number(field: str, keys: NDArray[Any], op: Op, value: Value, now: datetime) -> Mask:
    match field, value:
        case (("failed" | "truth"), bool()):
            return (keys != 0) == value  # type: ignore[no-any-return]
        case _, Ago(seconds):
            return _COMPARED[op](keys, _since_1970(now - timedelta(seconds=seconds)))
        case _, datetime():
            return _COMPARED[op](keys, _since_1970(value))
    return _COMPARED[op](keys, float(value))  # type: ignore[arg-type]


def _since_1970(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


# --- a project -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Columns:
    """The items of a project as of a revision of their facts. witness: an item whose facts have it."""

    levels: tuple[Level, ...]
    revision: int
    witness: str

    def __len__(self) -> int:
        return sum(len(level) for level in self.levels)

    @property
    def nbytes(self) -> int:
        return sum(level.part.nbytes + (0 if level.alive is None else level.alive.nbytes) for level in self.levels)

    def changed(self, part: Part, revision: int, witness: str) -> "Columns":
        """With these items, which are new or other than they were."""
        levels = [*(level.without(part.digests) for level in self.levels), Level(part)]
        while len(levels) > 2 and len(levels[-2]) < _STEEP * len(levels[-1]):
            levels[-2:] = [Level(merged(levels[-2:]))]
        return Columns(tuple(levels), revision, witness)

    @property
    def is_worn(self) -> bool:
        base, *others = self.levels
        return base.dead + sum(len(level.part) for level in others) > max(_FEWEST_WORN, WORN * len(base.part))

    def places(self, query: Query, sort: Sort, *, after: Place | None, limit: int, now: datetime) -> list[Place]:
        """As `ItemQueries.places`. Raises NotInColumns."""
        if after is not None and after.key is None and sort.field not in ("captured_at", "risk"):
            after = None
        known: list[Place] = []
        others: list[Place] = []
        for level in self.levels:
            chosen = _alive(level, met(level.part, query, now))
            for places, found in zip((known, others), _first(level.part, chosen, sort, after, limit), strict=True):
                places += found
        return [*_in_sort(known, sort)[:limit], *_in_sort(others, sort)][:limit]

    def count(self, query: Query, *, now: datetime, at_most: int) -> int:
        """Raises NotInColumns."""
        each = (_alive(level, met(level.part, query, now)) for level in self.levels)
        return min(at_most, sum(int(np.count_nonzero(one)) for one in each))


def _alive(level: Level, chosen: Mask) -> Mask:
    return chosen if level.alive is None else chosen & level.alive


def _in_sort(places: Sequence[Place], sort: Sort) -> list[Place]:
    return sorted(places, key=lambda place: (place.key or 0, place.digest), reverse=sort.descending)


def _first(part: Part, chosen: Mask, sort: Sort, after: Place | None, limit: int) -> tuple[list[Place], list[Place]]:
    """At most `limit` of those that have what the list is sorted by, and of those that have not."""
    count, name = int(np.count_nonzero(chosen)), sort.field
    if not count:
        return [], []
    order = part.order_of(chosen, name) if count * _FEW < len(part) else part.order(name)
    known: list[Place] = []
    if after is None or after.key is not None:
        rows = _behind(order.known, sort, after, lambda row: (_key(part, name, row), part.digest(row)))
        known = [Place(part.key(name, row), part.digest(row)) for row in _looked_for(rows, chosen, limit)]
    if len(known) == limit:
        return known, []
    behind = after if after is not None and after.key is None else None
    rows = _behind(order.others, sort, behind, lambda row: (0, part.digest(row)))
    return known, [Place(None, part.digest(row)) for row in _looked_for(rows, chosen, limit)]


def _key(part: Part, name: str, row: int) -> float:
    return part.keys[name][row].item()  # type: ignore[no-any-return]


def _behind(rows: Rows, sort: Sort, after: Place | None, place_of: Callable[[int], tuple[float, str]]) -> Rows:
    """In the direction of the sort."""
    if after is None:
        return rows[::-1] if sort.descending else rows
    key = _since_1970(after.key) if isinstance(after.key, datetime) else after.key
    place = key or 0, after.digest
    if sort.descending:
        return rows[: bisect_left(rows, place, key=place_of)][::-1]
    return rows[bisect_right(rows, place, key=place_of) :]


def _looked_for(rows: Rows, chosen: Mask, limit: int) -> list[int]:
    """The first that are chosen, in ever larger steps."""
    found: list[int] = []
    steps = [0]
    while steps[-1] < len(rows):
        steps.append(max(4096, 4 * steps[-1]))
    for begin, end in pairwise(steps):
        piece = rows[begin:end]
        found += piece[chosen[piece]][: limit - len(found)].tolist()
        if len(found) == limit:
            break
    return found
