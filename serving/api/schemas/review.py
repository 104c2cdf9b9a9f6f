"""Tasks, leases and submissions."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from loop.domain.review.tasks import Outcome
from serving.api.schemas.predictions import DetectionOut
from serving.api.schemas.quality import FeedbackOut, MergedOut
from serving.api.schemas.shapes import IssueOut, ShapeIO
from serving.api.schemas.wire import In, Out


class LeaseIn(In):
    """`count` tasks for me: those I hold already come first, so that a reload goes on where it was."""

    count: Annotated[int, Field(ge=1, le=20)] = 1


class AnswerOut(Out):
    """What one person said; who it was is not told to who decides."""

    shapes: list[ShapeIO]
    note: str


class DraftIn(In):
    epoch: int
    content: dict[str, JsonValue] = Field(description="kept as it is, up to 1 MB of JSON")


class DraftOut(Out):
    epoch: int
    content: dict[str, JsonValue]
    saved_at: datetime


class DraftSavedOut(Out):
    saved_at: datetime


class ReopenedOut(Out):
    task_ids: list[str] = Field(description="open again")


class TaskFrameOut(Out):
    digest: str
    index: int = Field(description="in the clip: what shapes name as their frame")
    time: float | None = Field(description="seconds since the first frame of the video; null where nobody knows")
    width: int
    height: int
    image_url: str
    detections: list[DetectionOut] = Field(description="of the newest prediction")


class ReturnedOut(Out):
    """What QA says of the answer that this task is to give anew."""

    shapes: list[ShapeIO] = Field(description="as they were answered")
    issues: list[IssueOut]
    note: str


class TaskOut(Out):
    """A task in my hands. Nothing in it tells an audit from routed work, so that audits are blind."""

    id: str
    project_id: str
    item_digest: str
    width: int
    height: int
    image_url: str
    file: str = Field(description="the name of the file that the image was, by its meta.path; empty where nobody said")
    recipe_version: int = Field(description="the version that the answer is checked by")
    epoch: int
    expires_at: datetime
    lease_seconds: int
    detections: list[DetectionOut] = Field(description="the model's proposal")
    reason: str = Field(description="why it was selected; empty for routed work and audits")
    stage: Literal["review", "adjudicate", "qa"]
    answers: list[AnswerOut] = Field(
        description="between which this task decides, or the one that QA looks at; empty for all other work"
    )
    merged: MergedOut | None = Field(description="what the answers come to; null where they cannot be merged")
    returned: ReturnedOut | None = Field(description="what is wrong with the answer before")
    draft: DraftOut | None = Field(description="what I had of it before")
    created_at: datetime
    answer_by: datetime | None = Field(
        default=None, description="until when a caller waits for the answer; null where nobody does"
    )
    frames: list[TaskFrameOut] | None = Field(
        default=None, description="of a task of a clip, in their order; null for other tasks"
    )
    tracks: list[ShapeIO] | None = Field(
        default=None, description="the model's proposal for a clip: key frames of tracks; null for other tasks"
    )


class LeaseOut(Out):
    tasks: list[TaskOut]
    open: int = Field(
        description="tasks that nobody holds, counted up to 1000, and while there are so many once a second; in tens "
        "in projects with golden items"
    )
    why: str = Field(description="what keeps me from more tasks, or what is said of my standing; empty for nothing")


class EpochIn(In):
    epoch: int


class HeartbeatOut(Out):
    expires_at: datetime
    answer_by: datetime | None = Field(
        default=None, description="until when a caller waits now; another than the lease said where one came since"
    )


ActiveSeconds = Annotated[float, Field(ge=0, allow_inf_nan=False)] | None
_ACTIVE = "that I worked on it, without waiting and idling; counts up to the time of the lease"


class SubmitIn(In):
    epoch: int
    shapes: list[ShapeIO] = Field(max_length=5000)
    note: str = Field(default="", max_length=4000)
    active_seconds: ActiveSeconds = Field(default=None, description=_ACTIVE)


class SkipIn(In):
    epoch: int
    reason: str = Field(min_length=1, max_length=1000)
    active_seconds: ActiveSeconds = Field(default=None, description=_ACTIVE)


class SubmissionOut(Out):
    id: str
    task_id: str
    item_digest: str
    outcome: Outcome
    corrections: dict[str, int]
    seconds: float = Field(description="from the lease to the submission")
    issues: list[IssueOut] = Field(description="warnings that the answer was taken with")
    created_at: datetime
    golden: FeedbackOut | None = Field(default=None, description="in training: the trusted answer, of a golden item")


class CheckIn(In):
    shapes: list[ShapeIO] = Field(max_length=5000)


class CheckOut(Out):
    issues: list[IssueOut] = Field(description="with an error among them, submitting is refused")
