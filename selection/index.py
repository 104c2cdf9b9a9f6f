"""The FAISS index over embeddings of one space (one model version): grows in place, exact while it is small.

Small ones are searched whole. In larger ones embeddings lie in inverted lists, of which a search looks at as many as
the recall wants; in the largest each number takes a byte (`IndexRules`). What it holds can always be read again from
the store; its file (`selection.index_file`) is a cache.
"""

import ctypes
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from selection.neighbours import nearest

log = logging.getLogger("askance.index")

_REGROWN = 4  # times the size that its lists were made for: then they are made anew
_LISTS_PER_ROOT = 4  # lists of n embeddings: this times the square root of n (FAISS' guidelines)
_TRAINED_ON = 64  # embeddings for each list
_ASKED = 256  # embeddings whose neighbours measure the recall
_NEIGHBOURS = 10
_CHUNK = 65_536  # embeddings that are held uncompressed at once
_NEXT_LISTS = 4


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
    """What an index consists of. index: of FAISS. keys: by row. made_for: as of `EmbeddingIndex`. recall: that its
    lists were made for; 0 while there are none."""

    index: Any
    keys: tuple[str, ...]
    made_for: int
    recall: float


class EmbeddingIndex:
    """Keys with L2-normalised embeddings of `dim` numbers. Safe for several threads."""

    def __init__(self, dim: int, rules: IndexRules = DEFAULT_RULES) -> None:
        self._index: Any = faiss.IndexFlatIP(dim)
        self._keys: list[str] = []
        self._rules = rules
        self._recall = 0.0  # that its lists were made for
        self._made_for = 0  # embeddings that the lists were made for; 0: there are no lists
        self._lock = threading.Lock()

    @classmethod
    def of(cls, parts: Parts, rules: IndexRules = DEFAULT_RULES) -> "EmbeddingIndex":
        made = cls(int(parts.index.d), rules)
        made._index, made._keys, made._made_for, made._recall = (
            parts.index, list(parts.keys), parts.made_for, parts.recall,
        )  # fmt: skip
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
        """Whether it has outgrown what it was made for; searches go on being right, and become slow. Or is large enough
        to be compressed, or was made to find fewer of the nearest than it is to."""
        return (
            len(self) > max(self._rules.exact_up_to, _REGROWN * self._made_for)
            or self._made_for < self._rules.compressed_from <= len(self)
            or (self._made_for > 0 and self._recall < self._rules.recall)
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

    def alike(self, start: int, end: int, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Of the embeddings in rows `start` to `end` the k most similar, themselves among them: cosines, descending,
        and rows (-1 beyond what there is), (end - start, k) each.

        Where there are lists only few are looked at: what is nearly the same lies in the same or in a neighbouring one.
        """
        points = self._rows(range(start, end))
        with self._lock:
            few = _looking_at(min(_NEXT_LISTS, self._index.nprobe)) if self._made_for else None
            similarities, rows = self._index.search(points, k, params=few)
        return np.asarray(similarities), np.asarray(rows)

    def keys(self, start: int, end: int) -> list[str]:
        """Of rows `start` to `end`, in the order in which they were added."""
        with self._lock:
            return self._keys[start:end]

    def rebuild(self) -> None:
        """Make the lists for what is there now. Searches and additions go on meanwhile, by what was before.

        Memory: what was before, what is made, and a sample of `_TRAINED_ON` embeddings for each list.
        """
        with self._lock:
            count = len(self._keys)
        recall = self._rules.recall
        made = _lists(self._rows, count, self.dim, recall, compressed=count >= self._rules.compressed_from)
        with self._lock:
            for late in _chunks(count, len(self._keys)):
                made.add(self._index.reconstruct_n(late.start, len(late)))
            self._index, self._made_for, self._recall = made, count, recall
        _give_back()

    def parts(self) -> "Parts":
        """A copy of it, for its file."""
        with self._lock:
            return Parts(faiss.clone_index(self._index), tuple(self._keys), self._made_for, self._recall)

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


def _give_back() -> None:
    """Freed memory to the system, which the C library of Linux keeps: thousands of lists that grew leave as much of it
    as they hold."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


# Embeddings of rows, ascending: (n, dim).
Rows = Callable[[range | NDArray[np.int64]], NDArray[np.float32]]


def _chunks(first: int, end: int) -> Iterator[range]:
    return (range(start, min(start + _CHUNK, end)) for start in range(first, end, _CHUNK))


def _looking_at(lists: int) -> Any:
    parameters = faiss.SearchParametersIVF()
    parameters.nprobe = lists
    return parameters


def _lists(rows: Rows, n: int, dim: int, recall: float, *, compressed: bool) -> Any:
    """An index of embeddings [0, n) in inverted lists, which looks at as many as find `recall` of the nearest."""
    count = max(1, min(int(_LISTS_PER_ROOT * n**0.5), n // 40))
    means = faiss.IndexFlatIP(dim)
    made: faiss.IndexIVF
    if compressed:
        eight_bits = faiss.ScalarQuantizer.QT_8bit
        made = faiss.IndexIVFScalarQuantizer(means, dim, count, eight_bits, faiss.METRIC_INNER_PRODUCT)
    else:
        made = faiss.IndexIVFFlat(means, dim, count, faiss.METRIC_INNER_PRODUCT)
    made.cp.min_points_per_centroid = 1
    rng = np.random.default_rng(0)
    made.train(rows(_some(n, _TRAINED_ON * count, rng)))
    for chunk in _chunks(0, n):
        made.add(rows(chunk))
    asked = rows(_some(n, _ASKED, rng))
    reached = _looking_at_enough(made, _truly_nearest(rows, n, asked, min(_NEIGHBOURS + 1, n)), asked, recall)
    log.info("an index of %d embeddings in %d lists looks at %d: recall %.3f", n, count, made.nprobe, reached)
    return made


def _some(n: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(rng.choice(n, min(n, count), replace=False)).astype(np.int64)


def _truly_nearest(rows: Rows, n: int, asked: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """(len(asked), k) rows, the most similar first."""
    best = faiss.ResultHeap(len(asked), k, keep_max=True)
    for chunk in _chunks(0, n):
        similarities, found = nearest(rows(chunk), asked, min(k, len(chunk)))
        best.add_result(similarities, found + chunk.start)
    best.finalize()
    return np.asarray(best.I)


def _looking_at_enough(made: Any, right: NDArray[np.int64], asked: NDArray[np.float32], recall: float) -> float:
    """Set how many lists a search looks at; returns the recall of the nearest others (`right` begins with the asked
    itself, which is always found) that it has then."""
    k = right.shape[1]
    made.nprobe = 1
    while True:
        _, found = made.search(asked, k)
        shares = [len(set(a[1:]) & set(b)) / max(1, k - 1) for a, b in zip(right.tolist(), found.tolist(), strict=True)]
        reached = float(np.mean(shares))
        if reached >= recall or made.nprobe >= made.nlist:
            return reached
        made.nprobe = min(2 * made.nprobe, made.nlist)
