"""The way of an answer to the ground truth: whether another person looks at it before, at which answers, and what
becomes of a whole lot of them. The part of a project's policy for quality assurance (QA)."""

import hashlib
import hmac
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from loop.domain.errors import Invalid
from loop.domain.policy.sampling_plans import FixedShare, Plan, Risks, Sequential, Single

LARGEST_LOT = 10_000
MOST_RETURNS = 20
_SECONDS = (1.0, 10 * 366 * 86_400.0)


class Qa(StrEnum):
    """Which answers another person looks at."""

    OFF = "off"
    ALL = "all"
    SHARE = "share"  # each with a probability, by lot
    LOTS = "lots"  # a sample of each lot, and all of a lot that the sample speaks against


class Proposals(StrEnum):
    """Whether people see what the model says before they answer."""

    SHOWN = "shown"
    HIDDEN = "hidden"


class LotsBy(StrEnum):
    """Which tasks share a lot."""

    PROJECT = "project"
    SOURCE = "source"


class PlanKind(StrEnum):
    SHARE = "share"
    SINGLE = "single"
    SEQUENTIAL = "sequential"


@dataclass(frozen=True, slots=True, kw_only=True)
class LotRules:
    """How lots are made and judged; a lot keeps those that it was opened with.

    size: items of a full lot. close_after_seconds: after its opening a lot is closed, full or not; None: only when it
    is full. by: which tasks share a lot.
    plan: how a lot is judged (loop/domain/policy/sampling_plans.py): by `share` and `threshold`, or by the other four.
    """

    size: int = 200
    close_after_seconds: float | None = 7 * 86_400.0
    by: LotsBy = LotsBy.PROJECT
    plan: PlanKind = PlanKind.SHARE
    share: float = 0.1
    threshold: float = 0.05
    aql: float = 0.02
    ltpd: float = 0.1
    alpha: float = 0.05
    beta: float = 0.1

    def as_plan(self) -> Plan:
        """Raises Invalid where there is no such plan."""
        if self.plan is PlanKind.SHARE:
            return FixedShare(self.share, self.threshold)
        risks = Risks(self.aql, self.ltpd, self.alpha, self.beta)
        return Single(risks) if self.plan is PlanKind.SINGLE else Sequential(risks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """qa: which answers another person looks at; share: with which probability, for Qa.SHARE, in [0, 1].

    max_returns: so often QA may send an answer back to its author; then it accepts or corrects.
    rework_patience_seconds: so long what was sent back is its author's; then anybody's.
    proposals: whether people see the model's detections.
    """

    qa: Qa = Qa.OFF
    share: float = 0.1
    max_returns: int = 3
    rework_patience_seconds: float = 86_400.0
    proposals: Proposals = Proposals.SHOWN
    lots: LotRules = field(default_factory=LotRules)


def lot_rules_of(document: Mapping[str, Any]) -> LotRules:
    """From plain values; what is left out has its default. Raises Invalid."""
    return LotRules(**{**document} | _members(document, by=LotsBy, plan=PlanKind))


def workflow_of(document: Mapping[str, Any]) -> Workflow:
    """From plain values, as `dataclasses.asdict` gives them; what is left out has its default. Raises Invalid."""
    lots = lot_rules_of(document.get("lots", {}))
    return Workflow(**{**document, "lots": lots} | _members(document, qa=Qa, proposals=Proposals))


def changed_workflow(old: Workflow, changes: Mapping[str, Any]) -> Workflow:
    """`old` with what is given; of `lots` too, what is left out stays. Raises Invalid."""
    document = asdict(old)
    lots = {**document["lots"], **changes.get("lots", {})}
    return checked_workflow(workflow_of({**document, **changes, "lots": lots}))


def checked_workflow(workflow: Workflow) -> Workflow:
    """`workflow` if it can work; raises Invalid, naming what cannot."""
    _require("share", workflow.share, 0.0, 1.0)
    _require("max_returns", workflow.max_returns, 0, MOST_RETURNS)
    _require("rework_patience_seconds", workflow.rework_patience_seconds, *_SECONDS)
    lots = workflow.lots
    _require("lots.size", lots.size, 1, LARGEST_LOT)
    if lots.close_after_seconds is not None:
        _require("lots.close_after_seconds", lots.close_after_seconds, *_SECONDS)
    lots.as_plan()
    return workflow


def drawn_for_qa(secret: bytes, work_id: str, share: float) -> bool:
    """True with probability `share`, fixed by the id of the work, as the audit lottery is; independent of it."""
    return _ticket(secret, f"qa {work_id}") < share * 2**64


def inspection_order(secret: bytes, lot_id: str, work_ids: list[str]) -> list[str]:
    """The works of a lot in a random order, fixed by their ids: nobody without the secret can foresee which are looked
    at, and drawing again gives the same."""
    return sorted(work_ids, key=lambda work_id: (_ticket(secret, f"inspect {lot_id} {work_id}"), work_id))


def _ticket(secret: bytes, name: str) -> int:
    """Uniform below 2**64."""
    return int.from_bytes(hmac.new(secret, name.encode(), hashlib.sha256).digest()[:8], "big")


def _members(document: Mapping[str, Any], **kinds: type[StrEnum]) -> dict[str, StrEnum]:
    return {name: _member(kind, name, document[name]) for name, kind in kinds.items() if name in document}


def _member(kind: type[StrEnum], name: str, value: str) -> StrEnum:
    try:
        return kind(value)
    except ValueError:
        raise Invalid(f"workflow.{name} is {value!r}.", hint=f"Use one of: {', '.join(kind)}.", field=name) from None


def _require(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise Invalid(f"workflow.{name} is {value:g}.", hint=f"Use a number from {low:g} to {high:g}.", field=name)
