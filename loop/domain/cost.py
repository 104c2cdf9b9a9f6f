"""What the work of people costs, and what labelling everything would have cost."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from loop.domain.efforts import Effort, usual_seconds, working_seconds
from loop.domain.errors import Invalid
from loop.domain.stage import Stage

Floats = NDArray[np.float64]

_CURRENCY = re.compile(r"[A-Z]{3}")
_MOST_PER_HOUR = 1_000_000.0
_FEWEST = 10  # answers, before it is said what all items would take
_FEWEST_AUDITS = 30
_INTERVAL = 0.95


class CostBy(StrEnum):
    LABEL = "label"
    CYCLE = "cycle"
    SOURCE = "source"
    REVIEWER = "reviewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """currency: ISO 4217. per_hour: of everybody who has no rate in `people` (token ids); None: not known."""

    currency: str
    per_hour: float | None = None
    people: Mapping[str, float] = field(default_factory=dict)

    def of(self, reviewer: str) -> float | None:
        return self.people.get(reviewer, self.per_hour)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Of a group. items: distinct; tasks: answers and skips. money: None where somebody's rate is not known."""

    key: str
    items: int
    tasks: int
    minutes: float
    money: float | None

    @property
    def minutes_per_item(self) -> float:
        return self.minutes / self.items


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> "Estimate":
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def less(self, known: float) -> "Estimate":
        return Estimate(self.value - known, self.low - known, self.high - known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """Had one person labelled every item that was served. audits: the time of an item is that of audits, which are
    drawn from all that is served; else it is that of all answers, which are to items that were chosen for being hard.
    sample: answers that it rests on. minutes; saved: minutes less those that were spent; money: None as of Spent."""

    items: int
    audits: bool
    sample: int
    minutes: Estimate
    saved: Estimate
    money: Estimate | None
    money_saved: Estimate | None


def checked_rates(rates: Rates) -> Rates:
    """Raises Invalid."""
    if not _CURRENCY.fullmatch(rates.currency):
        raise Invalid(
            f"{rates.currency!r} is no currency.", hint="Use its three letters of ISO 4217: EUR.", field="currency"
        )
    known = {"per_hour": rates.per_hour} | {f"people.{person}": rate for person, rate in rates.people.items()}
    for name, rate in known.items():
        if rate is not None and not 0.0 <= rate <= _MOST_PER_HOUR:
            raise Invalid(f"{name} is {rate:g}.", hint=f"Use a number from 0 to {_MOST_PER_HOUR:,.0f}.", field=name)
    return rates


def spent(efforts: Sequence[Effort], rates: Rates, by: CostBy | None, cycles: Mapping[str, datetime]) -> list[Spent]:
    """In the order of their keys; by None: all together, as one row "". efforts: in the order of their time.

    cycles: when each began, oldest first; work counts for the first one that began after it, or "next". By label, the
    time of a task is shared among its shapes; what has no shape is for "". So the rows of each `by` add up to all.
    """
    minutes = usual_seconds(efforts, working_seconds(efforts)) / 60.0
    groups: dict[str, _Sum] = {}
    for effort, took in zip(efforts, minutes, strict=True):
        rate = rates.of(effort.reviewer)
        for key, share in _shares(effort, by, cycles):
            groups.setdefault(key, _Sum()).add(effort, float(took) * share, rate)
    return [groups[key].row(key) for key in sorted(groups)]


class _Sum:
    def __init__(self) -> None:
        self._items: set[str] = set()
        self._tasks = 0
        self._minutes = 0.0
        self._money: float | None = 0.0

    def add(self, effort: Effort, minutes: float, rate: float | None) -> None:
        self._items.add(effort.item_digest)
        self._tasks += 1
        self._minutes += minutes
        self._money = None if rate is None or self._money is None else self._money + minutes / 60.0 * rate

    def row(self, key: str) -> Spent:
        return Spent(key=key, items=len(self._items), tasks=self._tasks, minutes=self._minutes, money=self._money)


def _shares(effort: Effort, by: CostBy | None, cycles: Mapping[str, datetime]) -> Iterator[tuple[str, float]]:
    if by is CostBy.LABEL and effort.labels:
        for label, count in effort.labels.items():
            yield label, count / effort.shapes
        return
    yield _key(effort, by, cycles), 1.0


def _key(effort: Effort, by: CostBy | None, cycles: Mapping[str, datetime]) -> str:
    if by is CostBy.CYCLE:
        return next((cycle for cycle, began in cycles.items() if began > effort.created_at), "next")
    if by is CostBy.SOURCE:
        return effort.source
    return effort.reviewer if by is CostBy.REVIEWER else ""


def everything(efforts: Sequence[Effort], served: int, total: Spent) -> Everything | None:
    """None with fewer than ten answers. served: items that were predicted in the time of the efforts; total: what was
    spent on them.

    The mean, not the median, of the times with the idle cut: a total is the mean times the number, and what is long is
    part of it. The interval is Student's for that mean: it knows that the sample is small, not that other people or
    other images would have taken another time.
    """
    minutes = usual_seconds(efforts, working_seconds(efforts)) / 60.0
    ordinary = [row for row, one in enumerate(efforts) if one.answered and one.stage is not Stage.ADJUDICATE]
    audits = [row for row in ordinary if efforts[row].stage is Stage.AUDIT]
    by_audits = len(audits) >= _FEWEST_AUDITS
    sample = minutes[audits if by_audits else ordinary]
    if len(sample) < _FEWEST:
        return None
    everywhere = _mean(sample).times(served)
    price = None if total.money is None else total.money / total.minutes
    money = None if price is None else everywhere.times(price)
    return Everything(
        items=served,
        audits=by_audits,
        sample=len(sample),
        minutes=everywhere,
        saved=everywhere.less(total.minutes),
        money=money,
        money_saved=None if money is None or total.money is None else money.less(total.money),
    )


def _mean(values: Floats) -> Estimate:
    middle = float(values.mean())
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    half = float(t.ppf(0.5 + _INTERVAL / 2.0, len(values) - 1)) * error
    return Estimate(middle, max(middle - half, 0.0), middle + half)
