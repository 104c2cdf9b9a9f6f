"""Near-duplicates: images whose embeddings say that one of them is enough."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy  # loads its parts when they are first used: what serves imports this module and needs none of them
from numpy.typing import NDArray

from selection.index import EmbeddingIndex

# Cosine from which on images count as near-duplicates: on FOD-A 97 of 100 such pairs are frames of one sequence, also
# for a detector that was not trained on such frames (docs/selection.md has what others mean).
NEAR_DUPLICATE = 0.9995
# Cosine from which on one of two images is left for last where there are others: not the same picture, but alike.
ALIKE = 0.99
_NEIGHBOURS = 32
_AT_ONCE = 4096  # rows that are searched for together
_PAIRS = 2_000_000  # that are kept before they are joined


def thinned(
    embeddings: NDArray[np.float32], order: NDArray[np.intp], budget: int, *, threshold: float = ALIKE
) -> list[int]:
    """At most `budget` rows, in `order` without those that are like one before; where these are not enough, those that
    are follow in their order.

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


@dataclass(slots=True)
class Groups:
    """Which rows of an index are near-duplicates: of one group are those that a chain of pairs with at least the cosine
    `threshold` connects. Grows with the index, in a few dozen bytes a row and a bounded number of pairs.

    labels: (n,) int64 in [0, n), equal for the rows of one group.
    """

    threshold: float
    labels: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def extend(self, index: EmbeddingIndex, count: int) -> None:
        """Take in the rows of `index` up to `count` that are new. Of each its 32 nearest are looked at."""
        first = len(self.labels)
        self.labels = np.concatenate([self.labels, np.arange(first, count)])
        waiting: list[NDArray[np.int64]] = []
        for start in range(first, count, _AT_ONCE):
            waiting.append(_pairs(index, start, min(start + _AT_ONCE, count), count, self.threshold))
            if sum(map(len, waiting)) > _PAIRS:
                self.labels, waiting = joined(self.labels, np.concatenate(waiting)), []
        if waiting:
            self.labels = joined(self.labels, np.concatenate(waiting))


def _pairs(index: EmbeddingIndex, start: int, end: int, count: int, threshold: float) -> NDArray[np.int64]:
    """(p, 2) rows below `count`."""
    similarities, rows = index.alike(start, end, _NEIGHBOURS)
    near, column = np.nonzero((similarities >= threshold) & (rows >= 0) & (rows < count))
    return np.stack([near + start, rows[near, column]], axis=1)


def joined(labels: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """`labels` (n,) in [0, n), with the groups of the two rows of each of (p, 2) pairs made one."""
    n, ones = len(labels), np.ones(len(pairs), dtype=bool)
    edges = scipy.sparse.coo_array((ones, (labels[pairs[:, 0]], labels[pairs[:, 1]])), shape=(n, n))
    return np.asarray(scipy.sparse.csgraph.connected_components(edges, directed=False)[1][labels], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Clusters:
    """Near-duplicate items: clusters of two or more, the largest first, of equals the one with the first item.

    items: (n,) ascending. group: (n,) of each, in [0, groups). ranked: the groups of the clusters. order: (n,) items
    group by group, ascending within; starts: (groups + 1,) where each begins there.
    """

    items: NDArray[np.bytes_]
    group: NDArray[np.int64]
    ranked: NDArray[np.int64]
    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, names: NDArray[np.bytes_], labels: NDArray[np.int64]) -> "Clusters":
        """names: (m,) the item of each row; rows of one item are of one group. labels: (m,) as of `Groups`."""
        items, first, item_of = np.unique(names, return_index=True, return_inverse=True)
        rows = np.arange(len(names))
        again = first[item_of] != rows
        labels = joined(labels, np.stack([first[item_of][again], rows[again]], axis=1))
        group = np.asarray(np.unique(labels[first], return_inverse=True)[1], dtype=np.int64)
        sizes = np.bincount(group)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        order = np.argsort(group, kind="stable")
        ranked = np.lexsort((order[starts[:-1]], -sizes))
        return cls(items, group, ranked[: int((sizes > 1).sum())], order, starts)

    def __len__(self) -> int:
        return len(self.ranked)

    @property
    def spare(self) -> int:
        """How many items could go, if one of each cluster stayed."""
        return len(self.items) - len(self.starts) + 1

    def size(self, rank: int) -> int:
        return int(self.starts[self.ranked[rank] + 1] - self.starts[self.ranked[rank]])

    def members(self, rank: int, most: int) -> list[str]:
        """At most so many items of the cluster at that rank, from 0, ascending."""
        start = self.starts[self.ranked[rank]]
        return [self.items[at].decode() for at in self.order[start : start + min(most, self.size(rank))]]

    def page(self, after: tuple[int, str] | None, limit: int) -> range:
        """At most `limit` ranks, behind the cluster of that size with that first item."""
        begin = 0
        if after is not None:
            begin = bisect_right(range(len(self)), (-after[0], after[1]), key=self._place)
        return range(begin, min(begin + limit, len(self)))

    def _place(self, rank: int) -> tuple[int, str]:
        return -self.size(rank), self.members(rank, 1)[0]

    def groups_of(self, names: Sequence[str]) -> NDArray[np.int64]:
        """(len(names),) the group of each item, a number of its own below 0 for one that is not known."""
        asked = np.array(names, dtype=np.bytes_) if len(names) else np.empty(0, dtype="S1")
        at = np.minimum(np.searchsorted(self.items, asked), max(0, len(self.items) - 1))
        own = -1 - np.arange(len(names))
        return np.where(self.items[at] == asked, self.group[at], own) if len(self.items) else own


_NONE = np.empty(0, dtype=np.int64)
NO_CLUSTERS = Clusters(np.empty(0, dtype="S64"), _NONE, _NONE, _NONE, np.zeros(1, dtype=np.int64))
