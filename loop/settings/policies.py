"""Sections that new projects start with: routing, promises, the queue, the work of people and its quality."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from loop.domain.policy.gate import Fallback, GateRules
from loop.domain.policy.promises import GuaranteeRules, OnAlarm, WhenShort
from loop.domain.policy.quality_rules import ConsensusRules, GoldenRules, QualityRules
from loop.domain.policy.queue_rules import QueueRules
from loop.domain.policy.workflow import LotRules, LotsBy, PlanKind, Proposals, Qa, Workflow
from loop.domain.review.cost import Rates
from loop.domain.routing import Durability, Policy, Retain
from loop.settings.values import Inside, Number, Section, Share


class PolicySettings(Section):
    threshold: Share
    audit_rate: Share
    score_threshold: Share
    failure_iou: Annotated[float, Number, Field(gt=0, le=1)]
    lease_seconds: Annotated[int, Number, Field(ge=1, le=86_400)]
    retain: Retain
    retain_rate: Share
    durability: Durability

    def as_policy(self, version: int = 1) -> Policy:
        """What a new project starts with."""
        return Policy(version=version, **self.model_dump())


class GuaranteeSettings(Section):
    evidence_share: Annotated[float, Number, Field(gt=0, le=1)]
    window_audits: Annotated[int, Number, Field(ge=50, le=10_000)]
    window_days: Annotated[float, Number, Field(gt=0, le=365)]
    patience_days: Annotated[float, Number, Field(gt=0, le=365)]
    on_alarm: OnAlarm
    when_short: WhenShort

    def as_rules(self) -> GuaranteeRules:
        """What the policy of a new project starts with."""
        return GuaranteeRules(**self.model_dump())


class QueueSettings(Section):
    risk_weight: Annotated[float, Number, Field(ge=0, le=1000)]
    age_weight: Annotated[float, Number, Field(ge=0.001, le=1000)]
    deadline_weight: Annotated[float, Number, Field(ge=0, le=1000)]
    overdue_weight: Annotated[float, Number, Field(ge=0, le=1000)]
    horizon_seconds: Annotated[float, Number, Field(ge=1, le=316_224_000)]
    people_share: Share
    skips_before_expert: Annotated[int, Number, Field(ge=1, le=100)]
    max_leases: Annotated[int, Number, Field(ge=1, le=1000)] | None
    max_tasks_a_day: Annotated[int, Number, Field(ge=1, le=100_000)] | None
    blind_share: Share
    fair_sources: bool

    def as_rules(self) -> QueueRules:
        """What the policy of a new project starts with."""
        return QueueRules(**self.model_dump())


class CostSettings(Section):
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    per_hour: Annotated[float, Number, Field(ge=0, le=1_000_000)] | None

    def as_rates(self) -> Rates:
        """Of projects that have none of their own."""
        return Rates(**self.model_dump())


def _off(value: object) -> object:
    # YAML reads a bare `off` as false.
    return "off" if value is False else value


class WorkflowSettings(Section):
    qa: Annotated[Qa, BeforeValidator(_off)]
    share: Share
    max_returns: Annotated[int, Number, Field(ge=0, le=20)]
    rework_patience_seconds: Annotated[float, Number, Field(ge=1, le=316_224_000)]
    proposals: Proposals
    lot_size: Annotated[int, Number, Field(ge=1, le=10_000)]
    lot_close_after_seconds: Annotated[float, Number, Field(ge=1, le=316_224_000)] | None
    lot_by: LotsBy
    lot_plan: PlanKind
    lot_share: Annotated[float, Number, Field(gt=0, le=1)]
    lot_threshold: Annotated[float, Number, Field(ge=0, lt=1)]
    lot_aql: Annotated[float, Number, Field(ge=0, lt=1)]
    lot_ltpd: Annotated[float, Number, Field(gt=0, le=1)]
    lot_alpha: Annotated[float, Number, Field(gt=0, le=0.5)]
    lot_beta: Annotated[float, Number, Field(gt=0, le=0.5)]

    def as_workflow(self) -> Workflow:
        """What the policy of a new project starts with."""
        given = self.model_dump()
        lots = {name.removeprefix("lot_"): given.pop(name) for name in list(given) if name.startswith("lot_")}
        return Workflow(**given, lots=LotRules(**lots))


class ConsensusSettings(Section):
    iou: Annotated[float, Number, Field(gt=0, le=1)]
    min_agreement: Share
    min_certainty: Annotated[float, Number, Field(ge=0.5, lt=1)]

    def as_rules(self) -> ConsensusRules:
        return ConsensusRules(**self.model_dump())


class GoldenSettings(Section):
    rate: Share
    again_days: Annotated[float, Number, Field(ge=1, le=3650)]
    qualification: bool
    training: bool

    def as_rules(self) -> GoldenRules:
        return GoldenRules(**self.model_dump())


class StandingSettings(Section):
    bar: Inside
    confidence: Annotated[float, Number, Field(gt=0.5, lt=1)]
    min_items: Annotated[int, Number, Field(ge=1, le=500)]
    window: Annotated[int, Number, Field(ge=1, le=500)]

    def as_rules(self) -> QualityRules:
        return QualityRules(**self.model_dump())


class HumanGateSettings(Section):
    fallback: Fallback
    max_wait_seconds: Annotated[float, Number, Field(ge=1, le=3600)]
    min_review_seconds: Annotated[float, Number, Field(ge=0, le=3600)]

    def as_rules(self) -> GateRules:
        """What the policy of a new project starts with."""
        return GateRules(**self.model_dump())
