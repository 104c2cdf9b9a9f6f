"""The queue of custom functions."""

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, UniqueConstraint, text

from loop.domain.functions.calls import CallState
from loop.store.documents import OBJECT, STRINGS
from loop.store.schema.shared import item_key, metadata, one_of, project_key
from loop.store.types import Choice, PlainText, UtcDateTime

PENDING_CALL = text("state = 'pending'")

# The queue of custom functions: a row for each that an event calls, written in the event's own transaction.
function_calls = Table(
    "function_calls",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("function", PlainText, nullable=False),
    Column("trigger", PlainText, nullable=False),
    Column("subject", PlainText, nullable=False),
    Column("item_digest", PlainText),
    Column("actor", PlainText, nullable=False),
    Column("body", OBJECT, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("state", Choice(CallState), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("claimed_until", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("error", PlainText, nullable=False),
    Column("messages", STRINGS, nullable=False),
    item_key(),
    UniqueConstraint("project_id", "function", "trigger", "subject"),
    CheckConstraint("(state = 'pending') = (finished_at IS NULL)", name="finished_unless_pending"),
    CheckConstraint("state = 'pending' OR claimed_until IS NULL", name="claimed_while_pending"),
    CheckConstraint("epoch >= 0 AND attempts >= 0", name="counts"),
    one_of("state", CallState),
)
Index(
    "ix_function_calls_due",
    function_calls.c.due_at,
    function_calls.c.id,
    sqlite_where=PENDING_CALL,
    postgresql_where=PENDING_CALL,
)
