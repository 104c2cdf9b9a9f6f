"""Up to which risk predictions may pass without a person, so that the failures that pass stay rare: a promise kept by
evidence from audits.

Every prediction comes to a person with a known probability: 1 where its risk sends it, the audit rate else. What people
then found, weighted by the inverse of that probability, estimates for every threshold how many failures would pass
below it (Horvitz & Thompson 1952), however wrong the risk is. The threshold is the highest one for which an upper bound
of that rate keeps the promise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np
import scipy  # loads its parts when they are first used: what serves imports this module and needs none of them
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from loop.domain.policy.promises import Promise as Promise
from loop.domain.policy.promises import Statement as Statement
from loop.domain.reason import Reason

Floats = NDArray[np.float64]

Counts = NDArray[np.intp]

_MOST_GROWTH = 2.0**20  # of the evidence, when it is told how much more is needed
_MOST_STRATA = 10
_FEWEST = 12  # audits of a stratum: the rate of fewer is hardly known


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What people found of the n predictions of a window that came to them.

    risk: (n,) in [0, 1], by which they were routed. loss: (n,) in [0, 1]; 1 for a failure. inclusion: (n,) in (0, 1],
    the probability with which each could have come to a person. population: (N,) the risk of every prediction of the
    window, with those that nobody saw. least: the smallest inclusion probability of any of them. Any order. Raises
    Invalid.
    """

    risk: Floats
    loss: Floats
    inclusion: Floats
    population: Floats
    least: float

    def __post_init__(self) -> None:
        n = len(self.risk)
        shapes = {array.shape for array in (self.risk, self.loss, self.inclusion)}
        sound = (
            shapes == {(n,)}
            and all(((a >= 0.0) & (a <= 1.0)).all() for a in (self.risk, self.loss, self.population))
            and 0.0 < self.least <= 1.0
            and ((self.least <= self.inclusion) & (self.inclusion <= 1.0)).all()
            and len(self.population) >= n
        )
        if not sound:
            raise Invalid(
                "this evidence contradicts itself.",
                hint="Give risks and losses in [0, 1], inclusion probabilities from `least` to 1, one of each for "
                "every prediction that was seen, and at least as many predictions as were seen.",
            )

    @property
    def weights(self) -> Floats:
        """(n,): for which share of the population each stands."""
        return 1.0 / (self.inclusion * max(len(self.population), 1))

    @property
    def heaviest(self) -> float:
        """What a prediction that is hardly ever seen would weigh; infinite without any."""
        return 1.0 / (self.least * len(self.population)) if len(self.population) else np.inf

    @property
    def audits(self) -> int:
        """How many came to people by lot alone."""
        return int((self.inclusion < 1.0).sum())


@dataclass(frozen=True, slots=True)
class Threshold:
    """value: in [0, 1]; at or above this risk a person looks. passing: the rate of failures that pass below it, as
    estimated; bound: at most, by the promise's statement. automation: the share of predictions below it."""

    value: float
    passing: float
    bound: float
    automation: float
    reasons: tuple[Reason, ...]


def threshold_for(evidence: Evidence, promise: Promise) -> Threshold:
    """The highest threshold that keeps the promise; 0, everything is reviewed, where there is too little evidence.

    Failures that pass, E[loss · 1{risk < threshold}], can only grow with the threshold. So thresholds are tested from
    the safest on, each at level delta, up to the first that fails: the chance to go too far is that of one test,
    however many thresholds there are (fixed sequence, "Learn then Test": Angelopoulos et al. 2021).
    """
    curve = _curve(evidence)
    bounds = _bounds(curve, evidence.heaviest, promise)
    over = np.flatnonzero(bounds > promise.alpha)
    # At a threshold nothing of just that risk passes: what is tested last is all below the first level that fails.
    kept = int(over[0]) if over.size else len(bounds)
    value = float(curve.level[kept]) if over.size and kept else float(not over.size and bounds.size > 0)
    if kept == 0:
        return Threshold(0.0, 0.0, 0.0, 0.0, (_nothing_promised(evidence, promise),))
    last = kept - 1
    passing, bound = float(curve.total[last]), float(bounds[last])
    return Threshold(value, passing, bound, float(curve.share[last]), (_promised(promise, value, bound),))


def audits_needed(evidence: Evidence, promise: Promise, automation: float) -> int | None:
    """How many more audits would let this share of predictions pass, should they be like those that there are; 0: none.
    None where no number does: more failures than promised lie below. automation: in (0, 1].

    Without any evidence: how many audits without a failure allow anything to pass.
    """
    curve = _curve(evidence)
    if not len(curve.level):
        return max(ceil(log(1.0 / promise.delta) / promise.alpha), 1)
    at = min(int(np.searchsorted(curve.share, automation - 1e-12)), len(curve.level) - 1)
    total, square = float(curve.total[at]), float(curve.square[at])

    def keeps(growth: float) -> bool:
        if promise.statement is Statement.EXPECTED:
            return bool(_expected(total, evidence.heaviest / growth) <= promise.alpha)
        return bool(upper_bound(total, square / growth, evidence.heaviest / growth, promise.delta) <= promise.alpha)

    if keeps(1.0):
        return 0
    if total >= promise.alpha or not keeps(_MOST_GROWTH):
        return None
    low, high = 1.0, _MOST_GROWTH
    while high - low > 1e-3 * low:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if keeps(middle) else (middle, high)
    # Whoever was reviewed below that risk for another reason tells as much as an audit.
    alike = evidence.audits + int(((evidence.inclusion == 1.0) & (evidence.risk <= curve.level[at])).sum())
    return max(ceil((high - 1.0) * max(alike, 1)), 1)


@dataclass(frozen=True, slots=True)
class Point:
    """What would be at a threshold: as of `Threshold`."""

    threshold: float
    automation: float
    passing: float
    bound: float


def curve_of(evidence: Evidence, promise: Promise, *, most: int = 100) -> list[Point]:
    """Thresholds from the safest on, at most so many, evenly by the evidence; the last lets pass all that was seen."""
    curve = _curve(evidence)
    count = len(curve.level)
    if not count:
        return []
    bounds = _bounds(curve, evidence.heaviest, promise)
    values = np.append(curve.level[1:], 1.0)
    rows = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
    return [Point(float(values[i]), float(curve.share[i]), float(curve.total[i]), float(bounds[i])) for i in rows]


def upper_bound(total: float | Floats, square: float | Floats, heaviest: float, delta: float) -> Floats:
    """Above a weighted count of rare events' expectation with a probability of at least 1 - delta.

    total: the weighted count; square: its variance; heaviest: the weight of what was not seen. The
    quantile of a gamma distribution with the mean and variance that one more event, the heaviest, would give (Fay &
    Feuer 1997, Confidence intervals for directly standardized rates); with equal weights exactly Garwood's (1936) for
    a Poisson count.
    """
    mean, variance = total + heaviest, square + heaviest**2
    return np.asarray(scipy.special.gammaincinv(mean**2 / variance, 1.0 - delta) * (variance / mean))


def together(thresholds: Sequence[Threshold]) -> Threshold:
    """Of several promises about the same predictions: the lowest threshold keeps all of them."""
    return min(thresholds, key=lambda one: one.value)


@dataclass(frozen=True, slots=True, eq=False)
class _Curve:
    """Of all that have at most a risk, for each risk that was seen, ascending: how large is the loss that would pass,
    its variance, and the share of predictions."""

    level: Floats
    total: Floats
    square: Floats
    share: Floats


def _curve(evidence: Evidence) -> _Curve:
    """How many predictions lie in a range of risks is known; only how many of them fail is estimated. So evidence is
    taken in strata of risk, each with its own rate (poststratification: Holt & Smith 1979); what the risk explains
    of the failures is then no noise. The last stratum ends at the level that is looked at.
    """
    order = np.argsort(evidence.risk, kind="stable")
    risk, loss, weight = evidence.risk[order], evidence.loss[order], evidence.weights[order]
    last = np.flatnonzero(np.append(risk[1:] > risk[:-1], True)) if len(risk) else np.empty(0, dtype=np.intp)
    begins = _strata(evidence.inclusion[order] < 1.0, last)
    known = np.sort(evidence.population)
    share = np.searchsorted(known, risk[last], side="right") / max(len(known), 1)
    sums = [
        np.append(0.0, np.cumsum(of))
        for of in (weight, weight * loss, weight**2, (weight**2) * loss, (weight * loss) ** 2)
    ]

    def of_stretch(begin: Counts, end: Counts, size: Floats) -> tuple[Floats, Floats]:
        """Estimate and variance of what the evidence [begin, end) says of a share `size` of the predictions."""
        weights, losses, squares, crossed, squared = (of[end] - of[begin] for of in sums)
        rate = losses / weights
        scale = size / weights
        return scale * losses, scale**2 * np.maximum(squared - 2.0 * rate * crossed + rate**2 * squares, 0.0)

    edges = np.unique(begins)
    below = np.append(0.0, share)[np.searchsorted(last, edges)]
    totals, variances = of_stretch(edges[:-1], edges[1:], np.diff(below))
    before = np.searchsorted(edges, begins)
    total, variance = of_stretch(begins, last + 1, share - below[before])
    return _Curve(
        risk[last],
        total + np.append(0.0, np.cumsum(totals))[before],
        variance + np.append(0.0, np.cumsum(variances))[before],
        share,
    )


def _strata(audited: NDArray[np.bool_], last: Counts) -> Counts:
    """Where the last stratum begins for each level, given where its evidence ends (`last`, inclusive): each has at
    least FEWEST audits, and begins with a level."""
    starts = np.append(0, last[:-1] + 1) if len(last) else last
    seen = np.append(0, np.cumsum(audited))
    each = max(int(seen[-1]) // _MOST_STRATA, _FEWEST)
    begins = np.zeros(len(last), dtype=np.intp)
    current = previous = 0
    for number, (start, end) in enumerate(zip(starts, last, strict=True)):
        if seen[start] - seen[current] >= each:
            previous, current = current, int(start)
        full = seen[end + 1] - seen[current] >= _FEWEST
        begins[number] = current if full else previous
    return begins


def _bounds(curve: _Curve, heaviest: float, promise: Promise) -> Floats:
    if promise.statement is Statement.EXPECTED:
        return np.asarray(_expected(curve.total, heaviest))
    return upper_bound(curve.total, curve.square, heaviest, promise.delta)


def _expected(total: float | Floats, heaviest: float) -> float | Floats:
    """Conformal risk control (Angelopoulos et al. 2024) with weights, as if the next prediction were the heaviest and
    failed (weighted exchangeability: Tibshirani et al. 2019)."""
    return (total + heaviest) / (1.0 + heaviest)


def _promised(promise: Promise, value: float, bound: float) -> Reason:
    said = f"at most {bound:.4f} of all predictions fail and pass below {value:.4f}"
    if promise.statement is Statement.HIGH_PROBABILITY:
        return Reason("promise-kept", f"{said}, with a confidence of {1.0 - promise.delta:g}")
    return Reason("promise-kept", f"{said}, on average")


def _nothing_promised(evidence: Evidence, promise: Promise) -> Reason:
    needed = audits_needed(evidence, promise, 0.01)
    more = "more failures than promised have the lowest risks" if needed is None else f"about {needed} more may do"
    return Reason("too-few-audits", f"the answers that there are promise nothing at {promise.alpha:g}; {more}")
