"""The map of embeddings: its time as a share of umap-learn's own on the same points, and how well it keeps neighbours.

    python -m benchmarks.map                    100,000 points of two kinds, some ten minutes on two quiet cores
    QUICK=1 python -m benchmarks.map            a fifth of them, once
    python -m benchmarks.map --only made        one part: made, real, columns

Made points are those of benchmarks/selection.py. Real ones are windows of FOD-A's frames as the neck of a detector sees
them (benchmarks/routing.py trains it; kept in benchmarks/.cache). umap-learn is as it comes: no seed, all cores. Both
have compiled what they need before they are timed; what that takes ours in a fresh process is a figure of its own. They
take turns, and the medians of their times are compared.

Trustworthiness (Venna & Kaski, 2001) is measured of some points against the true neighbours among all of them, which is
harder than among those points alone; the latter, as scikit-learn does it, is given beside it.
"""

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console
from sklearn.manifold import trustworthiness as among_some

from benchmarks.answers import answers
from benchmarks.fod import frames
from benchmarks.report import QUICK, Figure, at_least, at_most, publish, reading, seconds_of
from benchmarks.routing import detector_of, trained_on
from benchmarks.selection import embeddings
from benchmarks.service.model import CACHE
from loop.domain.identity import digest_of
from loop.settings import load_settings
from selection.layout import fit
from selection.map_file import FACTS, facts_page, identities, map_table, read_map, write_map
from serving.backends.load import load_fastest
from serving.images import decode_image

N = 20_000 if QUICK else 100_000
ROWS = 100_000 if QUICK else 1_000_000
D = 256
RUNS = 1 if QUICK else 3
ASKED = 2000 if QUICK else 5000
NEIGHBOURS = 15
TIME_BAR, TRUST_BAR, ROWS_BAR = 0.35, -0.02, 5.0
RECIPE = load_settings(environ={}).map


@dataclass(frozen=True, slots=True)
class Timed:
    """One run. wall, cpu: seconds."""

    positions: NDArray[np.float32]
    wall: float
    cpu: float


def ours(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """As loop/selecting/map_drawing.py draws a map, from embeddings to positions."""
    count = min(RECIPE.representatives, len(points))
    chosen = np.sort(np.random.default_rng(RECIPE.seed).choice(len(points), count, replace=False))
    layout, different = fit(points[chosen], seed=RECIPE.seed, neighbours=RECIPE.neighbours)
    positions = layout.place(points)
    positions[chosen[different]] = layout.positions
    return positions


def theirs(points: NDArray[np.float32]) -> NDArray[np.float32]:
    from umap import UMAP

    return np.asarray(UMAP().fit_transform(points))


def timed(way: Callable[[NDArray[np.float32]], NDArray[np.float32]], points: NDArray[np.float32]) -> Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    positions = way(points)
    return Timed(positions, time.perf_counter() - wall, time.process_time() - cpu)


def trustworthiness(points: NDArray[np.float32], positions: NDArray[np.float32], asked: NDArray[np.intp]) -> float:
    """In [0, 1], of the rows `asked` among all n `points`, L2-normalised."""
    n, k = len(points), NEIGHBOURS
    plane = faiss.IndexFlatL2(2)
    plane.add(np.ascontiguousarray(positions))
    _, near = plane.search(np.ascontiguousarray(positions[asked]), k + 1)
    penalty = 0
    for start in range(0, len(asked), 256):
        similarities = points[asked[start : start + 256]] @ points.T
        for own, row, found in zip(similarities, asked[start:], near[start:], strict=False):
            own[row] = -np.inf
            others = found[found != row][:k]
            ranks = 1 + (own[None, :] > own[others][:, None]).sum(axis=1)
            penalty += int(np.maximum(ranks - k, 0).sum())
    return 1.0 - penalty * 2.0 / (len(asked) * k * (2 * n - 3 * k - 1))


def map_figures(name: str, points: NDArray[np.float32]) -> Iterator[Figure]:
    ours(points[:5000])
    theirs(points[:5000])
    runs = [(timed(ours, points), timed(theirs, points)) for _ in range(RUNS)]
    wall = [float(np.median([pair[way].wall for pair in runs])) for way in (0, 1)]
    cpu = [float(np.median([pair[way].cpu for pair in runs])) for way in (0, 1)]
    asked = np.sort(np.random.default_rng(1).choice(len(points), ASKED, replace=False))
    kept = [trustworthiness(points, run.positions, asked) for run in runs[0]]
    some = [float(among_some(points[asked], run.positions[asked], n_neighbors=NEIGHBOURS)) for run in runs[0]]
    what = f"{name}, {len(points):,} x {points.shape[1]}"
    yield at_most(f"{what}: time ÷ umap-learn's", wall[0] / wall[1], TIME_BAR, "ratio", RUNS)
    yield at_least(f"{name}: trustworthiness - umap-learn's", kept[0] - kept[1], TRUST_BAR, "", ASKED)
    yield at_least(f"{name}: the same among the asked alone", some[0] - some[1], TRUST_BAR, "", ASKED)
    for who, way in (("ours", 0), ("umap-learn", 1)):
        yield reading(f"{name}: {who}, wall", wall[way], "s", RUNS)
        yield reading(f"{name}: {who}, CPU", cpu[way], "s", RUNS)
        yield reading(f"{name}: {who}, trustworthiness", kept[way], "", ASKED)
        yield reading(f"{name}: {who}, among the asked alone", some[way], "", ASKED)
    if RUNS > 1:
        moved = float(np.abs(runs[0][0].positions - runs[1][0].positions).max())
        yield at_most(f"{name}: the same seed moves a point by at most", moved, 0.0, "", RUNS)


def compiling_figures() -> Iterator[Figure]:
    """What a process pays before its first fit: each drawing is one of its own."""
    points = embeddings(1000, D, np.random.default_rng(0))
    first, second = timed(ours, points), timed(ours, points)
    yield reading("imports and numba's compiling in a fresh process, wall", first.wall - second.wall, "s", 1)
    yield reading("imports and numba's compiling in a fresh process, CPU", first.cpu - second.cpu, "s", 1)


def windows(count: int) -> NDArray[np.float32]:
    """(count, d): embeddings of square parts of FOD-A's frames, some mirrored, as many of each; L2-normalised."""
    all_frames = frames()
    labels = tuple(sorted({label for frame in all_frames for label in frame.labels}))
    weights = detector_of(trained_on(all_frames), labels)
    path = CACHE / f"windows-{digest_of(weights)[:12]}-{count}.npy"
    if not path.is_file():
        detector = load_fastest(weights, cache=CACHE / "runtimes")
        rng = np.random.default_rng(0)
        found: list[NDArray[np.float32]] = []
        for frame in all_frames:
            pixels = decode_image(frame.image.path.read_bytes(), max_pixels=10**8)[1]
            parts = [_window(pixels, rng) for _ in range(-(-count // len(all_frames)))]
            found += [one.embedding for one in answers(detector, parts, score_floor=0.25)]
        np.save(path, np.stack(found[:count]))
    points: NDArray[np.float32] = np.load(path)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def _window(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    longest = min(height, width)
    side = int(rng.integers(longest // 3, longest + 1))
    top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
    part = pixels[top : top + side, left : left + side]
    return np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part)


def column_figures() -> Iterator[Figure]:
    """What becomes of positions: a file, and columns again."""
    rng = np.random.default_rng(0)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    pages = [
        facts_page(
            items=[rng.bytes(32).hex() for _ in range(2000)], risk=rng.uniform(size=2000).tolist(),
            anomaly_p=rng.uniform(size=2000).tolist(), score=rng.uniform(size=2000).tolist(),
            label=[f"class {number}" for number in rng.integers(0, 20, 2000)],
            source=[f"camera {number}" for number in rng.integers(0, 50, 2000)], predicted_at=[now] * 2000,
        )
        for _ in range(ROWS // 2000)
    ]  # fmt: skip
    facts, positions = pa.Table.from_batches(pages, FACTS), rng.normal(size=(ROWS, 2)).astype(np.float32)
    looked_at = identities(item.hex() for item in facts["item"].slice(0, ROWS // 10).to_pylist())

    def write(path: Path) -> None:
        table = map_table(facts, positions, np.zeros(ROWS, dtype=bool), tasks=looked_at, truths=looked_at[:1000])
        path.write_bytes(write_map(table, {}))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.arrow"
        yield at_most(f"{ROWS:,} points: columns and file written", seconds_of(lambda: write(path)), ROWS_BAR, "s", 1)
        yield at_most(f"{ROWS:,} points: read", seconds_of(lambda: read_map(path.read_bytes())), ROWS_BAR, "s", 1)
        yield reading(f"{ROWS:,} points: size", path.stat().st_size / 1e6, "MB", 1)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.map", description=__doc__)
    parts = "made,real,columns"
    parser.add_argument("--only", default=parts, help=parts)
    chosen = parser.parse_args(arguments).only.split(",")
    warnings.filterwarnings("ignore", module="umap")
    found = list(compiling_figures())
    if "made" in chosen:
        found += map_figures("made", embeddings(N, D, np.random.default_rng(0)))
    if "real" in chosen:
        found += map_figures("real", windows(N))
    if "columns" in chosen:
        found += column_figures()
    return publish("map", found, Console())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
