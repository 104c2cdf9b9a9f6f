"""Whether a canary fails more often than the champion beside it, by what people found: worse, not worse, or not known.

going_on ──the difference is above 0──────────► worse       it is taken back
    │────the difference is below the margin───► not_worse   it may be promoted, or is
    └────neither, and its time is over────────► undecided   taken back, or taken for not worse, by its rules
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from loop.domain.rollouts.two_rates import Compared, answers_needed, at_least, at_most, capital_for_worse

Floats = NDArray[np.float64]

# Of the failure rate, where nobody knows it yet: a guess that costs few answers wherever the truth is.
EXPECTED = 0.1
_MISSING = "some predictions cannot come to people: a policy with audit_rate above 0 lets them"
_MOMENTS = ("looked_at", "until", "passed_at")


class CanaryVerdict(StrEnum):
    GOING_ON = "going_on"
    WORSE = "worse"  # it fails more often than the champion
    NOT_WORSE = "not_worse"  # not more often by the margin
    UNDECIDED = "undecided"  # its time or its answers are used up


class OnPass(StrEnum):
    """What a canary that is not worse comes to."""

    TELL = "tell"  # a person promotes it
    PROMOTE = "promote"  # it becomes the champion


class OnUndecided(StrEnum):
    ROLL_BACK = "roll_back"
    ACCEPT = "accept"  # as if it were not worse


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRules:
    """margin: by how much more its failure rate may be, in (0, 1). confidence: one-sided, in [0.5, 1), of each of the
    two verdicts, however often one looks. max_hours, max_answers: after which it ends undecided; answers of its own
    share. patience_hours: how long an answer is waited for. expected: failure rate in [0, 1], guessed before it began.
    """

    margin: float
    confidence: float
    max_hours: float
    max_answers: int
    patience_hours: float
    on_pass: OnPass
    on_undecided: OnUndecided
    expected: float = EXPECTED


@dataclass(frozen=True, slots=True)
class Arm:
    """Answers of a part of the traffic. rate: of failures, weighted by inclusion, in [0, 1]; None without answers."""

    answers: int
    failed: int
    rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryStanding:
    """What a look found. until: the end of the predictions that count. low, high: of the canary's failure rate less the
    champion's; each holds with the confidence of the rules, at all looks together. predictions: of both, seen or not.
    waiting: that people are to look at still. unanswered: that nobody could answer, or has in time. needed: answers of
    the canary that are missing, about, to say that it is not worse, if it is as good; None where nothing can be told.
    passed_at: since when it may be promoted. words: what this comes to, a sentence.
    """

    verdict: CanaryVerdict
    looked_at: datetime
    until: datetime
    canary: Arm
    champion: Arm
    predictions: int
    waiting: int
    unanswered: int
    low: float
    high: float
    needed: int | None
    passed_at: datetime | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What is known at a look of what came to people, oldest first, up to `until`: of both models, n each.

    canary: whether it was of its share. failed: None where nobody answers. least: the smallest probability with which
    any prediction could come to people; 0 where some have none. predictions: of both, seen or not.
    """

    until: datetime
    canary: Sequence[bool]
    inclusion: Sequence[float]
    failed: Sequence[bool | None]
    share: float
    least: float
    predictions: int
    waiting: int


def canary_rules_of(document: Mapping[str, Any]) -> CanaryRules:
    """From plain values. Raises Invalid."""
    try:
        plain = {**document, "on_pass": OnPass(document["on_pass"])}
        rules = CanaryRules(**{**plain, "on_undecided": OnUndecided(document["on_undecided"])})
    except (KeyError, TypeError, ValueError) as error:
        raise Invalid(f"rules of a canary are not as they should be: {error}", hint="See docs/serving.md.") from error
    return checked_canary_rules(rules)


def standing_to_json(standing: CanaryStanding) -> dict[str, Any]:
    moments = {name: getattr(standing, name) for name in _MOMENTS}
    return {**asdict(standing), **{name: moment and moment.isoformat() for name, moment in moments.items()}}


def standing_from_json(document: Mapping[str, Any]) -> CanaryStanding:
    moments = {name: document[name] and datetime.fromisoformat(document[name]) for name in _MOMENTS}
    arms = {name: Arm(**document[name]) for name in ("canary", "champion")}
    return CanaryStanding(**{**document, **moments, **arms, "verdict": CanaryVerdict(document["verdict"])})


def checked_canary_rules(rules: CanaryRules) -> CanaryRules:
    """Raises Invalid."""
    limits = {
        "margin": 0.0 < rules.margin < 1.0,
        "confidence": 0.5 <= rules.confidence < 1.0,
        "max_hours": isfinite(rules.max_hours) and rules.max_hours > 0.0,
        "max_answers": rules.max_answers > 0,
        "patience_hours": isfinite(rules.patience_hours) and rules.patience_hours > 0.0,
    }
    wrong = [name for name, holds in limits.items() if not holds]
    if wrong:
        raise Invalid(
            f"a canary cannot be judged by {wrong[0]} = {getattr(rules, wrong[0]):g}.",
            hint="margin lies in (0, 1), confidence in [0.5, 1); hours and answers are above 0.",
            setting=wrong[0],
        )
    return rules


def judge(
    rules: CanaryRules, found: Found, *, began: datetime, before: CanaryStanding | None, now: datetime
) -> CanaryStanding:
    """What is known of it comes to this. before: of the last look; one that has passed ends only where it is worse.

    What nobody could answer counts as right, so that it takes nothing back; but where the canary is to be called not
    worse, those of its share count as failures.
    """
    compared = _compared(rules, found)
    failed = np.array([np.nan if one is None else float(one) for one in found.failed])
    canary = np.array(found.canary, dtype=bool)
    bounds = _Bounds() if compared is None else _bounds(rules, compared, failed)
    arms = [_arm(failed, found, canary), _arm(failed, found, ~canary)]
    over = now >= began + timedelta(hours=rules.max_hours) or arms[0].answers >= rules.max_answers
    verdict = _verdict(rules, bounds, over)
    passed_at = now if passes(rules, verdict) else None
    if before is not None and before.passed_at is not None:
        passed_at = before.passed_at
        verdict = verdict if verdict is CanaryVerdict.WORSE else before.verdict
    standing = CanaryStanding(
        verdict=verdict,
        looked_at=now,
        until=found.until,
        canary=arms[0],
        champion=arms[1],
        predictions=found.predictions,
        waiting=found.waiting,
        unanswered=sum(one is None for one in found.failed),
        low=bounds.low,
        high=bounds.high,
        needed=bounds.needed,
        passed_at=passed_at,
        words="",
    )
    return replace(standing, words=_words(rules, standing, known=compared is not None))


def passes(rules: CanaryRules, verdict: CanaryVerdict) -> bool:
    """Whether it may be promoted."""
    undecided = verdict is CanaryVerdict.UNDECIDED and rules.on_undecided is OnUndecided.ACCEPT
    return verdict is CanaryVerdict.NOT_WORSE or undecided


def is_taken_back(rules: CanaryRules, verdict: CanaryVerdict) -> bool:
    undecided = verdict is CanaryVerdict.UNDECIDED and rules.on_undecided is OnUndecided.ROLL_BACK
    return verdict is CanaryVerdict.WORSE or undecided


def _compared(rules: CanaryRules, found: Found) -> Compared | None:
    """None where the two cannot be compared: some of the predictions could not come to people."""
    if not found.predictions or not found.least > 0.0 or not found.share < 1.0:
        return None
    return Compared(
        canary=np.array(found.canary, dtype=bool),
        inclusion=np.array(found.inclusion, dtype=float),
        share=found.share,
        least=found.least,
        predictions=found.predictions,
        expected=rules.expected,
    )


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Of the difference. worse: it was above 0 once, after whichever answer; that holds, whatever came after."""

    low: float = -1.0
    high: float = 1.0
    needed: int | None = None
    worse: bool = False


def _bounds(rules: CanaryRules, compared: Compared, failed: Floats) -> _Bounds:
    """failed: (n,) 0 or 1; NaN: nobody answers."""
    right = np.nan_to_num(failed, nan=0.0)
    wrong = np.where(np.isnan(failed), compared.canary.astype(float), failed)
    worse = bool((capital_for_worse(compared, right) >= 1.0 / (1.0 - rules.confidence)).any())
    least = 0.0 if worse else -1.0
    return _Bounds(
        low=max(at_least(compared, right, confidence=rules.confidence), least),
        high=max(at_most(compared, wrong, confidence=rules.confidence), least),
        needed=answers_needed(compared, wrong, margin=rules.margin, confidence=rules.confidence),
        worse=worse,
    )


def _arm(seen: Floats, found: Found, rows: NDArray[np.bool_]) -> Arm:
    answered = rows & ~np.isnan(seen)
    if not answered.any():
        return Arm(0, 0, None)
    weights = 1.0 / np.array(found.inclusion, dtype=float)[answered]
    return Arm(
        answers=int(answered.sum()),
        failed=int(seen[answered].sum()),
        rate=float(weights @ seen[answered] / weights.sum()),
    )


def _verdict(rules: CanaryRules, bounds: _Bounds, over: bool) -> CanaryVerdict:
    if bounds.worse:
        return CanaryVerdict.WORSE
    if bounds.high < rules.margin:
        return CanaryVerdict.NOT_WORSE
    return CanaryVerdict.UNDECIDED if over else CanaryVerdict.GOING_ON


def _words(rules: CanaryRules, standing: CanaryStanding, *, known: bool) -> str:
    seen = f"{_told(standing.canary)} of its answers failed, {_told(standing.champion)} of the champion's"
    between = f"the difference is between {standing.low:+.1%} and {standing.high:+.1%}"
    told = f"{seen}; {between} (confidence {rules.confidence:g} of each)"
    if not known:
        told = f"nothing can be told: {_MISSING if standing.predictions else 'no prediction counts yet'}"
    if standing.verdict is CanaryVerdict.WORSE:
        return f"it fails more often than the champion: {told}"
    if standing.verdict is CanaryVerdict.NOT_WORSE:
        return f"it is not worse than the champion by {rules.margin:.1%}: {told}"
    if standing.verdict is CanaryVerdict.UNDECIDED:
        return f"undecided after its time or its answers: {told}"
    return told


def _told(arm: Arm) -> str:
    return "none" if arm.rate is None else f"{arm.rate:.1%} ({arm.failed} of {arm.answers})"
