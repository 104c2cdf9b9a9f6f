"""Answers on their way to the ground truth."""

from dataclasses import fields
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from loop.domain.review.qa import AnswerStanding, HeldAnswer
from loop.store.ready import Ready
from loop.store.schema import NO_PLACE, held_answers, lot_items
from loop.store.statements import columns, not_found

_NAMES = [field.name for field in fields(HeldAnswer)]
_OF_WORK = Ready(select(*(held_answers.c[name] for name in _NAMES)).where(held_answers.c.work_id == bindparam("of")))
_PLACE = select(lot_items.c.place).where(lot_items.c.work_id == bindparam("of")).scalar_subquery()


@cache
def _saved(dialect: str) -> Ready:
    """With the place of its work in the lot, where that is drawn."""
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    new = insert(held_answers).values(place=func.coalesce(_PLACE, NO_PLACE))
    written = {name: new.excluded[name] for name in (*_NAMES, "place")}
    return Ready(new.on_conflict_do_update(index_elements=[held_answers.c.work_id], set_=written), takes=_NAMES)


class SqlHeldAnswers:
    """Implements `loop.domain.ports.HeldAnswers`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, work_id: str) -> HeldAnswer | None:
        found = _OF_WORK.records(self._connection, HeldAnswer, {"of": work_id})
        return found[0] if found else None

    def get(self, work_id: str) -> HeldAnswer:
        found = self.find(work_id)
        if found is None:
            raise not_found("answer", work_id=work_id)
        return found

    def save(self, answer: HeldAnswer) -> None:
        saved = _saved(self._connection.dialect.name)
        saved.done(self._connection, columns(answer) | {"of": answer.work_id})

    def stand(self, work_id: str, standing: AnswerStanding) -> None:
        self._connection.execute(
            update(held_answers).where(held_answers.c.work_id == work_id).values(standing=standing)
        )

    def drop(self, work_id: str) -> None:
        self._connection.execute(delete(held_answers).where(held_answers.c.work_id == work_id))
