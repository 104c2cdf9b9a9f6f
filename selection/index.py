"""The FAISS index over embeddings of one space (one model version): grows in place, exact while it is small.

Up to `EXACT_UP_TO` every search looks at all of them. Above, embeddings lie in inverted lists, of which a search looks
at as many as the recall wants; from `COMPRESSED_FROM` on each number takes a byte. What it holds can always be read
again from the store; its file (`selection.index_file`) is a cache.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid

log = logging.getLogger("askance.index")

EXACT_UP_TO = 50_000
COMPRESSED_FROM = 3_000_000
RECALL = 0.98  # of the ten nearest
_REGROWN = 4  # times the size that its lists were made for: then they are made anew
_LISTS_PER_ROOT = 4  # lists of n embeddings: this times the square root of n (FAISS' guidelines)
_TRAINED_ON = 64  # embeddings for each list
_ASKED = 256  # embeddings whose neighbours measure the recall
_NEIGHBOURS = 10


@dataclass(frozen=True, slots=True)
class Parts:
    """What an index consists of. index: of FAISS. keys: by row. made_for: as of `EmbeddingIndex`."""

    index: Any
    keys: tuple[str, ...]
    made_for: int


class EmbeddingIndex:
    """Keys with L2-normalised embeddings of `dim` numbers. Safe for several threads."""

    def __init__(self, dim: int, *, exact_up_to: int = EXACT_UP_TO, recall: float = RECALL) -> None:
        self._index: Any = faiss.IndexFlatIP(dim)
        self._keys: list[str] = []
        self._exact_up_to = exact_up_to
        self._recall = recall
        self._made_for = 0  # embeddings that the lists were made for; 0: there are no lists
        self._lock = threading.Lock()

    @classmethod
    def of(cls, parts: Parts) -> "EmbeddingIndex":
        made = cls(int(parts.index.d))
        made._index, made._keys, made._made_for = parts.index, list(parts.keys), parts.made_for
        return made

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def dim(self) -> int:
        return int(self._index.d)

    @property
    def last_key(self) -> str:
        """Of what was added last; empty where nothing was."""
        return self._keys[-1] if self._keys else ""

    @property
    def made_for(self) -> int:
        """How many embeddings the lists were made for; 0 while every search is exact."""
        return self._made_for

    @property
    def rebuild_due(self) -> bool:
        """Whether it has outgrown what it was made for; searches go on being right, and become slow."""
        return len(self) > max(self._exact_up_to, _REGROWN * self._made_for)

    def add(self, keys: Sequence[str], embeddings: NDArray[np.float32]) -> None:
        """`embeddings`: (n, dim) float32 in the order of `keys`. Raises Invalid for another width or NaN."""
        checked = self._checked(embeddings)
        if len(keys) != len(checked):
            raise Invalid(f"{len(keys)} keys for {len(checked)} embeddings.")
        with self._lock:
            self._index.add(checked)
            self._keys.extend(keys)

    def similarities(self, queries: NDArray[np.float32], k: int) -> NDArray[np.float32]:
        """Cosine similarity of each of (m, dim) `queries` to its k nearest, (m, k), descending."""
        return self.search(queries, k)[0]

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The same, and the rows of those nearest, by the order in which they were added; -1 where fewer are found."""
        checked = self._checked(queries)
        with self._lock:
            similarities, rows = self._index.search(checked, k)
        return np.asarray(similarities), np.asarray(rows)

    def nearest(self, query: NDArray[np.float32], k: int) -> list[tuple[str, float]]:
        """At most `k` (key, cosine similarity in [-1, 1]) of the nearest, most similar first."""
        if not len(self):
            return []
        checked = self._checked(query[None, :])
        with self._lock:
            similarities, rows = self._index.search(checked, min(k, len(self._keys)))
            return [(self._keys[row], float(s)) for s, row in zip(similarities[0], rows[0], strict=True) if row >= 0]

    def rebuild(self) -> None:
        """Make the lists for what is there now. Searches and additions go on meanwhile, by what was before."""
        with self._lock:
            points = self._points(0)
        made = _lists(points, self._recall)
        with self._lock:
            late = self._points(len(points))
            if len(late):
                made.add(late)
            self._index, self._made_for = made, len(points)

    def parts(self) -> "Parts":
        """A copy of it, for its file."""
        with self._lock:
            return Parts(faiss.clone_index(self._index), tuple(self._keys), self._made_for)

    def _points(self, first: int) -> NDArray[np.float32]:
        """(n, dim) from row `first` on, as they are kept."""
        count = int(self._index.ntotal) - first
        if not count:
            return np.empty((0, self.dim), dtype=np.float32)
        if isinstance(self._index, faiss.IndexIVF):
            self._index.make_direct_map()
        return np.asarray(self._index.reconstruct_n(first, count))

    def _checked(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        array = np.ascontiguousarray(embeddings, dtype=np.float32)
        if array.ndim != 2 or array.shape[1] != self.dim:
            raise Invalid(
                f"embeddings of shape {array.shape} do not fit an index of width {self.dim}.",
                hint="Each model version has its own embedding space; use the index of the same version.",
            )
        if not np.isfinite(array).all():
            raise Invalid("an embedding holds NaN or infinity.", hint="Check the model's weights.")
        return array


def _lists(points: NDArray[np.float32], recall: float) -> Any:
    """An index of `points` in inverted lists, which looks at as many as find `recall` of the nearest."""
    n, dim = points.shape
    count = max(1, min(int(_LISTS_PER_ROOT * n**0.5), n // 40))
    means = faiss.IndexFlatIP(dim)
    made: faiss.IndexIVF
    if n < COMPRESSED_FROM:
        made = faiss.IndexIVFFlat(means, dim, count, faiss.METRIC_INNER_PRODUCT)
    else:
        eight_bits = faiss.ScalarQuantizer.QT_8bit
        made = faiss.IndexIVFScalarQuantizer(means, dim, count, eight_bits, faiss.METRIC_INNER_PRODUCT)
    made.cp.min_points_per_centroid = 1
    rng = np.random.default_rng(0)
    some = points if n <= _TRAINED_ON * count else points[np.sort(rng.choice(n, _TRAINED_ON * count, replace=False))]
    made.train(some)
    made.add(points)
    asked = points[rng.choice(n, min(_ASKED, n), replace=False)]
    reached = _looking_at_enough(made, points, asked, recall)
    log.info("an index of %d embeddings in %d lists looks at %d: recall %.3f", n, count, made.nprobe, reached)
    return made


def _looking_at_enough(made: Any, points: NDArray[np.float32], asked: NDArray[np.float32], recall: float) -> float:
    """Set how many lists a search looks at; returns the recall of the ten nearest others that it has then."""
    k = min(_NEIGHBOURS + 1, len(points))
    _, right = faiss.knn(asked, points, k, metric=faiss.METRIC_INNER_PRODUCT)
    made.nprobe = 1
    while True:
        _, found = made.search(asked, k)
        # Without the point itself, which is always found.
        shares = [len(set(a[1:]) & set(b)) / max(1, k - 1) for a, b in zip(right.tolist(), found.tolist(), strict=True)]
        reached = float(np.mean(shares))
        if reached >= recall or made.nprobe >= made.nlist:
            return reached
        made.nprobe = min(2 * made.nprobe, made.nlist)
