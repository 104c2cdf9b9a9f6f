"""From what people answered to thresholds: which answers speak, for which predictions, and whether promises hold."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, log, sqrt

import numpy as np
from numpy.typing import NDArray

from loop.domain.corrections import Counted
from loop.domain.guarantee.passing import Evidence, Threshold, audits_needed, threshold_for
from loop.domain.guarantee.thresholds import NOTHING, SHARES, Broken, EvidenceBasis, GroupThreshold, groups_of, names_of
from loop.domain.policy.promises import Loss, Promise, PromiseBy
from loop.domain.production.confidence_sequence import Seen, capital_against
from loop.domain.production.sampled import Answering, Sampled

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

MOST_GROUPS = 20  # of a promise, that have thresholds of their own; each has to share delta with all others
MOST_OTHERS = 2000  # groups without one, that a record names
FEWEST = 12  # answers of a group, before it has one
_MOST_CAPITAL = 1e12  # that is told of

# By label, how a prediction and the truth differ; None: nobody could say, or has said in time.
Errors = Mapping[str, Counted] | None


@dataclass(frozen=True, slots=True)
class Window:
    """The predictions that speak: `answers`, oldest first, made at `since` or later and before `until`; all that came
    to people then, or all audits. closed, overdue: how many nobody could answer, or has answered in time. least: the
    smallest probability in (0, 1] by which one that came to people could have counted."""

    basis: EvidenceBasis
    since: datetime
    until: datetime
    answers: tuple[Sampled, ...]
    closed: int
    overdue: int
    least: float

    def inclusion(self, one: Sampled) -> float:
        return one.inclusion if self.basis is EvidenceBasis.SEEN else one.audit_rate


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Predictions in the order of their time: risk and inclusion (n,), by the present risk and as they were drawn;
    source, labels and moment of each; place: of each id."""

    place: Mapping[str, int]
    risk: Floats
    inclusion: Floats
    source: Sequence[str]
    labels: Sequence[frozenset[str]]
    moment: Sequence[datetime]

    def __len__(self) -> int:
        return len(self.risk)

    def only(self, rows: Sequence[int], risk: Floats) -> "Population":
        """Some of them, ascending, with another risk (len(rows),)."""
        names = list(self.place)
        return Population(
            place={names[row]: place for place, row in enumerate(rows)},
            risk=risk,
            inclusion=self.inclusion[list(rows)],
            source=[self.source[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            moment=[self.moment[row] for row in rows],
        )


def window_of(
    sampled: Sequence[Sampled], *, since: datetime, now: datetime, patience: timedelta, most_audits: int
) -> Window:
    """That of two windows which leaves less open: everything that came to people, or audits alone.

    Each ends before the oldest prediction that still waits for people: what is answered first may be what is easy, so
    answers count only where all of their time are known. Where people are behind, those that wait are many, or were not
    answered in time and count as failures; audits are fewer, and come earlier. Which of the two speaks is chosen by how
    many answers they have and how many are missing, not by what these say. sampled: newest first, made at `since` or
    later.
    """
    audits = [one for one in sampled if one.audit_drawn]
    if len(audits) > most_audits:
        since = audits[most_audits - 1].created_at
    of_the_time = [one for one in reversed(sampled) if one.created_at >= since]
    windows = [_ended(EvidenceBasis.SEEN, since, of_the_time, now, patience, 1.0)]
    rate = min((one.audit_rate for one in of_the_time), default=0.0)
    if rate > 0.0:  # else some could not have been audited
        drawn = [one for one in of_the_time if one.audit_drawn]
        windows.append(_ended(EvidenceBasis.AUDITS, since, drawn, now, patience, rate))
    return min(windows, key=_open)


def _open(window: Window) -> float:
    """About the rate up to which predictions could fail, with a probability of a tenth, if nothing had failed but what
    was not answered in time (Bernstein's bound of a Poisson count)."""
    count, unsure = window.overdue, log(10.0)
    return (count + unsure + sqrt(2.0 * unsure * count)) / max(len(window.answers), 1)


def _ended(
    basis: EvidenceBasis, since: datetime, members: Sequence[Sampled], now: datetime, patience: timedelta, least: float
) -> Window:
    until = _end(members, now, patience)
    answers = tuple(one for one in members if one.created_at < until)
    states = Counter(one.answering for one in answers)
    return Window(basis, since, until, answers, states[Answering.CLOSED], states[Answering.WAITING], least)


def _end(members: Sequence[Sampled], now: datetime, patience: timedelta) -> datetime:
    waiting = (one.created_at for one in members if one.answering is Answering.WAITING)
    return min((moment for moment in waiting if moment > now - patience), default=now)


def loss_of(promise: Promise, errors: Errors) -> float:
    """In [0, 1]; what nobody could say is taken for the worst."""
    if errors is None:
        return 1.0
    counts = [one for label, one in errors.items() if not promise.classes or label in promise.classes]
    missed, false = sum(one.missed for one in counts), sum(one.false_alarms for one in counts)
    if promise.loss is Loss.COST:
        return min(promise.missed_weight * missed + promise.false_alarm_weight * false, 1.0)
    counted = {Loss.FAILURE: missed + false, Loss.MISSED: missed, Loss.FALSE_ALARM: false}
    return float(counted[promise.loss] > 0)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """promise: its place. rows: of the population. evidence: what people found of it. answered, audits: how many of its
    predictions they looked at, and of these by lot alone."""

    promise: int
    name: str
    rows: Places
    evidence: Evidence
    answered: int
    audits: int


def evidence_of(
    window: Window, population: Population, promises: Sequence[Promise], errors: Callable[[Sampled], Errors]
) -> list[Group]:
    """Of each group of each promise, in their order. population: of the window and of the part that gives evidence, and
    so are the answers that count; each of these is in it."""
    answers = [one for one in window.answers if one.prediction_id in population.place]
    found = [errors(one) for one in answers]
    rows = np.array([population.place[one.prediction_id] for one in answers], dtype=np.intp)
    inclusion = np.array([window.inclusion(one) for one in answers], dtype=np.float64)
    groups = []
    for place, promise in enumerate(promises):
        loss = np.array([loss_of(promise, one) for one in found], dtype=np.float64)
        for name, members in _members(promise, population, rows).items():
            own = np.isin(rows, members)
            answered = _Answered(rows[own], loss[own], inclusion[own])
            evidence = _evidence(answered, population, members, window, promise.delta)
            groups.append(Group(place, name, members, evidence, int(own.sum()), int((inclusion[own] < 1.0).sum())))
    return groups


@dataclass(frozen=True, slots=True, eq=False)
class _Answered:
    rows: Places
    loss: Floats
    inclusion: Floats


def _evidence(answered: _Answered, population: Population, members: Places, window: Window, delta: float) -> Evidence:
    """One audit in fifty tells nothing of a few predictions that have begun to pass, and a bound that reckons with it
    would be worse than none. So where few predictions have a small probability, those that nobody saw are taken for
    failures, and the bound reckons with the others' probability."""
    least = _least(answered, population, members, delta) if window.basis is EvidenceBasis.SEEN else 0.0
    inclusion = np.where(answered.inclusion < least, 1.0, answered.inclusion)
    unseen = members[(population.inclusion[members] < least) & ~np.isin(members, answered.rows)]
    reckoned = float(min([window.least, *population.inclusion[members], *answered.inclusion]))
    return Evidence(
        risk=population.risk[np.append(answered.rows, unseen)],
        loss=np.append(answered.loss, np.ones(len(unseen))),
        inclusion=np.append(inclusion, np.ones(len(unseen))),
        population=population.risk[members],
        least=max(reckoned, least),
    )


def _least(answered: _Answered, population: Population, members: Places, delta: float) -> float:
    """The probability below which predictions are taken for failures where nobody saw them: that for which these, and
    what a bound adds without any failure, are fewest. It does not hang on what anybody found."""
    inclusion = population.inclusion[members]
    unseen = np.sort(inclusion[~np.isin(members, answered.rows)])
    levels = np.unique(inclusion)
    taken = np.searchsorted(unseen, levels, side="left")
    return float(levels[np.argmin(taken + log(1.0 / delta) / levels)]) if len(levels) else 0.0


def _members(promise: Promise, population: Population, answered: Places) -> dict[str, Places]:
    """Rows of each group. Which groups have thresholds of their own is decided by how many answers they have."""
    sources = {f"source={one}" for one in population.source}
    shown = {f"label={name}" for labels in population.labels for name in labels}
    every = rows_of(promise, population, sources | shown)
    counts = {name: int(np.isin(answered, rows).sum()) for name, rows in every.items() if "=" in name}
    most = sorted(counts, key=lambda name: (-counts[name], name))[:MOST_GROUPS]
    return rows_of(promise, population, {name for name in most if counts[name] >= FEWEST})


def rows_of(promise: Promise, population: Population, named: Collection[str]) -> dict[str, Places]:
    """Which rows are in each group that there is, by its name; see `groups_of`."""
    rows: dict[str, list[int]] = {}
    for row, (source, labels) in enumerate(zip(population.source, population.labels, strict=True)):
        for name in groups_of(promise, source, labels, named):
            rows.setdefault(name, []).append(row)
    return {name: np.array(rows[name], dtype=np.intp) for name in sorted(rows)}


def thresholds_of(
    groups: Sequence[Group], promises: Sequence[Promise], evidence_share: float
) -> tuple[GroupThreshold, ...]:
    """Each with its part of its promise's delta, so that all hold together."""
    return tuple(_threshold_of(group, promises[group.promise].shared(len(groups)), evidence_share) for group in groups)


def _threshold_of(group: Group, promise: Promise, evidence_share: float) -> GroupThreshold:
    found: Threshold = threshold_for(group.evidence, promise)
    needed = (audits_needed(group.evidence, promise, share) for share in SHARES)
    return GroupThreshold(
        promise=group.promise,
        group=group.name,
        value=found.value,
        passing=found.passing,
        bound=found.bound,
        automation=found.automation,
        size=len(group.rows),
        answered=group.answered,
        audits=group.audits,
        # The others teach the risk.
        needed=tuple(None if count is None else ceil(count / evidence_share) for count in needed),
        reasons=found.reasons,
    )


def others_in(population: Population, promises: Sequence[Promise], named: Sequence[GroupThreshold]) -> tuple[str, ...]:
    """Names of the groups in OTHER, sorted; none where they are more than `MOST_OTHERS`."""
    found: set[str] = set()
    for place, promise in enumerate(promises):
        if promise.by is not PromiseBy.NONE:
            shown = set(zip(population.source, population.labels, strict=True))
            own = {one.group for one in named if one.promise == place}
            found |= {name for source, labels in shown for name in names_of(promise, source, labels)} - own - {NOTHING}
    return tuple(sorted(found)) if len(found) <= MOST_OTHERS else ()


def passing(groups: Sequence[Group], thresholds: Sequence[GroupThreshold], population: Population) -> NDArray[np.bool_]:
    """(n,): which predictions are below the thresholds of all their groups."""
    passes = np.full(len(population), bool(groups))
    for group, one in zip(groups, thresholds, strict=True):
        passes[group.rows] &= population.risk[group.rows] < one.value
    return passes


# --- the alarm -----------------------------------------------------------------------------------------------------


def broken(
    sampled: Sequence[Sampled],
    population: Population,
    promises: Sequence[Promise],
    named: Sequence[GroupThreshold],
    errors: Callable[[Sampled], Errors],
    *,
    since: datetime,
    now: datetime,
    patience: timedelta,
) -> Broken | None:
    """The promise that audits since `since` speak against most, where one of them may be called broken.

    Of what passed, each as it was routed then, more fails than was promised. Thresholds are set before the predictions
    that they route, so the bet is fair while promises hold however often they change, and however often one looks: a
    false alarm in all this time has a probability of at most delta, shared among promises and groups. sampled,
    population: all predictions since then, not only those that give evidence; sampled in any order. What no promise let
    pass (`Sampled.promised`) breaks none.
    """
    passed = sorted(
        (one for one in sampled if one.inclusion < 1.0 and one.promised and one.created_at >= since),
        key=lambda one: one.created_at,
    )
    until = _end(passed, now, patience)
    rows = {population.place[one.prediction_id]: one for one in passed if one.created_at < until}
    if not rows:
        return None
    found = {row: errors(one) for row, one in rows.items()}
    least = float(population.inclusion.min())
    ends = int(np.searchsorted([moment.timestamp() for moment in population.moment], until.timestamp()))
    alarms = []
    for place, promise in enumerate(promises):
        names = {one.group for one in named if one.promise == place}
        losses = {row: loss_of(promise, one) for row, one in found.items()}
        for name, members in rows_of(promise, population, names).items():
            watched = _watched(members[members < ends], rows, losses, least)
            capital = 0.0 if watched is None else float(capital_against(watched, promise.alpha).max())
            if watched is not None and capital >= max(len(named), 1) / promise.delta:
                estimate = float((watched.loss / watched.inclusion).sum() / (members < ends).sum())
                alarms.append(
                    Broken(
                        promise=place,
                        group=name,
                        since=since,
                        found_at=now,
                        seen=len(watched.loss),
                        rate=min(estimate, 1.0),
                        capital=min(capital, _MOST_CAPITAL),
                    )
                )
    return max(alarms, key=lambda alarm: alarm.capital, default=None)


def _watched(members: Places, rows: Mapping[int, Sampled], losses: Mapping[int, float], least: float) -> Seen | None:
    """What a person saw although it passed, and how many others came between: those that were reviewed for their risk
    did not pass, and lose nothing."""
    at = [number for number, row in enumerate(members.tolist()) if row in rows]
    if not at:
        return None
    seen = members[at].tolist()
    return Seen(
        loss=np.array([losses[row] for row in seen], dtype=np.float64),
        inclusion=np.array([rows[row].inclusion for row in seen], dtype=np.float64),
        gap=np.diff(np.array([-1, *at])) - 1,
        least=least,
    )
