"""Lots, and the works in them."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Integer, and_, bindparam, func, insert, literal_column, not_, or_, select, update

from loop.domain.review.lot import Lot, LotState, Member, Order
from loop.domain.review.qa import AnswerStanding
from loop.store.item_facts import Change, ItemChanges
from loop.store.ready import Ready
from loop.store.schema import (
    FILLING_LOT,
    INSPECTED_MEMBER,
    NO_PLACE,
    UNCOUNTED_MEMBER,
    UNDECIDED_LOT,
    UNFOLLOWED_ANSWER,
    UNSEEN_MEMBER,
    WAITING_ANSWER,
    held_answers,
    lot_items,
    lots,
)
from loop.store.statements import columns, inserted, newest_first, not_found, record

_CHANGING = (
    "state", "items", "closed_at", "decided_at", "inspected", "defects", "accept_at", "reject_at", "reason", "actor",
    "version",
)  # fmt: skip

# Statements of an answer's way are made once: making one takes as long as running it.
_OF_LOT = lot_items.c.lot_id == bindparam("lot")
_MEMBERS = (
    select(
        lot_items.c.work_id,
        lot_items.c.item_digest,
        lot_items.c.place,
        lot_items.c.defect,
        lot_items.c.void,
        held_answers.c.standing,
    )
    .outerjoin(held_answers, held_answers.c.work_id == lot_items.c.work_id)
    .where(_OF_LOT)
    .order_by(lot_items.c.place, lot_items.c.work_id)
)
# As their indexes have them: an answer must not cost more for a larger lot.
_BEFORE = lot_items.c.place < bindparam("before", type_=Integer)
_UNCOUNTED = Ready(select(func.count()).where(_OF_LOT, UNCOUNTED_MEMBER, _BEFORE))
_UNSEEN = Ready(select(func.min(lot_items.c.place)).where(_OF_LOT, UNSEEN_MEMBER, _BEFORE))
_FOUND = Ready(select(func.count(), func.count().filter(lot_items.c.defect)).where(_OF_LOT, INSPECTED_MEMBER, _BEFORE))
_OF_HELD = held_answers.c.lot_id == bindparam("lot")
_UNPLACED = held_answers.c.place == NO_PLACE
_WAITING = Ready(
    select(held_answers.c.work_id, held_answers.c.place)
    .join(lot_items, lot_items.c.work_id == held_answers.c.work_id)
    .where(_OF_HELD, WAITING_ANSWER, held_answers.c.place < bindparam("before", type_=Integer))
    .where(
        or_(_UNPLACED, and_(held_answers.c.place >= bindparam("first", type_=Integer), lot_items.c.defect.is_(None)))
    )
    .order_by(held_answers.c.place)
    .limit(bindparam("most", type_=Integer))
)
_NOTED = (
    update(held_answers)
    .where(_OF_HELD, WAITING_ANSWER, _UNPLACED)
    .values(place=select(lot_items.c.place).where(lot_items.c.work_id == held_answers.c.work_id).scalar_subquery())
)
_STATE = Ready(select(lots.c.state).where(lots.c.id == bindparam("lot")))
_PLACE = Ready(select(lot_items.c.place).where(lot_items.c.work_id == bindparam("work")))
_PROJECT = select(lots.c.project_id).where(lots.c.id == bindparam("lot"))
_LOCKED = Ready(select(lots).where(lots.c.id == bindparam("lot")).with_for_update())


@cache
def _unfollowed(limit: int) -> Ready:
    # A limit that is written: SQLite would plan anew for each value.
    wanted = select(held_answers.c.work_id).where(_OF_HELD, UNFOLLOWED_ANSWER).order_by(held_answers.c.work_id)
    return Ready(wanted.limit(literal_column(str(limit))))


class SqlLots:
    """Implements `loop.domain.ports.Lots`."""

    def __init__(self, connection: Connection, changes: ItemChanges) -> None:
        self._connection = connection
        self._changes = changes

    def add(self, lot: Lot) -> bool:
        return inserted(self._connection, lots, columns(lot))

    def get(self, project_id: str, lot_id: str) -> Lot:
        return record(self._connection, Lot, lots, "lot", project_id=project_id, id=lot_id)

    def state(self, lot_id: str) -> LotState:
        ((state,),) = _STATE.rows(self._connection, {"lot": lot_id})
        return LotState(state)

    def for_update(self, lot_id: str) -> Lot:
        found = _LOCKED.records(self._connection, Lot, {"lot": lot_id})
        if not found:
            raise not_found("lot", id=lot_id)
        return found[0]

    def filling(self, project_id: str, source: str) -> Lot | None:
        row = self._connection.execute(
            select(lots).where(lots.c.project_id == project_id, lots.c.source == source, FILLING_LOT).with_for_update()
        ).first()
        return None if row is None else Lot(**row._mapping)

    def save(self, lot: Lot) -> None:
        values = {name: getattr(lot, name) for name in _CHANGING}
        self._connection.execute(update(lots).where(lots.c.id == lot.id).values(values))

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Lot]:
        rows = newest_first(
            self._connection, lots, key=lots.c.id, at=lots.c.opened_at, project_id=project_id, after=after, limit=limit
        )
        return [Lot(**row._mapping) for row in rows]

    def put(self, lot_id: str, works: Mapping[str, str]) -> None:
        self._connection.execute(
            insert(lot_items),
            [{"work_id": work, "lot_id": lot_id, "item_digest": item, "void": False} for work, item in works.items()],
        )
        self._note(lot_id, works.values())

    def _note(self, lot_id: str, digests: Iterable[str]) -> None:
        project_id = self._connection.scalars(_PROJECT, {"lot": lot_id}).one()
        for digest in digests:
            self._changes.note(project_id, digest, Change.LOTTED)

    def draw(self, work_ids: Sequence[str]) -> None:
        if not work_ids:
            return
        placed = update(lot_items).where(lot_items.c.work_id == bindparam("of")).values(place=bindparam("at"))
        self._connection.execute(placed, [{"of": work_id, "at": at} for at, work_id in enumerate(work_ids)])

    def members(self, lot_id: str) -> list[Member]:
        return [Member(**row._mapping) for row in self._connection.execute(_MEMBERS, {"lot": lot_id})]

    def order(self, lot_id: str) -> Order:
        return _Order(self._connection, lot_id)

    def waiting(self, lot_id: str, places: range, *, limit: int) -> tuple[list[str], bool]:
        given = {"lot": lot_id, "first": places.start, "before": places.stop, "most": limit}
        rows = _WAITING.rows(self._connection, given)
        return [work_id for work_id, place in rows if place != NO_PLACE], any(place == NO_PLACE for _, place in rows)

    def note_places(self, lot_id: str) -> int:
        return self._connection.execute(_NOTED, {"lot": lot_id}).rowcount

    def inspected(self, work_id: str, *, defect: bool) -> None:
        first = lot_items.c.work_id == work_id, lot_items.c.defect.is_(None)
        self._connection.execute(update(lot_items).where(*first).values(defect=defect))

    def uninspected(self, work_id: str) -> bool:
        passed = lot_items.c.work_id == work_id, not_(lot_items.c.defect)
        return self._connection.execute(update(lot_items).where(*passed).values(defect=None)).rowcount > 0

    def set_void(self, work_id: str, *, void: bool) -> None:
        changed = update(lot_items).where(lot_items.c.work_id == work_id).values(void=void)
        told = changed.returning(lot_items.c.lot_id, lot_items.c.item_digest)
        for lot_id, digest in self._connection.execute(told).all():
            self._note(lot_id, [digest])

    def recall(self, lot_id: str) -> None:
        self._connection.execute(
            update(held_answers)
            .where(held_answers.c.lot_id == lot_id, held_answers.c.standing == AnswerStanding.IN_QA)
            .values(standing=AnswerStanding.RECALLED)
        )

    def withdraw(self, lot_id: str) -> None:
        unseen = select(lot_items.c.work_id).where(lot_items.c.lot_id == lot_id, lot_items.c.defect.is_(None))
        self._connection.execute(
            update(held_answers)
            .where(held_answers.c.lot_id == lot_id, held_answers.c.standing == AnswerStanding.SETTLED)
            .where(held_answers.c.work_id.in_(unseen))
            .values(standing=AnswerStanding.WAITING)
        )

    def place(self, work_id: str) -> int | None:
        ((place,),) = _PLACE.rows(self._connection, {"work": work_id})
        return None if place is None else int(place)

    def unfollowed(self, lot_id: str, *, limit: int) -> list[str]:
        return [work_id for (work_id,) in _unfollowed(limit).rows(self._connection, {"lot": lot_id})]

    def stirring(self) -> list[str]:
        behind = select(held_answers.c.lot_id).where(UNFOLLOWED_ANSWER, held_answers.c.lot_id.is_not(None)).distinct()
        wanted = select(lots.c.id).where(or_(UNDECIDED_LOT, lots.c.id.in_(behind))).order_by(lots.c.id)
        return list(self._connection.scalars(wanted))

    def counts(self, lot_ids: Sequence[str]) -> Mapping[str, Mapping[AnswerStanding, int]]:
        rows = self._connection.execute(
            select(held_answers.c.lot_id, held_answers.c.standing, func.count())
            .where(held_answers.c.lot_id.in_(list(lot_ids)))
            .group_by(held_answers.c.lot_id, held_answers.c.standing)
        )
        found: dict[str, dict[AnswerStanding, int]] = {lot_id: dict.fromkeys(AnswerStanding, 0) for lot_id in lot_ids}
        for lot_id, standing, count in rows:
            found[lot_id][standing] = int(count)
        return found

    def voids(self, lot_ids: Sequence[str]) -> Mapping[str, int]:
        rows = self._connection.execute(
            select(lot_items.c.lot_id, func.count())
            .where(lot_items.c.lot_id.in_(list(lot_ids)), lot_items.c.void)
            .group_by(lot_items.c.lot_id)
        )
        return dict.fromkeys(lot_ids, 0) | {str(lot_id): int(count) for lot_id, count in rows}


class _Order:
    """Implements `loop.domain.review.lot.Order`."""

    def __init__(self, connection: Connection, lot_id: str) -> None:
        self._connection = connection
        self._lot_id = lot_id

    def uncounted(self, before: int) -> int:
        return int(self._told(_UNCOUNTED, before)[0])

    def unseen(self, before: int) -> int | None:
        place: int | None = self._told(_UNSEEN, before)[0]
        return place

    def found(self, before: int) -> tuple[int, int]:
        inspected, defects = self._told(_FOUND, before)
        return int(inspected), int(defects)

    def _told(self, wanted: Ready, before: int) -> Sequence[Any]:
        (told,) = wanted.rows(self._connection, {"lot": self._lot_id, "before": before})
        return told
