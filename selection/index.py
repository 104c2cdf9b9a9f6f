"""The FAISS index over embeddings of one space (one model version): exact inner product, grows in place.

A cache: what it holds can always be read again from the store.
"""

import threading
from collections.abc import Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid


class EmbeddingIndex:
    """Keys with L2-normalised embeddings of `dim` numbers. Safe for several threads."""

    def __init__(self, dim: int) -> None:
        self._index = faiss.IndexFlatIP(dim)
        self._keys: list[str] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def dim(self) -> int:
        return int(self._index.d)

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
        checked = self._checked(queries)
        with self._lock:
            found, _ = self._index.search(checked, k)
        return np.asarray(found)

    def nearest(self, query: NDArray[np.float32], k: int) -> list[tuple[str, float]]:
        """At most `k` (key, cosine similarity in [-1, 1]) of the nearest, most similar first."""
        if not len(self):
            return []
        checked = self._checked(query[None, :])
        with self._lock:
            similarities, rows = self._index.search(checked, min(k, len(self._keys)))
            return [(self._keys[row], float(s)) for s, row in zip(similarities[0], rows[0], strict=True) if row >= 0]

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
