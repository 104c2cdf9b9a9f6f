"""How good production is, from the predictions that people saw, each with a known probability.

Estimates are weighted by the inverse of that probability (Hájek 1971), so that sending the risky ones to people does
not make production look worse than it is. Intervals hold for the process that makes predictions, not for the window
alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

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
    values: Floats, inclusion: Floats, risk: Floats, population: Floats, *, confidence: float = 0.95
) -> Estimate:
    """As `rate_of`, with the risk as a cheap guess of each value: PPI++ (Angelopoulos, Duchi & Zrnic 2023).

    risk: (n,) of those that were seen; population: (N,) of every prediction of the window. What the risk says of all is
    corrected by how wrong it was where people looked, with the factor that gives the least variance; so the interval is
    right whatever the risk is worth, and the shorter the better it is.
    """
    weights = _weights(inclusion)
    weights = weights / weights.sum()
    factor = _factor(values, risk, weights, len(population))
    corrected = values - factor * risk
    value = factor * float(population.mean()) + float(weights @ corrected)
    residuals = weights * (corrected - weights @ corrected)
    variance = float(residuals @ residuals) + factor**2 * float(population.var()) / len(population)
    value = min(max(value, 0.0), 1.0)
    return _interval(value, variance, _worth(weights), len(values), confidence)


def _factor(values: Floats, risk: Floats, weights: Floats, population: int) -> float:
    """How far the risk is believed, in [0, 1]."""
    spread = weights @ (risk - weights @ risk) ** 2
    if spread <= 0.0:
        return 0.0
    common = weights @ ((risk - weights @ risk) * (values - weights @ values))
    return float(np.clip(common / (spread * (1.0 + len(values) / population)), 0.0, 1.0))


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


def _interval(value: float, variance: float, worth: float, seen: int, confidence: float) -> Estimate:
    """The posterior of so many equal draws as have this variance (Korn & Graubard 1998, Jeffreys' prior)."""
    binomial = value * (1.0 - value)
    if variance > 0.0 and binomial > 0.0:
        worth = binomial / variance
    tail = (1.0 - confidence) / 2.0
    yes, no = worth * value + _JEFFREYS, worth * (1.0 - value) + _JEFFREYS
    low, high = beta.ppf([tail, 1.0 - tail], yes, no)
    # Where nothing or everything failed, the interval reaches the end.
    return Estimate(value, 0.0 if value == 0.0 else float(low), 1.0 if value == 1.0 else float(high), seen, worth)
