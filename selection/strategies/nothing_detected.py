"""Images in which nothing was detected: a strategy by uncertainty counts them as the pool's mean (METHODS §1), those
first in which the most was nearly detected.

As what their constant signals say (`selection.scores`) they would come before or behind all others.
"""

import numpy as np
from numpy.typing import NDArray

from selection.pool import Pool


def empty_among(pool: Pool, free: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(f,), which of the rows `free` have no detection."""
    return np.asarray(np.bincount(pool.objects.rows, minlength=len(pool))[free] == 0)


def with_prior(values: NDArray[np.float64], empty: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(f,): the mean of the others for those that are `empty`; as they are where all are."""
    return values if empty.all() else np.where(empty, values[~empty].mean(), values)


def largest_first(
    values: NDArray[np.float64],
    empty: NDArray[np.bool_],
    pool: Pool,
    free: NDArray[np.intp],
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Places in `values` (f,), of rows `free`, the largest first; of equals any, not those that came first."""
    nearly = np.where(empty, pool.signals.get("near_threshold_mass", np.zeros(len(pool)))[free], 0.0)
    return np.lexsort((rng.permutation(len(free)), -nearly, -values))


def reason(words: str, value: float, empty: bool, rank: int, of: int) -> str:
    """For the person who looks at the item."""
    return f"{as_the_pool(empty)}{words} {value:.3f} (number {rank} of {of})"


def as_the_pool(empty: bool) -> str:
    """What a reason begins with where nothing was detected."""
    return "nothing detected, so as the mean of the pool: " if empty else ""
