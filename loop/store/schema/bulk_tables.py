"""What goes through the images of a project at once: bulk annotation, selections, maps."""

from sqlalchemy import (
    BigInteger,
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

from loop.domain.embedding_map import MapState
from loop.domain.items.annotation import AnnotationState
from loop.store.documents import NUMBERS, OBJECT, STRINGS
from loop.store.schema.shared import metadata, model_key, newest_first, one_of, project_key, unit
from loop.store.types import Choice, PlainText, UtcDateTime

UNFINISHED_ANNOTATION = text("state IN ('queued', 'running')")
BAD_RESULT = text("prediction_id IS NULL")

annotation_jobs = Table(
    "annotation_jobs",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("model_id", PlainText, nullable=False),
    Column("source", PlainText, nullable=False),
    Column("any_folder", Boolean, nullable=False),
    Column("review", Boolean, nullable=False),
    Column("state", Choice(AnnotationState), nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("created_by", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("listing_key", PlainText),
    Column("found", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("bad", Integer, nullable=False),
    Column("error", PlainText, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    model_key("model_id"),
    CheckConstraint("done >= 0 AND bad >= 0 AND done + bad <= found", name="counts_fit"),
    CheckConstraint("state <> 'done' OR done + bad = found", name="done_when_all_answered"),
    CheckConstraint("state <> 'running' OR listing_key IS NOT NULL", name="listed_while_running"),
    one_of("state", AnnotationState),
)
newest_first(annotation_jobs)
Index(
    "ix_annotation_jobs_queue",
    annotation_jobs.c.created_at,
    annotation_jobs.c.id,
    sqlite_where=UNFINISHED_ANNOTATION,
    postgresql_where=UNFINISHED_ANNOTATION,
)

# One row per image of a job, written with its prediction: the primary key is what makes it once.
annotation_results = Table(
    "annotation_results",
    metadata,
    Column("job_id", PlainText, ForeignKey("annotation_jobs.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("url", PlainText, nullable=False),
    Column("item_digest", PlainText),
    Column("prediction_id", PlainText, ForeignKey("predictions.id")),
    Column("reason", PlainText, nullable=False),
    PrimaryKeyConstraint("job_id", "position"),
    UniqueConstraint("prediction_id"),
    CheckConstraint("position >= 0", name="position_counts"),
    CheckConstraint("(prediction_id IS NULL) = (reason <> '')", name="reason_where_bad"),
)
Index(
    "ix_annotation_results_bad",
    annotation_results.c.job_id,
    annotation_results.c.position,
    sqlite_where=BAD_RESULT,
    postgresql_where=BAD_RESULT,
)

selections = Table(
    "selections",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("model_id", PlainText),
    Column("mix", NUMBERS, nullable=False),
    Column("budget", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("conditions", OBJECT, nullable=False),
    Column("like_items", STRINGS, nullable=False),
    Column("pool", Integer, nullable=False),
    Column("picked", Integer, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("space", PlainText, nullable=False, server_default=""),
    model_key("model_id"),
    CheckConstraint("picked >= 0 AND picked <= budget AND picked <= pool", name="picked_fits"),
    CheckConstraint("(model_id IS NULL) = (space <> '')", name="one_space"),
)
newest_first(selections)

selection_picks = Table(
    "selection_picks",
    metadata,
    Column("selection_id", PlainText, ForeignKey("selections.id"), nullable=False),
    Column("rank", Integer, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("prediction_id", PlainText, ForeignKey("predictions.id")),
    Column("task_id", PlainText, ForeignKey("tasks.id")),
    Column("strategy", PlainText, nullable=False),
    Column("score", Double, nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("inclusion_probability", Double),
    PrimaryKeyConstraint("selection_id", "rank"),
    UniqueConstraint("selection_id", "item_digest"),
    CheckConstraint("rank >= 1", name="rank_counts"),
    unit("inclusion_probability"),
)

# The columns from model_id on are null before the first drawing.
maps = Table(
    "maps",
    metadata,
    Column("project_id", PlainText, ForeignKey("projects.id"), primary_key=True),
    Column("state", Choice(MapState), nullable=False),
    Column("refit", Boolean, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("error", PlainText, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("model_id", PlainText),
    Column("key", PlainText),
    Column("layout_key", PlainText),
    Column("previous_key", PlainText),
    Column("sequence", BigInteger),
    Column("points", Integer),
    Column("fitted", Integer),
    Column("late", Integer),
    Column("seed", BigInteger),
    Column("fitted_at", UtcDateTime),
    Column("made_at", UtcDateTime),
    model_key("model_id"),
    CheckConstraint("fitted + late <= points", name="counts_fit"),
    CheckConstraint("state <> 'ready' OR key IS NOT NULL", name="drawn_when_ready"),
    CheckConstraint(
        "(key IS NULL) = (model_id IS NULL) AND (key IS NULL) = (layout_key IS NULL) AND "
        "(key IS NULL) = (points IS NULL)",
        name="drawn_whole",
    ),
    one_of("state", MapState),
)
