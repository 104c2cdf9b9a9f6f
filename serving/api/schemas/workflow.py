"""What becomes of answers: the workflow of a project's policy."""

from pydantic import Field

from loop.domain.policy.workflow import LotsBy, PlanKind, Proposals, Qa
from serving.api.schemas.queue import Seconds
from serving.api.schemas.wire import In, Out, Unit


class LotRulesOut(Out):
    """How lots are made and judged; see docs/workflow.md."""

    size: int = Field(description="items of a full lot")
    close_after_seconds: Seconds | None = Field(description="after its opening, full or not; null: only when full")
    by: LotsBy = Field(description="which tasks share a lot")
    plan: PlanKind = Field(description="by share and threshold, or by aql, ltpd, alpha and beta")
    share: Unit
    threshold: Unit
    aql: Unit
    ltpd: Unit
    alpha: Unit
    beta: Unit


class LotRulesIn(In):
    """What is left out keeps its present value."""

    size: int = 0
    close_after_seconds: Seconds | None = None
    by: LotsBy = LotsBy.PROJECT
    plan: PlanKind = PlanKind.SHARE
    share: float = 0.0
    threshold: float = 0.0
    aql: float = 0.0
    ltpd: float = 0.0
    alpha: float = 0.0
    beta: float = 0.0


class WorkflowOut(Out):
    """See docs/workflow.md."""

    qa: Qa = Field(description="which answers another person looks at before they count")
    share: Unit = Field(description="with which probability, where qa is share")
    max_returns: int = Field(description="so often an answer goes back to its author")
    rework_patience_seconds: Seconds = Field(description="so long what was returned is its author's alone")
    proposals: Proposals = Field(description="whether people see the model's detections")
    lots: LotRulesOut


class WorkflowIn(In):
    """What is left out keeps its present value."""

    qa: Qa = Qa.OFF
    share: float = 0.0
    max_returns: int = 0
    rework_patience_seconds: Seconds = 0.0
    proposals: Proposals = Proposals.SHOWN
    lots: LotRulesIn = Field(default_factory=LotRulesIn)
