"""like-this: what is most like given items, or objects, most often failures that people corrected.

A model that failed on one image fails on its neighbours: they are what teaches it most about that failure.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from selection.embeddings import units
from selection.neighbours import nearest
from selection.pool import Pick, Pool

_AT_ONCE = 65_536  # objects whose similarities are computed together

# Rows of the pool, nearest first, and their cosine similarities.
Ranking = tuple[NDArray[np.intp], NDArray[np.float32]]


def pick_like(
    pool: Pool,
    free: NDArray[np.intp],
    budget: int,
    queries: NDArray[np.float32],
    names: Sequence[str],
    *,
    objects: NDArray[np.float32] | None = None,
) -> list[Pick]:
    """Neighbours of `queries` ((q, d) float32, L2-normalised), each in its turn: the nearest of the first, of the
    second, and so on, so that one with many neighbours does not take the whole budget.

    objects: (p, e), L2-normalised: items with an object like one of these are its neighbours, too. names: say what the
    queries are, and then the objects. pool.objects.features must be there for them.
    """
    if not budget or not len(free):
        return []
    most = min(len(free), budget)
    rankings = _of_items(pool, free, queries, most)
    if objects is not None and len(objects):
        rankings += _of_objects(pool, free, objects, most)
    return _in_turns(rankings, names, budget)


def _of_items(pool: Pool, free: NDArray[np.intp], queries: NDArray[np.float32], most: int) -> list[Ranking]:
    if not len(queries):
        return []
    similarities, found = nearest(pool.embeddings[free], queries, most)
    return [(free[rows], own) for rows, own in zip(found, similarities, strict=True)]


def _of_objects(pool: Pool, free: NDArray[np.intp], objects: NDArray[np.float32], most: int) -> list[Ranking]:
    """By the most similar object of each item; items without any that has features come last."""
    features = np.empty((0, objects.shape[1]), np.float32) if pool.objects.features is None else pool.objects.features
    rankings = []
    for query in objects:
        best = np.full(len(pool), -1.0, dtype=np.float32)
        for start in range(0, len(features), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            known = features[part].any(axis=1)
            np.maximum.at(best, pool.objects.rows[part][known], units(features[part][known]) @ query)
        order = free[np.argsort(-best[free], kind="stable")[:most]]
        rankings.append((order, best[order]))
    return rankings


def _in_turns(rankings: Sequence[Ranking], names: Sequence[str], budget: int) -> list[Pick]:
    picks: dict[int, Pick] = {}
    for depth in range(max((len(rows) for rows, _ in rankings), default=0)):
        at_depth = np.array([similarities[depth] for _, similarities in rankings])
        for query in np.argsort(-at_depth, kind="stable"):
            row, similarity = int(rankings[query][0][depth]), float(at_depth[query])
            if row not in picks and len(picks) < budget:
                picks[row] = Pick(row, similarity, f"like {names[query]}: cosine {similarity:.3f}")
    return list(picks.values())
