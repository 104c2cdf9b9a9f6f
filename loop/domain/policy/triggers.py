"""When a project retrains by itself: conditions, how they are combined, and what has to wait."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from loop.domain.cycle import CycleState
from loop.domain.errors import Invalid
from loop.domain.identity import digest_of
from loop.domain.policy.combining import Combined, combined_from, document_of
from loop.domain.policy.schedule import Schedule, schedule_from_json, schedule_to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRules:
    """What asks for a cycle; None: does not.

    reviewed: so many items were reviewed since the last cycle. corrected: so many of them had to be corrected.
    failure_rate: in (0, 1); the failure rate of production is above it, by the lower end of its interval. drift: an
    alarm is on. every_hours: so long after the last cycle ended. schedule: it is one of its times; at each the project
    is looked at once, and what does not hold then waits for the next.

    when: which of these have to hold together; None: any of those that are set.

    At least `least_new` items must be newly reviewed, whatever the reason: from nothing new nothing new is learned.
    quiet_hours: after a cycle ended nothing asks for another one; after a failed one, `failed_hours`.
    """

    reviewed: int | None = None
    corrected: int | None = None
    failure_rate: float | None = None
    drift: bool = False
    every_hours: float | None = None
    schedule: Schedule | None = None
    when: Combined | None = None
    least_new: int = 20
    quiet_hours: float = 1.0
    failed_hours: float = 24.0

    @property
    def asks(self) -> bool:
        """Whether anything can ask for a cycle."""
        return bool(self.conditions)

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of those that are set."""
        return tuple(name for name in CONDITIONS if getattr(self, name) not in (None, False))


CONDITIONS = ("reviewed", "corrected", "failure_rate", "drift", "every_hours", "schedule")


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
class ConditionState:
    """One that is set. said: in words, what is and what was asked for."""

    name: str
    holds: bool
    said: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """reasons: why a cycle is asked for now; empty: none is. waiting: what that waits for, in words. states: of each
    condition that is set, whatever comes of them."""

    reasons: tuple[str, ...]
    waiting: str = ""
    states: tuple[ConditionState, ...] = ()

    @property
    def reason(self) -> str:
        """What a cycle keeps: what held, and what did not."""
        others = [state.said for state in self.states if not state.holds]
        return "; ".join(self.reasons) + (f" (not so: {'; '.join(others)})" if others else "")


def rules_to_json(rules: TriggerRules) -> dict[str, object]:
    return asdict(rules) | {
        "schedule": None if rules.schedule is None else schedule_to_json(rules.schedule),
        "when": None if rules.when is None else document_of(rules.when),
    }


def rules_from_json(document: Mapping[str, object]) -> TriggerRules:
    """Also of versions that knew no `when` and no `schedule`. Raises Invalid for one that is none."""
    when, schedule = document.get("when"), document.get("schedule")
    read = {
        "when": None if when is None else combined_from(when, CONDITIONS, field="when"),
        "schedule": None if schedule is None else schedule_from_json(schedule),
    }
    return TriggerRules(**{**document, **read})  # type: ignore[arg-type]


def rules_version(rules: TriggerRules) -> str:
    """Another where anything else is set; the same as a schedule goes on."""
    schedule = None if rules.schedule is None else replace(rules.schedule, since=None)
    said = json.dumps(rules_to_json(replace(rules, schedule=schedule)), sort_keys=True)
    return digest_of(said.encode())[:16]


def begun_schedule(rules: TriggerRules, before: TriggerRules, now: datetime) -> TriggerRules:
    """A schedule that is new counts from now on; one that is as it was goes on."""
    if rules.schedule is None:
        return rules
    since = None if before.schedule is None else before.schedule.since
    if before.schedule is None or replace(rules.schedule, since=since) != before.schedule:
        since = now
    return replace(rules, schedule=replace(rules.schedule, since=since))


def looked_at(rules: TriggerRules, now: datetime) -> TriggerRules | None:
    """The rules once what was due of the schedule is over; None where nothing was."""
    if rules.schedule is None or rules.schedule.due(now) is None:
        return None
    return replace(rules, schedule=replace(rules.schedule, since=now))


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
    _check_combined(rules)
    return rules


def _check_combined(rules: TriggerRules) -> None:
    """Each that is set counts, and each that counts is set."""
    if rules.when is None:
        return
    named = set(rules.when.names())
    if missing := [name for name in CONDITIONS if name in named and name not in rules.conditions]:
        raise Invalid(
            f"when names {missing[0]}, which is not set.",
            hint=f"Set {missing[0]} as well, or leave it out of when.",
            field="when",
        )
    if idle := [name for name in rules.conditions if name not in named]:
        raise Invalid(
            f"{idle[0]} is set, but when does not name it: it would never count.",
            hint=f"Name it in when, or take it away ({idle[0]}: null).",
            field="when",
        )


_LONGEST_HOURS = 10_000.0


def verdict(rules: TriggerRules, now: datetime, known: Situation) -> Verdict:
    """Whether a cycle is to be asked for, with all reasons there are."""
    if not rules.asks:
        return Verdict((), "nothing asks for a cycle by itself: no trigger is set.")
    states = tuple(_states(rules, now, known))
    if waiting := _waits(rules, now, known, states):
        return Verdict((), waiting, states)
    return Verdict(tuple(state.said for state in states if state.holds), states=states)


def _waits(rules: TriggerRules, now: datetime, known: Situation, states: tuple[ConditionState, ...]) -> str:
    """For what, in words; "" where a cycle is to be asked for."""
    held = {state.name for state in states if state.holds}
    if known.running is not None:
        return f"the cycle {known.running} is under way."
    if not held:
        return "no trigger has its reason."
    if rules.when is not None and not rules.when.holds(held.__contains__):
        missing = ", ".join(state.name for state in states if not state.holds)
        return f"a cycle is asked for when {rules.when.in_words()}; not so yet: {missing}."
    if known.reviewed < rules.least_new:
        return f"{known.reviewed} items are newly reviewed; a cycle learns from {rules.least_new} or more."
    if (quiet := _quiet_until(rules, known)) is not None and now < quiet:
        return f"quiet until {quiet:%Y-%m-%d %H:%M} UTC, since the last cycle {_ended(known)}."
    return ""


def _states(rules: TriggerRules, now: datetime, known: Situation) -> Iterator[ConditionState]:
    """Of those that are set, in the order of `CONDITIONS`."""
    if rules.reviewed is not None:
        yield _counted("reviewed", known.reviewed, rules.reviewed)
    if rules.corrected is not None:
        yield _counted("corrected", known.corrected, rules.corrected)
    if rules.failure_rate is not None:
        yield _failing(rules.failure_rate, known.failure_rate)
    if rules.drift:
        yield ConditionState("drift", known.drift, "production drifts" if known.drift else "no drift alarm is on")
    if rules.every_hours is not None:
        over = _is_over(rules.every_hours, now, known.ended_at)
        said = "have passed" if over else "have not passed"
        yield ConditionState("every_hours", over, f"{rules.every_hours:g} hours {said} since the last cycle")
    if rules.schedule is not None:
        yield _scheduled(rules.schedule, now)


def _counted(name: str, count: int, wanted: int) -> ConditionState:
    said = f"{count} items were {name} since the last cycle"
    return ConditionState(name, count >= wanted, said if count >= wanted else f"{said}, {wanted} are asked for")


def _failing(limit: float, rate: float | None) -> ConditionState:
    if rate is None:
        return ConditionState("failure_rate", False, "how many predictions fail is not known")
    above = rate > limit
    said = f"at least {rate:.3f} of the predictions fail, {'more' if above else 'not more'} than {limit:g}"
    return ConditionState("failure_rate", above, said)


def _scheduled(schedule: Schedule, now: datetime) -> ConditionState:
    if (due := schedule.due(now)) is not None:
        return ConditionState("schedule", True, f"it is time: {schedule.in_words()} ({due:%Y-%m-%d %H:%M} UTC)")
    return ConditionState("schedule", False, f"it is time on {schedule.next(now):%Y-%m-%d %H:%M} UTC")


def _is_over(hours: float, now: datetime, ended_at: datetime | None) -> bool:
    return ended_at is None or now - ended_at >= timedelta(hours=hours)


def _quiet_until(rules: TriggerRules, known: Situation) -> datetime | None:
    if known.ended_at is None:
        return None
    hours = rules.failed_hours if known.ended_as is CycleState.FAILED else rules.quiet_hours
    return known.ended_at + timedelta(hours=hours)


def _ended(known: Situation) -> str:
    return "failed" if known.ended_as is CycleState.FAILED else "ended"
