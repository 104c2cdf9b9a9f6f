"""The outbox: with an event, in the same transaction, a delivery for each webhook endpoint that wants it.

Where nothing is announced nothing is read, and where nobody listens nothing is written.
"""

import secrets

from sqlalchemy import Connection, insert, select

from loop.domain.announcements import Announcement, announcement, body_of
from loop.domain.identity import new_id
from loop.domain.outgoing.webhooks import Delivery, Endpoint, wants
from loop.domain.ports import Event
from loop.store.ready import Ready
from loop.store.schema import webhook_deliveries, webhook_endpoints
from loop.store.statements import columns

# Locked against being removed, so that no event fails for an endpoint that goes
# at this moment.
_LISTENING = Ready(
    select(webhook_endpoints).where(webhook_endpoints.c.enabled).with_for_update(read=True, key_share=True)
)


class Outbox:
    """What this transaction announces. Written at its end, in one read of the endpoints."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: list[tuple[Event, Announcement]] = []

    def add(self, event: Event) -> None:
        """Does nothing for what only the history keeps."""
        told = announcement(event.kind, event.actor, event.body)
        if told is not None:
            self._waiting.append((event, told))

    def write(self) -> None:
        """Before the rows that are numbered, whose lock is held until the commit."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        endpoints = _LISTENING.records(self._connection, Endpoint, {})
        rows = [columns(delivery) for event, told in waiting for delivery in _deliveries(event, told, endpoints)]
        if rows:
            self._connection.execute(insert(webhook_deliveries), rows)


def _deliveries(event: Event, told: Announcement, endpoints: list[Endpoint]) -> list[Delivery]:
    wanting = [endpoint for endpoint in endpoints if wants(endpoint, told.type, event.project_id)]
    if not wanting:
        return []
    message_id = new_id("msg", event.at, secrets.token_bytes(10))
    body = body_of(told.type, event.at, event.project_id, told.data)
    return [
        Delivery(
            endpoint_id=endpoint.id,
            message_id=message_id,
            type=told.type,
            body=body,
            created_at=event.at,
            due_at=event.at,
        )
        for endpoint in wanting
    ]
