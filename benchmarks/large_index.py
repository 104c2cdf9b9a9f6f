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

from benchmarks.selection import D, EmbeddingStream
from selection.index import EmbeddingIndex
from selection.neighbours import nearest

_CHUNK = 100_000
_ASKED = 200
_K = 10


def grown(n: int) -> dict[str, float]:
    stream = EmbeddingStream(D, np.random.default_rng(0))
    asked = stream.take(_ASKED)
    index, best = EmbeddingIndex(D), faiss.ResultHeap(_ASKED, _K, keep_max=True)
    seconds = 0.0
    for first in range(0, n, _CHUNK):
        part = stream.take(_CHUNK)
        similarities, rows = nearest(part, asked, _K)
        best.add_result(similarities, rows + first)
        started = time.perf_counter()
        index.add([f"{row:064x}" for row in range(first, first + len(part))], part)
        if index.rebuild_due:
            index.rebuild()
        seconds += time.perf_counter() - started
    best.finalize()
    times, shares = [], []
    for one, right in zip(asked, best.I, strict=True):
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


if __name__ == "__main__":
    print(json.dumps(grown(int(sys.argv[1]))))
