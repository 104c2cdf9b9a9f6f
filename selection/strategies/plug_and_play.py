"""ppal: difficult for the model's weak classes, then as different from each other as detections can be.

Yang, Huang & Crowley, "Plug and play active learning for object detection", CVPR 2024, with the constants of its code.
"""

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from selection.pool import Objects, Pick, Pool, best_first
from selection.scores import bernoulli_entropy

_ALPHA, _BETA = 0.3, 0.2
_LEAST_SCORE = 0.05
_TIMES_BUDGET = 4
_MOST_OBJECTS = 50  # of an image, the most certain
_ABSENT = 2.0  # distance of a detection to an image that has none of its class
_ROUNDS = 10  # of k-medoids


def pick(pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> list[Pick]:
    """See `selection.strategies.table.Strategy`. Raises Invalid for a pool without features of its objects."""
    if pool.objects.features is None:
        raise Invalid(
            "ppal compares detections, and this pool has no embeddings of them.",
            hint="Choose hybrid or uncertainty-herding, which need those of whole images only.",
        )
    difficulty = difficulties(pool)
    order = free[best_first(difficulty[free], rng)]
    candidates = order[: _TIMES_BUDGET * budget]
    if len(candidates) <= budget:
        return [_picked(row, difficulty) for row in candidates]
    distances = _distances(pool.objects, candidates)
    return [_picked(candidates[at], difficulty) for at in _medoids(distances, budget)]


def difficulties(pool: Pool) -> NDArray[np.float64]:
    """(n,) sum over detections of class weight × entropy in bits; the weight of a class, in [1, 1 + β], is the larger
    the worse the model is at it."""
    quality = pool.class_quality if len(pool.class_quality) else np.ones(max(1, len(pool.labels)))
    weights = 1.0 + _ALPHA * _BETA * np.log1p(np.expm1(1.0 / _ALPHA) * (1.0 - quality))
    objects = pool.objects
    counted = objects.scores > _LEAST_SCORE
    values = weights[objects.classes[counted]] * bernoulli_entropy(objects.scores[counted])
    return np.asarray(np.bincount(objects.rows[counted], weights=values, minlength=len(pool)), dtype=np.float64)


def _picked(row: int, difficulty: NDArray[np.float64]) -> Pick:
    return Pick(int(row), float(difficulty[row]), f"difficulty {difficulty[row]:.2f} bits, unlike the other picks")


def _distances(objects: Objects, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """(k, k) symmetric: how little the detections of two images resemble each other, class by class, in [0, 2]."""
    parts = [_strongest(objects, int(row)) for row in rows]
    one_way = np.array([[_distance(objects, one, other) for other in parts] for one in parts])
    both = (one_way + one_way.T) / 2.0
    np.fill_diagonal(both, 0.0)
    return np.asarray(both)


def _strongest(objects: Objects, row: int) -> NDArray[np.intp]:
    start, end = np.searchsorted(objects.rows, [row, row + 1])
    own = np.arange(start, end)
    return own[np.argsort(-objects.scores[own], kind="stable")][:_MOST_OBJECTS]


def _distance(objects: Objects, one: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    """Mean, weighted by score, of each detection's distance to the most similar of its class in the other image."""
    assert objects.features is not None  # noqa: S101 - `pick` has looked
    if not len(one):
        return 0.0 if not len(other) else _ABSENT
    if not len(other):
        return _ABSENT
    apart = 1.0 - objects.features[one] @ objects.features[other].T
    apart = np.where(objects.classes[one][:, None] == objects.classes[other][None, :], apart, _ABSENT)
    return float(np.average(apart.min(axis=1), weights=np.maximum(objects.scores[one], 1e-9)))


def _medoids(distances: NDArray[np.float64], k: int) -> list[int]:
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


def _centre(distances: NDArray[np.float64], members: NDArray[np.intp]) -> int:
    return int(members[np.argmin(distances[np.ix_(members, members)].sum(axis=1))])
