"""Bounds and alarms that hold however often one looks: for rates that people watch every day.

A gambler bets on each prediction against the claim "the rate is m", with odds that are fair if it is. That the capital
ever grows to 1 / level then has a probability of at most `level` (Ville 1939); the rates against which nobody got rich
are a confidence sequence (Waudby-Smith & Ramdas, JRSS-B 2024). Several bets share the capital, since nobody knows the
best one before.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid

Floats = NDArray[np.float64]
Counts = NDArray[np.intp]

# By which factor the rate may really be higher, or lower, than is claimed; each has a part of the capital.
_HIGHER = np.array([1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0, 5.0, 10.0])
_LOWER = np.array([0.9, 0.8, 0.65, 0.5, 0.35, 0.2, 0.05])
_NEVER_ALL = 0.9  # of the capital is staked at most: who loses everything cannot win it back
_BEGIN_AGAIN = 50  # predictions that were seen, after which a further part of the capital is staked
_GRID = np.concatenate([np.geomspace(1e-4, 0.05, 120), np.linspace(0.05, 1.0, 191)[1:-1]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What people found, in the order of the predictions.

    loss: (n,) in [0, 1]. inclusion: (n,) in (0, 1]. gap: (n,) how many predictions that nobody saw came before each,
    since the last one seen. least: the smallest inclusion probability of any prediction. Raises Invalid.
    """

    loss: Floats
    inclusion: Floats
    gap: Counts
    least: float

    def __post_init__(self) -> None:
        same = self.loss.shape == self.inclusion.shape == self.gap.shape
        if not same or not ((self.loss >= 0) & (self.loss <= 1)).all() or not 0.0 < self.least <= 1.0:
            raise Invalid("what was seen contradicts itself.", hint="Give losses in [0, 1], one gap for each.")
        if not ((self.inclusion >= self.least) & (self.inclusion <= 1.0)).all() or not (self.gap >= 0).all():
            raise Invalid("what was seen contradicts itself.", hint="Give probabilities of at least `least`.")

    @property
    def scaled(self) -> Floats:
        """(n,): in [0, 1], with the rate times `least` for their mean over all predictions; those not seen are 0."""
        return self.loss * (self.least / self.inclusion)


def capital_against(seen: Seen, rate: float) -> Floats:
    """(n,): the capital, from 1, after each that was seen, of who bets that the losses are more than `rate`, in (0, 1).

    At 1 / level or more one may say that they are: a false alarm at any time has a probability of at most `level`. A
    part of the capital is kept for later, so that what was lost while all was well does not delay the alarm.
    """
    means = np.array([rate * seen.least])
    stakes = _stakes(means, _HIGHER)[0]
    unseen = np.log1p(-stakes * means)
    running = np.full(len(stakes), -np.inf)
    found = np.empty(len(seen.loss))
    for row, (value, gap) in enumerate(zip(seen.scaled, seen.gap, strict=True)):
        beginnings, within = divmod(row, _BEGIN_AGAIN)
        if within == 0:  # parts of 1/2, 1/6, 1/12 ...: they add up to 1
            running = np.logaddexp(running, -np.log((beginnings + 1.0) * (beginnings + 2.0)))
        running = running + gap * unseen + np.log1p(stakes * (value - means))
        found[row] = np.exp(running).mean() + 1.0 / (beginnings + 2.0)
    return found


def confidence_sequence(seen: Seen, *, confidence: float = 0.95, looks: Counts | None = None) -> tuple[Floats, Floats]:
    """Lowest and highest rates, (n,) each, that are believed after each that was seen; all of them hold together with
    this confidence. They never widen. Rates are told apart to 5 in a thousand of one, or finer where they are small.

    looks: (k,) ascending, after which of them one looks, where it is not after each; then (k,) each.
    """
    limit = np.log(2.0 / (1.0 - confidence))
    rows = slice(None) if looks is None else looks
    above = np.maximum.accumulate(_log_capital(seen, _GRID, _HIGHER)[rows] >= limit, axis=0)
    below = np.maximum.accumulate(_log_capital(seen, _GRID, _LOWER)[rows] >= limit, axis=0)
    # Rates that are too low for what was seen are the first of the grid; the next below the first that stands bounds.
    low = np.append(0.0, _GRID)[np.logical_and.accumulate(above, axis=1).sum(axis=1)]
    high = np.append(1.0, _GRID[::-1])[np.logical_and.accumulate(below[:, ::-1], axis=1).sum(axis=1)]
    return low, high


def _log_capital(seen: Seen, rates: Floats, factors: Floats) -> Floats:
    """(n, rates)."""
    means = rates * seen.least  # of what is bet on
    stakes = _stakes(means, factors)
    unseen = np.log1p(-stakes * means[:, None])
    lost = np.cumsum(seen.gap)[:, None, None] * unseen
    shares = np.empty((len(seen.loss), len(rates)))
    running = np.zeros_like(unseen)
    for row, value in enumerate(seen.scaled):
        running += np.log1p(stakes * (value - means[:, None]))
        shares[row] = np.logaddexp.reduce(running + lost[row], axis=1)
    return np.asarray(shares - np.log(len(factors)))


def _stakes(means: Floats, factors: Floats) -> Floats:
    """(rates, factors): what grows fastest where the mean of rare events is really so many times what is claimed
    (Kelly 1956), above 0 for more and below 0 for less."""
    wanted = np.broadcast_to(factors - 1.0, (len(means), len(factors)))
    return np.asarray(np.clip(wanted, -_NEVER_ALL / (1.0 - means[:, None]), _NEVER_ALL / means[:, None]))
