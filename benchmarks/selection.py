"""How fast selection is at the sizes it is made for, as a ratio to what the memory can do, or to a peer.

    python -m benchmarks.selection                         a million vectors, some twenty minutes
    QUICK=1 python -m benchmarks.selection                 a tenth of everything
    python -m benchmarks.selection --only k-center         one part

Vectors are drawn like embeddings of images: clusters of unequal size in a subspace, with noise around them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.report import QUICK, Figure, at_least, at_most, publish, reading, seconds_of
from benchmarks.selection_peers import OF_HERDING, OF_TYPICLUST
from benchmarks.selection_store import selection_figures
from benchmarks.serving_peers.environments import SELECTION
from selection.anomaly import AnomalyScorer, held_out
from selection.choosing import choose, mixed
from selection.coverage import Coverage, k_center
from selection.duplicates import NEAR_DUPLICATE, Clusters, Groups
from selection.index import EmbeddingIndex
from selection.index_file import read_index, write_index
from selection.neighbours import nearest
from selection.pool import Objects, Pool
from selection.strategies.table import STRATEGIES

N = 100_000 if QUICK else 1_000_000
D = 256
LARGE = 1_000_000 if QUICK else 10_000_000
CENTRES = 200 if QUICK else 1000
PICKED = 1000
ASKED = 500
PEERS_N, PEERS_K = 20_000, 50
PEERS = {
    "core-set": ("scikit-activeml", PEERS_N),
    "typiclust": ("scikit-activeml", OF_TYPICLUST),
    "herding": ("apricot", OF_HERDING),
    "margin": ("modAL", PEERS_N),
}
_CHUNK = 50_000


class EmbeddingStream:
    """L2-normalised float32 vectors of `d` numbers: clusters (sizes by Zipf's law) in `inner` dimensions, with noise in
    all."""

    def __init__(self, d: int, rng: np.random.Generator, *, clusters: int = 2000, inner: int = 32) -> None:
        self._rng = rng
        self._basis = np.linalg.qr(rng.normal(size=(d, inner)))[0].T.astype(np.float32)
        self._means = rng.normal(size=(clusters, inner)).astype(np.float32)
        sizes = 1.0 / np.arange(1, clusters + 1)
        self._shares = sizes / sizes.sum()

    def take(self, n: int) -> NDArray[np.float32]:
        """The next `n`."""
        own = self._rng.choice(len(self._means), size=n, p=self._shares)
        inside = self._means[own] + 0.5 * self._rng.standard_normal((n, self._means.shape[1]), dtype=np.float32)
        points: NDArray[np.float32] = inside @ self._basis
        points += 0.05 * self._rng.standard_normal(points.shape, dtype=np.float32)
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        return points


def embeddings(n: int, d: int, rng: np.random.Generator) -> NDArray[np.float32]:
    stream = EmbeddingStream(d, rng)
    points = np.empty((n, d), dtype=np.float32)
    for start in range(0, n, _CHUNK):
        points[start : start + _CHUNK] = stream.take(len(points[start : start + _CHUNK]))
    return points


def bandwidth(points: NDArray[np.float32]) -> float:
    """Bytes/s of reading all of it, the best of three: by a matrix-vector product, which computes hardly anything."""
    vector = points[0].copy()
    best = min(seconds_of(lambda: points @ vector) for _ in range(3))
    return points.nbytes / best


def _allocated(work: Callable[[], object]) -> int:
    """Bytes that it holds at most, beside what is there before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def k_center_figures(points: NDArray[np.float32]) -> Iterator[Figure]:
    n, d = points.shape
    speed = bandwidth(points)
    limit = CENTRES * points.nbytes / speed
    coverage = Coverage.of(points, points[:1])
    seconds = seconds_of(lambda: k_center(coverage, CENTRES))
    grown = _allocated(lambda: k_center(Coverage.of(points, points[:1]), 32))
    yield at_most(
        f"k-center, {n:,} x {d}, k = {CENTRES}: time ÷ reading all of it k times", seconds / limit, 1.5, "ratio", 1
    )
    yield at_most("k-center: memory ÷ that of the vectors", 1.0 + grown / points.nbytes, 1.1, "ratio", 1)
    yield reading("k-center: time", seconds, "s", 1)
    yield reading("memory bandwidth", speed / 1e9, "GB/s", 3)


def hybrid_figures(points: NDArray[np.float32], rng: np.random.Generator) -> Iterator[Figure]:
    n = len(points)
    rows = np.sort(rng.integers(0, n, 3 * n))
    pool = Pool(
        keys=range(n),  # type: ignore[arg-type]  # what a key is does not matter here
        embeddings=points,
        risk=rng.beta(0.5, 2.0, n),
        signals={},
        objects=Objects(rows=rows, classes=rng.integers(0, 20, 3 * n), scores=rng.uniform(size=3 * n)),
        labels=tuple(f"class {number}" for number in range(20)),
        labelled=points[:1000],
    )
    seconds = seconds_of(lambda: choose(pool, mixed({"hybrid": 1.0}), PICKED, seed=0))
    yield at_most(f"selection of {PICKED} from {n:,}, hybrid with a random share", seconds, 60.0, "s", 1)


def anomaly_figures(points: NDArray[np.float32], asked: NDArray[np.float32]) -> Iterator[Figure]:
    """The anomaly of one new image against all references."""
    n = len(points)
    started = time.perf_counter()
    scorer = AnomalyScorer.fit(points, k=10)
    seconds = time.perf_counter() - started
    scorer.p_value(asked[0])
    times = [seconds_of(lambda one=one: scorer.p_value(one)) for one in asked]
    yield at_most(
        f"kNN anomaly of one image against {n:,}, p99", 1000 * float(np.percentile(times, 99)), 5.0, "ms", len(times)
    )
    known = points[~held_out(n)]
    exact = np.concatenate([nearest(known, asked[start : start + 50], 10)[0] for start in range(0, len(asked), 50)])
    found = np.concatenate([scorer.neighbours.similarities(one[None, :], 10) for one in asked])
    shares = (found >= exact[:, -1:] - 1e-6).mean(axis=1)  # by how alike they are: equals may stand for each other
    yield at_least("kNN anomaly: recall of the ten nearest", float(shares.mean()), 0.98, "share", len(asked))
    yield reading("kNN anomaly, p50", 1000 * float(np.median(times)), "ms", len(times))
    yield reading("kNN anomaly: fitting", seconds, "s", 1)


def index_figures(points: NDArray[np.float32], asked: NDArray[np.float32]) -> Iterator[Figure]:
    """Growing, made anew, kept and read again."""
    n = len(points)
    keys = [f"{row:064x} pred_{row:032x}" for row in range(n)]
    index = EmbeddingIndex(points.shape[1])
    parts = [slice(start, start + n // 10) for start in range(0, n, n // 10)]
    adding = [seconds_of(lambda part=part: index.add(keys[part], points[part])) for part in parts]
    exact = np.concatenate([_exact(points, asked[start : start + 50]) for start in range(0, len(asked), 50)])
    yield at_most("index: adding the last tenth ÷ adding the second", adding[-1] / adding[1], 2.0, "ratio", 10)
    if index.rebuild_due:
        yield reading(f"index: lists for {n:,}", seconds_of(index.rebuild), "s", 1)
    found = [{key for key, _ in index.nearest(one, 10)} for one in asked]
    shares = [len({keys[row] for row in rows} & keys_) / 10 for rows, keys_ in zip(exact, found, strict=True)]
    times = [seconds_of(lambda one=one: index.nearest(one, 10)) for one in asked]
    yield at_least(f"index of {n:,}: recall of the ten nearest", float(np.mean(shares)), 0.98, "share", len(asked))
    yield reading("index: one search, p50", 1000 * float(np.median(times)), "ms", len(times))
    yield reading("index: one search, p99", 1000 * float(np.percentile(times, 99)), "ms", len(times))
    with tempfile.TemporaryDirectory() as folder:
        written = seconds_of(lambda: write_index(Path(folder), index.parts(), sequence=1))
        yield reading("index: writing its file", written, "s", 1)
        read = seconds_of(lambda: read_index(Path(folder), dim=index.dim))
        yield at_most("index: reading its file", read, 5.0, "s", 1)


def large_figures(n: int) -> Iterator[Figure]:
    """In a process of its own: what is asked is its whole memory."""
    command = [sys.executable, "-m", "benchmarks.large_index", str(n)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    yield at_most(f"index of {n:,}: memory of the process at most", found["peak_bytes"] / 2**30, 12.0, "GiB", 1)
    yield at_least(f"index of {n:,}: recall of the ten nearest", found["recall"], 0.9, "share", 200)
    yield reading(f"index of {n:,}: growing to it, lists included", found["seconds"], "s", 1)
    yield reading(f"index of {n:,}: one search, p50", found["p50_ms"], "ms", 200)
    yield reading(f"index of {n:,}: one search, p99", found["p99_ms"], "ms", 200)


def peer_figures() -> Iterator[Figure]:
    """The same choice by other libraries: CPU seconds, and whether what is chosen is as good."""
    rng = np.random.default_rng(0)
    points, scores = embeddings(PEERS_N, D, rng), rng.dirichlet(np.ones(3), PEERS_N)
    python = SELECTION.python(Console())
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "pool.npz", embeddings=points, scores=scores, k=PEERS_K)
        command = [python, "-m", "benchmarks.selection_peers", str(Path(folder) / "pool.npz")]
        theirs = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for name, (peer, n) in PEERS.items():
        pool = _plain_pool(points[:n], 1.0 - np.diff(np.sort(scores[:n], axis=1)[:, -2:])[:, 0])
        free = np.arange(int(name == "core-set"), n)  # the first is labelled
        started = time.process_time()
        picks = STRATEGIES[name](pool, free, PEERS_K, np.random.default_rng(0))
        seconds = time.process_time() - started
        yield at_most(
            f"{name}, {PEERS_K} of {n:,}: CPU ÷ that of {peer}", seconds / theirs[name]["seconds"], 1.0, "ratio", 1
        )
        own, other = ([pick.row for pick in picks], theirs[name]["rows"])
        yield reading(
            f"{name}: cosine to the nearest chosen, mean, ours - {peer}'s",
            _covers(points[:n], own) - _covers(points[:n], other),
            "",
            n,
        )


def _covers(points: NDArray[np.float32], rows: Sequence[int]) -> float:
    return float((points @ points[list(rows)].T).max(axis=1).mean())


def _plain_pool(points: NDArray[np.float32], margins: NDArray[np.float64]) -> Pool:
    nothing = np.empty(0, dtype=np.int64)
    return Pool(
        keys=range(len(points)),  # type: ignore[arg-type]
        embeddings=points,
        risk=np.ones(len(points)),
        signals={"least_margin": margins},
        objects=Objects(rows=nothing, classes=nothing, scores=np.empty(0)),
        labels=("any",),
        labelled=points[:0],
    )


def duplicate_figures(points: NDArray[np.float32]) -> Iterator[Figure]:
    """Clusters of all, where a tenth are copies of others."""
    n = len(points)
    points = points.copy()
    points[: n // 10] = points[n // 2 : n // 2 + n // 10]
    index = EmbeddingIndex(points.shape[1])
    index.add([f"{row:064x} pred_{row:032x}" for row in range(n)], points)
    if index.rebuild_due:
        index.rebuild()
    groups = Groups(NEAR_DUPLICATE)
    yield reading(f"near-duplicates among {n:,}: comparing all", seconds_of(lambda: groups.extend(index, n)), "s", 1)
    names = np.array([f"{row:064x}" for row in range(n)], dtype="S64")
    yield reading("near-duplicates: their clusters", seconds_of(lambda: Clusters.of(names, groups.labels)), "s", 1)
    found = Clusters.of(names, groups.labels)
    together = found.group[: n // 10] == found.group[n // 2 : n // 2 + n // 10]
    yield at_least("near-duplicates: copies that are found", float(together.mean()), 0.99, "share", n // 10)
    grown = _allocated(lambda: Groups(NEAR_DUPLICATE).extend(index, min(n, 50_000)))
    yield reading("near-duplicates: memory of comparing 50,000", grown / 1e6, "MB", 1)


def _exact(points: NDArray[np.float32], asked: NDArray[np.float32]) -> NDArray[np.int64]:
    return nearest(points, asked, 10)[1]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selection", description=__doc__)
    parts = "k-center,hybrid,index,anomaly,duplicates,store,large,peers"
    parser.add_argument("--only", default=parts, help=parts)
    chosen = parser.parse_args(arguments).only.split(",")
    found: list[Figure] = list(large_figures(LARGE)) if "large" in chosen else []  # first, while memory is free
    rng = np.random.default_rng(0)
    points = embeddings(N + ASKED, D, rng)
    points, asked = points[:N], points[N:]
    if "k-center" in chosen:
        found += k_center_figures(points)
    if "hybrid" in chosen:
        found += hybrid_figures(points, rng)
    if "index" in chosen:
        found += index_figures(points, asked)
    if "anomaly" in chosen:
        found += anomaly_figures(points, asked)
    if "peers" in chosen:
        found += peer_figures()
    if "duplicates" in chosen:
        found += duplicate_figures(points)
    if "store" in chosen:
        found += selection_figures(points, PICKED)
    return publish("selection", found, Console())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
