"""How often the promotion gate is wrong, how often it sees what is there, and what it costs.

    python -m benchmarks.gate          some ten minutes
    QUICK=1 python -m benchmarks.gate  about half a minute

Detectors are simulated (benchmarks/simulated_detectors.py), so that the truth is known: two that are equal (they
change places on each image by a fair coin) and two that differ by a known number of points. Shares of runs are
judged with their binomial error: a share breaks its bar when even its 99 % bound does.
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from scipy import stats

from benchmarks.report import QUICK, Figure, publish
from benchmarks.simulated_detectors import Pool, Skill, pool
from training.gate_clauses import GateMode, GateSettings
from training.promotion import decide

RUNS = 60 if QUICK else 400
RESAMPLES = 200 if QUICK else 400
CLASSES = 3
LABELS = tuple("abc")
GOOD = Skill(junk=1.5)
CLIP = 5  # frames that show the same

Chooser = Callable[[np.random.Generator, int], NDArray[np.integer]]


def straight(rng: np.random.Generator, size: int) -> NDArray[np.integer]:
    return np.zeros(size, dtype=int)


def crossed(rng: np.random.Generator, size: int) -> NDArray[np.integer]:
    return np.ones(size, dtype=int)


def coins(rng: np.random.Generator, size: int) -> NDArray[np.integer]:
    return rng.integers(0, 2, size)


def passes(
    models: Pool, choose: Chooser, size: int, *, mode: GateMode = GateMode.SUPERIOR, margin: float = 0.0, clip: int = 1
) -> int:
    """In how many of RUNS draws of `size` images the gate promotes the candidate; `clip` frames show the same."""
    rng = np.random.default_rng(size)
    settings = GateSettings(mode=mode, margin=margin, resamples=RESAMPLES)
    promoted = 0
    for _ in range(RUNS):
        units = size // clip
        chosen, swapped = rng.integers(0, models.images, units), choose(rng, units)
        champion, candidate = models.pair(np.repeat(chosen, clip), np.repeat(swapped, clip))
        groups = np.repeat(np.arange(units).astype(str), clip)
        promoted += decide(champion, candidate, labels=LABELS, settings=settings, rng=rng, groups=groups).promoted
    return promoted


def at_most(name: str, count: int, bar: float) -> Figure:
    return Figure(name, count / RUNS, bar, "share of runs", RUNS, bool(count <= stats.binom.ppf(0.99, RUNS, bar)))


def at_least(name: str, count: int, bar: float) -> Figure:
    return Figure(name, count / RUNS, bar, "share of runs", RUNS, bool(count >= stats.binom.ppf(0.01, RUNS, bar)))


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


def figures() -> list[Callable[[], Figure]]:
    """In order; the models are made once, three points of mAP50-95 apart."""
    rng = np.random.default_rng(0)
    models = pool(rng, GOOD, Skill(recall=0.797, junk=1.5), images=2000, n_classes=CLASSES, objects=3)
    points = -models.difference
    apart = f"{100 * points:.1f} points"
    sizes = (50, 100) if QUICK else (20, 50, 100, 500)

    def equal(size: int) -> Callable[[], Figure]:
        return lambda: at_most(f"equal models promoted, superior, {size} images", passes(models, coins, size), 0.05)

    def margin(size: int) -> Callable[[], Figure]:
        name = f"worse by the margin promoted, non_inferior, {size} images"
        return lambda: at_most(name, passes(models, straight, size, mode=GateMode.NON_INFERIOR, margin=points), 0.05)

    return [
        seconds,
        *(equal(size) for size in sizes),
        *(margin(size) for size in sizes[1:]),
        lambda: at_most(
            f"equal models promoted, {100} clips of {CLIP} frames",
            passes(models, coins, 100 * CLIP, clip=CLIP),
            0.05,
        ),
        lambda: at_most(f"worse by {apart} promoted, superior, 100 images", passes(models, straight, 100), 0.02),
        lambda: at_least(f"better by {apart} promoted, superior, 500 images", passes(models, crossed, 500), 0.80),
    ]


def main() -> int:
    console = Console()
    found = [measure() for measure in track(figures(), "gate", console=console)]
    return publish("gate", found, console)


if __name__ == "__main__":
    raise SystemExit(main())
