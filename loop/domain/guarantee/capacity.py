"""What people can review, and what promises ask of them."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TOLD = 0.05  # hours; less is 0.0 in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Of late. seconds: of people's work for one item; None: nobody has worked yet. hours_a_day: that they worked, or
    the project says that they can; None: neither is known. predictions_a_day: that came."""

    seconds: float | None
    hours_a_day: float | None
    predictions_a_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """tasks: that wait. patience_days: above 0, after which an answer that is missing counts as a failure."""

    tasks: int
    patience_days: float

    def hours(self, pace: Pace) -> float | None:
        """That they take; None: not known."""
        return None if pace.seconds is None else self.tasks * pace.seconds / 3600.0

    def hours_a_day(self, pace: Pace) -> float | None:
        """Of people's time, that goes to what waits instead of to what comes, at most all of it; None: not known.

        What they do in half of their patience may wait, or they would have nothing to do whenever little comes. What is
        more is to be done before their patience ends.
        """
        hours, had = self.hours(pace), pace.hours_a_day
        if hours is None or had is None:
            return None
        return min(max(hours / self.patience_days - had / 2.0, 0.0), had)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """hours_needed, hours_had: of reviewers together, a day; None: not known. queue: tasks that wait; queue_hours: what
    they take; hours_for_queue: of hours_had, what they take of each day. short: more is needed than there is beside
    that. says: all that in words."""

    pace: Pace
    hours_needed: float | None
    hours_had: float | None
    queue: int
    queue_hours: float | None
    hours_for_queue: float | None
    short: bool
    says: str


def capacity_of(pace: Pace, backlog: Backlog, *, review_share: float) -> Capacity:
    """review_share: of predictions, in [0, 1], that come to people."""
    needed = None if pace.seconds is None else pace.predictions_a_day * review_share * pace.seconds / 3600.0
    had, taken = pace.hours_a_day, backlog.hours_a_day(pace)
    short = needed is not None and had is not None and needed > had - (taken or 0.0)
    return Capacity(
        pace=pace,
        hours_needed=needed,
        hours_had=had,
        queue=backlog.tasks,
        queue_hours=backlog.hours(pace),
        hours_for_queue=taken,
        short=short,
        says=_in_words(needed, had, taken or 0.0, short),
    )


def _in_words(needed: float | None, had: float | None, taken: float, short: bool) -> str:
    if needed is None:
        return "nobody has reviewed anything of late, so nothing is known of the time that it takes"
    if had is None:
        return f"needs {needed:.1f} reviewer-hours a day"
    waits = f", less {taken:.1f} for what waits" if taken >= _TOLD else ""
    return f"needs {needed:.1f} reviewer-hours a day, {'have' if short else 'has'} {had:.1f}{waits}"


def reviewable_share(pace: Pace, backlog: Backlog) -> float | None:
    """Of predictions to come, in [0, 1], that people can look at beside what waits; None: not known."""
    had, taken = pace.hours_a_day, backlog.hours_a_day(pace)
    if pace.seconds is None or had is None or taken is None or pace.predictions_a_day <= 0.0:
        return None
    return min((had - taken) * 3600.0 / (pace.seconds * pace.predictions_a_day), 1.0)


def relaxed_to(risk: Floats, passes: NDArray[np.bool_], audit_rates: Floats, share: float) -> float | None:
    """The risk below which predictions have to pass for no more than `share` of them to come to people; None where
    what the promises let pass is enough. risk: (n,) of predictions like those to come; passes: (n,), by the promises.
    audit_rates: (n,), of what passes, that is looked at all the same.
    """
    held = np.flatnonzero(~passes)
    held = held[np.argsort(-risk[held], kind="stable")]
    # Where the riskiest k are reviewed for their risk, the others are audited at their rates.
    spent = audit_rates.sum() + np.append(0.0, np.cumsum(1.0 - audit_rates[held]))
    most = max(int(np.searchsorted(spent, share * len(risk) + 1e-9, side="right")) - 1, 0)
    if len(held) <= most:
        return None
    # Those of the same risk pass together.
    return float(np.nextafter(risk[held[most]], np.inf))


def days_between(since: datetime, until: datetime) -> float:
    return max((until - since).total_seconds() / 86_400.0, 1e-9)
