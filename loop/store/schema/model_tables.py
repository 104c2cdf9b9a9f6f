"""Model versions, and what brings them forth and into service: cycles, promotions, rollouts; what MLflow is told."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from loop.domain.cycle import CycleState, Step
from loop.domain.model import PromotionKind, PromotionState
from loop.domain.outgoing.notes import NoteKind
from loop.domain.rollouts.rollout import RolloutKind, RolloutState
from loop.store.documents import CANARY_RULES, CANARY_STANDING, DETECTIONS, HEAD, LIMITS, OBJECT
from loop.store.schema.shared import EMPTY_OBJECT, metadata, model_key, newest_first, one_of, project_key, unit
from loop.store.types import SEQUENCE, Choice, PlainText, UtcDateTime

UNFINISHED_CYCLE = text("state IN ('queued', 'running')")
QUEUED_PROMOTION = text("state = 'queued'")
UNFINISHED_ROLLOUT = text("state IN ('queued', 'active')")
UNTOLD_NOTE = text("told_at IS NULL")

models = Table(
    "models",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("digest", PlainText, nullable=False),
    Column("head", HEAD, nullable=False),
    Column("origin", PlainText, nullable=False),
    Column("cycle_id", PlainText, ForeignKey("cycles.id", use_alter=True)),
    Column("reference_key", PlainText),
    Column("risk_key", PlainText),
    Column("drift_key", PlainText),
    Column("created_at", UtcDateTime, nullable=False),
    Column("mlflow_version", PlainText),
    Column("notes", OBJECT, nullable=False),
    Column("serving", OBJECT, nullable=False, server_default=EMPTY_OBJECT),
    UniqueConstraint("project_id", "digest"),
    UniqueConstraint("project_id", "id"),
    CheckConstraint("origin IN ('registered', 'cycle')", name="origin_known"),
)
newest_first(models)

triggers = Table(
    "triggers",
    metadata,
    Column("project_id", PlainText, ForeignKey("projects.id"), primary_key=True),
    Column("rules", OBJECT, nullable=False),
)

# Saved views that are slices of the evaluation; margins: by view, null where it has none of its own.
slices = Table(
    "slices",
    metadata,
    Column("project_id", PlainText, ForeignKey("projects.id"), primary_key=True),
    Column("margins", OBJECT, nullable=False),
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("model_id", PlainText, nullable=False),
    Column("previous_id", PlainText),
    Column("kind", Choice(PromotionKind), nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("state", Choice(PromotionState), nullable=False),
    Column("error", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("serving", OBJECT, nullable=False, server_default=EMPTY_OBJECT),
    model_key("model_id"),
    model_key("previous_id"),
    one_of("kind", PromotionKind),
    one_of("state", PromotionState),
)
newest_first(promotions)
Index(
    "ix_promotions_queue",
    promotions.c.created_at,
    promotions.c.id,
    sqlite_where=QUEUED_PROMOTION,
    postgresql_where=QUEUED_PROMOTION,
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("kind", Choice(RolloutKind), nullable=False),
    Column("model_id", PlainText, nullable=False),
    Column("champion_id", PlainText, nullable=False),
    Column("share", Double, nullable=False),
    Column("state", Choice(RolloutState), nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("limits", LIMITS, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("error", PlainText, nullable=False),
    Column("active_at", UtcDateTime),
    Column("judging", CANARY_RULES),
    Column("standing", CANARY_STANDING),
    Column("cycle_id", PlainText),
    model_key("model_id"),
    model_key("champion_id"),
    CheckConstraint("share > 0 AND share <= 1", name="share_positive"),
    CheckConstraint("model_id <> champion_id", name="beside_the_champion"),
    CheckConstraint("(state IN ('queued', 'active')) = (finished_at IS NULL)", name="finished_once"),
    one_of("kind", RolloutKind),
    one_of("state", RolloutState),
)
newest_first(rollouts)
Index(
    "uq_rollouts_unfinished",
    rollouts.c.project_id,
    rollouts.c.kind,
    unique=True,
    sqlite_where=UNFINISHED_ROLLOUT,
    postgresql_where=UNFINISHED_ROLLOUT,
)

# A project may answer before a prediction is durable: what its shadow said may then be there first.
shadow_answers = Table(
    "shadow_answers",
    metadata,
    Column("prediction_id", PlainText, nullable=False),
    Column("rollout_id", PlainText, ForeignKey("rollouts.id"), nullable=False),
    Column("detections", DETECTIONS, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("error", PlainText, nullable=False),
    PrimaryKeyConstraint("rollout_id", "prediction_id"),
)

cycles = Table(
    "cycles",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("state", Choice(CycleState), nullable=False),
    Column("step", Choice(Step), nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("recipe", OBJECT, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("champion_id", PlainText),
    Column("snapshot_digest", PlainText),
    Column("candidate_id", PlainText),
    Column("promotion_id", PlainText, ForeignKey("promotions.id")),
    Column("progress", Double, nullable=False),
    Column("evaluation", OBJECT, nullable=False),
    Column("decision", OBJECT, nullable=False),
    Column("mlflow_run_id", PlainText),
    Column("error", PlainText, nullable=False),
    Column("finished_at", UtcDateTime),
    model_key("champion_id"),
    model_key("candidate_id"),
    one_of("state", CycleState),
    one_of("step", Step),
    unit("progress"),
)
newest_first(cycles)
Index(
    "uq_cycles_unfinished",
    cycles.c.project_id,
    unique=True,
    sqlite_where=UNFINISHED_CYCLE,
    postgresql_where=UNFINISHED_CYCLE,
)

# What MLflow is still to be told, and what it was told of cycles whose end it does not know yet.
mlflow_notes = Table(
    "mlflow_notes",
    metadata,
    Column("sequence", SEQUENCE, Identity(), primary_key=True, autoincrement=True),
    project_key(),
    Column("cycle_id", PlainText, ForeignKey("cycles.id")),
    Column("key", PlainText, nullable=False),
    Column("kind", Choice(NoteKind), nullable=False),
    Column("body", OBJECT, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("told_at", UtcDateTime),
    Column("failures", Integer, nullable=False),
    Column("refused", Boolean, nullable=False),
    Column("error", PlainText, nullable=False),
    UniqueConstraint("cycle_id", "key"),
    CheckConstraint("(kind = 'aliases') = (cycle_id IS NULL)", name="of_a_cycle_or_aliases"),
    CheckConstraint("failures >= 0", name="failures_count"),
    one_of("kind", NoteKind),
    sqlite_autoincrement=True,
)
Index(
    "ix_mlflow_notes_untold",
    mlflow_notes.c.sequence,
    sqlite_where=UNTOLD_NOTE,
    postgresql_where=UNTOLD_NOTE,
)
