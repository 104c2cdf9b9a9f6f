"""How often the promotion gate is wrong, how often it sees what is there, and what it costs.

    python -m benchmarks.gate          some twelve minutes on two cores
    QUICK=1 python -m benchmarks.gate  some two minutes

Pairs of models whose difference is known, in two kinds: simulated detectors (benchmarks/simulated_detectors.py), and
heads that were trained on real images, by what they really found on each (benchmarks/learning/rivals.py). Images are
drawn from those of a pair with replacement; two models that are equal change places on each image by a fair coin.
Shares of runs are judged with their binomial error: a share breaks its bar when even its 99 % bound does.
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy import stats

from benchmarks.report import QUICK, Figure, publish
from benchmarks.simulated_detectors import Pool, Skill, pool
from training.gate_clauses import GateMode, GateSettings
from training.promotion import decide

RUNS, RARE_RUNS = (60, 200) if QUICK else (400, 2000)  # rare: a share of 1 % takes more runs to be told
DENSE_RUNS, DENSE_RARE_RUNS = (20, 40) if QUICK else (200, 400)  # of images with dozens of detections each
RESAMPLES = 200 if QUICK else 400
GOOD = Skill(junk=1.5)
CLIP = 5  # frames that show the same
IMAGES = 500
POINTS, EXACTLY = 0.03, 0.001  # of mAP50-95 between two models, and how far off it may be
_TOGETHER = 20  # runs that a process does at once

Chooser = Callable[[np.random.Generator, int], NDArray[np.integer]]


def straight(rng: np.random.Generator, size: int) -> NDArray[np.integer]:
    return np.zeros(size, dtype=int)


def crossed(rng: np.random.Generator, size: int) -> NDArray[np.integer]:
    return np.ones(size, dtype=int)


def coins(rng: np.random.Generator, size: int) -> NDArray[np.integer]:
    return rng.integers(0, 2, size)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """models: the second is worse than the first by `points`, on all their images. runs, rare_runs: of each row."""

    name: str
    models: Pool
    labels: Sequence[str]
    runs: int
    rare_runs: int

    @property
    def points(self) -> float:
        return -self.models.difference


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Row:
    """`size` images in clips of `clip` frames that show the same; `choose` says which model asks to serve. bar: what
    the share of runs that promote it may reach at most, or at least."""

    what: str
    pair: Pair
    choose: Chooser
    bar: float
    size: int = IMAGES
    clip: int = 1
    mode: GateMode = GateMode.SUPERIOR
    margin: float = 0.0
    runs: int
    at_least: bool = False

    def promoted(self, seed: int, runs: int) -> int:
        """In how many of `runs` draws the gate promotes the candidate."""
        rng = np.random.default_rng([seed, self.size])
        settings = GateSettings(mode=self.mode, margin=self.margin, resamples=RESAMPLES)
        return sum(self._promoted(rng, settings) for _ in range(runs))

    def _promoted(self, rng: np.random.Generator, settings: GateSettings) -> bool:
        models, units = self.pair.models, self.size // self.clip
        chosen, swapped = rng.integers(0, models.images, units), self.choose(rng, units)
        champion, candidate = models.pair(np.repeat(chosen, self.clip), np.repeat(swapped, self.clip))
        groups = np.repeat(np.arange(units).astype(str), self.clip)
        return decide(champion, candidate, labels=self.pair.labels, settings=settings, rng=rng, groups=groups).promoted

    def figure(self, count: int) -> Figure:
        edge = stats.binom.ppf(0.01 if self.at_least else 0.99, self.runs, self.bar)
        ok = count >= edge if self.at_least else count <= edge
        return Figure(
            f"{self.pair.name}: {self.what}", count / self.runs, self.bar, "share of runs", self.runs, bool(ok)
        )


def simulated() -> Pair:
    models = pool(np.random.default_rng(2), GOOD, Skill(recall=0.79, junk=1.5), images=2000, n_classes=3, objects=3)
    return Pair("simulated", models, tuple("abc"), RUNS, RARE_RUNS)


def real() -> list[Pair]:
    """The short form has the images that are judged the fastest."""
    from benchmarks.learning.rivals import rivals

    sparse, dense = ("fod-sequences", RUNS, RARE_RUNS), ("bccd", DENSE_RUNS, DENSE_RARE_RUNS)
    return [Pair(name, *rivals(name, POINTS), *runs) for name, *runs in ([sparse] if QUICK else [sparse, dense])]


def rows(pair: Pair) -> list[Row]:
    """The four that every pair of models is asked for."""
    apart, runs = f"{100 * pair.points:.1f} points", pair.runs
    return [
        Row(what=f"equal models promoted, superior, {IMAGES} images", pair=pair, choose=coins, bar=0.05, runs=runs),
        Row(
            what=f"worse by the margin promoted, non_inferior, {IMAGES} images",
            pair=pair, choose=straight, mode=GateMode.NON_INFERIOR, margin=pair.points, bar=0.05, runs=runs,
        ),
        Row(
            what=f"better by {apart} promoted, superior, {IMAGES} images",
            pair=pair, choose=crossed, bar=0.80, runs=runs, at_least=True,
        ),
        Row(
            what=f"worse by {apart} promoted, superior, {IMAGES} images",
            pair=pair, choose=straight, bar=0.01, runs=pair.rare_runs,
        ),
    ]  # fmt: skip


def small_rows(pair: Pair) -> list[Row]:
    """Few images, and images that are not independent."""
    few = (50, 100) if QUICK else (20, 50, 100)
    return [
        *(
            Row(
                what=f"equal models promoted, superior, {size} images",
                pair=pair, choose=coins, size=size, bar=0.05, runs=pair.runs,
            )
            for size in few
        ),
        *(
            Row(
                what=f"worse by the margin promoted, non_inferior, {size} images",
                pair=pair, choose=straight, size=size, mode=GateMode.NON_INFERIOR, margin=pair.points, bar=0.05,
                runs=pair.runs,
            )
            for size in few[-2:]
        ),
        Row(
            what=f"equal models promoted, {IMAGES // CLIP} clips of {CLIP} frames",
            pair=pair, choose=coins, clip=CLIP, bar=0.05, runs=pair.runs,
        ),
    ]  # fmt: skip


def measured(asked: Sequence[Row], console: Console) -> list[Figure]:
    """In as many processes as there are cores."""
    parts = [
        (row, number, min(_TOGETHER, row.runs - start))
        for row in asked
        for number, start in enumerate(range(0, row.runs, _TOGETHER))
    ]
    counts = dict.fromkeys(map(id, asked), 0)
    with ProcessPoolExecutor(max(1, len(os.sched_getaffinity(0))), get_context("spawn")) as workers:
        found = workers.map(_count, parts)
        for (row, _, _), count in zip(parts, track(found, "gate", len(parts), console=console), strict=True):
            counts[id(row)] += count
    return [row.figure(counts[id(row)]) for row in asked]


def _count(part: tuple[Row, int, int]) -> int:
    row, seed, runs = part
    return row.promoted(seed, runs)


def difference(pair: Pair) -> Figure:
    """Two models are as far apart as the rows say."""
    ok = abs(pair.points - POINTS) <= EXACTLY
    return Figure(
        f"{pair.name}: points between the two", 100 * pair.points, 100 * POINTS, "points", pair.models.images, ok
    )


def seconds() -> Figure:
    """1,000 resamples of 500 images with 10 classes, both models, matching not counted."""
    models = pool(np.random.default_rng(2), GOOD, GOOD, images=500, n_classes=10, objects=5)
    champion, candidate = models.pair(np.arange(500), straight(np.random.default_rng(0), 500))
    started = time.perf_counter()
    decide(
        champion,
        candidate,
        labels=[str(i) for i in range(10)],
        settings=GateSettings(resamples=1000),
        rng=np.random.default_rng(0),
    )
    taken = time.perf_counter() - started
    return Figure("1,000 resamples, 500 images, 10 classes, both models", taken, 20.0, "seconds", 1, taken <= 20.0)


def main() -> int:
    console = Console()
    made, trained = simulated(), real()
    pairs = [made, *trained]
    found = [seconds(), *map(difference, pairs)]
    asked = [*small_rows(made), *(row for pair in pairs for row in rows(pair))]
    return publish("gate", [*found, *measured(asked, console)], console)


if __name__ == "__main__":
    raise SystemExit(main())
