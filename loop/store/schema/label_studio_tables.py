"""Which tasks lie in Label Studio."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Table, UniqueConstraint, text

from loop.domain.outgoing.label_studio import LinkState
from loop.store.schema.shared import metadata, one_of, project_key
from loop.store.types import Choice, PlainText, UtcDateTime

LIVE_LINK = text("state IN ('sending', 'out')")

# Tasks that people do in Label Studio (loop/domain/outgoing/label_studio.py).
label_studio_links = Table(
    "label_studio_links",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("server", PlainText, nullable=False),
    Column("place", Integer, nullable=False),
    Column("task_id", PlainText, ForeignKey("tasks.id"), nullable=False),
    Column("work_id", PlainText, nullable=False),
    Column("round", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", PlainText, nullable=False),
    Column("remote", Integer),
    Column("state", Choice(LinkState), nullable=False),
    Column("claimed_until", UtcDateTime),
    Column("annotation", Integer),
    Column("answer", PlainText, nullable=False),
    Column("submission_id", PlainText, ForeignKey("submissions.id")),
    Column("seen", PlainText, nullable=False),
    Column("problem", PlainText, nullable=False),
    UniqueConstraint("server", "place", "remote"),
    CheckConstraint("state <> 'sending' OR remote IS NULL", name="unknown_while_sending"),
    CheckConstraint("state NOT IN ('out', 'answered', 'skipped') OR remote IS NOT NULL", name="known_when_out"),
    CheckConstraint("(state IN ('answered', 'skipped')) = (submission_id IS NOT NULL)", name="taken_with_submission"),
    one_of("state", LinkState),
)
Index(None, label_studio_links.c.project_id, label_studio_links.c.server, label_studio_links.c.place)
Index(None, label_studio_links.c.work_id)
# A task lies there once.
Index(
    "uq_label_studio_links_live",
    label_studio_links.c.task_id,
    unique=True,
    sqlite_where=LIVE_LINK,
    postgresql_where=LIVE_LINK,
)
