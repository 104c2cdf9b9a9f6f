"""How good production is: thresholds, outcomes, figures, drift."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    text,
)

from loop.domain.guarantee.thresholds import EvidenceBasis, Why
from loop.domain.production.drift import Origin, Verdict
from loop.domain.production.outcomes import TurnedOut
from loop.store.documents import (
    BROKEN,
    CLASS_SHIFTS,
    DRIFT_TESTS,
    GROUP_THRESHOLDS,
    PROMISES,
    SCORE_SHIFT,
    SOURCE_SHIFTS,
    STRINGS,
)
from loop.store.schema.shared import EMPTY_LIST, metadata, model_key, newest_first, one_of, project_key, unit
from loop.store.types import Choice, PlainText, UtcDateTime

SCHEDULED_LOOK = text("scheduled")

# evidence: ids of the predictions that a record rests on, in ASCII, one a line, deflated. Predictions name a record by
# threshold_version; no key binds them, since routing rests on what a gateway has read before.
thresholds = Table(
    "thresholds",
    metadata,
    project_key(),
    Column("version", Integer, nullable=False),
    Column("model_id", PlainText, nullable=False),
    Column("risk_key", PlainText),
    Column("policy_version", Integer, nullable=False),
    Column("promises", PROMISES, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("why", Choice(Why), nullable=False),
    Column("basis", Choice(EvidenceBasis), nullable=False),
    Column("window_from", UtcDateTime, nullable=False),
    Column("window_until", UtcDateTime, nullable=False),
    Column("size", Integer, nullable=False),
    Column("answered", Integer, nullable=False),
    Column("closed", Integer, nullable=False),
    Column("overdue", Integer, nullable=False),
    Column("groups", GROUP_THRESHOLDS, nullable=False),
    Column("automation", Double, nullable=False),
    Column("review_share", Double, nullable=False),
    Column("relaxed", Double),
    Column("watched_since", UtcDateTime, nullable=False),
    Column("not_before", UtcDateTime),
    Column("reviews", Integer, nullable=False),
    Column("alarm", BROKEN),
    Column("others", STRINGS, server_default=EMPTY_LIST, nullable=False),
    Column("evidence", LargeBinary, nullable=False),
    PrimaryKeyConstraint("project_id", "version"),
    model_key("model_id"),
    ForeignKeyConstraint(["project_id", "policy_version"], ["policies.project_id", "policies.version"]),
    CheckConstraint("answered <= size", name="answers_of_the_window"),
    one_of("why", Why),
    one_of("basis", EvidenceBasis),
)
Index(None, thresholds.c.project_id, thresholds.c.model_id, thresholds.c.policy_version, thresholds.c.version)

# What callers say of predictions afterwards: a row of each caller for each prediction.
outcomes = Table(
    "outcomes",
    metadata,
    Column("prediction_id", PlainText, ForeignKey("predictions.id"), nullable=False),
    Column("reported_by", PlainText, nullable=False),
    project_key(),
    Column("model_id", PlainText, nullable=False),
    Column("predicted_at", UtcDateTime, nullable=False),
    Column("outcome", Choice(TurnedOut), nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("labels", STRINGS, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("task_id", PlainText, ForeignKey("tasks.id")),
    PrimaryKeyConstraint("prediction_id", "reported_by"),
    model_key("model_id"),
    one_of("outcome", TurnedOut),
)
Index(None, outcomes.c.project_id, outcomes.c.model_id, outcomes.c.predicted_at)

# The newest of each project, for monitoring.
production_figures = Table(
    "production_figures",
    metadata,
    Column("project_id", PlainText, ForeignKey("projects.id"), primary_key=True),
    Column("model_id", PlainText, nullable=False),
    Column("computed_at", UtcDateTime, nullable=False),
    Column("audits", Integer, nullable=False),
    Column("failure_rate", Double),
    Column("low", Double),
    Column("high", Double),
    model_key("model_id"),
    CheckConstraint("(failure_rate IS NULL) = (low IS NULL) AND (failure_rate IS NULL) = (high IS NULL)", name="whole"),
)

drift_reports = Table(
    "drift_reports",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("model_id", PlainText, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("scheduled", Boolean, nullable=False),
    Column("verdict", Choice(Verdict), nullable=False),
    Column("alarm", Boolean, nullable=False),
    Column("level", Double, nullable=False),
    Column("reference_origin", Choice(Origin), nullable=False),
    Column("reference_images", Integer, nullable=False),
    Column("reference_units", Integer, nullable=False),
    Column("window_images", Integer, nullable=False),
    Column("window_units", Integer, nullable=False),
    Column("window_of", BigInteger, nullable=False),
    Column("window_from", UtcDateTime, nullable=False),
    Column("window_until", UtcDateTime, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("tests", DRIFT_TESTS, nullable=False),
    Column("classes", CLASS_SHIFTS, nullable=False),
    Column("scores", SCORE_SHIFT, nullable=False),
    Column("sources", SOURCE_SHIFTS, nullable=False),
    Column("unlike", STRINGS, nullable=False),
    Column("notes", STRINGS, nullable=False),
    Column("cycle_id", PlainText, ForeignKey("cycles.id")),
    model_key("model_id"),
    CheckConstraint("reference_units >= 1 AND reference_units <= reference_images", name="reference_counts"),
    CheckConstraint(
        "window_units >= 1 AND window_units <= window_images AND window_images <= window_of", name="window_counts"
    ),
    one_of("verdict", Verdict),
    one_of("reference_origin", Origin),
    unit("level"),
)
newest_first(drift_reports)
Index(
    "ix_drift_reports_scheduled",
    drift_reports.c.project_id,
    drift_reports.c.created_at,
    drift_reports.c.id,
    sqlite_where=SCHEDULED_LOOK,
    postgresql_where=SCHEDULED_LOOK,
)
