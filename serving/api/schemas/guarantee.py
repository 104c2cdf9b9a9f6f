"""Promises of routing, and the thresholds that keep them."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from loop.domain.guarantee.thresholds import EvidenceBasis, Phase, Why
from loop.domain.policy.promises import Loss, OnAlarm, PromiseBy, Statement, WhenShort
from serving.api.schemas.predictions import ReasonOut
from serving.api.schemas.wire import In, Out, Unit

Name = Annotated[str, Field(max_length=200)]


class PromiseOut(Out):
    alpha: Unit = Field(description="the rate, of the predictions of each group, that may fail and pass")
    delta: Unit = Field(description="how probable it may be that they are more")
    statement: Statement = Field(description="high-probability, or expected: on average, without a delta")
    loss: Loss = Field(description="what counts: failure (anything), missed, false_alarm, or cost with its weights")
    classes: list[str] = Field(description="that count; empty: all")
    by: PromiseBy = Field(description="for which groups it holds, each by itself")
    missed_weight: Unit
    false_alarm_weight: Unit


class ErrorCostsOut(Out):
    """In the currency of the project's rates (PUT .../cost/rates)."""

    review: float | None = Field(description="of one prediction; null: what reviewers' time costs")
    missed: float | None = Field(description="of one missed object; null: not known")
    false_alarm: float


class GuaranteeRulesOut(Out):
    """See docs/guarantee.md."""

    promises: list[PromiseOut]
    evidence_share: Unit = Field(description="of predictions that judge thresholds and teach nothing")
    window_audits: int
    window_days: float
    patience_days: float = Field(description="after which what nobody answered counts as a failure")
    on_alarm: OnAlarm
    when_short: WhenShort
    hours_a_day: float | None = Field(description="of all reviewers; null: as many as they worked of late")
    costs: ErrorCostsOut


class AuditRatesOut(Out):
    """Beside audit_rate; the largest that applies."""

    by_source: dict[str, Unit]
    by_label: dict[str, Unit] = Field(description="that a prediction shows")
    by_risk: list[tuple[Unit, Unit]] = Field(description="[from which risk on, rate]")


class PromiseIn(In):
    alpha: float = 0.05
    delta: float = 0.1
    statement: Statement = Statement.HIGH_PROBABILITY
    loss: Loss = Loss.FAILURE
    classes: list[Name] = Field(default_factory=list, max_length=1000)
    by: PromiseBy = PromiseBy.NONE
    missed_weight: float = 1.0
    false_alarm_weight: float = 1.0


class ErrorCostsIn(In):
    review: float | None = None
    missed: float | None = None
    false_alarm: float = 0.0


class GuaranteeRulesIn(In):
    """What is left out keeps its present value; promises that are given replace the present ones."""

    promises: list[PromiseIn] = Field(default_factory=list, max_length=100)
    evidence_share: float = 0.5
    window_audits: int = 2000
    window_days: float = 30.0
    patience_days: float = 2.0
    on_alarm: OnAlarm = OnAlarm.REVIEW
    when_short: WhenShort = WhenShort.HOLD
    hours_a_day: float | None = None
    costs: ErrorCostsIn = Field(default_factory=ErrorCostsIn)


class AuditRatesIn(In):
    """What is left out keeps its present value; a map or list that is given replaces the present one."""

    by_source: dict[Name, float] = Field(default_factory=dict, max_length=1000)
    by_label: dict[Name, float] = Field(default_factory=dict, max_length=1000)
    by_risk: list[tuple[float, float]] = Field(default_factory=list, max_length=100)


class NeededOut(Out):
    automation: Unit
    audits: int | None = Field(description="how many more; 0: none; null: no number, too much fails below")


class GroupThresholdOut(Out):
    promise: int = Field(description="its place in the policy, from 1")
    group: str = Field(description="all, source=…, label=…, nothing (shows nothing), or other (all other groups)")
    value: Unit = Field(description="from this risk on people look; 0: at everything")
    passing: float = Field(description="rate that fails and passes, as estimated")
    bound: float = Field(description="at most, by the promise")
    automation: Unit = Field(description="share of the group below it")
    size: int = Field(description="predictions of the window")
    answered: int
    audits: int = Field(description="of these, by lot alone")
    needed: list[NeededOut]
    reasons: list[ReasonOut]


class BrokenOut(Out):
    promise: int
    group: str
    since: datetime = Field(description="from when on predictions were watched")
    found_at: datetime
    seen: int = Field(description="audits of what passed")
    rate: float = Field(description="that fails and passes, as these estimate")


class ThresholdsOut(Out):
    """A record: routing by it names its version."""

    version: int
    model_id: str
    risk_key: str | None = Field(description="what was learned of the model; null: the heuristic")
    policy_version: int
    created_at: datetime
    why: Why
    basis: EvidenceBasis = Field(
        description="seen: all that came to people; audits: audits alone, while others still wait"
    )
    window_from: datetime
    window_until: datetime
    size: int
    answered: int
    closed: int = Field(description="nobody could say; they count as failures")
    overdue: int = Field(description="nobody has answered in time; they count as failures")
    promises: list[PromiseOut]
    groups: list[GroupThresholdOut]
    automation: Unit = Field(description="share of all predictions that pass")
    review_share: Unit = Field(description="share that people get, with audits")
    relaxed: float | None = Field(description="risk below which predictions pass in spite of the promises")
    alarm: BrokenOut | None


class ThresholdsDetailOut(ThresholdsOut):
    evidence: list[str] = Field(description="ids of the predictions whose answers it rests on, oldest first")


class ThresholdsPage(Out):
    thresholds: list[ThresholdsOut]
    next: int | None = Field(description="pass as `before` for the next page")


class CapacityOut(Out):
    seconds: float | None = Field(description="of people's work for one item, of late")
    predictions_a_day: float
    hours_needed: float | None = Field(description="of reviewers together, a day")
    hours_had: float | None
    queue: int = Field(description="tasks that wait")
    queue_hours: float | None
    hours_for_queue: float | None = Field(
        description="of hours_had, what the queue takes, since it is longer than half of patience_days"
    )
    short: bool = Field(description="more is needed than there is beside the queue")
    says: str


class EconomicsOut(Out):
    """Of 1,000 predictions."""

    automation: Unit
    reviews: float = Field(description="what people's work costs")
    errors: float = Field(description="what passes costs")
    cost: float
    saved: float = Field(description="against reviewing everything")
    hours_saved: float | None


class GuaranteeOut(Out):
    project_id: str
    model_id: str
    phase: Phase = Field(
        description="crawl: people look at everything; walk: enough to judge, but nothing or only some groups pass; "
        "run: people look at what is risky"
    )
    unmet: bool = Field(description="a promise is broken, or not kept since people cannot do more")
    waits_for: str = Field(description="what is missing; empty: nothing")
    fewest: list[int] = Field(description="for each promise: answers without a failure that allow anything to pass")
    rules: GuaranteeRulesOut
    audit_rate: Unit
    thresholds: ThresholdsOut | None = Field(description="null: none yet, people look at everything")
    capacity: CapacityOut
    currency: str
    economics: EconomicsOut | None = Field(description="null where the costs of a review and an error are not known")


class CurvePointOut(Out):
    threshold: Unit
    automation: Unit
    passing: float
    bound: float
    kept: bool = Field(description="the bound is at most alpha")


class PricedPointOut(EconomicsOut):
    threshold: Unit


class GuaranteeCurveOut(Out):
    """What each threshold would let pass, from the safest on."""

    promise: int
    group: str
    groups: list[str]
    alpha: Unit
    present: Unit = Field(description="the threshold that the answers of now give")
    points: list[CurvePointOut]
    currency: str
    priced: list[PricedPointOut] = Field(description="empty where costs are not known")
    cheapest: float | None = Field(description="the threshold with the lowest cost, whatever is promised")
    worth: float | None = Field(description="risk from which on a review costs less than the error that it prevents")


class AcceptGuaranteeIn(In):
    reason: str = Field(min_length=1, max_length=1000)


class GuaranteePreviewIn(In):
    """Changes of a policy, as PATCH …/policy takes them."""

    guarantee: GuaranteeRulesIn
    audit_rate: Unit | None = None


class GuaranteePreviewOut(Out):
    """What it would come to by the answers of now."""

    model_id: str
    promises: list[PromiseOut]
    groups: list[GroupThresholdOut]
    fewest: list[int] = Field(description="for each promise: answers without a failure that allow anything to pass")
    automation: Unit = Field(description="share of all predictions that would pass")
    review_share: Unit = Field(description="share that people would get, with audits")
    size: int = Field(description="predictions of the window")
    answered: int = Field(description="of them, by people")
    anew: bool = Field(description="this audit rate begins a new window, so that no answer of before would count")
    learned_from: bool = Field(
        description="the risk was learned from these answers, so that they flatter it; it is learned again first"
    )
