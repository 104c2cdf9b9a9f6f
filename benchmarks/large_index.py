"""The index at ten million embeddings, grown as the service grows it; run in a process of its own by
`benchmarks.selection`, since what is asked is the memory of the whole process.

    python -m benchmarks.large_index 10000000     prints a JSON object
"""

import json
import resource
import sys
import time

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.selection import D, EmbeddingStream
from selection.index import EmbeddingIndex

_CHUNK = 100_000
_ASKED = 200
_K = 10


def grown(n: int) -> dict[str, float]:
    stream = EmbeddingStream(D, np.random.default_rng(0))
    asked = stream.take(_ASKED)
    index, best, rows = EmbeddingIndex(D), np.full((_ASKED, _K), -np.inf, np.float32), np.zeros((_ASKED, _K), np.int64)
    seconds = 0.0
    for first in range(0, n, _CHUNK):
        part = stream.take(_CHUNK)
        best, rows = _nearest_so_far(best, rows, asked, part, first)
        started = time.perf_counter()
        index.add([f"{row:064x}" for row in range(first, first + len(part))], part)
        if index.rebuild_due:
            index.rebuild()
        seconds += time.perf_counter() - started
    times, shares = [], []
    for one, right in zip(asked, rows, strict=True):
        started = time.perf_counter()
        found = index.nearest(one, _K)
        times.append(time.perf_counter() - started)
        shares.append(len({f"{row:064x}" for row in right} & {key for key, _ in found}) / _K)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "seconds": seconds,
        "recall": float(np.mean(shares)),
        "p50_ms": 1000 * float(np.median(times)),
        "p99_ms": 1000 * float(np.percentile(times, 99)),
        "peak_bytes": float(peak),
    }


def _nearest_so_far(
    best: NDArray[np.float32],
    rows: NDArray[np.int64],
    asked: NDArray[np.float32],
    part: NDArray[np.float32],
    first: int,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    similar, at = faiss.knn(asked, part, _K, metric=faiss.METRIC_INNER_PRODUCT)
    both, where = np.concatenate([best, similar], axis=1), np.concatenate([rows, at + first], axis=1)
    order = np.argsort(-both, axis=1)[:, :_K]
    return np.take_along_axis(both, order, axis=1), np.take_along_axis(where, order, axis=1)


if __name__ == "__main__":
    print(json.dumps(grown(int(sys.argv[1]))))
