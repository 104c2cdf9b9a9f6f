"""How good production is, from the predictions that people saw, each with a known probability.

Estimates are weighted by the inverse of that probability (Hájek 1971), so that sending the risky ones to people does
not make production look worse than it is. Intervals hold for the process that makes predictions, not for the window
alone.
"""

from dataclasses import dataclass

import numpy as np
import scipy  # loads its parts when they are first used: what serves imports this module and needs none of them
from numpy.typing import NDArray

from loop.domain.errors import Invalid

Floats = NDArray[np.float64]

# Jeffreys' prior: with it intervals hold what they say, for few failures too (Brown, Cai & DasGupta 2001).
_JEFFREYS = 0.5


@dataclass(frozen=True, slots=True)
class Estimate:
    """value, low, high: of a rate, in [0, 1]. seen: predictions behind it. worth: as how many that were drawn with
    equal probability they tell."""

    value: float
    low: float
    high: float
    seen: int
    worth: float


@dataclass(frozen=True, slots=True)
class Population:
    """The risks of every prediction of a window, as far as estimates need them. variance: about the mean."""

    count: int
    mean: float
    variance: float

    @classmethod
    def of(cls, risks: Floats) -> "Population":
        return cls(len(risks), float(risks.mean()), float(risks.var()))


def rate_of(values: Floats, inclusion: Floats, *, confidence: float = 0.95) -> Estimate:
    """The mean of `values`, (n,) in [0, 1], 1 for a failure. inclusion: (n,) in (0, 1]. Raises Invalid for none."""
    return share_of(values, np.ones_like(values), inclusion, confidence=confidence)


def share_of(counted: Floats, among: Floats, inclusion: Floats, *, confidence: float = 0.95) -> Estimate:
    """A share of things of which a prediction has several: right detections among all, found objects among those that
    are there. counted, among: (n,) of each prediction, 0 <= counted <= among. inclusion: (n,) in (0, 1].

    A ratio of two weighted sums; its variance by linearisation, with the prediction as the unit that is drawn, since
    detections of one image fail together. Raises Invalid where nothing is there to count.
    """
    weights = _weights(inclusion)
    total = float(weights @ among)
    if not total > 0.0:
        raise Invalid("there is nothing to estimate from.", hint="Wait for audits that have such objects.")
    value = float(weights @ counted) / total
    residuals = weights * (counted - value * among) / total
    return _interval(value, float(residuals @ residuals), _worth(weights * among), len(counted), confidence)


def assisted_rate(
    values: Floats, inclusion: Floats, risk: Floats, population: Floats | Population, *, confidence: float = 0.95
) -> Estimate:
    """As `rate_of`, with the risk as a cheap guess of each value: PPI++ (Angelopoulos, Duchi & Zrnic 2023).

    risk: (n,) of those that were seen; population: of every prediction of the window, (N,) or summed up. What the risk
    says of all is corrected by how wrong it was where people looked, with the factor that gives the least variance; so
    the interval is right whatever the risk is worth, and the shorter the better it is.
    """
    weights = _weights(inclusion)
    weights = weights / weights.sum()
    all_of_them = _population(population)
    factor = _factor(values, risk, weights, all_of_them.count)
    corrected = values - factor * risk
    value = factor * all_of_them.mean + float(weights @ corrected)
    residuals = weights * (corrected - weights @ corrected)
    variance = float(residuals @ residuals) + factor**2 * all_of_them.variance / all_of_them.count
    value = min(max(value, 0.0), 1.0)
    return _interval(value, variance, _worth(weights), len(values), confidence)


def assisted_share(
    counted: Floats,
    among: Floats,
    inclusion: Floats,
    risk: Floats,
    population: Floats | Population,
    *,
    confidence: float = 0.95,
) -> Estimate:
    """As `share_of`, with the risk as a cheap guess, as in `assisted_rate`: numerator and denominator are corrected
    together, by what the risk explains of `counted - value * among`, of which the share is the root.

    Raises Invalid where nothing is there to count.
    """
    plain = share_of(counted, among, inclusion, confidence=confidence)
    weights = _weights(inclusion)
    weights = weights / weights.sum()
    each = float(weights @ among)  # that one prediction has, on average
    residuals = counted - plain.value * among
    all_of_them = _population(population)
    factor = _slope(residuals, risk, weights, all_of_them.count)
    guessed = float(weights @ risk)
    value = plain.value + factor * (all_of_them.mean - guessed) / each
    left = weights * (residuals - factor * (risk - guessed)) / each
    variance = float(left @ left) + (factor / each) ** 2 * all_of_them.variance / all_of_them.count
    drawn = _worth(weights * among)
    return _interval(min(max(value, 0.0), 1.0), variance, drawn, len(counted), confidence)


def worth_of_half(estimate: Estimate, *, confidence: float = 0.95) -> float:
    """How many times as much an estimate has to be worth for an interval half as wide, were its value the same.
    About 4; 2 where nothing has failed yet."""
    # Of equal draws, as are those that are to come: what one event weighs will be known by then.
    now = _interval(estimate.value, 0.0, estimate.worth, estimate.seen, confidence)
    wanted = (now.high - now.low) / 2.0
    least, most = 1.0, 16.0
    for _ in range(40):
        times = (least + most) / 2.0
        one = _interval(estimate.value, 0.0, times * estimate.worth, estimate.seen, confidence)
        least, most = (times, most) if one.high - one.low > wanted else (least, times)
    return most


def _population(given: Floats | Population) -> Population:
    return given if isinstance(given, Population) else Population.of(given)


def _slope(values: Floats, risk: Floats, weights: Floats, population: int) -> float:
    """By how much values grow with the risk, less what the population's own noise costs; 0 for a risk that is the same
    everywhere."""
    spread = weights @ (risk - weights @ risk) ** 2
    if spread <= 0.0:
        return 0.0
    common = weights @ ((risk - weights @ risk) * (values - weights @ values))
    return float(common / (spread * (1.0 + len(values) / population)))


def _factor(values: Floats, risk: Floats, weights: Floats, population: int) -> float:
    """How far the risk is believed, in [0, 1]."""
    return float(np.clip(_slope(values, risk, weights, population), 0.0, 1.0))


def _weights(inclusion: Floats) -> Floats:
    if not len(inclusion) or not ((inclusion > 0.0) & (inclusion <= 1.0)).all():
        raise Invalid(
            "there is nothing to estimate from." if not len(inclusion) else "an inclusion probability is not one.",
            hint="Wait for the first audits." if not len(inclusion) else "Give probabilities in (0, 1].",
        )
    return np.asarray(1.0 / inclusion)


def _worth(weights: Floats) -> float:
    """Kish's (1965) effective sample size."""
    return float(weights.sum() ** 2 / (weights @ weights))


def _interval(value: float, variance: float, drawn: float, seen: int, confidence: float) -> Estimate:
    """The posterior of so many equal draws as have this variance (Korn & Graubard 1998, Jeffreys' prior); towards each
    end of as many as `_worth_towards` says. drawn: Kish's effective sample size."""
    binomial = value * (1.0 - value)
    worth = binomial / variance if variance > 0.0 and binomial > 0.0 else drawn
    tail = (1.0 - confidence) / 2.0
    ends = []
    for share, quantile in ((1.0 - value, tail), (value, 1.0 - tail)):
        draws = _worth_towards(share, worth, drawn)
        failed, passed = draws * value + _JEFFREYS, draws * (1.0 - value) + _JEFFREYS
        ends.append(float(scipy.special.betaincinv(failed, passed, quantile)))  # of the beta distribution
    # Where nothing or everything failed, the interval reaches the end.
    return Estimate(value, 0.0 if value == 0.0 else ends[0], 1.0 if value == 1.0 else ends[1], seen, worth)


def _worth_towards(share: float, worth: float, drawn: float) -> float:
    """As how many equal draws they tell how much larger `share` may be than it was found.

    What one event weighs, as a part of all, is known from the events that were seen: where these are few, and light by
    chance (small images, or such as were sure to be seen), the share comes out small and its variance too, and the
    interval would be too short just there. So one more is counted: an average prediction (1 / drawn) that failed in
    whole. Where all predictions weigh the same and have one thing each, it changes nothing.
    """
    one = 1.0 / drawn
    seen = share / worth  # variance ÷ (1 - share): of all events, each by its square
    return (share + one) / (seen + one**2)
