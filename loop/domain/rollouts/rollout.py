"""A model beside the champion: canary (callers get its answers) or shadow (they never see them).

queued ──deployed──► active ──end──► ended
  │  └─────────end/new champion──────┘
  │                    └─breach, or a canary that people find worse──► rolled_back
  └─cannot be served──► failed
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from loop.domain.errors import Invalid
from loop.domain.prediction import Detection
from loop.domain.rollouts.canary import CanaryRules, CanaryStanding


class RolloutKind(StrEnum):
    CANARY = "canary"  # a share of callers get this model's answer
    SHADOW = "shadow"  # this model sees a share of the traffic, callers get the champion's answer


class RolloutState(StrEnum):
    QUEUED = "queued"  # asked for; the serving process deploys and warms it
    ACTIVE = "active"  # takes its share
    ENDED = "ended"  # by a person, or by a new champion
    ROLLED_BACK = "rolled_back"  # by itself: it erred, was slow, or has not passed
    FAILED = "failed"  # could not be served; took no traffic

    @property
    def finished(self) -> bool:
        return self not in (RolloutState.QUEUED, RolloutState.ACTIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutLimits:
    """What a rollout may do before it is taken back (loop/domain/rollouts/traffic.py decides).

    min_requests: answered requests of each model before latencies are compared.
    max_error_rate: share of requests in [0, 1) that may fail.
    max_latency_ratio: how many times slower than the champion, at least 1.
    confidence: one-sided, in (0.5, 1), with which a limit must be broken.
    window_s: seconds of traffic that are looked at.
    """

    min_requests: int
    max_error_rate: float
    max_latency_ratio: float
    confidence: float
    window_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """share: of the predictions, in (0, 1]. champion_id: the model that it was started beside.
    error: why it failed, was rolled back or was ended, in words; empty while it runs. active_at: since when it takes
    its share. judging: how a canary is judged by what people answer; None: not at all. standing: what the last look
    found. cycle_id: of the cycle whose winner it is."""

    id: str
    project_id: str
    kind: RolloutKind
    model_id: str
    champion_id: str
    share: float
    state: RolloutState
    actor: str
    reason: str
    limits: RolloutLimits
    created_at: datetime
    finished_at: datetime | None = None
    error: str = ""
    active_at: datetime | None = None
    judging: CanaryRules | None = None
    standing: CanaryStanding | None = None
    cycle_id: str | None = None


@dataclass(frozen=True, slots=True)
class ShadowAnswer:
    """What a shadow said of the item of a prediction that another model answered. seconds: of the inference.
    error: why it has no answer, in words."""

    prediction_id: str
    rollout_id: str
    detections: tuple[Detection, ...]
    seconds: float
    error: str = ""


def checked_share(share: float) -> float:
    """`share` if it lies in (0, 1]; raises Invalid."""
    if not 0.0 < share <= 1.0:  # false for NaN too
        raise Invalid(
            f"a rollout cannot take the share {share:g} of the traffic.",
            hint="Give a number above 0 and at most 1: 0.1 is a tenth.",
            share=share,
        )
    return share


def takes(rollout: Rollout, secret: bytes, prediction_id: str) -> bool:
    """Whether this prediction is of the rollout's share: True with probability `rollout.share`, fixed by the two ids.

    Drawn by HMAC-SHA256 over a text that no other lottery uses: who is audited does not depend on which model
    answers, and two rollouts take independent shares.
    """
    message = f"rollout/{rollout.id}/{prediction_id}".encode()
    drawn = hmac.new(secret, message, hashlib.sha256).digest()
    return int.from_bytes(drawn[:8], "big") < rollout.share * 2**64


def ended_by_champion(rollout: Rollout, champion_id: str) -> str | None:
    """Why an unfinished rollout ends when `champion_id` becomes champion, in words; None where it goes on.

    A canary is judged against the champion that it was started beside. A shadow only observes, and goes on beside
    another champion.
    """
    if rollout.model_id == champion_id:
        return "it became the champion"
    if rollout.kind is RolloutKind.CANARY and rollout.champion_id != champion_id:
        return f"{champion_id} became the champion"
    return None
