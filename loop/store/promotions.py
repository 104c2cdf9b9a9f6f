"""Promotions: the rows that the serving process works off."""

from datetime import datetime

from sqlalchemy import Connection, select, update

from loop.domain.errors import Conflict
from loop.domain.model import Promotion
from loop.store.configuration import raise_revision
from loop.store.schema import QUEUED_PROMOTION, promotions
from loop.store.statements import columns, inserted, one


class SqlPromotions:
    """Implements `loop.domain.ports.Promotions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, promotion: Promotion) -> None:
        """Raises Conflict where the id is taken."""
        raise_revision(self._connection)
        if not inserted(self._connection, promotions, columns(promotion)):
            raise Conflict(
                f"there is a promotion {promotion.id} already.", hint="Send it again.", promotion=promotion.id
            )

    def get(self, promotion_id: str) -> Promotion:
        """Raises NotFound."""
        return Promotion(**one(self._connection, promotions, "promotion", id=promotion_id)._mapping)

    def queued(self) -> list[Promotion]:
        rows = self._connection.execute(
            select(promotions).where(QUEUED_PROMOTION).order_by(promotions.c.created_at, promotions.c.id)
        )
        return [Promotion(**row._mapping) for row in rows]

    def of_project(self, project_id: str) -> list[Promotion]:
        rows = self._connection.execute(
            select(promotions)
            .where(promotions.c.project_id == project_id)
            .order_by(promotions.c.created_at.desc(), promotions.c.id.desc())
        )
        return [Promotion(**row._mapping) for row in rows]

    def finished_since(self, moment: datetime) -> list[Promotion]:
        rows = self._connection.execute(
            select(promotions)
            .where(promotions.c.finished_at >= moment)
            .order_by(promotions.c.finished_at, promotions.c.id)
        )
        return [Promotion(**row._mapping) for row in rows]

    def save(self, promotion: Promotion) -> None:
        """Write previous_id, state, error and finished_at of a queued promotion; what it asks for never changes.

        Raises Conflict where it is finished, NotFound.
        """
        done = self._connection.execute(
            update(promotions)
            .where(promotions.c.id == promotion.id, QUEUED_PROMOTION)
            .values(
                previous_id=promotion.previous_id,
                state=promotion.state,
                error=promotion.error,
                finished_at=promotion.finished_at,
            )
        )
        if done.rowcount == 0:
            stored = self.get(promotion.id)
            raise Conflict(
                f"promotion {stored.id} is {stored.state} already.",
                hint="Ask for another promotion.",
                promotion=stored.id,
            )
