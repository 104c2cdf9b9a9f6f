"""entropy-enms: entropy of an image's detections, of which those that look alike count once.

Wu, Chen & Huang, "Entropy-based active learning for object detection with progressive diversity constraint", CVPR 2022
(entropy-based non-maximum suppression): the sum no longer favours images that show one hard object many times.
"""

import heapq
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from selection.embeddings import units
from selection.pool import Features, Pick, Pool, best_first, require_features
from selection.scores import bernoulli_entropy

_ALIKE = 0.5  # cosine, of the paper


def pick(pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> list[Pick]:
    """See `selection.strategies.table.Strategy`. Raises Invalid for a pool without features of its objects.

    Sums as of `distinct_entropy`, of the 50 most certain detections of an image.
    """
    centred = _centred(require_features(pool, "entropy-enms"))
    entropies = bernoulli_entropy(pool.objects.scores)
    sums_of_all = np.bincount(pool.objects.rows, weights=entropies, minlength=len(pool))
    plain = np.asarray(sums_of_all, dtype=np.float64)
    order = free[best_first(plain[free], rng)]
    sums: list[tuple[float, int]] = []  # and the place in `order`
    best: list[float] = []  # a heap of the budget's largest so far
    for place, row in enumerate(order):
        if len(best) == budget and (not budget or plain[row] <= best[0]):
            break  # leaving detections out only lowers a sum
        own = pool.objects.strongest(int(row))
        value = distinct_entropy(entropies[own], pool.objects.classes[own], centred(own))
        sums.append((value, place))
        heapq.heappush(best, value)
        if len(best) > budget:
            heapq.heappop(best)
    sums.sort(key=lambda one: (-one[0], one[1]))
    return [
        Pick(int(order[place]), value, f"{value:.3f} bits of entropy in detections that differ from each other")
        for value, place in sums[:budget]
    ]


def distinct_entropy(entropies: NDArray[np.float64], classes: NDArray[np.int64], features: Features) -> float:
    """The sum of `entropies` (m,), in bits, without detections that have a cosine above 0.5 to one of their class with
    more entropy that counts. features: (m, e), L2-normalised."""
    order = np.argsort(-entropies, kind="stable")
    alike = (features @ features.T > _ALIKE) & (classes[:, None] == classes[None, :])
    counted = np.zeros(len(entropies), dtype=bool)
    for at in order:
        counted[at] = not alike[at, counted].any()
    return float(entropies[counted].sum())


def _centred(features: Features) -> Callable[[NDArray[np.intp]], NDArray[np.float32]]:
    """Gives rows of `features` around their mean over the pool, L2-normalised: what a network's features have in common
    is so large that any two objects have a cosine of 0.6 to 0.9."""
    centre = features.mean(axis=0, dtype=np.float64) if len(features) else np.zeros(features.shape[1])

    def rows(own: NDArray[np.intp]) -> NDArray[np.float32]:
        return units(features[own] - centre)

    return rows
