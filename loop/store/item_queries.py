"""Items by a query: the conditions of loop/domain/queries.py as SQL, for SQLite and PostgreSQL alike.

What people write reaches the database as bound values only. Each condition is true or false, never NULL, so that `not`
means the same everywhere. How a page is read is decided here (docs/adr/0034-item-queries.md), since a planner that
knows nothing of the values may sort a million rows for a hundred: where some condition leaves few items they are
gathered and sorted, else the index of the sort is walked until the page is full.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, TypeGuard

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    UnaryExpression,
    and_,
    delete,
    exists,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.sql import operators

from loop.domain.item import Item
from loop.domain.queries import (
    META,
    ORDERING,
    Ago,
    And,
    Compare,
    Has,
    Kind,
    Leaf,
    ListedItem,
    Not,
    OneOf,
    Op,
    Or,
    Place,
    Query,
    Sort,
    Value,
    all_of,
    captured_in,
    field_of,
    prefix_end,
)
from loop.store.item_facts import LONGEST, ItemFacts, term_row
from loop.store.schema import golden_items, item_facts, item_terms, items, lot_items, lots
from loop.store.statements import ignoring_conflicts, in_parts

# So many items are sorted rather than looked for along the index of the sort; finding out takes some milliseconds.
FEW = 10_000

_COLUMNS = {"model": "model_id", "decision": "routed", "stage": "routed", "truth": "truth_version",
            "failed": "corrections"}  # fmt: skip
# Those that no index begins with; the others are looked up.
_UNINDEXED = frozenset({"media_type"})
_TERMS: Mapping[str, tuple[str, ...]] = {
    "detection": ("detection",),
    "shape": ("shape",),
    "label": ("detection", "shape"),
    "tag": ("tag",),
}
_REVIEWED = ("annotate", "audit")
# A partial index serves a condition only where the planner sees the same words; `<>`, since for `>` it would rather
# look through the index of all versions, which is in another order.
_ZERO: ColumnElement[int] = literal_column("0")
_COMPARED: Mapping[Op, Callable[[Any, Any], ColumnElement[bool]]] = {
    Op.EQUAL: operators.eq,
    Op.LESS: operators.lt,
    Op.AT_MOST: operators.le,
    Op.MORE: operators.gt,
    Op.AT_LEAST: operators.ge,
}
_LISTED = [field.name for field in fields(ListedItem) if field.name in item_facts.c]


class SqlItemQueries:
    """Implements `loop.domain.ports.ItemQueries`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._facts = ItemFacts(connection)

    def are_behind(self) -> bool:
        return self._facts.are_behind()

    def catch_up(self, limit: int) -> int:
        return self._facts.follow(limit)

    def page(
        self, project_id: str, query: Query, sort: Sort, *, after: Place | None, limit: int, now: datetime
    ) -> list[ListedItem]:
        places = self.places(project_id, query, sort, after=after, limit=limit, now=now)
        found = self._listed(project_id, [place.digest for place in places])
        return [found[place.digest] for place in places]

    def places(
        self, project_id: str, query: Query, sort: Sort, *, after: Place | None, limit: int, now: datetime
    ) -> list[Place]:
        self._plan_by_values()
        compiler = self._compiler(project_id, now)
        few = None if compiler.is_walked(query, sort) else self._few(compiler, query)
        found: list[Place] = []
        for without_key in self._stretches(sort, after):
            if len(found) < limit:
                behind = after if after is not None and (after.key is None) == without_key else None
                # The first of all are among the first of each; what two of them have is there twice.
                each = [
                    Place(key, digest)
                    for one in ([query] if few is not None else _alternatives(query))
                    for digest, key in self._connection.execute(
                        compiler.page(one, sort, few, behind, without_key=without_key).limit(limit - len(found))
                    )
                ]
                found += _merged(each, sort)[: limit - len(found)]
        return found

    def _compiler(self, project_id: str, now: datetime) -> "_Compiler":
        return _Compiler(project_id, now, sqlite=self._connection.dialect.name == "sqlite")

    @staticmethod
    def _stretches(sort: Sort, after: Place | None) -> tuple[bool, ...]:
        """Of a list: those that have what it is sorted by, then those that have not; as far as they are behind."""
        if not item_facts.c[sort.field].nullable:
            return (False,)
        return (True,) if after is not None and after.key is None else (False, True)

    def count(self, project_id: str, query: Query, *, now: datetime, at_most: int) -> int:
        self._plan_by_values()
        compiler = self._compiler(project_id, now)
        some = compiler.all(query, self._few(compiler, query)).limit(at_most).subquery()
        return int(self._connection.scalars(select(func.count()).select_from(some)).one())

    def tag(self, project_id: str, digests: Sequence[str], *, add: Sequence[str], remove: Sequence[str]) -> int:
        known = 0
        for part in in_parts(digests):
            these = items.c.project_id == project_id, items.c.digest.in_(part)
            rows = self._connection.execute(
                select(items.c.digest, items.c.created_at, items.c.meta).where(*these)
            ).all()
            known += len(rows)
            if remove:
                of = item_terms.c.project_id == project_id, item_terms.c.item_digest.in_(part)
                gone = delete(item_terms).where(*of, item_terms.c.field == "tag", item_terms.c.value.in_(remove))
                self._connection.execute(gone)
            if new := [
                term_row(project_id, digest, "tag", tag, (created_at, captured_in(meta)))
                for digest, created_at, meta in rows
                for tag in add
            ]:
                self._connection.execute(ignoring_conflicts(self._connection, item_terms), new)
        return known

    def tags(self, project_id: str, digests: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for part in in_parts(digests):
            rows = self._connection.execute(
                select(item_terms.c.item_digest, item_terms.c.value)
                .where(
                    item_terms.c.project_id == project_id,
                    item_terms.c.item_digest.in_(part),
                    # Else it would look through all tags of the project.
                    _fixed(item_terms.c.field, sqlite=self._connection.dialect.name == "sqlite") == "tag",
                )
                .order_by(item_terms.c.value)
            )
            for digest, tag in rows:
                found.setdefault(digest, []).append(tag)
        return {digest: tuple(tags) for digest, tags in found.items()}

    def _plan_by_values(self) -> None:
        """A plan for whatever values would be made, after some queries, and compiled where it looks costly."""
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(
                select(
                    func.set_config("plan_cache_mode", "force_custom_plan", True), func.set_config("jit", "off", True)
                )
            )

    def _few(self, compiler: "_Compiler", query: Query) -> Select[Any] | None:
        """What leaves the fewest items of all that must hold; None where nothing is known to leave few."""
        fewest, best = FEW + 1, None
        for part in _parts(query):
            seek = compiler.seek(part)
            if seek is not None:
                bounded = seek.limit(fewest).subquery()
                count = self._connection.scalars(select(func.count()).select_from(bounded)).one()
                if count < fewest:
                    fewest, best = count, seek
        return best

    def _listed(self, project_id: str, digests: Sequence[str]) -> dict[str, ListedItem]:
        tags = self.tags(project_id, digests)
        found: dict[str, ListedItem] = {}
        for part in in_parts(digests):
            rows = self._connection.execute(
                select(items, *(item_facts.c[name].label(f"fact_{name}") for name in _LISTED))
                .join(
                    item_facts,
                    and_(item_facts.c.project_id == items.c.project_id, item_facts.c.digest == items.c.digest),
                )
                .where(items.c.project_id == project_id, items.c.digest.in_(part))
            )
            for row in rows:
                item = Item(**{field.name: row._mapping[field.name] for field in fields(Item)})
                facts = {name: row._mapping[f"fact_{name}"] for name in _LISTED}
                found[item.digest] = ListedItem(item=item, tags=tags.get(item.digest, ()), **facts)
        return found


@dataclass(frozen=True, slots=True)
class _Compiler:
    """sqlite: whose planner is kept from indexes that were not chosen, by a plus before what it may not look up."""

    project_id: str
    now: datetime
    sqlite: bool

    # --- statements

    def is_walked(self, query: Query, sort: Sort) -> bool:
        """Whether an index has what meets it, and nothing else, in the order of the sort."""
        return _leads(query, sort) or (sort.field in _TIMES and self._is_one_term(query))

    def page(
        self, query: Query, sort: Sort, few: Select[Any] | None, after: Place | None, *, without_key: bool
    ) -> Select[Any]:
        """(digest, key) in the order of the sort. without_key: those alone that have nothing to be sorted by."""
        if few is not None:
            return self._gathered(query, sort, few, after, without_key=without_key)
        if sort.field in _TIMES:
            along = next((part for part in _parts(query) if self._is_one_term(part)), None)
            if along is not None:
                return self._along_terms(query, along, sort, after, without_key=without_key)
        return self._walked(query, sort, after, without_key=without_key)

    def all(self, query: Query, few: Select[Any] | None) -> Select[Any]:
        """The digests, in no order."""
        wanted = select(item_facts.c.digest)
        if few is None:
            return wanted.where(self._of_project, self.condition(query, free=True))
        return wanted.where(self._among(few), self.condition(query))

    def _gathered(
        self, query: Query, sort: Sort, few: Select[Any], after: Place | None, *, without_key: bool
    ) -> Select[Any]:
        key = item_facts.c[sort.field]
        chosen = (
            select(item_facts.c.digest, key)
            .where(self._among(few), self.condition(query))
            .where(self._has_key(self._fixed(key), without_key=without_key))
        )
        gathered = chosen.cte("few").prefix_with("MATERIALIZED")
        return _ordered(select(gathered), gathered.c[sort.field], gathered.c.digest, sort, after)

    def _walked(self, query: Query, sort: Sort, after: Place | None, *, without_key: bool) -> Select[Any]:
        """Along the index of the sort; where there is one that begins with something that must hold, along that."""
        parts = _parts(query)
        led = next((part for part in parts if _leads(part, sort)), None)
        key = item_facts.c[sort.field]
        wanted = select(item_facts.c.digest, key).where(
            self._of_project,
            *(self.condition(part, free=part is led) for part in parts),
            self._has_key(key, without_key=without_key),
        )
        return _ordered(wanted, key, item_facts.c.digest, sort, after)

    def _is_one_term(self, part: Query) -> TypeGuard[Compare]:
        if not isinstance(part, Compare) or part.op is not Op.EQUAL or not isinstance(part.value, str):
            return False
        return len(self._fields(part.field) or ()) == 1

    def _along_terms(
        self, query: Query, part: Compare, sort: Sort, after: Place | None, *, without_key: bool
    ) -> Select[Any]:
        """Those that have one term, in an order of time, which it repeats."""
        term = item_terms.alias()
        key = term.c[sort.field]
        rest = [one for one in _parts(query) if one is not part]
        wanted = (
            select(term.c.item_digest, key)
            .join(
                item_facts,
                and_(item_facts.c.project_id == term.c.project_id, item_facts.c.digest == term.c.item_digest),
            )
            .where(
                term.c.project_id == self.project_id,
                self._term(term.c, part),
                self._has_key(key, without_key=without_key),
                *(self.condition(one) for one in rest),
            )
        )
        return _ordered(wanted, key, term.c.item_digest, sort, after)

    def _among(self, few: Select[Any]) -> ColumnElement[bool]:
        """Each is looked up by its key. By its digest alone SQLite's planner would rather look through all items of the
        project, in the order of some sort."""
        if not self.sqlite:
            return and_(self._of_project, item_facts.c.digest.in_(few))
        keys = select(literal(self.project_id), few.subquery().c[0])
        return tuple_(item_facts.c.project_id, item_facts.c.digest).in_(keys)

    @property
    def _of_project(self) -> ColumnElement[bool]:
        return item_facts.c.project_id == self.project_id

    @staticmethod
    def _has_key(key: ColumnElement[Any], *, without_key: bool) -> ColumnElement[bool]:
        return key.is_(None) if without_key else key.is_not(None)

    # --- what few items there are

    def seek(self, query: Query) -> Select[Any] | None:
        """The digests that meet it, straight from an index; None where none knows."""
        match query:
            case Or(parts):
                found = [self.seek(part) for part in parts]
                if any(one is None for one in found):
                    return None
                # What two of them find is counted twice; to tell, they would be read in another order than is quick.
                either = union_all(*(one for one in found if one is not None)).subquery()
                return select(either.c[0])
            case Not() | And():
                return None
            case Compare(_, Op.CONTAINS, _):
                return None
            case Compare("golden", _, value):
                return self._golden() if value else None
        if query.field == "lot":
            return self._in_lots(query)
        if self._fields(query.field) is not None:
            return select(item_terms.c.item_digest).where(
                item_terms.c.project_id == self.project_id, self._term(item_terms.c, query)
            )
        if query.field in _UNINDEXED:
            return None
        return select(item_facts.c.digest).where(self._of_project, self.condition(query, free=True))

    def _golden(self) -> Select[Any]:
        return select(golden_items.c.item_digest).where(
            golden_items.c.project_id == self.project_id, not_(golden_items.c.removed)
        )

    def _in_lots(self, leaf: Leaf) -> Select[Any]:
        member = select(lot_items.c.item_digest).join(lots, lots.c.id == lot_items.c.lot_id)
        member = member.where(lots.c.project_id == self.project_id, not_(lot_items.c.void))
        return member if isinstance(leaf, Has) else member.where(_texts(lots.c.id, leaf, self._contains, longest=None))

    # --- conditions

    def condition(self, query: Query, *, free: bool = False) -> ColumnElement[bool]:
        """On item_facts. free: the planner may look it up."""
        match query:
            case And(parts):
                return and_(true(), *(self.condition(part, free=free) for part in parts))
            case Or(parts):
                return or_(false(), *(self.condition(part, free=free) for part in parts))
            case Not(Has("truth")):
                return self._fact(_WITHOUT_TRUTH, free=free)
            case Not(part):
                return not_(self.condition(part))
        if query.field == "golden":
            return self._is_golden() if isinstance(query, Compare) and query.value else not_(self._is_golden())
        if query.field == "lot":
            return self._is_in_lot(query)
        if self._fields(query.field) is not None:
            term = item_terms.alias()
            return exists().where(
                term.c.project_id == item_facts.c.project_id,
                term.c.item_digest == item_facts.c.digest,
                self._term(term.c, query, free=False),
            )
        return self._fact(query, free=free)

    # Of the item at hand: PostgreSQL looks through a list of those that have it for each item anew, where the list is
    # larger than the memory it has for one.

    def _is_golden(self) -> ColumnElement[bool]:
        golden = golden_items.alias()
        return exists().where(
            golden.c.project_id == item_facts.c.project_id,
            golden.c.item_digest == item_facts.c.digest,
            not_(golden.c.removed),
        )

    def _is_in_lot(self, leaf: Leaf) -> ColumnElement[bool]:
        """By the item's digest first, whatever else could be looked up."""
        member, lot = lot_items.alias(), lots.alias()
        named = self._fixed(member.c.lot_id)
        return exists().where(
            member.c.item_digest == item_facts.c.digest,
            not_(member.c.void),
            lot.c.id == member.c.lot_id,
            self._fixed(lot.c.project_id) == self.project_id,
            *(() if isinstance(leaf, Has) else (_texts(named, leaf, self._contains, longest=None),)),
        )

    def _fact(self, leaf: Leaf, *, free: bool) -> ColumnElement[bool]:
        column = item_facts.c[_COLUMNS.get(leaf.field, leaf.field)]
        shown = column if free else self._fixed(column)
        if isinstance(leaf, Has):
            return self._has(leaf.field, column, shown)
        kind = _kind(leaf.field)
        if kind is Kind.TEXT or leaf.field == "split":
            met = _texts(shown, leaf, self._contains, longest=LONGEST)
        else:
            met = or_(false(), *(self._value(leaf.field, shown, _op(leaf), value) for value in _values(leaf)))
        return and_(shown.is_not(None), met) if column.nullable else met

    def _has(self, field: str, column: ColumnElement[Any], shown: ColumnElement[Any]) -> ColumnElement[bool]:
        if field == "truth":
            return shown != _ZERO
        if field in ("source", "group"):
            return shown > ""
        if field == "stage":
            return and_(shown.is_not(None), shown.in_(_REVIEWED))
        return shown.is_not(None)

    def _value(self, field: str, shown: ColumnElement[Any], op: Op, value: Value) -> ColumnElement[bool]:
        match field, value:
            case "decision", "review":
                return shown.in_(_REVIEWED)
            case (("decision" | "stage"), _):
                return shown == value
            case (("failed" | "truth"), bool()):
                return shown != _ZERO if value else shown == _ZERO
            case _, Ago(seconds):
                return _COMPARED[op](shown, self.now - timedelta(seconds=seconds))
            case (("width" | "height" | "corrections" | "truth"), float() | int()):
                return _integers(shown, op, value)
        return _COMPARED[op](shown, value)

    def _fields(self, field: str) -> tuple[str, ...] | None:
        """Of item_terms; None for what is no term."""
        return (field,) if field.startswith(META) else _TERMS.get(field)

    def _term(self, terms: Any, leaf: Leaf, *, free: bool = True) -> ColumnElement[bool]:
        """free: the planner may look up what it is compared with; else those of one item."""
        names = self._fields(leaf.field) or ()
        named: ColumnElement[bool] = terms.field == names[0] if len(names) == 1 else terms.field.in_(names)
        if isinstance(leaf, Has):
            return named
        value, number = (one if free else self._fixed(one) for one in (terms.value, terms.number))
        numbers = [one for one in _values(leaf) if not isinstance(one, str)]
        texts = [one for one in _values(leaf) if isinstance(one, str)]
        met: list[ColumnElement[bool]] = []
        if texts:
            only = leaf if isinstance(leaf, Compare) else OneOf(leaf.field, tuple(texts))
            met.append(_texts(value, only, self._contains, longest=LONGEST))
        if numbers:
            compared = _COMPARED[_op(leaf)]
            met.append(and_(number.is_not(None), or_(*(compared(number, one) for one in numbers))))
        return and_(named, or_(*met))

    def _contains(self, column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
        """As it is written: LIKE of SQLite takes A for a."""
        given = column, literal(text, column.type)
        place: ColumnElement[int] = func.instr(*given) if self.sqlite else func.strpos(*given)
        return place > 0

    def _fixed(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return _fixed(column, sqlite=self.sqlite)


def _fixed(column: ColumnElement[Any], *, sqlite: bool) -> ColumnElement[Any]:
    """Not to be looked up."""
    return UnaryExpression(column, operator=operators.custom_op("+"), type_=column.type) if sqlite else column


def _parts(query: Query) -> tuple[Query, ...]:
    """All of what must hold."""
    return query.parts if isinstance(query, And) else (query,)


_TIMES = frozenset({"created_at", "captured_at"})

# By what they begin with, the orders of indexes.
_ORDERS = {
    name: _TIMES | {"risk"} if name in ("routed", "work") else _TIMES
    for name in ("source", "group", "split", "model_id", "routed", "truth_version", "corrections", "work")
}


_WITHOUT_TRUTH = Compare("truth", Op.EQUAL, False)


def _leads(part: Query, sort: Sort) -> bool:
    """Whether an index has the items which meet it in the order of the sort."""
    match part:
        case Has("truth") | Not(Has("truth")):
            return sort.field in _TIMES
        case Compare("failed", Op.EQUAL, True):
            return sort.field in _TIMES | {"risk"}
        case Compare(field, Op.EQUAL, value):
            several = field == "decision" and value == "review"
            return sort.field in _ORDERS.get(_COLUMNS.get(field, field), ()) and not several
    return False


def _alternatives(query: Query) -> list[Query]:
    """Queries that together find what this one does: of the first condition that leaves a choice, each choice. Each of
    them may have an index in the order of the list, where the choice between them has none."""
    parts = _parts(query)
    for place, part in enumerate(parts):
        chosen = _choices(part)
        if 1 < len(chosen) <= _MOST_CHOICES:
            return [all_of((*parts[:place], one, *parts[place + 1 :])) for one in chosen]
    return [query]


_MOST_CHOICES = 8


def _choices(part: Query) -> tuple[Query, ...]:
    match part:
        case Or(parts):
            return parts
        case OneOf(field, values):
            return tuple(Compare(field, Op.EQUAL, value) for value in values)
        case Compare("label", op, value):
            return (Compare("detection", op, value), Compare("shape", op, value))
        case Compare("decision", op, "review"):
            return tuple(Compare("stage", op, stage) for stage in _REVIEWED)
    return (part,)


def _merged(places: Sequence[Place], sort: Sort) -> list[Place]:
    """In the order of the sort, each once. Either all of them have what it is sorted by, or none."""
    return sorted(set(places), key=lambda place: (place.key or 0, place.digest), reverse=sort.descending)


def _ordered(
    statement: Select[Any], key: ColumnElement[Any], digest: ColumnElement[Any], sort: Sort, after: Place | None
) -> Select[Any]:
    if after is not None:
        place = tuple_(key, digest), tuple_(literal(after.key, key.type), literal(after.digest, digest.type))
        if after.key is None:
            statement = statement.where(digest < after.digest if sort.descending else digest > after.digest)
        else:
            statement = statement.where(place[0] < place[1] if sort.descending else place[0] > place[1])
    return statement.order_by(*(column.desc() if sort.descending else column.asc() for column in (key, digest)))


def _kind(field: str) -> Kind:
    found = field_of(field)
    if found is None:
        raise ValueError(f"there is no field {field}")
    return found.kind


def _op(leaf: Compare | OneOf) -> Op:
    return leaf.op if isinstance(leaf, Compare) else Op.EQUAL


def _values(leaf: Compare | OneOf) -> tuple[Value, ...]:
    return (leaf.value,) if isinstance(leaf, Compare) else leaf.values


def _texts(
    column: ColumnElement[Any],
    leaf: Compare | OneOf,
    contains: Callable[[ColumnElement[Any], str], ColumnElement[bool]],
    *,
    longest: int | None,
) -> ColumnElement[bool]:
    """longest: how much of a text is kept, and so compared."""
    values = [str(value)[:longest] for value in _values(leaf)]
    op = _op(leaf)
    if op is Op.CONTAINS:
        return contains(column, str(leaf.value))  # type: ignore[union-attr]
    if op is Op.STARTS:
        end = prefix_end(values[0])
        return column >= values[0] if end is None else and_(column >= values[0], column < end)
    if op in ORDERING:
        return _COMPARED[op](column, values[0])
    return column == values[0] if len(values) == 1 else column.in_(values)


# What a column of integers holds; nothing in it lies beyond.
_LEAST, _MOST = -(2.0**31), 2.0**31 - 1


def _integers(column: ColumnElement[Any], op: Op, value: float) -> ColumnElement[bool]:
    """A comparison of integers with any number, by an integer: others keep an index from being used."""
    if not _LEAST <= value <= _MOST:
        return true() if op in ((Op.LESS, Op.AT_MOST) if value > 0 else (Op.MORE, Op.AT_LEAST)) else false()
    if op is Op.EQUAL:
        return column == int(value) if float(value).is_integer() else false()
    whole = math.ceil(value) if op in (Op.LESS, Op.AT_LEAST) else math.floor(value)
    return _COMPARED[op](column, whole)
