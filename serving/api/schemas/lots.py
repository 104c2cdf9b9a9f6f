"""Quality assurance of answers, and lots of them."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from loop.domain.review.lot import LotState
from loop.domain.review.qa import AnswerStanding
from serving.api.schemas.wire import In, Out, Unit
from serving.api.schemas.workflow import LotRulesOut


class AcceptIn(In):
    epoch: int
    note: str = Field(default="", max_length=4000)


class QaIssueIn(In):
    message: str = Field(min_length=1, max_length=1000)
    shapes: list[Annotated[str, Field(max_length=64)]] = Field(
        default_factory=list, max_length=5000, description="ids of the shapes concerned; #3 for the fourth"
    )


class ReturnIn(In):
    """At least one issue, or a note."""

    epoch: int
    issues: list[QaIssueIn] = Field(default_factory=list, max_length=100)
    note: str = Field(default="", max_length=4000)


class DecisionIn(In):
    reason: str = Field(min_length=1, max_length=1000)
    version: int | None = Field(default=None, description="of the lot that was looked at; a later one is a conflict")


class UploadIn(In):
    source: str = Field(default="", max_length=200, description="what the upload is called in lists")


class LotOut(Out):
    id: str
    project_id: str
    source: str = Field(description="of its items; empty for all sources")
    upload: bool = Field(description="whether it takes only what is sent to it, until it is closed")
    state: LotState
    rules: LotRulesOut
    items: int
    unanswered: int
    waiting: int = Field(description="answers that wait for the verdict")
    in_qa: int
    settled: int = Field(description="answers that QA has done with, or that are the truth")
    void: int = Field(description="that ended without an answer")
    inspected: int = Field(description="on which it was decided, or so far")
    defects: int
    accept_at: int = Field(description="with at most so many defects the lot is accepted at this count; -1: it is not")
    reject_at: int = Field(description="with so many it is rejected")
    reason: str
    actor: str = Field(description="who decided; service for the sample")
    version: int
    opened_at: datetime
    closed_at: datetime | None
    decided_at: datetime | None


class LotPage(Out):
    lots: list[LotOut]
    next: str | None


class LotItemOut(Out):
    task_id: str = Field(description="the first of its work")
    item_digest: str
    place: int | None = Field(description="in the order of inspection, from 0; null until the lot is closed")
    standing: AnswerStanding | None = Field(description="of its answer; null where there is none")
    defect: bool | None = Field(description="what QA found; null where it has not looked")
    void: bool


class LotDetailOut(LotOut):
    tasks: list[LotItemOut]


class CurvePoint(Out):
    defects: int = Field(description="in the whole lot")
    share: Unit
    accepts: Unit = Field(description="probability that the lot is accepted")
    inspects: float = Field(description="items looked at, on average")


class CurveOut(Out):
    """The operating characteristic of a plan, and its average sample number."""

    rules: LotRulesOut
    size: int
    most: int = Field(description="items that are looked at, at most")
    points: list[CurvePoint]
