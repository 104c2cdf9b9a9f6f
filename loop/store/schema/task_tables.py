"""The queue: tasks, and drafts of answers."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from loop.domain.review.tasks import TaskState, Urgency
from loop.domain.stage import Stage
from loop.store.documents import OBJECT
from loop.store.schema.shared import item_key, metadata, one_of, project_key, unit
from loop.store.types import Choice, PlainText, UtcDateTime

UNFINISHED_TASK = text("state IN ('open', 'leased')")
LEASED_TASK = text("state = 'leased'")
ALARMING_TASK = text("state IN ('open', 'leased') AND alarm_at IS NOT NULL")
HANDED_TASK = text("leased_at IS NOT NULL")
MEANT_TASK = text("state IN ('open', 'leased') AND meant_for <> ''")
RESERVED_TASK = text("state IN ('open', 'leased') AND reserved_until IS NOT NULL")
URGENT_TASK = text("state IN ('open', 'leased') AND urgency <> 'ordinary'")
AWAITED_TASK = text("state IN ('open', 'leased') AND answer_by IS NOT NULL")
# A golden item's task counts nowhere as work on that item.
ORDINARY_TASK = text("stage <> 'golden'")

tasks = Table(
    "tasks",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("item_digest", PlainText, nullable=False),
    Column("prediction_id", PlainText, ForeignKey("predictions.id")),
    Column("stage", Choice(Stage), nullable=False),
    Column("priority", Double, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("recipe_version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("reason", PlainText, nullable=False, server_default=text("''")),
    Column("state", Choice(TaskState), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("owner", PlainText),
    Column("leased_at", UtcDateTime),
    Column("valid_from", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("rank", Double, nullable=False),
    Column("lane", PlainText, nullable=False),
    Column("source", PlainText, nullable=False),
    Column("work_id", PlainText, nullable=False),
    Column("seat", Integer, nullable=False),
    Column("people", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("due_at", UtcDateTime),
    Column("alarm_at", UtcDateTime),
    Column("urgency", Choice(Urgency), nullable=False),
    Column("with_experts", Boolean, nullable=False),
    Column("proposal_shown", Boolean),
    Column("begun", Integer, nullable=False),
    Column("lot_id", PlainText, ForeignKey("lots.id")),
    Column("meant_for", PlainText, nullable=False),
    Column("reserved_until", UtcDateTime),
    Column("answer_by", UtcDateTime),
    Column("start_by", UtcDateTime),
    Column("usual_rank", Double),
    UniqueConstraint("prediction_id", "policy_version", "seat"),
    UniqueConstraint("work_id", "seat"),
    item_key(),
    ForeignKeyConstraint(["project_id", "policy_version"], ["policies.project_id", "policies.version"]),
    ForeignKeyConstraint(["project_id", "recipe_version"], ["recipes.project_id", "recipes.version"]),
    CheckConstraint("(state = 'leased') = (expires_at IS NOT NULL)", name="expires_while_leased"),
    CheckConstraint("(state = 'open') = (owner IS NULL)", name="owned_unless_open"),
    CheckConstraint("epoch >= 0", name="epoch_counts"),
    CheckConstraint(
        "seat >= -1 AND seat <= people AND people >= 1 AND begun >= 0 AND begun <= round", name="seats_count"
    ),
    one_of("stage", Stage),
    one_of("state", TaskState),
    one_of("urgency", Urgency),
    unit("priority"),
)
Index(
    "ix_tasks_queue",
    tasks.c.project_id,
    tasks.c.lane,
    tasks.c.rank,
    tasks.c.created_at,
    tasks.c.id,
    sqlite_where=UNFINISHED_TASK,
    postgresql_where=UNFINISHED_TASK,
)
# The same for each source, for projects that hand their tasks out in turn.
Index(
    "ix_tasks_sources",
    tasks.c.project_id,
    tasks.c.lane,
    tasks.c.source,
    tasks.c.rank,
    tasks.c.created_at,
    tasks.c.id,
    sqlite_where=UNFINISHED_TASK,
    postgresql_where=UNFINISHED_TASK,
)
# The same of what is overdue or escalated, which operators look for.
Index(
    "ix_tasks_urgent",
    tasks.c.project_id,
    tasks.c.lane,
    tasks.c.urgency,
    tasks.c.rank,
    tasks.c.created_at,
    tasks.c.id,
    sqlite_where=URGENT_TASK,
    postgresql_where=URGENT_TASK,
)
Index(
    "ix_tasks_alarms",
    tasks.c.project_id,
    tasks.c.alarm_at,
    sqlite_where=ALARMING_TASK,
    postgresql_where=ALARMING_TASK,
)
Index(
    "ix_tasks_handed",
    tasks.c.project_id,
    tasks.c.leased_at,
    tasks.c.id,
    sqlite_where=HANDED_TASK,
    postgresql_where=HANDED_TASK,
)
Index("ix_tasks_meant", tasks.c.project_id, tasks.c.meant_for, sqlite_where=MEANT_TASK, postgresql_where=MEANT_TASK)
Index(
    "ix_tasks_reserved",
    tasks.c.project_id,
    tasks.c.reserved_until,
    sqlite_where=RESERVED_TASK,
    postgresql_where=RESERVED_TASK,
)
Index("ix_tasks_awaited", tasks.c.answer_by, sqlite_where=AWAITED_TASK, postgresql_where=AWAITED_TASK)
Index("ix_tasks_held", tasks.c.project_id, tasks.c.owner, sqlite_where=LEASED_TASK, postgresql_where=LEASED_TASK)
Index(None, tasks.c.project_id, tasks.c.state)
Index(None, tasks.c.project_id, tasks.c.item_digest)

# What a reviewer has of an answer so far; the reviewer's, whoever has the task meanwhile.
drafts = Table(
    "drafts",
    metadata,
    Column("task_id", PlainText, ForeignKey("tasks.id"), nullable=False),
    Column("reviewer", PlainText, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("content", OBJECT, nullable=False),
    Column("saved_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("task_id", "reviewer"),
)
