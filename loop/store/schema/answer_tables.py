"""What people answered, on its way to the ground truth: submissions, agreement, lots, truths."""

from typing import Any

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
    false,
    text,
)

from loop.domain.review.lot import LotState
from loop.domain.review.qa import AnswerStanding
from loop.domain.review.tasks import Outcome
from loop.store.documents import ISSUES, LOT_RULES, MERGED, OBJECT, PAIRS, REASONS, SHAPES, STRINGS, VOTES
from loop.store.schema.shared import EMPTY_LIST, item_key, metadata, newest_first, one_of, project_key, unit
from loop.store.types import Choice, PlainText, UtcDateTime

FILLING_LOT = text("closed_at IS NULL AND NOT upload")
UNDECIDED_LOT = text("state IN ('open', 'inspecting')")
UNFOLLOWED_ANSWER = text("standing IN ('waiting', 'recalled')")
WAITING_ANSWER = text("standing = 'waiting'")
# Of works in lots, by what a lot is judged by (loop/domain/review/lot.py).
UNCOUNTED_MEMBER = text("void AND defect IS NULL")
UNSEEN_MEMBER = text("NOT void AND defect IS NULL")
INSPECTED_MEMBER = text("defect IS NOT NULL")
NO_PLACE = -1  # of an answer: not noted

# Items whose answers are accepted, or looked at again, together.
lots = Table(
    "lots",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("source", PlainText, nullable=False),
    Column("state", Choice(LotState), nullable=False),
    Column("rules", LOT_RULES, nullable=False),
    Column("items", Integer, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("decided_at", UtcDateTime),
    Column("inspected", Integer, nullable=False),
    Column("defects", Integer, nullable=False),
    Column("accept_at", Integer, nullable=False),
    Column("reject_at", Integer, nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("upload", Boolean, nullable=False, server_default=false()),
    CheckConstraint(
        "items >= 0 AND (items >= 1 OR upload) AND 0 <= defects AND defects <= inspected AND inspected <= items",
        name="numbers_fit",
    ),
    CheckConstraint("state = 'open' OR closed_at IS NOT NULL", name="closed_unless_open"),
    CheckConstraint("(state IN ('accepted', 'rejected')) = (decided_at IS NOT NULL)", name="decided_at_once"),
    one_of("state", LotState),
)
Index(None, lots.c.project_id, lots.c.opened_at, lots.c.id)
Index(
    "ix_lots_filling",
    lots.c.project_id,
    lots.c.source,
    unique=True,
    sqlite_where=FILLING_LOT,
    postgresql_where=FILLING_LOT,
)
Index("ix_lots_undecided", lots.c.id, sqlite_where=UNDECIDED_LOT, postgresql_where=UNDECIDED_LOT)


def submission_columns() -> list[Column[Any]]:
    """The fields of `loop.domain.review.tasks.Submission`."""
    return [
        Column("id", PlainText, primary_key=True),
        Column("task_id", PlainText, ForeignKey("tasks.id"), nullable=False),
        project_key(),
        Column("item_digest", PlainText, nullable=False),
        Column("reviewer", PlainText, nullable=False),
        Column("epoch", Integer, nullable=False),
        Column("outcome", Choice(Outcome), nullable=False),
        Column("shapes", SHAPES, nullable=False),
        Column("note", PlainText, nullable=False),
        Column("content_digest", PlainText, nullable=False),
        Column("corrections", OBJECT, nullable=False),
        Column("seconds", Double, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("issues", ISSUES, nullable=False, server_default=EMPTY_LIST),
        Column("work_id", PlainText, nullable=False),
        Column("round", Integer, nullable=False),
        Column("settles", Boolean, nullable=False),
        Column("active_seconds", Double),
        Column("proposal_shown", Boolean),
    ]


submissions = Table(
    "submissions",
    metadata,
    *submission_columns(),
    UniqueConstraint("task_id", "epoch"),
    UniqueConstraint("work_id", "round", "reviewer"),
    item_key(),
    one_of("outcome", Outcome),
)
newest_first(submissions)
Index(None, submissions.c.project_id, submissions.c.reviewer, submissions.c.created_at)
Index(None, submissions.c.project_id, submissions.c.item_digest, submissions.c.created_at, submissions.c.id)

# Works in lots. Like any work, one of them goes by the id of its first task.
lot_items = Table(
    "lot_items",
    metadata,
    Column("work_id", PlainText, ForeignKey("tasks.id"), primary_key=True),
    Column("lot_id", PlainText, ForeignKey("lots.id"), nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("place", Integer),
    Column("defect", Boolean),
    Column("void", Boolean, nullable=False),
    UniqueConstraint("lot_id", "place"),
)
Index(None, lot_items.c.item_digest)
for name, where in (("uncounted", UNCOUNTED_MEMBER), ("unseen", UNSEEN_MEMBER)):
    of_lot = lot_items.c.lot_id, lot_items.c.place
    Index(f"ix_lot_items_{name}", *of_lot, sqlite_where=where, postgresql_where=where)
Index("ix_lot_items_inspected", lot_items.c.lot_id, lot_items.c.place, lot_items.c.defect,
      sqlite_where=INSPECTED_MEMBER, postgresql_where=INSPECTED_MEMBER)  # fmt: skip

# What a work came to, on its way to the ground truth.
held_answers = Table(
    "held_answers",
    metadata,
    Column("work_id", PlainText, ForeignKey("tasks.id"), primary_key=True),
    project_key(),
    Column("item_digest", PlainText, nullable=False),
    Column("lot_id", PlainText, ForeignKey("lots.id")),
    Column("round", Integer, nullable=False),
    Column("task_id", PlainText, ForeignKey("tasks.id"), nullable=False),
    Column("author", PlainText, nullable=False),
    Column("submission_id", PlainText, ForeignKey("submissions.id"), nullable=False),
    Column("submission_ids", STRINGS, nullable=False),
    Column("shapes", SHAPES, nullable=False),
    Column("standing", Choice(AnswerStanding), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("place", Integer, nullable=False, server_default=text("-1")),  # of its work in its lot, for an index
    item_key(),
    one_of("standing", AnswerStanding),
)
Index(None, held_answers.c.lot_id, held_answers.c.standing, held_answers.c.work_id)
Index("ix_held_answers_unfollowed", held_answers.c.lot_id, sqlite_where=UNFOLLOWED_ANSWER,
      postgresql_where=UNFOLLOWED_ANSWER)  # fmt: skip
Index("ix_held_answers_waiting", held_answers.c.lot_id, held_answers.c.place, sqlite_where=WAITING_ANSWER,
      postgresql_where=WAITING_ANSWER)  # fmt: skip

agreements = Table(
    "agreements",
    metadata,
    Column("work_id", PlainText, nullable=False),
    Column("round", Integer, nullable=False),
    project_key(),
    Column("item_digest", PlainText, nullable=False),
    Column("reviewers", STRINGS, nullable=False),
    Column("adjudicated", Boolean, nullable=False),
    Column("f1", Double, nullable=False),
    Column("iou", Double),
    Column("pairs", PAIRS, nullable=False),
    Column("votes", VOTES, nullable=False),
    Column("reasons", REASONS, nullable=False),
    Column("merged", MERGED),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("work_id", "round"),
    item_key(),
    unit("f1"),
)
newest_first(agreements, "work_id")
Index(None, agreements.c.project_id, agreements.c.item_digest)

ground_truths = Table(
    "ground_truths",
    metadata,
    Column("project_id", PlainText, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("shapes", SHAPES, nullable=False),
    Column("submission_ids", STRINGS, nullable=False),
    Column("origin", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("project_id", "item_digest", "version"),
    item_key(),
    CheckConstraint("version >= 1", name="version_counts"),
    CheckConstraint("origin IN ('import', 'review') OR substr(origin, 1, 9) = 'function:'", name="origin_known"),
)
