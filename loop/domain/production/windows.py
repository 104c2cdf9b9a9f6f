"""How good the predictions of a window are: which of those that came to people are asked, and what they come to.

People need time, and take what is risky first. Estimates must not depend on how far they have come: the window ends
before the oldest prediction that still waits, and what will never be answered is told as bounds.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from loop.domain.corrections import Counted
from loop.domain.errors import Invalid
from loop.domain.production.confidence_sequence import Seen, confidence_sequence
from loop.domain.production.estimate import (
    Estimate,
    Population,
    assisted_rate,
    assisted_share,
    rate_of,
    share_of,
    worth_of_half,
)
from loop.domain.production.figures import ProductionBasis, ProductionBy
from loop.domain.production.sampled import Answering, Crowd, Drawn, Sampled

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Basis.ALL is worth having where it keeps this share of the audits: what was reviewed for its risk adds little more.
_AUDITS_KEPT = 0.8
# Of all weight, what may wait beyond the patience among those that risk sent to people.
_FORGOTTEN = 0.01
# Answers, below which intervals that the risk helps hold the truth too seldom.
_FEWEST_ASSISTED = 100
# Audits, below which those of a group are asked alone: what few of them find, which each stand for many, has a variance
# that nobody can tell, and all the others beside them would make it look small.
_FEWEST_BESIDE = 200
_WIDE = 0.1  # of an interval


# --- of which predictions people are asked ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Thinned:
    """Which predictions are read. kept: with which probability each was that came to people without the lot."""

    prediction_ids: tuple[str, ...]
    kept: float


def thinned(drawn: Sequence[Drawn], *, most: int) -> Thinned:
    """All audits, and of the others about `most`, by a lot that is fixed by their ids.

    One of the others stands for itself alone, an audit for all that were not drawn: a part of the others says as much,
    since its probability is known, and costs less to read.
    """
    others = [one.prediction_id for one in drawn if not one.audit_drawn]
    kept = 1.0 if len(others) <= most else most / len(others)
    audits = [one.prediction_id for one in drawn if one.audit_drawn and one.audit_rate > 0.0]
    return Thinned((*audits, *(one for one in others if _ticket(one) < kept)), kept)


def _ticket(prediction_id: str) -> float:
    """In [0, 1), as good as drawn by chance; independent of the audit lottery, which has a secret."""
    return int.from_bytes(hashlib.blake2b(prediction_id.encode(), digest_size=8).digest(), "big") / 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What an estimate of [since, until) is made from.

    members: those that came to people, of `basis`. kept: as in `Thinned`. waiting: that came to people from `until` on,
    or before it and beyond the patience, and are not done. cut: the window ends where it does since people are not
    further.
    """

    since: datetime
    until: datetime
    basis: ProductionBasis
    members: tuple[Sampled, ...]
    kept: float
    waiting: int
    cut: bool

    def inclusion(self, one: Sampled) -> float:
        """With which it could be a member."""
        if self.basis is ProductionBasis.AUDITS:
            return one.audit_rate
        return one.audit_rate + (one.inclusion - one.audit_rate) * self.kept


def window_of(
    sampled: Sequence[Sampled],
    kept: float,
    *,
    since: datetime,
    until: datetime,
    now: datetime,
    patience: timedelta,
    audits_alone: bool = False,
) -> Window:
    """Of all that can be a member. Which basis is taken does not look at what people said, only at how far they are.

    What waits for less than `patience` ends the window; what waits longer is inside, and unanswered. audits_alone: by
    Basis.AUDITS, whatever else there is.
    """
    able = [one for one in sampled if one.audit_rate > 0.0]
    every, audits = (_until_answered(able, basis, until, now - patience) for basis in ProductionBasis)
    forgotten = sum(1.0 / kept for one in every[1] if not one.audit_drawn and one.answering is Answering.WAITING)
    whole = sum(1.0 / one.audit_rate for one in audits[1])
    enough = sum(one.audit_drawn for one in every[1]) >= _AUDITS_KEPT * len(audits[1])
    all_of_them = enough and forgotten <= _FORGOTTEN * whole and not audits_alone
    basis = ProductionBasis.ALL if all_of_them else ProductionBasis.AUDITS
    end, members = every if basis is ProductionBasis.ALL else audits
    waiting = sum(one.answering is Answering.WAITING for one in able if basis is ProductionBasis.ALL or one.audit_drawn)
    return Window(
        since=since, until=end, basis=basis, members=tuple(members), kept=kept, waiting=waiting, cut=end < until
    )  # fmt: skip


def _until_answered(
    able: Sequence[Sampled], basis: ProductionBasis, until: datetime, waits_since: datetime
) -> tuple[datetime, list[Sampled]]:
    members = [one for one in able if basis is ProductionBasis.ALL or one.audit_drawn]
    awaited = (one.created_at for one in members if one.answering is Answering.WAITING and one.created_at > waits_since)
    end = min(awaited, default=until)
    return end, [one for one in members if one.created_at < end]


# --- what people found --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What people found in n predictions, by L labels.

    right, false_alarms, missed: (n, L), as in `Counted`. days, sources: of each. inclusion, audit_rate: (n,) in (0, 1];
    risk: (n,). audits: (n,) whether the lot drew it. Of unanswered ones all detections are `right`, for want of better.
    """

    labels: tuple[str, ...]
    right: Floats
    false_alarms: Floats
    missed: Floats
    inclusion: Floats
    audit_rate: Floats
    risk: Floats
    audits: Flags
    days: tuple[date, ...]
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.inclusion)

    @classmethod
    def of(
        cls, window: Window, counts: Sequence[tuple[Sampled, Mapping[str, Counted]]], labels: Iterable[str]
    ) -> "Found":
        """counts: of members, with what is right and wrong of each."""
        names = tuple(sorted(labels))
        column = {label: number for number, label in enumerate(names)}
        table = np.zeros((len(counts), len(names), 3))
        for row, (_, by_label) in enumerate(counts):
            for label, one in by_label.items():
                table[row, column[label]] = one.right, one.false_alarms, one.missed
        members = [one for one, _ in counts]
        return cls(
            labels=names,
            right=table[:, :, 0],
            false_alarms=table[:, :, 1],
            missed=table[:, :, 2],
            inclusion=np.array([window.inclusion(one) for one in members], dtype=float),
            audit_rate=np.array([one.audit_rate for one in members], dtype=float),
            risk=np.array([one.risk for one in members], dtype=float),
            audits=np.array([one.audit_drawn for one in members], dtype=bool),
            days=tuple(one.created_at.date() for one in members),
            sources=tuple(one.source for one in members),
        )

    def where(self, rows: Flags) -> "Found":
        numbers = np.flatnonzero(rows)
        return Found(
            labels=self.labels,
            right=self.right[rows],
            false_alarms=self.false_alarms[rows],
            missed=self.missed[rows],
            inclusion=self.inclusion[rows],
            audit_rate=self.audit_rate[rows],
            risk=self.risk[rows],
            audits=self.audits[rows],
            days=tuple(self.days[row] for row in numbers),
            sources=tuple(self.sources[row] for row in numbers),
        )

    def of_label(self, label: str) -> "Found":
        """As if there were no other."""
        column = [self.labels.index(label)]
        return replace(
            self,
            labels=(label,),
            right=self.right[:, column],
            false_alarms=self.false_alarms[:, column],
            missed=self.missed[:, column],
        )

    def audits_alone(self) -> "Found":
        """Those that the lot drew, with its probability."""
        drawn = self.where(self.audits)
        return replace(drawn, inclusion=drawn.audit_rate)

    @property
    def failed(self) -> Floats:
        """(n,) 1 where a person had something to correct."""
        return np.asarray(((self.false_alarms + self.missed).sum(axis=1) > 0).astype(float))


# --- what it comes to ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Of one rate. assisted: with the risk of all predictions. worst: the ends of the interval, were all that is
    unanswered as bad, or as good, as can be; None where nothing is unanswered, or nothing bounds it."""

    plain: Estimate | None = None
    assisted: Estimate | None = None
    worst: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Figures of a group. predictions: what they stand for. seen: answers that they are made from, of which `audits`
    were drawn by lot. more: audits that would halve the interval of the failure rate, about; None without one."""

    key: str
    predictions: int
    seen: int
    audits: int
    unanswered: int
    failure: Figure
    perfect: Figure
    precision: Figure
    recall: Figure
    more: int | None

    @property
    def words(self) -> str:
        """What to make of so few; "" where there are enough."""
        told = self.failure.plain
        if told is None:
            return "no audit was answered yet." if not self.unanswered else "nobody could answer any of its audits."
        if told.high - told.low <= _WIDE:
            return ""
        audits = "1 audit" if self.audits == 1 else f"{self.audits} audits"
        return f"{audits}; the interval is wide; about {self.more} more halve it."


def row_of(key: str, found: Found, unanswered: Found, crowds: Sequence[Crowd]) -> Row:
    """found, unanswered, crowds: of one group. Without crowds nothing is assisted."""
    if found.audits.sum() < _FEWEST_BESIDE:
        found, unanswered = found.audits_alone(), unanswered.audits_alone()
    population = _population(crowds)
    ones, none = np.ones(len(found)), np.zeros(len(unanswered))
    failure = _figure(found.failed, ones, found, population, unanswered, (none, none + 1.0, none + 1.0))
    detected = unanswered.right.sum(axis=1)
    right = found.right.sum(axis=1)
    answered = right + found.false_alarms.sum(axis=1)
    there = right + found.missed.sum(axis=1)
    audits = int(found.audits.sum())
    return Row(
        key=key,
        predictions=sum(crowd.count for crowd in crowds),
        seen=len(found),
        audits=audits,
        unanswered=len(unanswered),
        failure=failure,
        perfect=_complement(failure),
        precision=_figure(right, answered, found, population, unanswered, (none, detected, detected)),
        # What unanswered images truly show is not known: any number of objects may have been missed in them.
        recall=_figure(right, there, found, population, unanswered, None),
        more=None if failure.plain is None else max(1, round(audits * (worth_of_half(failure.plain) - 1.0))),
    )


def rows_by(by: ProductionBy, found: Found, unanswered: Found, crowds: Sequence[Crowd], *, most: int) -> list[Row]:
    """Labels and sources by how many answers they have, at most `most`; days and weeks (their Mondays) in order, the
    newest `most`. by: not MODEL, of which each has a window of its own."""
    if by is ProductionBy.LABEL:
        often = found.right + found.false_alarms + found.missed
        order = np.argsort(-often.sum(axis=0), kind="stable")[:most]
        labels = [found.labels[column] for column in order]
        return [row_of(label, found.of_label(label), unanswered.of_label(label), crowds) for label in labels]
    keys = [_keys(by, one.days, one.sources) for one in (found, unanswered)]
    of_crowds = _keys(by, [crowd.day for crowd in crowds], [crowd.source for crowd in crowds])
    return [
        row_of(
            key,
            found.where(np.array([one == key for one in keys[0]], dtype=bool)),
            unanswered.where(np.array([one == key for one in keys[1]], dtype=bool)),
            [crowd for crowd, one in zip(crowds, of_crowds, strict=True) if one == key],
        )
        for key in _shown(by, keys[0], {*keys[0], *keys[1], *of_crowds}, most)
    ]


def _keys(by: ProductionBy, days: Sequence[date], sources: Sequence[str]) -> list[str]:
    if by is ProductionBy.SOURCE:
        return list(sources)
    if by is ProductionBy.WEEK:
        days = [day - timedelta(days=day.weekday()) for day in days]
    return [day.isoformat() for day in days]


def _shown(by: ProductionBy, answers: Sequence[str], keys: Collection[str], most: int) -> list[str]:
    if by is not ProductionBy.SOURCE:
        return sorted(keys)[-most:]
    often = dict.fromkeys(keys, 0)
    for key in answers:
        often[key] += 1
    return sorted(keys, key=lambda key: (-often[key], key))[:most]


def _population(crowds: Sequence[Crowd]) -> Population | None:
    count = sum(crowd.count for crowd in crowds)
    if not count:
        return None
    mean = sum(crowd.risk for crowd in crowds) / count
    return Population(count, mean, max(sum(crowd.squares for crowd in crowds) / count - mean**2, 0.0))


def _figure(
    counted: Floats,
    among: Floats,
    found: Found,
    population: Population | None,
    unanswered: Found,
    extremes: tuple[Floats, Floats, Floats] | None,
) -> Figure:
    """extremes: (u,) each, the least and the most that may be counted of the unanswered, and among how many."""
    if not among.sum() > 0.0:
        return Figure()
    is_rate = bool((among == 1.0).all())
    plain = rate_of(counted, found.inclusion) if is_rate else share_of(counted, among, found.inclusion)
    assisted = None
    if population is not None and len(found) >= _FEWEST_ASSISTED:
        given = found.inclusion, found.risk, population
        assisted = assisted_rate(counted, *given) if is_rate else assisted_share(counted, among, *given)
    worst = None
    if len(unanswered) and extremes is not None:
        inclusion = np.concatenate([found.inclusion, unanswered.inclusion])
        least, most = (
            share_of(np.concatenate([counted, extreme]), np.concatenate([among, extremes[2]]), inclusion)
            for extreme in extremes[:2]
        )
        worst = least.low, most.high
    return Figure(plain=plain, assisted=assisted, worst=worst)


def _complement(figure: Figure) -> Figure:
    def turned(one: Estimate | None) -> Estimate | None:
        return None if one is None else Estimate(1.0 - one.value, 1.0 - one.high, 1.0 - one.low, one.seen, one.worth)

    worst = None if figure.worst is None else (1.0 - figure.worst[1], 1.0 - figure.worst[0])
    return Figure(plain=turned(figure.plain), assisted=turned(figure.assisted), worst=worst)


# --- watched every day ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Point:
    """The failure rate as it is believed at the end of a day, from the first day on: all points hold together with 95 %
    confidence, if the rate does not change. value: of all audits up to there."""

    day: date
    audits: int
    value: float
    low: float
    high: float


def series_of(found: Found, crowds: Sequence[Crowd]) -> list[Point]:
    """found: audits of a window of Basis.AUDITS that were answered, oldest first. One looks once a day: within a day it
    is not known which predictions came between which audits, and does not matter."""
    if not len(found):
        return []
    if not crowds:
        raise Invalid("there is nothing that the audits stand for.", hint="Give the predictions of the same window.")
    days = np.array(found.days, dtype="datetime64[D]")
    last = np.flatnonzero(np.append(days[1:] != days[:-1], True))
    least = min(*(crowd.least for crowd in crowds), float(found.inclusion.min()))
    seen = Seen(loss=found.failed, inclusion=found.inclusion, gap=_gaps(days, crowds), least=least)
    low, high = confidence_sequence(seen, looks=last)
    weights = 1.0 / found.inclusion
    value = np.cumsum(weights * found.failed) / np.cumsum(weights)
    return [
        Point(found.days[row], int(row) + 1, float(value[row]), float(low[look]), float(high[look]))
        for look, row in enumerate(last)
    ]


def _gaps(days: NDArray[np.datetime64], crowds: Sequence[Crowd]) -> NDArray[np.intp]:
    """(n,) predictions that nobody saw before each audit: those of its day, and of days without one, before the first
    audit of a day."""
    first = np.flatnonzero(np.append(True, days[1:] != days[:-1]))
    made = np.array([crowd.day for crowd in crowds], dtype="datetime64[D]")
    count = np.array([crowd.count for crowd in crowds])
    up_to = np.array([count[made <= days[row]].sum() for row in first])
    of_days = np.diff(np.append(0, up_to)) - np.diff(np.append(first, len(days)))
    gaps = np.zeros(len(days), dtype=np.intp)
    gaps[first] = np.maximum(of_days, 0)
    return gaps
