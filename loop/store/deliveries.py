"""Deliveries of webhooks: what waits, who sends it, what came of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, TextClause, and_, bindparam, delete, func, insert, or_, select, update

from loop.domain.identity import new_id
from loop.domain.outgoing.webhooks import Attempt, Backlog, Delivery, DeliveryState
from loop.store.schema import (
    DEAD_DELIVERY,
    PENDING_DELIVERY,
    webhook_attempts,
    webhook_deliveries,
    webhook_endpoints,
)
from loop.store.statements import columns, one

# What a delivery is from its first row on.
_FIXED = frozenset({"endpoint_id", "message_id", "type", "body", "created_at"})
_VARYING = tuple(column.name for column in webhook_deliveries.columns if column.name not in _FIXED)


class SqlDeliveries:
    """Implements `loop.domain.ports.Deliveries`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, endpoint_id: str, message_id: str) -> Delivery:
        """Raises NotFound."""
        row = one(self._connection, webhook_deliveries, "delivery", endpoint_id=endpoint_id, message_id=message_id)
        return Delivery(**row._mapping)

    def page(self, endpoint_id: str, *, state: DeliveryState | None, after: str | None, limit: int) -> list[Delivery]:
        """Message ids sort by time."""
        statement = select(webhook_deliveries).where(webhook_deliveries.c.endpoint_id == endpoint_id)
        if state is not None:
            statement = statement.where(_in_state(state))
        if after is not None:
            statement = statement.where(webhook_deliveries.c.message_id < after)
        rows = self._connection.execute(statement.order_by(webhook_deliveries.c.message_id.desc()).limit(limit))
        return [Delivery(**row._mapping) for row in rows]

    def attempts(self, endpoint_id: str, message_id: str) -> list[Attempt]:
        rows = self._connection.execute(
            select(webhook_attempts)
            .where(webhook_attempts.c.endpoint_id == endpoint_id, webhook_attempts.c.message_id == message_id)
            .order_by(webhook_attempts.c.number)
        )
        return [Attempt(**row._mapping) for row in rows]

    def backlogs(self) -> Mapping[str, Backlog]:
        pending, dead = self._counted(PENDING_DELIVERY), self._counted(DEAD_DELIVERY)
        return {name: Backlog(pending.get(name, 0), dead.get(name, 0)) for name in {*pending, *dead}}

    def _counted(self, state: TextClause) -> dict[str, int]:
        rows = self._connection.execute(
            select(webhook_deliveries.c.endpoint_id, func.count())
            .where(state)
            .group_by(webhook_deliveries.c.endpoint_id)
        )
        return {endpoint_id: int(count) for endpoint_id, count in rows}

    def due(self, now: datetime) -> list[str]:
        some = select(webhook_deliveries.c.message_id).where(
            webhook_deliveries.c.endpoint_id == webhook_endpoints.c.id, _free(now)
        )
        rows = self._connection.execute(
            select(webhook_endpoints.c.id)
            .where(webhook_endpoints.c.enabled, some.exists())
            .order_by(webhook_endpoints.c.id)
        )
        return list(rows.scalars())

    def claim(self, endpoint_id: str, *, now: datetime, until: datetime, limit: int) -> list[Delivery]:
        free = self._connection.execute(
            select(webhook_deliveries.c.message_id)
            .where(webhook_deliveries.c.endpoint_id == endpoint_id, _free(now))
            .order_by(webhook_deliveries.c.due_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        claimed = self._connection.execute(
            update(webhook_deliveries)
            .where(
                webhook_deliveries.c.endpoint_id == endpoint_id,
                webhook_deliveries.c.message_id.in_(free.scalars().all()),
            )
            .values(epoch=webhook_deliveries.c.epoch + 1, claimed_until=until)
            .returning(webhook_deliveries)
        )
        return sorted((Delivery(**row._mapping) for row in claimed), key=lambda delivery: delivery.due_at)

    def for_update(self, endpoint_id: str, message_ids: Sequence[str]) -> list[Delivery]:
        rows = self._connection.execute(
            select(webhook_deliveries)
            .where(webhook_deliveries.c.endpoint_id == endpoint_id, webhook_deliveries.c.message_id.in_(message_ids))
            .order_by(webhook_deliveries.c.message_id)
            .with_for_update()
        )
        return [Delivery(**row._mapping) for row in rows]

    def save(self, deliveries: Sequence[Delivery]) -> None:
        if not deliveries:
            return
        statement = (
            update(webhook_deliveries)
            .where(
                webhook_deliveries.c.endpoint_id == bindparam("key_endpoint"),
                webhook_deliveries.c.message_id == bindparam("key_message"),
            )
            .values({name: bindparam(name) for name in _VARYING})
        )
        rows = [
            {
                "key_endpoint": delivery.endpoint_id,
                "key_message": delivery.message_id,
                **{name: getattr(delivery, name) for name in _VARYING},
            }
            for delivery in deliveries
        ]
        self._connection.execute(statement, rows)

    def record(self, attempts: Sequence[Attempt]) -> None:
        if attempts:
            self._connection.execute(insert(webhook_attempts), [columns(attempt) for attempt in attempts])

    def revive(self, endpoint_id: str, now: datetime) -> int:
        """As `loop.domain.outgoing.webhooks.replayed`, for all at once."""
        done = self._connection.execute(
            update(webhook_deliveries)
            .where(webhook_deliveries.c.endpoint_id == endpoint_id, DEAD_DELIVERY)
            .values(
                state=DeliveryState.PENDING,
                due_at=now,
                failures=0,
                epoch=webhook_deliveries.c.epoch + 1,
                finished_at=None,
            )
        )
        return done.rowcount

    def hasten(self, now: datetime, longest_pause: timedelta, longest_claim: timedelta) -> None:
        pending = update(webhook_deliveries).where(PENDING_DELIVERY)
        untried = and_(webhook_deliveries.c.failures == 0, webhook_deliveries.c.due_at > now)
        put_off = or_(untried, webhook_deliveries.c.due_at > now + longest_pause)
        self._connection.execute(pending.where(put_off).values(due_at=now))
        held = webhook_deliveries.c.claimed_until > now + longest_claim
        self._connection.execute(pending.where(held).values(claimed_until=None))

    def prune(self, endpoint_id: str, state: DeliveryState | None, before: datetime, limit: int) -> int:
        first_kept = new_id("msg", before, bytes(10))  # ids sort by time, and have an index
        statement = select(webhook_deliveries.c.message_id).where(
            webhook_deliveries.c.endpoint_id == endpoint_id, webhook_deliveries.c.message_id < first_kept
        )
        if state is not None:
            statement = statement.where(_in_state(state))
        rows = self._connection.execute(statement.order_by(webhook_deliveries.c.message_id).limit(limit))
        old = rows.scalars().all()
        for table in (webhook_attempts, webhook_deliveries):
            self._connection.execute(
                delete(table).where(table.c.endpoint_id == endpoint_id, table.c.message_id.in_(old))
            )
        return len(old)


def _free(now: datetime) -> ColumnElement[bool]:
    """Due, and nobody is sending it."""
    unclaimed = or_(webhook_deliveries.c.claimed_until.is_(None), webhook_deliveries.c.claimed_until <= now)
    return and_(PENDING_DELIVERY, webhook_deliveries.c.due_at <= now, unclaimed)


def _in_state(state: DeliveryState) -> ColumnElement[bool] | TextClause:
    """Written out where there is an index for it."""
    written = {DeliveryState.PENDING: PENDING_DELIVERY, DeliveryState.DEAD: DEAD_DELIVERY}
    return written.get(state, webhook_deliveries.c.state == state)
