"""What follows from a reviewer's quality: who works, who is warned, who pauses, and what is done anew."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from loop.domain.policy.quality_rules import QualityRules, Standing
from loop.domain.quality.reviewer_quality import GoldenScore, LabelQuality, Quality, Rate, quality_of
from loop.domain.routing import Reason


@dataclass(frozen=True, slots=True)
class Check:
    """A golden item that a reviewer answered at a time."""

    at: datetime
    score: GoldenScore


@dataclass(frozen=True, slots=True)
class StandingDecision:
    """standing: from now on. items: golden ones that decided. more: how many more a new or paused person needs if they
    go on as until now; 0: none; None: going on like this does not qualify. weak: labels below the bar, surely."""

    standing: Standing
    items: int
    more: int | None
    reasons: tuple[Reason, ...]
    weak: tuple[str, ...]


def standing_after(
    current: Standing, checks: Sequence[Check], *, since: datetime, rules: QualityRules
) -> StandingDecision:
    """Whether a reviewer's standing changes, after their golden items `checks`, in any order.

    since: when the present standing began. What counts are golden items after it, the last `window` of them, so that
    the warned can mend and the paused start anew.

        new, paused ──surely at the bar──► qualified ──surely below it──► warned ──surely below it──► paused
                                               ▲────────surely at the bar────┘

    "Surely" is a posterior probability of at least `confidence` that both precision and recall are at the bar, or that
    either is below it. Whoever is near the bar stays what they are: that is the hysteresis.
    """
    ordered = sorted(checks, key=lambda check: check.at)
    scores = [check.score for check in ordered if check.at > since][-rules.window :]
    if len(scores) < rules.min_items:
        missing = rules.min_items - len(scores) if current.waits else 0
        reason = Reason("too-few-golden", f"{len(scores)} golden items, {rules.min_items} are needed to decide")
        return StandingDecision(current, len(scores), missing, (reason,), ())
    quality = quality_of(scores)
    high, low = _at_the_bar(quality.overall, rules)
    standing, reason = _moved(current, high, low, quality.overall, rules)
    more = _more_needed(quality, rules) if standing.waits else 0
    weak = tuple(name for name, one in quality.labels.items() if _at_the_bar(one, rules)[1] >= rules.confidence)
    return StandingDecision(standing, len(scores), more, (reason,), weak)


def queued_again(
    submissions: Mapping[str, datetime], checks: Sequence[Check], *, paused_at: datetime, rules: QualityRules
) -> tuple[str, ...]:
    """Which submissions of a paused person are to be done anew, in their order: those since the last good golden item
    before the pause, all where there was none. submissions: when each was made. Good: F1 at or above the bar, with
    something to find, since an empty answer to an empty image vouches for nothing."""
    good = [check.at for check in checks if check.at <= paused_at and _vouches(check.score, rules)]
    trusted_until = max(good, default=None)
    doubtful = [(at, name) for name, at in submissions.items() if trusted_until is None or at > trusted_until]
    return tuple(name for at, name in sorted(doubtful) if at <= paused_at)


def _vouches(score: GoldenScore, rules: QualityRules) -> bool:
    return score.right > 0 and score.f1 >= rules.bar


def _moved(
    current: Standing, high: float, low: float, overall: LabelQuality, rules: QualityRules
) -> tuple[Standing, Reason]:
    """high: probability that both rates are at the bar; low: that one is below."""
    rates = f"precision {_said(overall.precision)}, recall {_said(overall.recall)}, asked for is {rules.bar:g}"
    if high >= rules.confidence:
        return Standing.QUALIFIED, Reason("at-the-bar", f"{rates}; at it with probability {high:.2f}")
    if low >= rules.confidence and not current.waits:
        worse = Standing.PAUSED if current is Standing.WARNED else Standing.WARNED
        return worse, Reason("below-the-bar", f"{rates}; below it with probability {low:.2f}")
    return current, Reason("not-sure", f"{rates}; at it with probability {high:.2f}")


def _at_the_bar(quality: LabelQuality, rules: QualityRules) -> tuple[float, float]:
    """The probability that both are at the bar, at least, by the worse of the two; and that the worse is below."""
    worse = min(quality.precision.at_least(rules.bar), quality.recall.at_least(rules.bar))
    return worse, 1.0 - worse


def _said(rate: Rate) -> str:
    return f"{0.0 if rate.value is None else rate.value:.2f} ({rate.low:.2f} to {rate.high:.2f})"


def _more_needed(quality: Quality, rules: QualityRules) -> int | None:
    """The fewest further golden items, answered as those until now, after which both rates are surely at the bar; None
    where as many as count at a time would not be enough."""

    def enough(more: int) -> bool:
        times = 1.0 + more / quality.items
        rates = (quality.overall.precision, quality.overall.recall)
        return min(rate.at_least(rules.bar, times=times) for rate in rates) >= rules.confidence

    most = rules.window - quality.items
    return bisect_left(range(most), True, key=enough) if enough(most) else None
