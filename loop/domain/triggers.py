"""When a project retrains by itself: reasons that add up, and what has to wait."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from loop.domain.cycle import CycleState
from loop.domain.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRules:
    """What asks for a cycle; None: does not.

    reviewed: so many items were reviewed since the last cycle. corrected: so many of them had to be corrected.
    failure_rate: in (0, 1); the failure rate of production is above it, by the lower end of its interval. drift: an
    alarm is on. every_hours: so long after the last cycle ended.

    At least `least_new` items must be newly reviewed, whatever the reason: from nothing new nothing new is learned.
    quiet_hours: after a cycle ended nothing asks for another one; after a failed one, `failed_hours`.
    """

    reviewed: int | None = None
    corrected: int | None = None
    failure_rate: float | None = None
    drift: bool = False
    every_hours: float | None = None
    least_new: int = 20
    quiet_hours: float = 1.0
    failed_hours: float = 24.0

    @property
    def asks(self) -> bool:
        """Whether anything can ask for a cycle."""
        return self.drift or any(
            one is not None for one in (self.reviewed, self.corrected, self.failure_rate, self.every_hours)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known of a project now.

    running: the id of its unfinished cycle. ended_at, ended_as: of its last cycle; None where there was none. reviewed,
    corrected: items since the last cycle began that did not fail. failure_rate: the lower end of its interval; None
    where not known.
    """

    running: str | None
    ended_at: datetime | None
    ended_as: CycleState | None
    reviewed: int
    corrected: int
    failure_rate: float | None
    drift: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """reasons: why a cycle is asked for now; empty: none is. waiting: what that waits for, in words."""

    reasons: tuple[str, ...]
    waiting: str = ""


def checked_rules(rules: TriggerRules) -> TriggerRules:
    """Raises Invalid."""
    wrong = {
        "reviewed": rules.reviewed is not None and rules.reviewed < 1,
        "corrected": rules.corrected is not None and rules.corrected < 1,
        "failure_rate": rules.failure_rate is not None and not 0.0 < rules.failure_rate < 1.0,
        "every_hours": rules.every_hours is not None and not 0.0 < rules.every_hours <= _LONGEST_HOURS,
        "least_new": rules.least_new < 1,
        "quiet_hours": not 0.0 <= rules.quiet_hours <= _LONGEST_HOURS,
        "failed_hours": not 0.0 <= rules.failed_hours <= _LONGEST_HOURS,
    }
    for name, bad in wrong.items():
        if bad:
            raise Invalid(
                f"{name} is {getattr(rules, name):g}.",
                hint="Counts are at least 1, failure_rate lies between 0 and 1, hours between 0 and 10,000.",
                field=name,
            )
    return rules


_LONGEST_HOURS = 10_000.0


def verdict(rules: TriggerRules, now: datetime, known: Situation) -> Verdict:
    """Whether a cycle is to be asked for, with all reasons there are."""
    if not rules.asks:
        return Verdict((), "nothing asks for a cycle by itself: no trigger is set.")
    if known.running is not None:
        return Verdict((), f"the cycle {known.running} is under way.")
    reasons = _reasons(rules, now, known)
    if not reasons:
        return Verdict((), "no trigger has its reason.")
    if known.reviewed < rules.least_new:
        return Verdict((), f"{known.reviewed} items are newly reviewed; a cycle learns from {rules.least_new} or more.")
    if (quiet := _quiet_until(rules, known)) is not None and now < quiet:
        return Verdict((), f"quiet until {quiet:%Y-%m-%d %H:%M} UTC, since the last cycle {_ended(known)}.")
    return Verdict(reasons)


def _reasons(rules: TriggerRules, now: datetime, known: Situation) -> tuple[str, ...]:
    found = []
    if rules.reviewed is not None and known.reviewed >= rules.reviewed:
        found.append(f"{known.reviewed} items were reviewed since the last cycle")
    if rules.corrected is not None and known.corrected >= rules.corrected:
        found.append(f"{known.corrected} items were corrected since the last cycle")
    rate = known.failure_rate
    if rules.failure_rate is not None and rate is not None and rate > rules.failure_rate:
        found.append(f"at least {rate:.3f} of the predictions fail, more than {rules.failure_rate:g}")
    if rules.drift and known.drift:
        found.append("production drifts")
    if rules.every_hours is not None and _is_over(rules.every_hours, now, known.ended_at):
        found.append(f"{rules.every_hours:g} hours have passed since the last cycle")
    return tuple(found)


def _is_over(hours: float, now: datetime, ended_at: datetime | None) -> bool:
    return ended_at is None or now - ended_at >= timedelta(hours=hours)


def _quiet_until(rules: TriggerRules, known: Situation) -> datetime | None:
    if known.ended_at is None:
        return None
    hours = rules.failed_hours if known.ended_as is CycleState.FAILED else rules.quiet_hours
    return known.ended_at + timedelta(hours=hours)


def _ended(known: Situation) -> str:
    return "failed" if known.ended_as is CycleState.FAILED else "ended"
