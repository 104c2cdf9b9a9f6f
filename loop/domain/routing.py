"""Who looks at a prediction: nobody (accept), a person (review), or a person by lot (audit)."""

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import StrEnum

from loop.domain.policy.function_uses import FunctionUse
from loop.domain.policy.gate import GateRules, Review
from loop.domain.policy.promises import AuditRates, GuaranteeRules
from loop.domain.policy.quality_rules import QualityPolicy
from loop.domain.policy.queue_rules import QueueRules
from loop.domain.policy.workflow import Workflow
from loop.domain.reason import Reason as Reason
from loop.domain.stage import Stage as Stage


class Action(StrEnum):
    ACCEPT = "accept"
    REVIEW = "review"


class Retain(StrEnum):
    """Of which accepted predictions the image is kept. Those that people look at keep theirs always."""

    NONE = "none"
    SAMPLED = "sampled"
    ALL = "all"


class Durability(StrEnum):
    """When an accepted prediction is durable. Those that people look at always are before the answer."""

    BEFORE_ANSWER = "before-answer"
    SOON = "soon"  # within milliseconds; a crash in between loses predictions that were answered


_OF_THE_RISKIEST = 0.2  # that audits are ordered among
# Reasons why a person is needed: an audit alone is of a prediction that stands whatever is found.
_NEED_A_PERSON = frozenset({"risk-above-threshold", "review-requested"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How a project routes; immutable once used, known by its version.

    threshold: risk in [0, 1]; at or above it a person looks.
    audit_rate: probability in [0, 1] with which any prediction enters the audit lot.
    score_threshold: detections with at least this score are answered and shown.
    failure_iou: a detection counts as right when label and IoU (at least this) agree with the truth.
    lease_seconds: how long a reviewer holds a task without a heartbeat.
    retain: of which accepted predictions the image is kept; retain_rate: probability in [0, 1] for `sampled`.
    durability: when accepted predictions are durable.
    queue: in which order people get tasks, and who gets which.
    functions: which custom functions run, when.
    workflow: what becomes of their answers.
    quality: when answers of several people become one, how people are checked, and who is trusted.
    gate: how long callers may wait for people, and what they get where nobody answers.
    guarantee: what is promised of those that pass; with a promise, not `threshold` routes but what keeps it.
    audit_rates: where more are drawn than audit_rate says.
    """

    version: int
    threshold: float
    audit_rate: float
    score_threshold: float
    failure_iou: float
    lease_seconds: int
    retain: Retain = Retain.ALL
    retain_rate: float = 1.0
    durability: Durability = Durability.BEFORE_ANSWER
    queue: QueueRules = field(default_factory=QueueRules)
    functions: tuple[FunctionUse, ...] = ()
    workflow: Workflow = field(default_factory=Workflow)
    quality: QualityPolicy = field(default_factory=QualityPolicy)
    gate: GateRules = field(default_factory=GateRules)
    guarantee: GuaranteeRules = field(default_factory=GuaranteeRules)
    audit_rates: AuditRates = field(default_factory=AuditRates)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided, and all that is needed to explain it later.

    inclusion_probability: with which this prediction could have been sent to a person: 1 where its risk or its caller
    sends it, else the audit rate. Estimates weight by its inverse (Horvitz & Thompson 1952). threshold_version: of the
    record that `threshold` is from, where a promise routes (loop/domain/guarantee/thresholds.py).
    """

    action: Action
    stage: Stage | None  # None where nobody looks
    risk: float
    threshold: float
    policy_version: int
    audit_rate: float
    audit_drawn: bool
    inclusion_probability: float
    reasons: tuple[Reason, ...]
    threshold_version: int | None = None

    @property
    def needs_person(self) -> bool:
        """Whether it is not final before a person has answered. An audit of what would have been accepted is."""
        return any(reason.code in _NEED_A_PERSON for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class Bar:
    """At or above `threshold` a person looks. reasons: why it lies there; version: of its record, if it has one."""

    threshold: float
    reasons: tuple[Reason, ...] = ()
    version: int | None = None


def audit_lottery(secret: bytes, prediction_id: str, rate: float) -> bool:
    """True with probability `rate`, fixed by the id: drawn by HMAC-SHA256, so that neither order nor
    retries can change the draw and nobody without the secret can foresee it."""
    return _drawn(secret, prediction_id, rate)


def ordering_risk(secret: bytes, prediction_id: str, decision: Decision) -> float:
    """In [0, 1]: by which risk the tasks of a prediction are ordered. Its own; of an audit at least one drawn from the
    highest fifth. So audits, which promises and estimates rest on, are answered in time however far people are behind
    with all else, and come among the riskiest work in no order that tells them from it."""
    if not decision.audit_drawn:
        return decision.risk
    return max(decision.risk, 1.0 - _OF_THE_RISKIEST * _place(secret, f"order {prediction_id}"))


def retains(secret: bytes, prediction_id: str, policy: Policy) -> bool:
    """Whether the image of an accepted prediction is kept; the draw is independent of the audit lottery."""
    if policy.retain is Retain.SAMPLED:
        return _drawn(secret, f"retain {prediction_id}", policy.retain_rate)
    return policy.retain is Retain.ALL


def asks_several(secret: bytes, ticket: str, policy: Policy) -> bool:
    """Whether an item gets as many people as its stage asks for; independent of the other draws. ticket: an id that
    nobody can choose, of the prediction or the task."""
    return _drawn(secret, f"several {ticket}", policy.queue.people_share)


def hides_proposal(secret: bytes, task_id: str, policy: Policy) -> bool:
    """Whether a task hides what the model predicts; independent of the other draws."""
    return _drawn(secret, f"blind {task_id}", policy.queue.blind_share)


def draws_golden(secret: bytes, reviewer: str, task_id: str, given: int, policy: Policy) -> bool:
    """Whether a person gets a golden item instead of this task. given: how many golden items the person had, so that
    the draw is another after each, and none that can be repeated by giving the task back."""
    return _drawn(secret, f"golden {reviewer} {task_id} {given}", policy.quality.golden.rate)


def golden_order(secret: bytes, reviewer: str, item_digest: str) -> bytes:
    """By what a person's golden items are ordered: each has an order of its own, which nobody can foresee."""
    return hmac.new(secret, f"golden {reviewer} {item_digest}".encode(), hashlib.sha256).digest()


def shows_wrong(secret: bytes, reviewer: str, given: int) -> bool:
    """Whether who judges is shown a wrong answer rather than a right one, as often as not. given: as of
    `draws_golden`."""
    return _drawn(secret, f"wrong {reviewer} {given}", 0.5)


def _drawn(secret: bytes, ticket: str, rate: float) -> bool:
    return _number(secret, ticket) < rate * 2**64


def _place(secret: bytes, ticket: str) -> float:
    """In [0, 1], each as probable as any other."""
    return _number(secret, ticket) / 2**64


def _number(secret: bytes, ticket: str) -> int:
    return int.from_bytes(hmac.new(secret, ticket.encode(), hashlib.sha256).digest()[:8], "big")


def gives_evidence(secret: bytes, prediction_id: str, policy: Policy) -> bool:
    """Whether a prediction judges thresholds, and risk is therefore not learned from it; independent of the other
    draws."""
    return _drawn(secret, f"evidence {prediction_id}", policy.guarantee.evidence_share)


def route(
    *,
    risk: float,
    policy: Policy,
    audit_drawn: bool,
    audit_rate: float | None = None,
    bar: Bar | None = None,
    review: Review = Review.AUTO,
    asked_before: bool = False,
) -> Decision:
    """Review what is risky or drawn by lot; accept the rest. review: what its caller asks for, in place of the risk.

    A prediction that is both risky and drawn is an audit too: its stage is AUDIT, so that the
    audit lot stays a simple random sample of all predictions. bar: None: the policy's threshold. audit_rate: with which
    it was drawn; None: the policy's. asked_before: people have the image or answered for it;
    only the lot asks again.
    """
    bar = bar or Bar(policy.threshold)
    rate = policy.audit_rate if audit_rate is None else audit_rate
    risky = risk >= bar.threshold
    looked_at = not asked_before and (review is Review.ALWAYS or (risky and review is Review.AUTO))
    stage = Stage.AUDIT if audit_drawn else Stage.ANNOTATE if looked_at else None
    return Decision(
        action=Action.REVIEW if stage else Action.ACCEPT,
        stage=stage,
        risk=risk,
        threshold=bar.threshold,
        policy_version=policy.version,
        audit_rate=rate,
        audit_drawn=audit_drawn,
        inclusion_probability=1.0 if looked_at else rate,
        reasons=(*_reasons(risk, bar.threshold, rate, review, audit_drawn, asked_before), *bar.reasons),
        threshold_version=bar.version,
    )


def _reasons(
    risk: float, threshold: float, rate: float, review: Review, audit_drawn: bool, asked_before: bool
) -> tuple[Reason, ...]:
    if asked_before:
        reasons = [Reason("asked-before", "people have this image, or its truth is known: an upload asks once")]
    else:
        reasons = _wanted(risk, threshold, review)
    if audit_drawn:
        reasons.append(Reason("audit-lot", f"drawn by lot with probability {rate:g}"))
    if not reasons:
        reasons.append(Reason("risk-below-threshold", f"risk {risk:.3f} is below {threshold:.3f}"))
    return tuple(reasons)


def _wanted(risk: float, threshold: float, review: Review) -> list[Reason]:
    """Whether a person is wanted, by the caller and by the risk."""
    reasons: list[Reason] = []
    if review is Review.ALWAYS:
        reasons.append(Reason("review-requested", "the caller asks for a person"))
    if review is Review.NEVER:
        reasons.append(Reason("review-declined", f"risk {risk:.3f}; the caller needs no person"))
    elif risk >= threshold:
        reasons.append(Reason("risk-above-threshold", f"risk {risk:.3f} is at or above {threshold:.3f}"))
    return reasons
