"""The inverted lists of a large index: made of what it holds, and searched as widely as the recall wants, which is
measured against a comparison with all.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from selection.neighbours import nearest

log = logging.getLogger("askance.index")

# Of a compressed index, so many times what is asked for is looked at again by what was compressed.
CANDIDATES = 4
CHUNK = 65_536  # embeddings that are held uncompressed at once

_LISTS_PER_ROOT = 4  # lists of n embeddings: this times the square root of n (FAISS' guidelines)
_TRAINED_ON = 64  # embeddings for each list
_ASKED = 256  # embeddings whose neighbours measure the recall
_NEIGHBOURS = 10
_ROUNDING = 5e-6  # of a cosine: embeddings as similar as this may stand for each other

# Embeddings of some rows: (n, dim).
Rows = Callable[[range | NDArray[np.int64]], NDArray[np.float32]]
# How many of how many embeddings have been gone through.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Lists:
    """What is known of an index's lists.

    made_for: embeddings. count: of lists; searched: those that a search looks at. compressed: to a byte a number.
    wanted, recall: in [0, 1], of the ten nearest others of a sample, what was to be found and what was when the lists
    were made: less than wanted only where all lists are searched.
    """

    made_for: int
    count: int
    searched: int
    compressed: bool
    wanted: float
    recall: float


def unheard(_done: int, _total: int) -> None:
    """Of progress, where nobody wants to know."""


def chunks(first: int, end: int) -> Iterator[range]:
    return (range(start, min(start + CHUNK, end)) for start in range(first, end, CHUNK))


def search(
    index: Any, queries: NDArray[np.float32], k: int, *, lists: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cosines of (m, dim) queries to the k nearest in FAISS' index, (m, k), descending, and their rows; -1 where fewer
    are found. lists: to look at, where it is not as many as it looks at otherwise."""
    parameters = None
    if lists is not None:
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = lists
    found, rows = index.search(queries, k, params=parameters)
    cosines = found if index.metric_type == faiss.METRIC_INNER_PRODUCT else 1.0 - found / 2.0
    return np.asarray(cosines), np.asarray(rows)


def make_lists(
    rows: Rows, n: int, dim: int, wanted: float, *, compressed: bool, on_progress: Progress = unheard
) -> tuple[Any, Lists]:
    """FAISS' index of embeddings [0, n) in lists, n >= 1, which searches as many of them as find `wanted` of the
    nearest, or all.

    on_progress: each embedding counts when it is added and when the sample is compared with it, and once more where
    lists are placed by it.
    """
    count = max(1, min(int(_LISTS_PER_ROOT * n**0.5), n // 40))
    rng = np.random.default_rng(0)
    placing, asked_rows = _some(n, _TRAINED_ON * count, rng), _some(n, _ASKED, rng)
    total = len(placing) + 2 * n
    made = _empty(dim, count, compressed=compressed)
    on_progress(0, total)
    made.train(rows(placing))
    for chunk in chunks(0, n):
        on_progress(len(placing) + chunk.start, total)
        made.add(rows(chunk))
    asked, k = rows(asked_rows), min(_NEIGHBOURS + 1, n)
    right = _most_similar(rows, n, asked, k, lambda done: on_progress(len(placing) + n + done, total))
    recall = _searching_enough(made, lambda: _found(made, rows, asked, k, again=compressed), right, wanted)
    on_progress(total, total)
    lists = Lists(n, count, int(made.nprobe), compressed, wanted, recall)
    _tell(lists)
    return made, lists


def _tell(lists: Lists) -> None:
    level = logging.INFO if lists.recall >= lists.wanted else logging.WARNING
    log.log(
        level,
        "an index of %d embeddings searches %d of %d lists: recall %.3f, wanted %.3f",
        lists.made_for, lists.searched, lists.count, lists.recall, lists.wanted,
    )  # fmt: skip


def _empty(dim: int, count: int, *, compressed: bool) -> Any:
    made: faiss.IndexIVF
    if compressed:
        # By distance: compression changes lengths, too, and inner products would take a longer one for a nearer one
        # (docs/adr/0059-compressed-index.md).
        eight_bits, means = faiss.ScalarQuantizer.QT_8bit, faiss.IndexFlatL2(dim)
        made = faiss.IndexIVFScalarQuantizer(means, dim, count, eight_bits, faiss.METRIC_L2)
    else:
        made = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, count, faiss.METRIC_INNER_PRODUCT)
    made.cp.min_points_per_centroid = 1
    return made


def _some(n: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    return np.sort(rng.choice(n, min(n, count), replace=False)).astype(np.int64)


def _most_similar(
    rows: Rows, n: int, asked: NDArray[np.float32], k: int, on_progress: Callable[[int], None]
) -> NDArray[np.float32]:
    """(len(asked), k) cosines of all n to each, the largest first."""
    best = faiss.ResultHeap(len(asked), k, keep_max=True)
    for chunk in chunks(0, n):
        on_progress(chunk.start)
        similarities, found = nearest(rows(chunk), asked, min(k, len(chunk)))
        best.add_result(similarities, found + chunk.start)
    best.finalize()
    return np.asarray(best.D)


def _found(made: Any, rows: Rows, asked: NDArray[np.float32], k: int, *, again: bool) -> NDArray[np.float32]:
    """(len(asked), k) cosines of the best that a search finds, -inf where it finds fewer, in no order. again: looked at
    by `rows`, as those who search a compressed index do."""
    if not again:
        return search(made, asked, k)[0]
    best = np.full((len(asked), k), -np.inf, dtype=np.float32)
    for place, found in enumerate(search(made, asked, CANDIDATES * k)[1]):
        cosines = np.sort(rows(found[found >= 0]) @ asked[place])[::-1][:k]
        best[place, : len(cosines)] = cosines
    return best


def _searching_enough(
    made: Any, found: Callable[[], NDArray[np.float32]], right: NDArray[np.float32], wanted: float
) -> float:
    """Set how many lists a search looks at; returns the recall that it has then."""
    made.nprobe = 1
    while True:
        reached = _recall(right, found())
        if reached >= wanted or made.nprobe >= made.nlist:
            return reached
        made.nprobe = min(2 * made.nprobe, made.nlist)


def _recall(right: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """The share of the nearest others that are found, from (m, k) cosines each, where each of the m that are asked for
    is one of its own k."""
    others = right.shape[1] - 1
    if others == 0:
        return 1.0
    as_similar = (found >= right[:, -1:] - _ROUNDING).sum(axis=1) - 1
    return float(np.clip(as_similar, 0, others).mean() / others)
