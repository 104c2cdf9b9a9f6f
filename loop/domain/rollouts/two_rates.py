"""How much more often one of two models fails, in a bound that holds however often one looks.

While a canary takes a share of the traffic, chance decides for each prediction which of the two answers it, and with
which probability a person sees it. Each that was seen is weighted by both probabilities; the mean of these numbers over
all predictions is the difference of the two failure rates, whatever the images are like and however the rates go up and
down together (Ham, Bojinov, Lindon & Tingley 2023; Waudby-Smith, Wu, Ramdas, Karampatziakis & Mineiro 2024). A gambler
bets on each prediction against the claim "the difference is at most d". That the capital ever grows to 1 / level then
has a probability of at most `level` (Ville 1939), so the largest d against which it has is a lower bound at all times
together (Waudby-Smith & Ramdas, JRSS-B 2024).
"""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Shares of the largest stake that cannot ruin; each has a part of the capital, since nobody knows the best one before.
_STAKES = 0.9 * 2.0 ** -np.arange(6)
_MOST = 300.0  # of the logarithm of a capital that is told of
_HALVINGS = 22  # of the range in which a bound is looked for: it is told to a millionth


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """What people saw of two models between which chance decides, oldest first; any first part of the stream.

    canary: (n,) whether it was of the canary's share. inclusion: (n,) in (0, 1], with which a person could see it.
    share: of the predictions, in (0, 1), that are the canary's. least: the smallest inclusion of any prediction, in
    (0, 1]. predictions: of both models together, whether or not a person saw them, at least n. expected: a guess of the
    failure rate in [0, 1], from before the first of them; any is right, and the better it is the fewer answers are
    needed. Raises Invalid.
    """

    canary: Flags
    inclusion: Floats
    share: float
    least: float
    predictions: int
    expected: float

    def __post_init__(self) -> None:
        inside = 0.0 < self.share < 1.0 and 0.0 < self.least <= 1.0 and 0.0 <= self.expected <= 1.0
        if not inside or self.canary.shape != self.inclusion.shape or self.predictions < len(self.inclusion):
            raise Invalid("what was compared contradicts itself.", hint="Give shares in (0, 1), one flag for each.")
        if not ((self.inclusion >= self.least) & (self.inclusion <= 1.0)).all():
            raise Invalid("what was compared contradicts itself.", hint="Give probabilities of at least `least`.")

    def weighted(self, failed: Floats) -> Floats:
        """(n,): numbers whose mean over all predictions, 0 for those not seen, is the canary's rate less the other's.
        failed: (n,) in [0, 1]. What is expected is taken off in both arms, which cancels and makes them smaller."""
        arm = np.where(self.canary, 1.0 / self.share, -1.0 / (1.0 - self.share))
        return np.asarray(arm * (failed - self.expected) / self.inclusion)

    @property
    def spread(self) -> tuple[float, float]:
        """How far below 0, and above, a weighted number can be."""
        right, wrong = self.expected / self.least, (1.0 - self.expected) / self.least
        below = max(right / self.share, wrong / (1.0 - self.share))
        return below, max(wrong / self.share, right / (1.0 - self.share))


def capital_for_worse(compared: Compared, failed: Floats) -> Floats:
    """(n,): after each that was seen, the capital, from 1, of who bets that the canary fails more often; 1 / level or
    more proves it. What nobody saw neither costs nor gains anything here, so that a look misses nothing before it."""
    if not len(failed):
        return np.ones(0)
    course = np.cumsum(np.log1p(np.outer(compared.weighted(failed), _stakes(compared.spread[0]))), axis=0)
    return np.asarray(np.exp(np.minimum(course, _MOST)).mean(axis=1))


def at_least(compared: Compared, failed: Floats, *, confidence: float) -> float:
    """The least by which the canary's failure rate is believed to be higher, in [-1, 1]; of all that were ever told of
    one stream, all hold together with this confidence. failed: (n,) in [0, 1]."""
    return _bound(compared.weighted(failed), compared.spread[0], compared.predictions, log(1.0 / (1.0 - confidence)))


def at_most(compared: Compared, failed: Floats, *, confidence: float) -> float:
    """As `at_least`, the most."""
    limit = log(1.0 / (1.0 - confidence))
    return -_bound(-compared.weighted(failed), compared.spread[1], compared.predictions, limit)


def answers_needed(compared: Compared, failed: Floats, *, margin: float, confidence: float) -> int:
    """About how many more answers of the canary say that it is not worse by `margin`, where it is as good."""
    values = -compared.weighted(failed)
    so_far = _log_capital(*np.unique(values, return_counts=True), compared.spread[1], compared.predictions, -margin)
    missing = log(1.0 / (1.0 - confidence)) - so_far
    if not len(values) or missing <= 0.0:
        return 0 if missing <= 0.0 else _from_nothing(compared, margin, missing)
    # Who stakes best gains the square of the mean over twice the variance with each prediction (Kelly 1956).
    gain = margin**2 / (2.0 * float(values @ values) / compared.predictions)
    share_seen = max(int(compared.canary.sum()), 1) / compared.predictions
    return max(1, round(missing / gain * share_seen))


def _from_nothing(compared: Compared, margin: float, missing: float) -> int:
    """With the expected rate, were all seen with the smallest probability."""
    rate = min(max(compared.expected, 0.01), 0.99)
    variance = rate * (1.0 - rate) / (compared.share * (1.0 - compared.share) * compared.least)
    return max(1, round(missing * 2.0 * variance / margin**2 * compared.share * compared.least))


def _bound(values: Floats, below: float, predictions: int, limit: float) -> float:
    """The largest claim in [-1, 1] against which the capital has grown to the limit."""
    different, counts = np.unique(values, return_counts=True)
    rich, poor = -1.0, 1.0
    for _ in range(_HALVINGS):
        claim = (rich + poor) / 2.0
        grown = _log_capital(different, counts, below, predictions, claim) >= limit
        rich, poor = (claim, poor) if grown else (rich, claim)
    return rich


def _log_capital(values: Floats, counts: NDArray[np.intp], below: float, predictions: int, claim: float) -> float:
    """Of who bets that the mean is more than `claim`; so many of each value were seen. Stakes are the same for all
    claims, so that it falls with them."""
    stakes = _stakes(below)
    gained = counts @ np.log1p(stakes * (values[:, None] - claim))
    gained += (predictions - counts.sum()) * np.log1p(-stakes * claim)
    return float(np.logaddexp.reduce(gained)) - log(len(stakes))


def _stakes(below: float) -> Floats:
    return np.asarray(_STAKES / (below + 1.0))
