"""Tasks as operators see them: their place in the queue, who holds them, who may do them."""

from datetime import datetime

from pydantic import Field

from loop.domain.review.tasks import TaskState, Urgency
from loop.domain.stage import Stage
from serving.api.schemas.wire import In, Out, Unit


class ListedTaskOut(Out):
    id: str
    project_id: str
    item_digest: str
    file: str = Field(description="the name of the file that the image was, by its meta.path; empty where nobody said")
    stage: Stage
    state: TaskState = Field(description="now: a lease that has run out is none")
    priority: Unit = Field(description="the risk that it is ordered by")
    rank: float = Field(description="its place in the order, the smallest first")
    source: str
    groups: list[str] = Field(description="of which one may do it; empty: everybody")
    skills: list[str] = Field(description="that it needs, all of them")
    kept_for: str = Field(description="the name of who alone may do it; empty: whoever")
    nobody: bool = Field(description="it is to be done, and who may review here has not the groups and skills for it")
    created_at: datetime
    due_at: datetime | None = Field(description="null: never")
    urgency: Urgency = Field(description="what passing its due time did to it")
    answer_by: datetime | None = Field(description="until when a caller waits for the answer; null where nobody does")
    holder: str = Field(description="the name of who holds it, or did it; empty for nobody")
    epoch: int = Field(description="counts leases")
    leased_at: datetime | None = Field(description="when the present or last lease began")
    expires_at: datetime | None = Field(
        description="when the lease ends unless it is renewed; null where nobody holds it"
    )
    skips: int = Field(description="people who skipped it in this round")
    round: int = Field(description="how often it was opened anew, or returned by QA")
    prediction_id: str | None = Field(description="its proposal; null where there is none")
    work_id: str
    lot_id: str | None


class TaskPage(Out):
    tasks: list[ListedTaskOut]
    next: str | None = Field(description="`after` of the next page; null where this is the last")


class TakeBackIn(In):
    epoch: int | None = Field(
        default=None, description="of the lease that was looked at; another one is a conflict; null: whatever it is"
    )
