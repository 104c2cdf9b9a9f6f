"""How fast selection is at the sizes it is made for, as a ratio to what the memory can do, or to a peer.

    python -m benchmarks.selection                         a million vectors, some twenty minutes
    QUICK=1 python -m benchmarks.selection                 a tenth of everything
    python -m benchmarks.selection --only k-center         one part

Vectors are drawn like embeddings of images: clusters of unequal size in a subspace, with noise around them.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.report import QUICK, Figure, at_most, publish, reading
from selection.choosing import choose, mixed
from selection.coverage import Coverage, k_center
from selection.pool import Objects, Pool

N = 100_000 if QUICK else 1_000_000
D = 256
CENTRES = 200 if QUICK else 1000
PICKED = 1000
_CHUNK = 50_000


def embeddings(
    n: int, d: int, rng: np.random.Generator, *, clusters: int = 2000, inner: int = 32
) -> NDArray[np.float32]:
    """(n, d) float32, L2-normalised: clusters (sizes by Zipf's law) in `inner` dimensions of `d`, with noise in all."""
    basis = np.linalg.qr(rng.normal(size=(d, inner)))[0].T.astype(np.float32)
    means = rng.normal(size=(clusters, inner)).astype(np.float32)
    sizes = 1.0 / np.arange(1, clusters + 1)
    points = np.empty((n, d), dtype=np.float32)
    for start in range(0, n, _CHUNK):
        part = points[start : start + _CHUNK]
        own = rng.choice(clusters, size=len(part), p=sizes / sizes.sum())
        inside = means[own] + 0.5 * rng.standard_normal((len(part), inner), dtype=np.float32)
        part[:] = inside @ basis + 0.05 * rng.standard_normal(part.shape, dtype=np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return points


def bandwidth(points: NDArray[np.float32]) -> float:
    """Bytes/s of reading all of it, the best of three: by a matrix-vector product, which computes hardly anything."""
    vector = points[0].copy()
    best = min(_seconds(lambda: points @ vector) for _ in range(3))
    return points.nbytes / best


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _peak() -> int:
    """Bytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def k_center_figures(points: NDArray[np.float32]) -> Iterator[Figure]:
    n, d = points.shape
    speed = bandwidth(points)
    limit = CENTRES * points.nbytes / speed
    before = _peak()
    coverage = Coverage.of(points, points[:1])
    seconds = _seconds(lambda: k_center(coverage, CENTRES))
    grown = _peak() - before
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
    seconds = _seconds(lambda: choose(pool, mixed({"hybrid": 1.0}), PICKED, seed=0))
    yield at_most(f"selection of {PICKED} from {n:,}, hybrid with a random share", seconds, 60.0, "s", 1)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selection", description=__doc__)
    parser.add_argument("--only", default="k-center,hybrid", help="k-center, hybrid")
    chosen = parser.parse_args(arguments).only.split(",")
    rng = np.random.default_rng(0)
    points = embeddings(N, D, rng)
    found: list[Figure] = []
    if "k-center" in chosen:
        found += k_center_figures(points)
    if "hybrid" in chosen:
        found += hybrid_figures(points, rng)
    return publish("selection", found, Console())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
