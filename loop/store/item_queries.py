"""Items by a query: the conditions of loop/domain/items/queries.py as SQL, for SQLite and PostgreSQL alike.

Of a large project that is held in memory (loop/store/item_columns.py) they are answered there, but for what it has not.
What people write reaches the database as bound values only. Each condition is true or false, never NULL, so that `not`
means the same everywhere. How a page is read is decided here (docs/adr/0034-item-queries.md), since a planner that
knows nothing of the values may sort a million rows for a hundred: where some condition leaves few items they are
gathered and sorted, else the index of the sort is walked until the page is full.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
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
from loop.domain.items.queries import (
    EVERYTHING,
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
    captured_in,
    field_of,
    leaves,
    prefix_end,
)
from loop.store.item_columns import Columns, NotInColumns
from loop.store.item_columns_kept import ColumnsOf
from loop.store.item_facts import LONGEST, Change, ItemChanges, ItemFacts, is_storable, term_row
from loop.store.item_orders import (
    COLUMNS,
    MOST_CHOICES,
    REVIEWED,
    TIMES,
    Stretch,
    alternatives,
    is_in_order,
    is_of_key,
    is_one_term,
    leads,
    named_index,
    parts_of,
    terms_of,
)
from loop.store.schema import golden_items, item_facts, item_terms, items, lot_items, lots
from loop.store.statements import ignoring_conflicts, in_parts, not_looked_up

# So many items are sorted rather than looked for along the index of the sort; finding out takes some milliseconds.
FEW = 10_000
# So many items are looked at along it before up to MANY are sorted after all, which takes a fraction of a second: what
# is asked for may be at its other end.
NEAR = 20_000
MANY = 100_000

# Those that no index begins with; the others are looked up.
_UNINDEXED = frozenset({"media_type"})
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

    def __init__(self, connection: Connection, changes: ItemChanges, columns: ColumnsOf | None) -> None:
        """columns: None where the process holds none."""
        self._connection = connection
        self._changes = changes
        self._columns = columns
        self._facts = ItemFacts(connection)

    def are_behind(self) -> bool:
        return self._facts.are_behind()

    def catch_up(self, limit: int) -> int:
        return self._facts.follow(limit)

    def page(
        self, project_id: str, query: Query, sort: Sort, *, after: Place | None, limit: int, now: datetime
    ) -> list[ListedItem]:
        page: list[ListedItem] = []
        while len(page) < limit:
            wanted = limit - len(page)
            places = self.places(project_id, query, sort, after=after, limit=wanted, now=now)
            found = self._listed(project_id, [place.digest for place in places])
            # What is held in memory may be newer than this transaction, which then does not see some of the items.
            page += [found[place.digest] for place in places if place.digest in found]
            if len(places) < wanted:
                break
            after = places[-1]
        return page

    def places(
        self, project_id: str, query: Query, sort: Sort, *, after: Place | None, limit: int, now: datetime
    ) -> list[Place]:
        self._plan_by_values()
        columns = self._held(project_id, query)
        if columns is not None:
            with suppress(NotInColumns):
                return columns.places(query, sort, after=after, limit=limit, now=now)
        return self._places(project_id, query, sort, after, limit, now)

    def _held(self, project_id: str, query: Query) -> Columns | None:
        """What answers it, if not the database, which says what is wrong with a text that it cannot keep."""
        given = (value for leaf in leaves(query) for value in _texts_in(leaf))
        return None if self._columns is None or not all(map(is_storable, given)) else self._columns(project_id)

    def _places(
        self, project_id: str, query: Query, sort: Sort, after: Place | None, limit: int, now: datetime
    ) -> list[Place]:
        compiler = self._compiler(project_id, now)
        few = None if is_in_order(query, sort) else self._few(compiler, query, FEW)
        lists = [query] if few is not None else alternatives(query, sort, partial(self._values, compiler))
        found: list[Place] = []
        for without_key in self._stretches(sort, after):
            if len(found) < limit:
                behind = after if after is not None and (after.key is None) == without_key else None
                # The first of all are among the first of each; what two of them have is there twice.
                stretch, wanted = Stretch(sort, behind, without_key=without_key), limit - len(found)
                near = cache(partial(self._near, compiler, stretch))  # the same for each of the lists
                each = [place for one in lists for place in self._first(compiler, one, stretch, few, near, wanted)]
                found += _merged(each, sort)[: limit - len(found)]
        return found

    def _near(self, compiler: "_Compiler", stretch: Stretch) -> Stretch | None:
        """Its first NEAR places; None where it has no more."""
        last = self._connection.execute(compiler.ordered(stretch).offset(NEAR).limit(1)).first()
        return None if last is None else replace(stretch, until=Place(last[1], last[0]))

    def _first(
        self,
        compiler: "_Compiler",
        query: Query,
        stretch: Stretch,
        few: Select[Any] | None,
        near: Callable[[], Stretch | None],
        limit: int,
    ) -> list[Place]:
        """few: what is to be gathered and sorted; None: see FEW and NEAR."""

        def read(few: Select[Any] | None, stretch: Stretch) -> list[Place]:
            rows = self._connection.execute(compiler.page(query, stretch, few).limit(limit))
            return [Place(key, digest) for digest, key in rows]

        begins = any(is_of_key(part, stretch.sort) for part in parts_of(query))
        if few is not None or begins or is_in_order(query, stretch.sort) or not compiler.seeks(query):
            return read(few, stretch)
        beginning = near()
        if beginning is None:
            return read(None, stretch)
        found = read(None, beginning)
        return found if len(found) == limit else read(self._few(compiler, query, MANY), stretch)

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
        columns = self._held(project_id, query)
        if columns is not None:
            with suppress(NotInColumns):
                return columns.count(query, now=now, at_most=at_most)
        compiler = self._compiler(project_id, now)
        some = compiler.all(query, self._few(compiler, query, FEW)).limit(at_most).subquery()
        return int(self._connection.scalars(select(func.count()).select_from(some)).one())

    def tag(self, project_id: str, digests: Sequence[str], *, add: Sequence[str], remove: Sequence[str]) -> int:
        known = 0
        for part in in_parts(digests):
            these = items.c.project_id == project_id, items.c.digest.in_(part)
            rows = self._connection.execute(
                select(items.c.digest, items.c.created_at, items.c.meta).where(*these)
            ).all()
            known += len(rows)
            for row in rows:
                self._changes.note(project_id, row.digest, Change.TAGGED)
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
                    not_looked_up(item_terms.c.field, sqlite=self._connection.dialect.name == "sqlite") == "tag",
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

    def _few(self, compiler: "_Compiler", query: Query, most: int) -> Select[Any] | None:
        """What leaves the fewest items of all that must hold; None where nothing is known to leave at most `most`."""
        fewest, best = most + 1, None
        for part in parts_of(query):
            seek = compiler.seek(part)
            if seek is not None:
                bounded = seek.limit(fewest).subquery()
                count = self._connection.scalars(select(func.count()).select_from(bounded)).one()
                if count < fewest:
                    fewest, best = count, seek
        return best

    def _values(self, compiler: "_Compiler", leaf: Leaf) -> list[str | float] | None:
        """See `loop.store.item_orders.Values`."""
        found = self._connection.scalars(compiler.values(leaf).limit(MOST_CHOICES + 1)).all()
        return list(found) if len(found) <= MOST_CHOICES else None

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

    def page(self, query: Query, stretch: Stretch, few: Select[Any] | None) -> Select[Any]:
        """(digest, key) in the order of the sort."""
        if few is not None:
            return self._gathered(query, stretch, few)
        if stretch.sort.field in TIMES:
            along = next((part for part in parts_of(query) if is_one_term(part)), None)
            if along is not None:
                return self._along_terms(query, along, stretch)
        return self._walked(query, stretch)

    def ordered(self, stretch: Stretch) -> Select[Any]:
        """All of them, as `page`."""
        return self._walked(EVERYTHING, stretch)

    def all(self, query: Query, few: Select[Any] | None) -> Select[Any]:
        """The digests, in no order."""
        wanted = select(item_facts.c.digest)
        if few is None:
            return wanted.where(self._of_project, self.condition(query, free=True))
        return wanted.where(self._among(few), self.condition(query))

    def _gathered(self, query: Query, stretch: Stretch, few: Select[Any]) -> Select[Any]:
        key = item_facts.c[stretch.sort.field]
        chosen = (
            select(item_facts.c.digest, key)
            .where(self._among(few), self.condition(query))
            .where(_in_stretch(self._fixed(key), stretch))
        )
        gathered = chosen.cte("few").prefix_with("MATERIALIZED")
        return _ordered(select(gathered), gathered.c[key.name], gathered.c.digest, stretch)

    def _walked(self, query: Query, stretch: Stretch) -> Select[Any]:
        """Along the index of the sort; where there is one that begins with something that must hold, along that."""
        parts = parts_of(query)
        led = next((part for part in parts if leads(part, stretch.sort)), None)
        key = item_facts.c[stretch.sort.field]
        wanted = select(item_facts.c.digest, key).where(
            self._of_project,
            *(self.condition(part, free=part is led or is_of_key(part, stretch.sort)) for part in parts),
            _in_stretch(key, stretch),
        )
        index = None if led is None else named_index(led, stretch.sort)
        if index is not None:
            wanted = wanted.with_hint(item_facts, f"INDEXED BY {index}", "sqlite")
        return _ordered(wanted, key, item_facts.c.digest, stretch)

    def _along_terms(self, query: Query, part: Compare, stretch: Stretch) -> Select[Any]:
        """Those that have one term, in an order of time, which it repeats."""
        term = item_terms.alias()
        key = term.c[stretch.sort.field]
        rest = [one for one in parts_of(query) if one is not part]
        wanted = (
            select(term.c.item_digest, key)
            .join(
                item_facts,
                and_(item_facts.c.project_id == term.c.project_id, item_facts.c.digest == term.c.item_digest),
            )
            .where(
                term.c.project_id == self.project_id,
                self._term(term.c, part),
                _in_stretch(key, stretch),
                *(self.condition(one) for one in rest),
            )
        )
        return _ordered(wanted, key, term.c.item_digest, stretch)

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

    # --- what few items there are

    def seeks(self, query: Query) -> bool:
        """Whether an index knows what leaves few of the items."""
        return any(self.seek(part) is not None for part in parts_of(query))

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
        if terms_of(query.field) is not None:
            return select(item_terms.c.item_digest).where(
                item_terms.c.project_id == self.project_id, self._term(item_terms.c, query)
            )
        if query.field in _UNINDEXED:
            return None
        return select(item_facts.c.digest).where(self._of_project, self.condition(query, free=True))

    def values(self, leaf: Leaf) -> Select[Any]:
        """Of its field, that meet it, each once, in their order: one seek in an index for each (a loose index scan)."""
        if terms_of(leaf.field) is not None:
            value, met = (
                item_terms.c.value,
                (item_terms.c.project_id == self.project_id, self._term(item_terms.c, leaf)),
            )
        else:
            value = item_facts.c[COLUMNS.get(leaf.field, leaf.field)]
            met = (self._of_project, self.condition(leaf, free=True))
        smallest = select(func.min(value)).where(*met)
        found = select(smallest.scalar_subquery().label("value")).cte("found", recursive=True)
        larger = smallest.where(value > found.c.value).scalar_subquery()
        found = found.union_all(select(larger).where(found.c.value.is_not(None)))
        return select(found.c.value).where(found.c.value.is_not(None))

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
        if terms_of(query.field) is not None:
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
        column = item_facts.c[COLUMNS.get(leaf.field, leaf.field)]
        shown = column if free else self._fixed(column)
        if isinstance(leaf, Has):
            return self._has(leaf.field, column, shown)
        kind = _kind(leaf.field)
        if kind is Kind.TEXT or leaf.field == "split":
            met = _texts(shown, leaf, self._contains, longest=LONGEST)
        else:
            met = or_(false(), *(self._value(leaf.field, shown, leaf.op, value) for value in leaf.values))
        return and_(shown.is_not(None), met) if column.nullable else met

    def _has(self, field: str, column: ColumnElement[Any], shown: ColumnElement[Any]) -> ColumnElement[bool]:
        if field == "truth":
            return shown != _ZERO
        if field in ("source", "group"):
            return shown > ""
        if field == "stage":
            return and_(shown.is_not(None), shown.in_(REVIEWED))
        return shown.is_not(None)

    def _value(self, field: str, shown: ColumnElement[Any], op: Op, value: Value) -> ColumnElement[bool]:
        match field, value:
            case "decision", "review":
                return shown.in_(REVIEWED)
            case (("decision" | "stage"), _):
                return shown == value
            case (("failed" | "truth"), bool()):
                return shown != _ZERO if value else shown == _ZERO
            case _, Ago(seconds):
                return _COMPARED[op](shown, self.now - timedelta(seconds=seconds))
            case (("width" | "height" | "corrections" | "truth"), float() | int()):
                return _integers(shown, op, value)
        return _COMPARED[op](shown, value)

    def _term(self, terms: Any, leaf: Leaf, *, free: bool = True) -> ColumnElement[bool]:
        """free: the planner may look up what it is compared with; else those of one item."""
        names = terms_of(leaf.field) or ()
        named: ColumnElement[bool] = terms.field == names[0] if len(names) == 1 else terms.field.in_(names)
        if isinstance(leaf, Has):
            return named
        value, number = (one if free else self._fixed(one) for one in (terms.value, terms.number))
        numbers = [one for one in leaf.values if not isinstance(one, str)]
        texts = [one for one in leaf.values if isinstance(one, str)]
        met: list[ColumnElement[bool]] = []
        if texts:
            only = leaf if isinstance(leaf, Compare) else OneOf(leaf.field, tuple(texts))
            met.append(_texts(value, only, self._contains, longest=LONGEST))
        if numbers:
            compared = _COMPARED[leaf.op]
            met.append(and_(number.is_not(None), or_(*(compared(number, one) for one in numbers))))
        return and_(named, or_(*met))

    def _contains(self, column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
        """As it is written: LIKE of SQLite takes A for a."""
        given = column, literal(text, column.type)
        place: ColumnElement[int] = func.instr(*given) if self.sqlite else func.strpos(*given)
        return place > 0

    def _fixed(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        return not_looked_up(column, sqlite=self.sqlite)


_WITHOUT_TRUTH = Compare("truth", Op.EQUAL, False)


def _texts_in(leaf: Leaf) -> Iterator[str]:
    if not isinstance(leaf, Has):
        yield from (value for value in leaf.values if isinstance(value, str))


def _merged(places: Sequence[Place], sort: Sort) -> list[Place]:
    """In the order of the sort, each once. Either all of them have what it is sorted by, or none."""
    return sorted(set(places), key=lambda place: (place.key or 0, place.digest), reverse=sort.descending)


def _in_stretch(key: ColumnElement[Any], stretch: Stretch) -> ColumnElement[bool]:
    return key.is_(None) if stretch.without_key else key.is_not(None)


def _ordered(
    statement: Select[Any], key: ColumnElement[Any], digest: ColumnElement[Any], stretch: Stretch
) -> Select[Any]:
    descending = stretch.sort.descending
    before, behind = (operators.ge, operators.lt) if descending else (operators.le, operators.gt)
    for place, compared in ((stretch.after, behind), (stretch.until, before)):
        if place is not None and place.key is None:
            statement = statement.where(compared(digest, place.digest))
        elif place is not None:
            given = tuple_(literal(place.key, key.type), literal(place.digest, digest.type))
            statement = statement.where(compared(tuple_(key, digest), given))
    return statement.order_by(*(column.desc() if descending else column.asc() for column in (key, digest)))


def _kind(field: str) -> Kind:
    found = field_of(field)
    if found is None:
        raise ValueError(f"there is no field {field}")
    return found.kind


def _texts(
    column: ColumnElement[Any],
    leaf: Compare | OneOf,
    contains: Callable[[ColumnElement[Any], str], ColumnElement[bool]],
    *,
    longest: int | None,
) -> ColumnElement[bool]:
    """longest: how much of a text is kept, and so compared."""
    values = [str(value)[:longest] for value in leaf.values]
    op = leaf.op
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
