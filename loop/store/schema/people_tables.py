"""People: what they may do, how good they are by golden items, what their work took, what they say of items."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.schema import SchemaItem

from loop.domain.policy.quality_rules import Standing
from loop.domain.review.comments import CommentKind, CommentState
from loop.domain.review.tasks import Outcome
from loop.domain.stage import Stage
from loop.store.documents import COUNTS, NUMBERS, OBJECT, PLACE, SHAPES, STRINGS
from loop.store.schema.answer_tables import submission_columns
from loop.store.schema.shared import item_key, metadata, newest_first, one_of, project_key
from loop.store.types import Choice, PlainText, UtcDateTime

JUDGEABLE_ANSWER = text("sound IS NOT NULL AND judged_id IS NULL")

# What statistics read of each submission; its shapes are large, and only their number by label counts there.
efforts = Table(
    "efforts",
    metadata,
    Column("submission_id", PlainText, ForeignKey("submissions.id"), primary_key=True),
    project_key(),
    Column("item_digest", PlainText, nullable=False),
    Column("task_id", PlainText, ForeignKey("tasks.id"), nullable=False),
    Column("work_id", PlainText, nullable=False),
    Column("round", Integer, nullable=False),
    Column("reviewer", PlainText, nullable=False),
    Column("source", PlainText, nullable=False),
    Column("stage", Choice(Stage), nullable=False),
    Column("outcome", Choice(Outcome), nullable=False),
    Column("labels", COUNTS, nullable=False),
    Column("corrections", Integer),
    Column("seconds", Double, nullable=False),
    Column("active_seconds", Double),
    Column("proposal_shown", Boolean),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("active_seconds >= 0 AND active_seconds <= seconds", name="active_while_held"),
)
newest_first(efforts, "submission_id")

# How many works each person answered or judged, one that was opened anew once. Kept with the submissions.
works_answered = Table(
    "works_answered",
    metadata,
    Column("reviewer", PlainText, primary_key=True),
    Column("works", Integer, nullable=False),
)

# What an hour of people costs; people: by token.
cost_rates = Table(
    "cost_rates",
    metadata,
    Column("project_id", PlainText, ForeignKey("projects.id"), primary_key=True),
    Column("currency", PlainText, nullable=False),
    Column("per_hour", Double),
    Column("people", NUMBERS, nullable=False),
    CheckConstraint("per_hour >= 0", name="rate_counts"),
)

comments = Table(
    "comments",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("item_digest", PlainText, nullable=False),
    Column("text", PlainText, nullable=False),
    Column("kind", Choice(CommentKind), nullable=False),
    Column("author", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("task_id", PlainText, ForeignKey("tasks.id")),
    Column("shape", PlainText),
    Column("at", PLACE),
    Column("state", Choice(CommentState), nullable=False),
    Column("resolved_at", UtcDateTime),
    Column("resolved_by", PlainText),
    item_key(),
    CheckConstraint(
        "(state = 'resolved') = (resolved_at IS NOT NULL) AND (resolved_at IS NULL) = (resolved_by IS NULL)",
        name="resolved_by_somebody",
    ),
    one_of("kind", CommentKind),
    one_of("state", CommentState),
)
newest_first(comments)
Index(None, comments.c.project_id, comments.c.item_digest)
Index(None, comments.c.project_id, comments.c.state, comments.c.kind, comments.c.created_at, comments.c.id)

comment_replies = Table(
    "comment_replies",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("comment_id", PlainText, ForeignKey("comments.id"), nullable=False),
    Column("text", PlainText, nullable=False),
    Column("author", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
Index(None, comment_replies.c.comment_id)

# What golden items were marked, with the trusted answer; taken back, a row stays, so that its versions go on.
golden_items = Table(
    "golden_items",
    metadata,
    Column("project_id", PlainText, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("shapes", SHAPES, nullable=False),
    Column("added_by", PlainText, nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Column("removed", Boolean, nullable=False),
    PrimaryKeyConstraint("project_id", "item_digest"),
    item_key(),
    CheckConstraint("version >= 1", name="version_counts"),
)

golden_seats = Table(
    "golden_seats",
    metadata,
    Column("task_id", PlainText, ForeignKey("tasks.id"), primary_key=True),
    project_key(),
    Column("reviewer", PlainText, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("prediction_id", PlainText, ForeignKey("predictions.id")),
    Column("given_at", UtcDateTime, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("judged_id", PlainText),
    item_key(),
)
Index(None, golden_seats.c.project_id, golden_seats.c.reviewer, golden_seats.c.given_at)

# Apart from submissions, so that nothing which counts those ever counts an answer to a golden item.
golden_answers = Table(
    "golden_answers",
    metadata,
    *submission_columns(),
    Column("version", Integer, nullable=False),
    Column("score", OBJECT),
    Column("sound", Boolean),
    Column("judged_id", PlainText),
    UniqueConstraint("task_id", "epoch"),
    item_key(),
    one_of("outcome", Outcome),
)
Index(None, golden_answers.c.project_id, golden_answers.c.reviewer, golden_answers.c.created_at)
# Which may be shown to who judges.
Index("ix_golden_answers_judgeable", golden_answers.c.project_id, golden_answers.c.created_at,
      sqlite_where=JUDGEABLE_ANSWER, postgresql_where=JUDGEABLE_ANSWER)  # fmt: skip


def _standing_columns() -> tuple[SchemaItem, ...]:
    """Of a person in a project, whatever at."""
    return (
        project_key(),
        Column("reviewer", PlainText, nullable=False),
        Column("standing", Choice(Standing), nullable=False),
        Column("since", UtcDateTime, nullable=False),
        Column("actor", PlainText, nullable=False),
        Column("why", PlainText, nullable=False),
        PrimaryKeyConstraint("project_id", "reviewer"),
        one_of("standing", Standing),
    )


standings = Table("standings", metadata, *_standing_columns(), Column("training", Boolean))

# The same of who judges answers.
judging_standings = Table("judging_standings", metadata, *_standing_columns())

# Works to be done anew, until they are open again.
redos = Table(
    "redos",
    metadata,
    Column("submission_id", PlainText, ForeignKey("submissions.id"), primary_key=True),
    Column("work_id", PlainText, nullable=False),
    project_key(),
    Column("reviewer", PlainText, nullable=False),
)

people = Table(
    "people",
    metadata,
    Column("token_id", PlainText, ForeignKey("tokens.id"), primary_key=True),
    Column("groups", STRINGS, nullable=False),
    Column("skills", STRINGS, nullable=False),
    Column("max_leases", Integer),
    Column("max_tasks_a_day", Integer),
)
