"""What follows from a reviewer's quality: who works, who is warned, who pauses, and what is done anew."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypeVar

from loop.domain.policy.quality_rules import QualityRules, Standing
from loop.domain.quality.reviewer_quality import GoldenScore, LabelQuality, Rate, quality_of
from loop.domain.routing import Reason


class Vouching(Protocol):
    """A look at a person at a time, whatever at."""

    @property
    def at(self) -> datetime: ...
    def vouches(self, rules: QualityRules) -> bool: ...


_Check = TypeVar("_Check", bound=Vouching)


@dataclass(frozen=True, slots=True)
class Check:
    """A golden item that a reviewer answered at a time."""

    at: datetime
    score: GoldenScore

    def vouches(self, rules: QualityRules) -> bool:
        """For what came before it: F1 at or above the bar, with something to find, since an empty answer to an empty
        image vouches for nothing."""
        return self.score.right > 0 and self.score.f1 >= rules.bar


@dataclass(frozen=True, slots=True)
class StandingDecision:
    """standing: from now on. items: golden ones, or checks of verdicts, that decided. more: how many more a new or
    paused person needs if they go on as until now; 0: none; None: going on like this does not qualify. weak: labels
    below the bar, surely."""

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
    counted = counting(checks, since=since, rules=rules)
    if len(counted) < rules.min_items:
        return undecided(current, len(counted), "golden items", rules)
    quality = quality_of([check.score for check in counted])
    weak = tuple(
        name for name, one in quality.labels.items() if 1.0 - _at_the_bar(_rates(one), rules) >= rules.confidence
    )
    return replace(decided(current, len(counted), _rates(quality.overall), rules), weak=weak)


def counting(checks: Sequence[_Check], *, since: datetime, rules: QualityRules) -> list[_Check]:
    """Those of the present standing, the last `window` of them, oldest first."""
    return [check for check in sorted(checks, key=lambda check: check.at) if check.at > since][-rules.window :]


def undecided(current: Standing, items: int, what: str, rules: QualityRules) -> StandingDecision:
    """Fewer than are needed to decide."""
    missing = rules.min_items - items if current.waits else 0
    reason = Reason("too-few-golden", f"{items} {what}, {rules.min_items} are needed to decide")
    return StandingDecision(current, items, missing, (reason,), ())


def decided(
    current: Standing,
    items: int,
    rates: Mapping[str, Rate],
    rules: QualityRules,
    *,
    against: Callable[[Rate], bool] = lambda rate: True,
) -> StandingDecision:
    """By rates that all have to be at the bar, as `items` show them. rates: by what they are called. against: whether
    enough is behind a rate to speak against the person."""
    standing, reason = _moved(current, rates, rules, [rate for rate in rates.values() if against(rate)])
    more = _more_needed(items, rates, rules) if standing.waits else 0
    return StandingDecision(standing, items, more, (reason,), ())


def queued_again(
    submissions: Mapping[str, datetime], checks: Sequence[Vouching], *, paused_at: datetime, rules: QualityRules
) -> tuple[str, ...]:
    """Which submissions of a paused person are to be done anew, in their order: those since the last check before the
    pause that vouches for them, all where there was none. submissions: when each was made."""
    good = [check.at for check in checks if check.at <= paused_at and check.vouches(rules)]
    trusted_until = max(good, default=None)
    doubtful = [(at, name) for name, at in submissions.items() if trusted_until is None or at > trusted_until]
    return tuple(name for at, name in sorted(doubtful) if at <= paused_at)


def _rates(quality: LabelQuality) -> Mapping[str, Rate]:
    return {"precision": quality.precision, "recall": quality.recall}


def _moved(
    current: Standing, rates: Mapping[str, Rate], rules: QualityRules, against: Sequence[Rate]
) -> tuple[Standing, Reason]:
    high = _at_the_bar(rates, rules)
    low = max((1.0 - rate.at_least(rules.bar) for rate in against), default=0.0)
    said = f"{', '.join(f'{name} {_said(rate)}' for name, rate in rates.items())}, asked for is {rules.bar:g}"
    if high >= rules.confidence:
        return Standing.QUALIFIED, Reason("at-the-bar", f"{said}; at it with probability {high:.2f}")
    if low >= rules.confidence and not current.waits:
        worse = Standing.PAUSED if current is Standing.WARNED else Standing.WARNED
        return worse, Reason("below-the-bar", f"{said}; below it with probability {low:.2f}")
    return current, Reason("not-sure", f"{said}; at it with probability {high:.2f}")


def _at_the_bar(rates: Mapping[str, Rate], rules: QualityRules, *, times: float = 1.0) -> float:
    """The probability that all are at the bar, at least, by the worst; one less it, that the worst is below."""
    return min(rate.at_least(rules.bar, times=times) for rate in rates.values())


def _said(rate: Rate) -> str:
    return f"{0.0 if rate.value is None else rate.value:.2f} ({rate.low:.2f} to {rate.high:.2f})"


def _more_needed(items: int, rates: Mapping[str, Rate], rules: QualityRules) -> int | None:
    """The fewest further ones, answered as those until now, after which all rates are surely at the bar; None where as
    many as count at a time would not be enough."""

    def enough(more: int) -> bool:
        return _at_the_bar(rates, rules, times=1.0 + more / items) >= rules.confidence

    most = rules.window - items
    return bisect_left(range(most), True, key=enough) if enough(most) else None
