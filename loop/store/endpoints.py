"""Webhook endpoints: where events are sent."""

from sqlalchemy import Connection, delete, insert, select, update

from loop.domain.outgoing.webhooks import Endpoint
from loop.store.schema import webhook_attempts, webhook_deliveries, webhook_endpoints
from loop.store.statements import columns, not_found, one


class SqlEndpoints:
    """Implements `loop.domain.ports.Endpoints`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, endpoint: Endpoint) -> None:
        self._connection.execute(insert(webhook_endpoints), columns(endpoint))

    def get(self, endpoint_id: str) -> Endpoint:
        """Raises NotFound."""
        return Endpoint(**one(self._connection, webhook_endpoints, "webhook endpoint", id=endpoint_id)._mapping)

    def all(self) -> list[Endpoint]:
        rows = self._connection.execute(
            select(webhook_endpoints).order_by(webhook_endpoints.c.created_at, webhook_endpoints.c.id)
        )
        return [Endpoint(**row._mapping) for row in rows]

    def for_update(self, endpoint_id: str) -> Endpoint:
        # FOR NO KEY UPDATE: transactions that keep an event for it (loop/store/outbox.py) go on.
        row = self._connection.execute(
            select(webhook_endpoints).where(webhook_endpoints.c.id == endpoint_id).with_for_update(key_share=True)
        ).first()
        if row is None:
            raise not_found("webhook endpoint", id=endpoint_id)
        return Endpoint(**row._mapping)

    def save(self, endpoint: Endpoint) -> None:
        """Raises NotFound."""
        changed = {name: value for name, value in columns(endpoint).items() if name != "id"}
        done = self._connection.execute(
            update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint.id).values(**changed)
        )
        if done.rowcount == 0:
            raise not_found("webhook endpoint", id=endpoint.id)

    def remove(self, endpoint_id: str) -> None:
        """Raises NotFound."""
        chosen = webhook_endpoints.c.id == endpoint_id
        if self._connection.execute(select(webhook_endpoints.c.id).where(chosen).with_for_update()).first() is None:
            raise not_found("webhook endpoint", id=endpoint_id)
        for table in (webhook_attempts, webhook_deliveries):
            self._connection.execute(delete(table).where(table.c.endpoint_id == endpoint_id))
        self._connection.execute(delete(webhook_endpoints).where(chosen))
