"""Answers on their way to the ground truth."""

from sqlalchemy import Connection, delete, update

from loop.domain.qa import AnswerStanding, HeldAnswer
from loop.store.schema import held_answers
from loop.store.statements import columns, first, not_found, replaced


class SqlHeldAnswers:
    """Implements `loop.domain.ports.HeldAnswers`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, work_id: str) -> HeldAnswer | None:
        row = first(self._connection, held_answers, work_id=work_id)
        return None if row is None else HeldAnswer(**row._mapping)

    def get(self, work_id: str) -> HeldAnswer:
        found = self.find(work_id)
        if found is None:
            raise not_found("answer", work_id=work_id)
        return found

    def save(self, answer: HeldAnswer) -> None:
        replaced(self._connection, held_answers, columns(answer))

    def stand(self, work_id: str, standing: AnswerStanding) -> None:
        self._connection.execute(
            update(held_answers).where(held_answers.c.work_id == work_id).values(standing=standing)
        )

    def drop(self, work_id: str) -> None:
        self._connection.execute(delete(held_answers).where(held_answers.c.work_id == work_id))
