"""Are two sets of images of one distribution? Statistics of the two, and what they would be by chance.

Every statistic is computed for many ways to weigh the N images of both sets at once: as they are, as they would fall to
the two sets by chance (`assigned`), or drawn again (`resampled`). One set of permutations serves all tests. Images of
one block (a clip, copies of one image) are not independent: they change sides, and are drawn, together.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Of equal statistics none is larger, whatever the last bits of their sums say.
_EQUAL = 1e-9


@dataclass(frozen=True, slots=True)
class Weights:
    """R ways to weigh N images. recent, reference: (R, N), not negative; how often each counts for either set."""

    recent: Floats
    reference: Floats


def blocks_of(names: NDArray[np.str_] | list[str]) -> NDArray[np.intp]:
    """(n,) numbers from 0, equal where the names are."""
    return np.unique(np.asarray(names), return_inverse=True)[1].astype(np.intp).reshape(-1)


def as_they_are(recent: NDArray[np.bool_]) -> Weights:
    """One way: recent (N,) says which images are."""
    own = recent[None, :].astype(np.float64)
    return Weights(own, 1.0 - own)


def assigned(
    blocks: NDArray[np.intp], recent: NDArray[np.bool_], permutations: int, rng: np.random.Generator
) -> Weights:
    """First as they are, then `permutations` ways to give as many blocks to each side at random.

    blocks: (N,) numbers from 0, each of which lies on one side. Where the two sets are of one distribution, all of
    these ways are equally likely (Pitman 1937), so that p-values are exact.
    """
    sides = np.zeros(blocks.max() + 1)
    sides[blocks[recent]] = 1.0
    dealt = rng.permuted(np.tile(sides, (permutations, 1)), axis=1)
    own = np.concatenate([sides[None, :], dealt])[:, blocks]
    return Weights(own, 1.0 - own)


def resampled(blocks: NDArray[np.intp], recent: NDArray[np.bool_], draws: int, rng: np.random.Generator) -> Weights:
    """Of each side as many blocks as it has, drawn with replacement, `draws` times: the bootstrap (Efron 1979)."""
    times = np.zeros((draws, blocks.max() + 1))
    for side in (recent, ~recent):
        own = np.unique(blocks[side])
        times[:, own] = rng.multinomial(len(own), np.full(len(own), 1.0 / len(own)), size=draws)
    each = times[:, blocks]
    return Weights(each * recent, each * ~recent)


# --- statistics, (R,) each -----------------------------------------------------------------------


def energy_distance(points: Floats, blocks: NDArray[np.intp], weights: Weights) -> Floats:
    """2 E|x - y| - E|x - x'| - E|y - y'| of points (N, k), over pairs of different blocks: 0 on average where the two
    sets are of one distribution, else larger (Székely & Rizzo 2013). It is the maximum mean discrepancy of the kernel
    -|x - y| (Sejdinovic et al. 2013), and so has no bandwidth to choose. weights: of whole blocks, 0 or 1.
    """
    distances = _distances(points)
    distances[blocks[:, None] == blocks[None, :]] = 0.0
    one, other = weights.recent, weights.reference
    towards = one @ distances
    within_one, between = (towards * one).sum(axis=1), (towards * other).sum(axis=1)
    within_other = distances.sum() - within_one - 2.0 * between
    mean_one = within_one / np.maximum(_pairs(one, blocks), 1.0)
    mean_other = within_other / np.maximum(_pairs(other, blocks), 1.0)
    return np.asarray(2.0 * between / (one.sum(axis=1) * other.sum(axis=1)) - mean_one - mean_other)


def _pairs(weights: Floats, blocks: NDArray[np.intp]) -> Floats:
    """Ordered pairs of images of different blocks."""
    sizes = np.bincount(blocks)
    return np.asarray(weights.sum(axis=1) ** 2 - weights @ sizes[blocks])


def _distances(points: Floats) -> Floats:
    squares = (points**2).sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2.0 * points @ points.T, 0.0)))


def largest_gap(values: Floats, weights: Weights) -> Floats:
    """Kolmogorov-Smirnov's: the largest difference between the shares of the two sets up to any of values (N,)."""
    order = np.argsort(values, kind="stable")
    ends = np.append(np.diff(values[order]) > 0.0, True)
    one, other = (np.cumsum(_shares(side[:, order]), axis=1)[:, ends] for side in (weights.recent, weights.reference))
    return np.asarray(np.abs(one - other).max(axis=1))


def chi_square(counts: Floats, weights: Weights) -> Floats:
    """Pearson's, of the table of two sets by C kinds; counts: (N, C) objects of each kind in each image. The objects of
    an image are not independent, so that no table of chi-square gives its p-value, but permutations of images do."""
    counts = counts[:, counts.any(axis=0)]
    tables = np.stack([weights.recent @ counts, weights.reference @ counts], axis=1)  # (R, 2, C)
    sums = tables.sum(axis=(1, 2), keepdims=True)
    expected = tables.sum(axis=2, keepdims=True) * tables.sum(axis=1, keepdims=True) / np.maximum(sums, 1.0)
    return np.asarray(((tables - expected) ** 2 / np.maximum(expected, 1e-12)).sum(axis=(1, 2)))


def moved_share(counts: Floats, weights: Weights) -> Floats:
    """Total variation: the share of the objects that would have to be of another kind; counts as in `chi_square`."""
    return np.asarray(np.abs(mix(counts, weights.recent) - mix(counts, weights.reference)).sum(axis=1) / 2.0)


def mix(counts: Floats, weights: Floats) -> Floats:
    """(R, C) shares of the kinds among the objects of one set."""
    return _shares(weights @ counts)


def told_apart(scores: Floats, weights: Weights) -> Floats:
    """The probability that a recent image has a larger one of scores (N,) than one of the reference: AUROC, a tie is a
    half."""
    larger = (scores[:, None] > scores[None, :]) + 0.5 * (scores[:, None] == scores[None, :])
    won = ((weights.recent @ larger) * weights.reference).sum(axis=1)
    return np.asarray(won / (weights.recent.sum(axis=1) * weights.reference.sum(axis=1)))


def medians(values: Floats, weights: Floats) -> Floats:
    """(R,): the least of values (N,) that at least half of the weight does not exceed."""
    order = np.argsort(values, kind="stable")
    return np.asarray(values[order][(np.cumsum(_shares(weights[:, order]), axis=1) >= 0.5 - _EQUAL).argmax(axis=1)])


def _shares(weights: Floats) -> Floats:
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12))


# --- what they mean ----------------------------------------------------------------------------------


def p_value(statistics: Floats) -> float:
    """Of the first, among all of `assigned`: (1 + those that are as large) / (1 + permutations), in (0, 1]."""
    observed, dealt = statistics[0], statistics[1:]
    least = observed - _EQUAL * max(1.0, abs(float(observed)))
    return float((1 + np.count_nonzero(dealt >= least)) / (1 + len(dealt)))


def adjusted(p_values: Floats) -> Floats:
    """Those of Benjamini and Hochberg (1995): where none of the tests has anything to find, the probability that any of
    these is at or below a level is at most that level, for independent tests and such as err in the same direction."""
    count = len(p_values)
    order = np.argsort(p_values, kind="stable")
    stepped = p_values[order] * count / np.arange(1, count + 1)
    found = np.empty(count)
    found[order] = np.minimum.accumulate(stepped[::-1])[::-1]
    return np.clip(found, p_values, 1.0)  # 0.7 x 3 ÷ 3 is less than 0.7


def interval(estimate: float, draws: Floats, *, least: float, most: float) -> tuple[float, float]:
    """95 %, by the basic bootstrap, which undoes that a difference drawn again is larger on average; cut to what the
    figure can be."""
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(np.clip(2.0 * estimate - high, least, most)), float(np.clip(2.0 * estimate - low, least, most))
