"""The FAISS index over embeddings of one space (one model version): grows in place, exact while it is small.

Small ones are searched whole. In larger ones embeddings lie in inverted lists (`selection.lists`), of which a search
looks at as many as the recall wants; in the largest each number takes a byte (`IndexRules`), and what a search finds is
looked at again by the embeddings that were compressed, where these are at hand. What it holds can always be read again
from the store; its file (`selection.index_file`) is a cache.
"""

import ctypes
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from selection.lists import CANDIDATES, Lists, Progress, chunks, make_lists, search, unheard

_REGROWN = 4  # times the size that its lists were made for: then they are made anew
_NEXT_LISTS = 4

# Of some keys the embeddings that were added; without those that are not known any more.
Exact = Callable[[Sequence[str]], Mapping[str, NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class IndexRules:
    """Of which kind an index is, by how many embeddings it holds. exact_up_to: so many are searched whole.
    compressed_from: with so many each number takes one byte in place of four. recall: in (0, 1], the share of the ten
    nearest that a search of the others finds, as it is measured when they are made."""

    exact_up_to: int = 50_000
    compressed_from: int = 3_000_000
    recall: float = 0.98


DEFAULT_RULES = IndexRules()


@dataclass(frozen=True, slots=True)
class Parts:
    """What an index consists of. index: of FAISS. keys: by row. lists: None while every search is exact."""

    index: Any
    keys: tuple[str, ...]
    lists: Lists | None


class EmbeddingIndex:
    """Keys with L2-normalised embeddings of `dim` numbers. Safe for several threads."""

    def __init__(self, dim: int, rules: IndexRules = DEFAULT_RULES) -> None:
        self._index: Any = faiss.IndexFlatIP(dim)
        self._keys: list[str] = []
        self._rules = rules
        self._lists: Lists | None = None
        self._lock = threading.Lock()

    @classmethod
    def of(cls, parts: Parts, rules: IndexRules = DEFAULT_RULES) -> "EmbeddingIndex":
        made = cls(int(parts.index.d), rules)
        made._index, made._keys, made._lists = parts.index, list(parts.keys), parts.lists
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
    def lists(self) -> Lists | None:
        """What is known of its lists; None while every search is exact."""
        return self._lists

    @property
    def made_for(self) -> int:
        """How many embeddings the lists were made for; 0 while every search is exact."""
        return self._lists.made_for if self._lists else 0

    @property
    def rebuild_due(self) -> bool:
        """Whether it has outgrown what it was made for; searches go on being right, and become slow. Or is large enough
        to be compressed, or was made to find fewer of the nearest than it is to."""
        return (
            len(self) > max(self._rules.exact_up_to, _REGROWN * self.made_for)
            or self.made_for < self._rules.compressed_from <= len(self)
            or (self._lists is not None and self._lists.wanted < self._rules.recall)
        )

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
            return search(self._index, checked, k)

    def nearest(self, query: NDArray[np.float32], k: int, exact: Exact | None = None) -> list[tuple[str, float]]:
        """At most `k` (key, cosine similarity in [-1, 1]) of the nearest, most similar first.

        exact: where embeddings are compressed, some times k candidates are ranked anew by these, so that cosines and
        order are those of the embeddings that were added; candidates that it does not know are left out. Without it
        they are of what compression left.
        """
        if exact is None or self._lists is None or not self._lists.compressed:
            return self._found(query, k)
        candidates = [key for key, _ in self._found(query, CANDIDATES * k)]
        return reranked(query, exact(candidates))[:k]

    def _found(self, query: NDArray[np.float32], k: int) -> list[tuple[str, float]]:
        if not len(self):
            return []
        checked = self._checked(query[None, :])
        with self._lock:
            similarities, rows = search(self._index, checked, min(k, len(self._keys)))
            return [(self._keys[row], float(s)) for s, row in zip(similarities[0], rows[0], strict=True) if row >= 0]

    def alike(self, start: int, end: int, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Of the embeddings in rows `start` to `end` the k most similar, themselves among them: cosines, descending,
        and rows (-1 beyond what there is), (end - start, k) each.

        Where there are lists only few are looked at: what is nearly the same lies in the same or in a neighbouring one.
        """
        points = self._rows(range(start, end))
        with self._lock:
            few = min(_NEXT_LISTS, self._index.nprobe) if self._lists else None
            return search(self._index, points, k, lists=few)

    def keys(self, start: int, end: int) -> list[str]:
        """Of rows `start` to `end`, in the order in which they were added."""
        with self._lock:
            return self._keys[start:end]

    def rebuild(self, on_progress: Progress = unheard) -> None:
        """Make the lists for what is there now. Searches and additions go on meanwhile, by what was before.

        Memory: what was before, what is made, and some dozen embeddings for each list. The recall is measured against
        what was before: where that was compressed, against what compression left of it.
        """
        with self._lock:
            count = len(self._keys)
        compressed = count >= self._rules.compressed_from
        made, lists = make_lists(
            self._rows, count, self.dim, self._rules.recall, compressed=compressed, on_progress=on_progress
        )
        with self._lock:
            for late in chunks(count, len(self._keys)):
                made.add(self._index.reconstruct_n(late.start, len(late)))
            self._index, self._lists = made, lists
        _give_back()

    def parts(self) -> "Parts":
        """A copy of it, for its file."""
        with self._lock:
            return Parts(faiss.clone_index(self._index), tuple(self._keys), self._lists)

    def _rows(self, rows: range | NDArray[np.int64]) -> NDArray[np.float32]:
        """(len(rows), dim), as they are kept."""
        with self._lock:
            if isinstance(self._index, faiss.IndexIVF):
                self._index.make_direct_map()
            if isinstance(rows, range):
                return np.asarray(self._index.reconstruct_n(rows.start, len(rows)))
            return np.asarray(self._index.reconstruct_batch(rows))

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


def reranked(query: NDArray[np.float32], exact: Mapping[str, NDArray[np.float32]]) -> list[tuple[str, float]]:
    """Keys with their cosine to (dim,) `query`, the most similar first; of equals, in the order of `exact`."""
    if not exact:
        return []
    keys, cosines = list(exact), np.stack(list(exact.values())) @ query
    return [(keys[place], float(cosines[place])) for place in np.argsort(-cosines, kind="stable")]


def _give_back() -> None:
    """Freed memory to the system, which the C library of Linux keeps: thousands of lists that grew leave as much of it
    as they hold."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
