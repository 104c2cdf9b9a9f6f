"""like-this: what is most like given items, or objects, most often failures that people corrected.

A model that failed on one image fails on its neighbours: they are what teaches it most about that failure.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from selection.embeddings import units
from selection.neighbours import nearest
from selection.pool import Pick, Pool

_AT_ONCE = 65_536  # objects whose similarities are computed together

LIKE_THIS = "like-this"
_NOT_ALIKE = -1.0  # of an item none of whose detections has an embedding

# Rows of the pool, nearest first, and their cosine similarities.
Ranking = tuple[NDArray[np.intp], NDArray[np.float32]]


def resembling(
    queries: NDArray[np.float32], names: Sequence[str], *, objects: NDArray[np.float32] | None = None
) -> Callable[[Pool, NDArray[np.intp], int, np.random.Generator], list[Pick]]:
    """The strategy that takes the neighbours of `queries` ((q, d), L2-normalised), each in its turn: the nearest of the
    first, of the second, and so on, so that one with many neighbours does not take the whole budget. It draws nothing.

    objects: (p, e), L2-normalised: items with an object like one of these are its neighbours, too. names: say what the
    queries are, and then the objects, q + p in all; pool.objects.features must be there for those. Raises Invalid where
    there is none, or one is not finite.
    """
    wanted = [queries] if objects is None else [queries, objects]
    if not sum(map(len, wanted)):
        raise Invalid(f"{LIKE_THIS} needs something to resemble.", hint="Name items, or boxes.")
    finite = np.concatenate([np.isfinite(one).all(axis=1) for one in wanted])
    for name in (name for name, sound in zip(names, finite, strict=True) if not sound):
        raise Invalid(
            f"the embedding of {name} holds NaN or infinity, so that nothing is like it.",
            hint="Predict it again by a sound model, or leave it out.",
        )
    return partial(_pick, queries, names, objects)


def _pick(
    queries: NDArray[np.float32],
    names: Sequence[str],
    objects: NDArray[np.float32] | None,
    pool: Pool,
    free: NDArray[np.intp],
    budget: int,
    rng: np.random.Generator,
) -> list[Pick]:
    if not budget or not len(free):
        return []
    most = min(len(free), budget)
    rankings = _of_items(pool, free, queries, most)
    if objects is not None:
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
        best = np.full(len(pool), _NOT_ALIKE, dtype=np.float32)
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
                picks[row] = Pick(row, similarity, _reason(names[query], similarity))
    return list(picks.values())


def _reason(name: str, similarity: float) -> str:
    if similarity <= _NOT_ALIKE:
        return f"not like {name}: nothing else was left"
    return f"like {name}: cosine {similarity:.3f}"
