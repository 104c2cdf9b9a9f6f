"""Tasks that people do in Label Studio."""

from typing import Annotated

from pydantic import Field

from loop.domain.outgoing.label_studio import LinkState, What
from loop.domain.stage import Stage
from serving.api.schemas.wire import In, Out


class PushIn(In):
    """What a call does not do, the next one does: call until `more` is false."""

    title: str = Field(description="of the project in Label Studio; it is made where there is none")
    count: int = Field(default=100, ge=1, le=10_000, description="how many tasks shall wait there for an answer")
    selection: str | None = Field(default=None, description="picks of this selection")
    query: str | None = Field(default=None, description="of items that meet it; without either the most urgent")
    stage: Stage | None = Field(default=None, description="annotate or audit alone")


class SentTaskOut(Out):
    task_id: str
    remote: int | None = Field(description="the task's number in Label Studio")


class ProblemOut(Out):
    task_id: str
    remote: int | None = Field(description="the task's number in Label Studio, null where it is not there")
    why: str


class PushOut(Out):
    address: str = Field(description="of the project in Label Studio")
    sent: list[SentTaskOut]
    problems: list[ProblemOut]
    waiting: int = Field(description="tasks that wait there for an answer, with those that are being sent")
    in_hand: int = Field(description="that another push is sending, or was sending when it died")
    more: bool = Field(description="whether another call would do more")


class PullIn(In):
    after: str | None = Field(default=None, max_length=40, description="`next` of the call before")
    take_edits: bool = Field(
        default=False, description="answers that were changed there after they were taken become the next version"
    )


class ToldOut(Out):
    what: What
    place: int = Field(description="the project's number in Label Studio")
    remote: int | None = Field(description="the task's number in Label Studio")
    task_id: str = Field(description="empty where it is about the whole project")
    author: str = Field(description="who answered there")
    why: str = Field(description="and what to do; empty where there is nothing to say")


class PullOut(Out):
    told: list[ToldOut]
    next: str | None = Field(description="where the next call goes on; null where this was the last")


class ReleaseIn(In):
    tasks: Annotated[list[str], Field(min_length=1, max_length=1000)] | None = Field(
        default=None, description="null: all that wait there"
    )


class ReleaseOut(Out):
    told: list[ToldOut]
    more: bool


class PlaceOut(Out):
    address: str
    counts: dict[LinkState, int]


class LabelStudioStatusOut(Out):
    """Of what this service knows; Label Studio is not asked."""

    places: list[PlaceOut]
    problems: list[ProblemOut] = Field(description="the newest 200")


class InterfaceOut(Out):
    xml: str
