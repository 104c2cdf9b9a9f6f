"""ppal: difficult for the model's weak classes, then as different from each other as detections can be.

Yang, Huang & Crowley, "Plug and play active learning for object detection", CVPR 2024, with the constants of its code.
There an image without a detection is worth nothing; here see `selection.strategies.nothing_detected`.
"""

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from selection.embeddings import units
from selection.pool import Features, Objects, Pick, Pool, require_features
from selection.scores import aggregated, bernoulli_entropy
from selection.strategies.nothing_detected import as_the_pool, empty_among, largest_first, with_prior

_ALPHA, _BETA = 0.3, 0.2
_LEAST_SCORE = 0.05
_TIMES_BUDGET = 4
_ABSENT = 2.0  # distance of a detection to an image that has none of its class
_ROUNDS = 10  # of k-medoids
_MOST = 2000  # picks: all pairs of four times as many images are compared


def pick(pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> list[Pick]:
    """See `selection.strategies.table.Strategy`. Raises Invalid for a pool without features of its objects, and for
    more than 2,000."""
    features = require_features(pool, "ppal")
    if budget > _MOST:
        raise Invalid(
            f"ppal cannot choose {budget:,} items: it compares all pairs of {_TIMES_BUDGET} times as many.",
            hint=f"Let it choose up to {_MOST:,}, or choose by hybrid or core-set, which have no such limit.",
        )
    empty = empty_among(pool, free)
    difficulty = with_prior(difficulties(pool)[free], empty)
    candidates = largest_first(difficulty, empty, pool, free, rng)[: _TIMES_BUDGET * budget]
    if len(candidates) > budget:
        candidates = candidates[_medoids(_distances(pool.objects, features, free[candidates]), budget)]
    return [_picked(int(free[at]), float(difficulty[at]), bool(empty[at])) for at in candidates]


def difficulties(pool: Pool) -> NDArray[np.float64]:
    """(n,) sum over detections of class weight × entropy in bits; the weight of a class, in [1, 1 + β], is the larger
    the worse the model is at it."""
    quality = pool.class_quality if len(pool.class_quality) else np.ones(max(1, len(pool.labels)))
    weights = 1.0 + _ALPHA * _BETA * np.log1p(np.expm1(1.0 / _ALPHA) * (1.0 - quality))
    objects = pool.objects
    counted = objects.scores > _LEAST_SCORE
    values = weights[objects.classes[counted]] * bernoulli_entropy(objects.scores[counted])
    return aggregated("sum", values, objects.rows[counted], len(pool))


def _picked(row: int, difficulty: float, empty: bool) -> Pick:
    return Pick(row, difficulty, f"{as_the_pool(empty)}difficulty {difficulty:.2f} bits, unlike the other picks")


def _distances(objects: Objects, features: Features, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """(k, k) symmetric: how little the detections of two images resemble each other, class by class, in [0, 2].

    One way it is the mean, weighted by score, of each detection's distance to the most similar of its class in the
    other image.
    """
    own = [objects.strongest(int(row)) for row in rows]
    sizes = np.array([len(one) for one in own])
    present = np.flatnonzero(sizes)
    one_way = np.where((sizes > 0)[:, None] | (sizes > 0)[None, :], np.float32(_ABSENT), np.float32(0.0))
    if not len(present):
        return one_way
    every = np.concatenate(own)
    vectors, classes = units(features[every]), objects.classes[every]
    weights = np.maximum(objects.scores[every], 1e-9)
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]])[present]
    for image, begin in zip(present, begins, strict=True):
        mine = slice(begin, begin + sizes[image])
        apart = 1.0 - vectors[mine] @ vectors.T
        apart[classes[mine, None] != classes] = _ABSENT
        nearest = np.minimum.reduceat(apart, begins, axis=1)
        one_way[image, present] = np.average(nearest, axis=0, weights=weights[mine])
    both = (one_way + one_way.T) / np.float32(2.0)
    np.fill_diagonal(both, 0.0)
    return np.asarray(both)


def _medoids(distances: NDArray[np.float32], k: int) -> list[int]:
    """Rows of k medoids, begun by greedy k-center at the first row (the most difficult)."""
    medoids = [0]
    nearest = distances[0].copy()
    while len(medoids) < k:
        nearest[medoids] = -1.0
        medoids.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, distances[medoids[-1]])
    for _ in range(_ROUNDS):
        owner = np.argmin(distances[:, medoids], axis=1)
        owner[medoids] = np.arange(k)
        moved = [_centre(distances, np.flatnonzero(owner == cluster)) for cluster in range(k)]
        if moved == medoids:
            break
        medoids = moved
    return medoids


def _centre(distances: NDArray[np.float32], members: NDArray[np.intp]) -> int:
    return int(members[np.argmin(distances[np.ix_(members, members)].sum(axis=1))])
