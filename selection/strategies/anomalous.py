"""anomaly: what is least like the images that the model has learned from; of near-duplicates one.

Ordered by the conformal p-value of `selection.anomaly`.
"""

import numpy as np
from numpy.typing import NDArray

from selection.duplicates import thinned
from selection.pool import Pick, Pool, best_first


def pick(pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> list[Pick]:
    """See `selection.strategies.table.Strategy`."""
    p_values = pool.signals["anomaly_p"]
    order = free[best_first(-p_values[free], rng)]
    return [
        Pick(row, float(1.0 - p_values[row]), _reason(float(p_values[row])))
        for row in thinned(pool.embeddings, order, budget)
    ]


def _reason(p: float) -> str:
    if p >= 1.0:
        return "the model has no training images to compare with"
    return f"{p:.1%} of the training images are as unlike the others as this one"
