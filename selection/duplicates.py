"""Near-duplicates: images whose embeddings say that one of them is enough."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

NEAR_DUPLICATE = 0.98  # cosine


def thinned(
    embeddings: NDArray[np.float32], order: NDArray[np.intp], budget: int, *, threshold: float = NEAR_DUPLICATE
) -> list[int]:
    """At most `budget` rows, in `order` without those that are a near-duplicate of one before; where these are not
    enough, near-duplicates follow in their order.

    embeddings: (n, d) float32, L2-normalised.
    """
    kept: list[int] = []
    duplicates: list[int] = []
    chosen = np.empty((min(budget, len(order)), embeddings.shape[1]), dtype=np.float32)
    for row in order:
        if len(kept) == budget:
            break
        embedding = embeddings[row]
        if len(kept) and float((chosen[: len(kept)] @ embedding).max()) >= threshold:
            duplicates.append(int(row))
            continue
        chosen[len(kept)] = embedding
        kept.append(int(row))
    return kept + duplicates[: budget - len(kept)]


def groups(embeddings: NDArray[np.float32], *, threshold: float = NEAR_DUPLICATE) -> NDArray[np.intp]:
    """(n,) a number for each cluster of near-duplicates: items are of one cluster where a chain of pairs with at least
    this cosine connects them. Numbered in the order of their first item.

    Of each item its 32 nearest are looked at; embeddings as in `thinned`.
    """
    from selection.neighbours import nearest

    parent = np.arange(len(embeddings))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = int(parent[row])
        return row

    similarities, rows = nearest(embeddings, embeddings, min(32, len(embeddings)))
    for one, other in _pairs(similarities, rows, threshold):
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    roots = np.array([root(row) for row in range(len(embeddings))], dtype=np.intp)
    return np.asarray(np.unique(roots, return_inverse=True)[1], dtype=np.intp)


def _pairs(similarities: NDArray[np.float32], rows: NDArray[np.int64], threshold: float) -> Iterator[tuple[int, int]]:
    near, column = np.nonzero(similarities >= threshold)
    return ((int(one), int(rows[one, at])) for one, at in zip(near, column, strict=True) if rows[one, at] != one)
