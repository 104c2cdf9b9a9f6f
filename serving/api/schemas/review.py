"""Tasks, leases and submissions."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from loop.domain.review import Outcome
from serving.api.schemas.predictions import DetectionOut
from serving.api.schemas.shapes import IssueOut, ShapeIO
from serving.api.schemas.wire import In, Out


class LeaseIn(In):
    """`count` tasks for me: those I hold already come first, so that a reload goes on where it was."""

    count: Annotated[int, Field(ge=1, le=20)] = 1


class TaskOut(Out):
    """A task in my hands. Nothing in it tells an audit from routed work, so that audits are blind."""

    id: str
    project_id: str
    item_digest: str
    width: int
    height: int
    image_url: str
    recipe_version: int = Field(description="the version that the answer is checked by")
    epoch: int
    expires_at: datetime
    lease_seconds: int
    detections: list[DetectionOut] = Field(description="the model's proposal")
    reason: str = Field(description="why it was selected; empty for routed work and audits")
    created_at: datetime


class LeaseOut(Out):
    tasks: list[TaskOut]
    open: int = Field(description="tasks that nobody holds")


class EpochIn(In):
    epoch: int


class HeartbeatOut(Out):
    expires_at: datetime


class SubmitIn(In):
    epoch: int
    shapes: list[ShapeIO] = Field(max_length=5000)
    note: str = Field(default="", max_length=4000)


class SkipIn(In):
    epoch: int
    reason: str = Field(min_length=1, max_length=1000)


class SubmissionOut(Out):
    id: str
    task_id: str
    item_digest: str
    outcome: Outcome
    corrections: dict[str, int]
    seconds: float
    issues: list[IssueOut] = Field(description="warnings that the answer was taken with")
    created_at: datetime


class CheckIn(In):
    shapes: list[ShapeIO] = Field(max_length=5000)


class CheckOut(Out):
    issues: list[IssueOut] = Field(description="with an error among them, submitting is refused")
