"""like-this: what is most like given items, most often failures that people corrected.

A model that failed on one image fails on its neighbours: they are what teaches it most about that failure.
"""

import numpy as np
from numpy.typing import NDArray

from selection.neighbours import nearest
from selection.pool import Pick, Pool


def pick_like(
    pool: Pool, free: NDArray[np.intp], budget: int, queries: NDArray[np.float32], names: list[str]
) -> list[Pick]:
    """Neighbours of `queries` ((q, d) float32, L2-normalised; `names` say what they are), each in its turn: the nearest
    of the first, of the second, and so on, so that one with many neighbours does not take the whole budget."""
    if not budget or not len(free):
        return []
    similarities, found = nearest(pool.embeddings[free], queries, min(len(free), budget))
    picks: dict[int, Pick] = {}
    for depth in range(found.shape[1]):
        for query in np.argsort(-similarities[:, depth], kind="stable"):
            row, similarity = int(free[found[query, depth]]), float(similarities[query, depth])
            if row not in picks and len(picks) < budget:
                picks[row] = Pick(row, similarity, f"like {names[query]}: cosine {similarity:.3f}")
    return list(picks.values())
