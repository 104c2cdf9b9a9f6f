"""A project's history, and the webhooks that tell it."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    text,
)

from loop.domain.outgoing.webhooks import DeliveryState
from loop.store.documents import OBJECT, SECRETS, STRINGS
from loop.store.schema.shared import metadata, one_of
from loop.store.types import SEQUENCE, Choice, PlainText, UtcDateTime

PENDING_DELIVERY = text("state = 'pending'")
DEAD_DELIVERY = text("state = 'dead'")
EVENT_OF_ITEM = text("item_digest IS NOT NULL")

# No key to projects: what concerns the whole installation has no project.
events = Table(
    "events",
    metadata,
    Column("sequence", SEQUENCE, Identity(), primary_key=True, autoincrement=True),
    Column("kind", PlainText, nullable=False),
    Column("project_id", PlainText, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("body", OBJECT, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("item_digest", PlainText),
    sqlite_autoincrement=True,
)
Index(None, events.c.project_id, events.c.sequence)
Index(None, events.c.project_id, events.c.kind, events.c.sequence)
# item_digest: of the body, where one item is concerned.
Index(
    "ix_events_of_item",
    events.c.project_id,
    events.c.item_digest,
    events.c.sequence,
    sqlite_where=EVENT_OF_ITEM,
    postgresql_where=EVENT_OF_ITEM,
)

# The secrets are there in clear: what signs cannot be a digest (docs/adr/0019-webhooks.md).
webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("project_id", PlainText, ForeignKey("projects.id")),
    Column("url", PlainText, nullable=False),
    Column("types", STRINGS, nullable=False),
    Column("description", PlainText, nullable=False),
    Column("secrets", SECRETS, nullable=False),
    Column("created_by", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("why_disabled", PlainText, nullable=False),
    Column("failing_since", UtcDateTime),
)

# The outbox: a row for each endpoint that an event goes to, written in the event's own transaction.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("endpoint_id", PlainText, ForeignKey("webhook_endpoints.id"), nullable=False),
    Column("message_id", PlainText, nullable=False),
    Column("type", PlainText, nullable=False),
    Column("body", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("state", Choice(DeliveryState), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("claimed_until", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("error", PlainText, nullable=False),
    PrimaryKeyConstraint("endpoint_id", "message_id"),
    CheckConstraint("(state = 'pending') = (finished_at IS NULL)", name="finished_unless_pending"),
    CheckConstraint("state = 'pending' OR claimed_until IS NULL", name="claimed_while_pending"),
    CheckConstraint("epoch >= 0 AND attempts >= 0 AND failures >= 0", name="counts"),
    one_of("state", DeliveryState),
)
Index(
    "ix_webhook_deliveries_due",
    webhook_deliveries.c.endpoint_id,
    webhook_deliveries.c.due_at,
    sqlite_where=PENDING_DELIVERY,
    postgresql_where=PENDING_DELIVERY,
)
Index(
    "ix_webhook_deliveries_dead",
    webhook_deliveries.c.endpoint_id,
    webhook_deliveries.c.message_id,
    sqlite_where=DEAD_DELIVERY,
    postgresql_where=DEAD_DELIVERY,
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("endpoint_id", PlainText, nullable=False),
    Column("message_id", PlainText, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("status", Integer),
    Column("error", PlainText, nullable=False),
    Column("milliseconds", Double, nullable=False),
    PrimaryKeyConstraint("endpoint_id", "message_id", "number"),
    ForeignKeyConstraint(
        ["endpoint_id", "message_id"], ["webhook_deliveries.endpoint_id", "webhook_deliveries.message_id"]
    ),
    CheckConstraint("number >= 1", name="number_counts"),
)
