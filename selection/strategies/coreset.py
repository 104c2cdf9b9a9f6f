"""core-set: what is farthest from everything that is labelled or chosen, so that no region is left out."""

import numpy as np
from numpy.typing import NDArray

from selection.coverage import Coverage, k_center
from selection.pool import Pick, Pool


def pick(pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> list[Pick]:
    """See `selection.strategies.table.Strategy` and `selection.coverage`. Where nothing is labelled yet the first is
    drawn."""
    covered = pool.covered(free)
    coverage = Coverage.of(pool.embeddings, covered)
    coverage.forbid(pool.taken(free))
    first = []
    if not len(covered) and budget and len(free):
        row = int(rng.choice(free))
        first = [Pick(row, 2.0, "drawn at random: nothing is labelled yet")]
        coverage.take(row)
    found = k_center(coverage, budget - len(first))
    return first + [
        Pick(row, distance, f"unlike all that is labelled or chosen: cosine distance {distance:.3f} to the nearest")
        for row, distance in found
    ]
