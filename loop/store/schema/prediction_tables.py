"""Predictions and what is kept with them: their order, objects, the keys that make a call count once."""

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
    UniqueConstraint,
    text,
)

from loop.domain.routing import Action
from loop.domain.stage import ROUTED, Stage
from loop.store.documents import DETECTIONS, NUMBERS, REASONS
from loop.store.schema.shared import item_key, metadata, model_key, newest_first, one_of, project_key, unit
from loop.store.types import SEQUENCE, Choice, Float32Vector, ObjectFeatures, PlainText, UtcDateTime

SAMPLED_PREDICTION = text("stage IS NOT NULL")

predictions = Table(
    "predictions",
    metadata,
    Column("id", PlainText, primary_key=True),
    project_key(),
    Column("item_digest", PlainText, nullable=False),
    Column("model_id", PlainText, nullable=False),
    Column("detections", DETECTIONS, nullable=False),
    Column("embedding", Float32Vector, nullable=False),
    Column("signals", NUMBERS, nullable=False),
    Column("action", Choice(Action), nullable=False),
    Column("stage", Choice(Stage)),
    Column("risk", Double, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("audit_rate", Double, nullable=False),
    Column("audit_drawn", Boolean, nullable=False),
    Column("inclusion_probability", Double, nullable=False),
    Column("reasons", REASONS, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", PlainText, nullable=False),
    Column("source", PlainText, nullable=False, server_default=text("''")),
    Column("threshold_version", Integer),
    item_key(),
    model_key("model_id"),
    ForeignKeyConstraint(["project_id", "policy_version"], ["policies.project_id", "policies.version"]),
    CheckConstraint("(action = 'review') = (stage IS NOT NULL)", name="stage_where_reviewed"),
    one_of("action", Action),
    one_of("stage", ROUTED),
    unit("inclusion_probability"),
)
newest_first(predictions)
Index(None, predictions.c.project_id, predictions.c.item_digest, predictions.c.created_at, predictions.c.id)
_OF_MODEL = predictions.c.project_id, predictions.c.model_id, predictions.c.created_at, predictions.c.id
Index(None, *_OF_MODEL)
Index("ix_predictions_sampled", *_OF_MODEL, sqlite_where=SAMPLED_PREDICTION, postgresql_where=SAMPLED_PREDICTION)

# The order in which predictions were committed (loop/store/appends.py), for the caches that follow them.
prediction_feed = Table(
    "prediction_feed",
    metadata,
    Column("sequence", SEQUENCE, Identity(), primary_key=True, autoincrement=True),
    Column("prediction_id", PlainText, ForeignKey("predictions.id"), nullable=False),
    Column("project_id", PlainText, nullable=False),
    Column("model_id", PlainText, nullable=False),
    UniqueConstraint("prediction_id"),
    model_key("model_id"),
    sqlite_autoincrement=True,
)
Index(None, prediction_feed.c.project_id, prediction_feed.c.model_id, prediction_feed.c.sequence)

# Beside the predictions, so that who reads those does not read these. Numbered as prediction_feed is.
object_embeddings = Table(
    "object_embeddings",
    metadata,
    Column("sequence", SEQUENCE, Identity(), primary_key=True, autoincrement=True),
    Column("prediction_id", PlainText, ForeignKey("predictions.id"), nullable=False),
    Column("project_id", PlainText, nullable=False),
    Column("model_id", PlainText, nullable=False),
    Column("features", ObjectFeatures, nullable=False),
    UniqueConstraint("prediction_id"),
    model_key("model_id"),
    sqlite_autoincrement=True,
)
Index(None, object_embeddings.c.project_id, object_embeddings.c.model_id, object_embeddings.c.sequence)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("token_id", PlainText, nullable=False),
    Column("key", PlainText, nullable=False),
    Column("request_digest", PlainText, nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("prediction_id", PlainText, ForeignKey("predictions.id")),
    PrimaryKeyConstraint("token_id", "key"),
)
