"""Predictions that stand for all: those that came to people with a known probability, and what they stand for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

from loop.domain.prediction import Detection
from loop.domain.reason import Reason
from loop.domain.truth import Shape

_NOT_PROMISED = frozenset({"review-declined", "asked-before", "promise-unmet"})


class Answering(StrEnum):
    """How far people are with a prediction that came to them. WAITING: also for QA, or for the verdict on its lot.
    CLOSED: nobody will answer; those who looked could not say."""

    SETTLED = "settled"
    WAITING = "waiting"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A prediction that its risk or the audit lot sent to people.

    inclusion: in (0, 1], with which it could have come to them; audit_rate: in [0, 1], with which by the lot alone, and
    audit_drawn: whether it did. risk: as it was routed by. truth: what its item truly shows by now, in the words of the
    recipe of then; None until it is SETTLED. settled_at: when it was. promised: whether a promise let it pass, where it
    did: not where its caller declined a review, or people could look at no more.
    """

    prediction_id: str
    item_digest: str
    created_at: datetime
    source: str
    detections: tuple[Detection, ...]
    signals: Mapping[str, float]
    risk: float
    inclusion: float
    audit_rate: float
    audit_drawn: bool
    answering: Answering
    truth: tuple[Shape, ...] | None
    settled_at: datetime | None
    promised: bool = True


def is_promised(reasons: Iterable[Reason]) -> bool:
    """By the reasons of its decision; see `Sampled`."""
    return _NOT_PROMISED.isdisjoint(reason.code for reason in reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """A prediction as one of many, whoever looked at it. labels: of its detections, each once."""

    prediction_id: str
    created_at: datetime
    source: str
    labels: frozenset[str]
    signals: Mapping[str, float]
    risk: float
    inclusion: float


class Drawn(NamedTuple):
    """As `Sampled`, without what was said: for choosing of which to read that."""

    prediction_id: str
    created_at: datetime
    inclusion: float
    audit_rate: float
    audit_drawn: bool


@dataclass(frozen=True, slots=True)
class Crowd:
    """All predictions of one UTC day and source that the audit lot could draw, whoever looked at them.

    risk, squares: sums of their risks, and of these squared. least: the smallest audit rate, above 0.
    """

    day: date
    source: str
    count: int
    risk: float
    squares: float
    least: float
