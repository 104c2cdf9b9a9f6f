"""People and projects."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from loop.domain.access import Role
from loop.domain.review.tasks import TaskState
from loop.domain.routing import Durability, Retain
from serving.api.schemas.functions import FunctionUseIO
from serving.api.schemas.gate import GateIn, GateOut
from serving.api.schemas.guarantee import AuditRatesIn, AuditRatesOut, GuaranteeRulesIn, GuaranteeRulesOut
from serving.api.schemas.models import CycleOut
from serving.api.schemas.quality import QualityIn, QualityOut
from serving.api.schemas.queue import QueueRulesIn, QueueRulesOut
from serving.api.schemas.recipes import RecipeOut
from serving.api.schemas.wire import In, Out, Unit
from serving.api.schemas.workflow import WorkflowIn, WorkflowOut


class Me(Out):
    id: str
    name: str
    role: Role
    project_id: str | None


class TokenIn(In):
    name: str = Field(min_length=1, max_length=100)
    role: Role
    project_id: str | None = None


class TokenOut(Out):
    id: str
    name: str
    role: Role
    project_id: str | None
    created_at: datetime
    revoked_at: datetime | None


class NewTokenOut(TokenOut):
    secret: str = Field(description="shown once; send it as Authorization: Bearer …")


class PolicyOut(Out):
    version: int
    threshold: Unit
    audit_rate: Unit
    score_threshold: Unit
    failure_iou: Unit
    lease_seconds: int
    retain: Retain = Field(description="of which accepted predictions the image is kept")
    retain_rate: Unit = Field(description="with which it is kept where retain is sampled")
    durability: Durability = Field(description="when an accepted prediction is durable")
    queue: QueueRulesOut
    functions: list[FunctionUseIO]
    workflow: WorkflowOut
    quality: QualityOut
    gate: GateOut
    guarantee: GuaranteeRulesOut
    audit_rates: AuditRatesOut


class PolicyIn(In):
    """What is left out keeps its present value."""

    threshold: Unit | None = None
    audit_rate: Unit | None = None
    score_threshold: Unit | None = None
    failure_iou: Unit | None = None
    lease_seconds: Annotated[int, Field(ge=5, le=86_400)] | None = None
    retain: Retain | None = None
    retain_rate: Unit | None = None
    durability: Durability | None = None
    queue: QueueRulesIn | None = None
    functions: list[FunctionUseIO] | None = Field(
        default=None, max_length=100, description="in place of the present ones"
    )
    workflow: WorkflowIn | None = None
    quality: QualityIn | None = None
    gate: GateIn | None = None
    guarantee: GuaranteeRulesIn | None = None
    audit_rates: AuditRatesIn | None = None


class ProjectOut(Out):
    id: str
    recipe: RecipeOut
    policy: PolicyOut
    champion_id: str | None
    created_at: datetime


class Summary(Out):
    """The figures of a project at a glance."""

    project_id: str
    champion_id: str | None
    predictions: int
    routed: int
    audits: int
    tasks: dict[TaskState, int] = Field(description="by state; empty for reviewers")
    cycle: CycleOut | None = Field(description="the newest cycle")
