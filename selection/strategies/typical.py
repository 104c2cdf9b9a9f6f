"""typiclust: the most typical image of each region that has no label yet. For the first labels of a project.

Hacohen, Dekel & Weinshall, "Active learning on a budget: opposite strategies suit high and low budgets", ICML 2022:
with few labels typical examples teach more than odd ones.
"""

import numpy as np
from numpy.typing import NDArray

from selection.neighbours import clustered, nearest
from selection.pool import Pick, Pool

_MOST_CLUSTERS = 500  # of the paper
_NEIGHBOURS = 20
_SMALLEST = 5  # clusters below have no typical member, and come last


def pick(pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> list[Pick]:
    """See `selection.strategies.table.Strategy`.

    The labelled, what was chosen before and the free items are clustered together, into as many clusters as there are
    labels and picks (at most 500). One is taken of each cluster, those with the fewest labels first, of equals the
    largest.
    """
    if not budget or not len(free):
        return []
    covered = pool.covered(free)
    points = np.concatenate([covered, pool.embeddings[free]])
    count = min(len(covered) + budget, _MOST_CLUSTERS, len(points))
    cluster = clustered(points, count, rng)
    labels = np.bincount(cluster[: len(covered)], minlength=count)
    own = cluster[len(covered) :]
    queues = {int(one): _by_typicality(pool, free[own == one]) for one in np.unique(own)}
    sizes = np.bincount(own, minlength=count)
    return _in_turns(queues, labels, sizes, budget)


def _in_turns(
    queues: dict[int, list[tuple[int, float]]], labels: NDArray[np.intp], sizes: NDArray[np.intp], budget: int
) -> list[Pick]:
    picks: list[Pick] = []
    labels = labels.copy()
    while len(picks) < budget and queues:
        best = min(queues, key=lambda one: (sizes[one] < _SMALLEST, labels[one], -sizes[one], one))
        row, typicality = queues[best].pop(0)
        held = "has no label yet" if not labels[best] else f"has {labels[best]} labels"
        reason = f"the most typical of {sizes[best]} alike images whose region {held}"
        picks.append(Pick(row, typicality, reason))
        labels[best] += 1
        if not queues[best]:
            del queues[best]
    return picks


def _by_typicality(pool: Pool, rows: NDArray[np.intp]) -> list[tuple[int, float]]:
    """(row, 1 / mean distance to its nearest in the cluster), the most typical first."""
    points = pool.embeddings[rows]
    if len(rows) == 1:
        return [(int(rows[0]), 0.0)]
    similarities = nearest(points, points, min(_NEIGHBOURS + 1, len(rows)))[0][:, 1:]
    distances = np.sqrt(np.clip(2.0 - 2.0 * similarities, 0.0, None)).mean(axis=1)
    typicality = 1.0 / np.maximum(distances, 1e-6)
    order = np.argsort(-typicality, kind="stable")
    return [(int(rows[at]), float(typicality[at])) for at in order]
