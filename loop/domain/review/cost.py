"""What the work of people costs, and what labelling everything would have cost."""

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import numpy as np
import scipy  # loads its parts when they are first used: clients import this module and need none of them
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from loop.domain.review.efforts import Effort, worked
from loop.domain.review.pace import pace_of
from loop.domain.stage import Stage

Floats = NDArray[np.float64]

_CURRENCY = re.compile(r"[A-Z]{3}")
_MOST_PER_HOUR = 1_000_000.0
_FEWEST = 10  # answers, before it is said what all items would take
_FEWEST_AUDITS = 30
_INTERVAL = 0.95
_SKIP, _ORDINARY, _AUDIT, _DECISION, _JUDGEMENT = range(5)  # what an effort was


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
    """Of a group. items: distinct; tasks: answers, judgements and skips. money: None where somebody's rate is not
    known."""

    key: str
    items: int
    tasks: int
    minutes: float
    money: float | None

    @property
    def minutes_per_item(self) -> float:
        return self.minutes / self.items


@dataclass(frozen=True, slots=True, eq=False)
class Costs:
    """rows: of each group, in the order of their keys. total: all together, None where there was no work. ordinary:
    minutes of each answer that no other was before, so of no adjudication and no QA; audits: of those to audits."""

    rows: list[Spent]
    total: Spent | None
    ordinary: Floats
    audits: Floats


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


def costs(efforts: Iterable[Effort], rates: Rates, by: CostBy | None, cycles: Mapping[str, datetime]) -> Costs:
    """efforts: in the order of their time. by None: without rows.

    cycles: when each began, oldest first; work counts for the first one that began after it, or "next". By label, the
    time of a task is shared among its shapes; what has no shape is for "". So the rows of each `by` add up to the
    total. A time beyond what is usual for such work is cut to that: nobody works all night on one task.
    """
    total, groups = _Sum(), defaultdict[str, _Sum](_Sum)
    seconds, kinds = array("d"), bytearray()
    for row, (effort, took) in enumerate(worked(efforts)):
        seconds.append(took)
        kinds.append(_kind(effort))
        rate = rates.of(effort.reviewer)
        total.add(row, effort, 1.0, rate)
        for key, share in _shares(effort, by, cycles) if by else ():
            groups[key].add(row, effort, share, rate)
    kind = np.frombuffer(kinds, dtype=np.uint8)
    minutes = _without_idle(np.asarray(seconds), kind) / 60.0
    return Costs(
        rows=[groups[key].row(key, minutes) for key in sorted(groups)],
        total=total.row("", minutes) if len(minutes) else None,
        ordinary=minutes[(kind == _ORDINARY) | (kind == _AUDIT)],
        audits=minutes[kind == _AUDIT],
    )


def _kind(effort: Effort) -> int:
    if not effort.answered:
        return _JUDGEMENT if effort.judged else _SKIP
    if effort.stage in (Stage.ADJUDICATE, Stage.QA):
        return _DECISION
    return _AUDIT if effort.stage is Stage.AUDIT else _ORDINARY


def _without_idle(seconds: Floats, kind: NDArray[np.uint8]) -> Floats:
    """Judgements by what is usual for them, all else by what is for answers: to look takes less than to draw."""
    judged, answered = kind == _JUDGEMENT, (kind != _JUDGEMENT) & (kind != _SKIP)
    cut = _cut(seconds, judged, judged)
    return _cut(cut, ~judged, answered if answered.any() else judged)


def _cut(seconds: Floats, which: NDArray[np.bool_], like: NDArray[np.bool_]) -> Floats:
    if not like.any():
        return seconds
    return np.where(which, np.minimum(seconds, pace_of(seconds[like]).usual_most), seconds)


class _Sum:
    """Rows of a group, with which share of each is its own, and what an hour of it costs."""

    def __init__(self) -> None:
        self._items: set[str] = set()
        self._rows, self._shares, self._rates = array("q"), array("d"), array("d")

    def add(self, row: int, effort: Effort, share: float, rate: float | None) -> None:
        self._items.add(effort.item_digest)
        self._rows.append(row)
        self._shares.append(share)
        self._rates.append(np.nan if rate is None else rate)

    def row(self, key: str, minutes: Floats) -> Spent:
        own = minutes[np.asarray(self._rows)] * np.asarray(self._shares)
        money = float((own / 60.0 * np.asarray(self._rates)).sum())
        return Spent(
            key=key,
            items=len(self._items),
            tasks=len(own),
            minutes=float(own.sum()),
            money=None if np.isnan(money) else money,
        )


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


def everything(known: Costs, served: int) -> Everything | None:
    """None with fewer than ten answers. served: items that were predicted in the time of the work.

    The mean, not the median, of the times with the idle cut: a total is the mean times the number, and what is long is
    part of it. The interval is Student's for that mean: it knows that the sample is small, not that other people or
    other images would have taken another time.
    """
    by_audits = len(known.audits) >= _FEWEST_AUDITS
    sample = known.audits if by_audits else known.ordinary
    if known.total is None or len(sample) < _FEWEST:
        return None
    everywhere = _mean(sample).times(served)
    paid = known.total.money
    money = None if paid is None else everywhere.times(paid / known.total.minutes)
    return Everything(
        items=served,
        audits=by_audits,
        sample=len(sample),
        minutes=everywhere,
        saved=everywhere.less(known.total.minutes),
        money=money,
        money_saved=None if money is None or paid is None else money.less(paid),
    )


def _mean(values: Floats) -> Estimate:
    middle = float(values.mean())
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    half = float(scipy.stats.t.ppf(0.5 + _INTERVAL / 2.0, len(values) - 1)) * error
    return Estimate(middle, max(middle - half, 0.0), middle + half)
