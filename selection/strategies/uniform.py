"""random: every item with the same probability. What every other strategy is measured against."""

import numpy as np
from numpy.typing import NDArray

from selection.pool import Pick, Pool


def pick(pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> list[Pick]:
    """See `selection.strategies.table.Strategy`."""
    rows = rng.choice(free, size=min(budget, len(free)), replace=False)
    return [Pick(int(row), 0.0, f"drawn at random from {len(free)} items") for row in rows]
