"""What reviews and errors that pass cost together, by how much passes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.corrections import Counted
from loop.domain.guarantee.evidence import Errors, Population, Window, evidence_of
from loop.domain.guarantee.passing import curve_of
from loop.domain.policy.promises import ErrorCosts, Loss, Promise, PromiseBy
from loop.domain.production.sampled import Sampled

Floats = NDArray[np.float64]

PREDICTIONS = 1000  # that all costs are of
_MOST_ERRORS = 10  # of a prediction, that count


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """review: of one prediction by people. seconds: that it takes; None: not known."""

    review: float
    seconds: float | None
    errors: ErrorCosts


@dataclass(frozen=True, slots=True, kw_only=True)
class Economics:
    """Of 1,000 predictions. reviews, errors: what people's work and what passes cost. saved, hours_saved: against
    reviewing everything."""

    automation: float
    reviews: float
    errors: float
    saved: float
    hours_saved: float | None

    @property
    def cost(self) -> float:
        return self.reviews + self.errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Bargain:
    """points: (threshold, what it comes to), from the safest on. cheapest: the threshold with the lowest cost. worth:
    the risk from which on an error is expected to cost more than a review; None where no error was seen."""

    points: tuple[tuple[float, Economics], ...]
    cheapest: float
    worth: float | None


def economics_at(prices: Prices, *, automation: float, audit_rate: float, error: float) -> Economics:
    """error: cost of the errors below the threshold, of one prediction on average. Audits of what passes cost reviews,
    and find their errors."""
    passes = automation * (1.0 - audit_rate)
    spared = PREDICTIONS * passes
    errors = PREDICTIONS * error * (1.0 - audit_rate)
    return Economics(
        automation=automation,
        reviews=PREDICTIONS * (1.0 - passes) * prices.review,
        errors=errors,
        saved=spared * prices.review - errors,
        hours_saved=None if prices.seconds is None else spared * prices.seconds / 3600.0,
    )


def bargain_of(
    window: Window,
    population: Population,
    by: PromiseBy,
    group: str,
    errors: Callable[[Sampled], Errors],
    prices: Prices,
    audit_rates: Floats,
) -> Bargain | None:
    """None where nothing is known of the group, or nothing costs anything. Arguments as of `evidence_of`; audit_rates:
    (n,) of the population."""
    scale = _MOST_ERRORS * max(prices.errors.missed or 0.0, prices.errors.false_alarm)
    if not scale:
        return None
    promise = _priced(prices.errors, scale, by)
    groups = evidence_of(window, population, [promise], _known(errors))
    own = next((one for one in groups if one.name == group), None)
    if own is None or not len(own.evidence.risk):
        return None
    evidence = own.evidence
    risk, rates = population.risk[own.rows], audit_rates[own.rows]
    points = tuple(
        (
            point.threshold,
            economics_at(
                prices,
                automation=point.automation,
                audit_rate=_mean(rates[risk < point.threshold]),
                error=point.passing * scale,
            ),
        )
        for point in curve_of(evidence, promise)
    )
    everything = economics_at(prices, automation=0.0, audit_rate=0.0, error=0.0)
    cheapest = min([(0.0, everything), *points], key=lambda point: point[1].cost)[0]
    failed = evidence.loss > 0.0
    mean = float(np.average(evidence.loss[failed], weights=evidence.weights[failed])) * scale if failed.any() else 0.0
    return Bargain(points=points, cheapest=cheapest, worth=min(prices.review / mean, 1.0) if mean else None)


def economics_of(
    window: Window,
    population: Population,
    passes: NDArray[np.bool_],
    errors: Callable[[Sampled], Errors],
    prices: Prices,
    audit_rates: Floats,
) -> Economics:
    """Of what passes by all thresholds together. passes, audit_rates: (n,) of the population."""
    say = _known(errors)
    total = sum(
        money_of(prices.errors, say(one)) / window.inclusion(one)
        for one in window.answers
        if passes[population.place[one.prediction_id]]
    )
    n = max(len(population), 1)
    rate = _mean(audit_rates[passes])
    return economics_at(prices, automation=float(passes.sum()) / n, audit_rate=rate, error=total / n)


def _mean(rates: Floats) -> float:
    return float(rates.mean()) if len(rates) else 0.0


def money_of(costs: ErrorCosts, errors: Errors) -> float:
    counts: Sequence[Counted] = list((errors or {}).values())
    missed, false = sum(one.missed for one in counts), sum(one.false_alarms for one in counts)
    return (costs.missed or 0.0) * missed + costs.false_alarm * false


def _priced(costs: ErrorCosts, scale: float, by: PromiseBy) -> Promise:
    return Promise(
        loss=Loss.COST, by=by, missed_weight=(costs.missed or 0.0) / scale, false_alarm_weight=costs.false_alarm / scale
    )


def _known(errors: Callable[[Sampled], Errors]) -> Callable[[Sampled], Errors]:
    """What nobody could say costs as much as a missed object: a guess, since no promise rests on it."""

    def say(one: Sampled) -> Errors:
        found = errors(one)
        return {"": Counted(missed=1)} if found is None else found

    return say
