"""Predictions."""

from datetime import datetime

from pydantic import Field

from loop.domain.review import TaskState
from loop.domain.routing import Action, Stage
from serving.api.schemas.shapes import TruthOut
from serving.api.schemas.wire import Box, Out, Unit


class DetectionOut(Out):
    label: str
    score: Unit
    box: Box


class ReasonOut(Out):
    code: str
    detail: str


class DecisionOut(Out):
    action: Action
    stage: Stage | None
    risk: Unit
    threshold: Unit
    policy_version: int
    audit_rate: Unit
    audit_drawn: bool
    inclusion_probability: Unit
    reasons: list[ReasonOut]
    threshold_version: int | None = Field(
        description="of the thresholds that keep the policy's promises, if it makes any"
    )


class PredictionOut(Out):
    id: str
    project_id: str
    item_digest: str
    width: int
    height: int
    model_id: str
    model_digest: str
    detections: list[DetectionOut]
    signals: dict[str, float]
    decision: DecisionOut
    task_id: str | None
    created_at: datetime


class ReviewedPredictionOut(PredictionOut):
    """A prediction with what people made of it so far."""

    task_state: TaskState | None
    corrections: dict[str, int] | None = Field(description="errors by type; {} means right; null: not reviewed")
    truth: TruthOut | None


class PredictionPage(Out):
    predictions: list[PredictionOut]
    next: str | None = Field(description="pass as `after` for the next page")
