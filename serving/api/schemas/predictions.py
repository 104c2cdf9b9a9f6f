"""Predictions."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from loop.domain.review.tasks import TaskState
from loop.domain.routing import Action, Stage
from serving.api.schemas.outcomes import OutcomeOut
from serving.api.schemas.shapes import TruthOut
from serving.api.schemas.wire import Box, Out, Unit


class DetectionOut(Out):
    label: str
    score: Unit
    box: Box


class PredictedDetectionOut(DetectionOut):
    """Not for tasks: from its age a reviewer could tell a golden item."""

    margin: Unit | None = Field(
        default=None, description="score - that of the next label; null where the prediction is older than this field"
    )


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
    detections: list[PredictedDetectionOut]
    signals: dict[str, float]
    decision: DecisionOut
    task_id: str | None
    status: Literal["final", "provisional"] = Field(
        description="final: accepted, or settled by people; provisional: a person is to look at it still"
    )
    withheld: bool = Field(description="the detections are left out, since no person has answered in time")
    created_at: datetime


class ReviewedPredictionOut(PredictionOut):
    """A prediction with what people made of it so far; also what a call gets that waited."""

    provisional_because: Literal["unanswered", "unsettled", "skipped"] | None = Field(
        description="unanswered: nobody has answered yet; unsettled: somebody has, and quality assurance, a lot or "
        "other people decide whether it counts; skipped: people could not say, and nobody is asked any more; null "
        "where it is final"
    )

    task_state: TaskState | None
    corrections: dict[str, int] | None = Field(description="errors by type; {} means right; null: not reviewed")
    truth: TruthOut | None
    outcomes: list[OutcomeOut] = Field(default=[], description="how it turned out, as callers report it; oldest first")

    @property
    def is_awaited(self) -> bool:
        """Whether people may still make it final: no field of the answer."""
        return self.provisional_because in ("unanswered", "unsettled")


class PredictionPage(Out):
    predictions: list[PredictionOut]
    next: str | None = Field(description="pass as `after` for the next page")
