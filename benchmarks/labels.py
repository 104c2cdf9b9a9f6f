"""How many labels each way to choose saves, against drawing at random: learning curves on pools with known truth.

    python -m benchmarks.labels                     all pools and strategies: some three hours on two cores
    QUICK=1 python -m benchmarks.labels             two pools, four strategies, a short training: ten minutes
    python -m benchmarks.labels --pools bccd --strategies random,hybrid --seeds 5

Every curve is kept in benchmarks/.cache/curves, so that a run that was cut goes on where it was. Plots are written to
benchmarks/results. Each strategy is used as the service uses it: with the share that is always drawn at random.
"""

import argparse
import hashlib
import inspect
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from benchmarks.learning.area import labels_needed, over_budgets
from benchmarks.report import QUICK, RESULTS, Figure, at_least, at_most, publish, reading
from benchmarks.service.model import CACHE
from selection.strategies.table import STRATEGIES

if TYPE_CHECKING:
    from benchmarks.learning.curves import Task

POOL_NAMES = ("bccd", "fod-long-tail") if QUICK else ("bccd", "fod-sequences", "fod-long-tail", "digit-scenes")
# It needs a look at the mirror image.
_SECOND_PASS = frozenset({"consistency"})
# Of one measure the way to join detections that has been usual speaks for the others; `--strategies` compares any.
_OTHERWISE_JOINED = frozenset(
    {
        "mean-least-confidence", "sum-least-confidence", "mean-margin", "sum-margin", "mean-entropy-enms",
        "mean-least-confidence-enms", "sum-least-confidence-enms", "mean-margin-enms", "sum-margin-enms", "sum-entropy",
        "mean-class-entropy", "max-class-entropy",
    }
)  # fmt: skip
COMPARED = (
    ("random", "core-set", "hybrid", "balanced-herding")
    if QUICK
    else tuple(name for name in STRATEGIES if name not in _SECOND_PASS | _OTHERWISE_JOINED)
)
SEEDS = {name: 6 if name == "bccd" and not QUICK else 3 for name in POOL_NAMES}  # small, so that chance is large there
STEPS = 60 if QUICK else 250
DEFAULT = "balanced-herding"
FULL = "all labels"  # in place of a strategy: the learner with the whole pool labelled
TARGET = 0.95
# Labels of the default ÷ random's: of pools that production sends, and of one where any image is as good as another.
# Scenes of digits are made, each for itself; there the default has to be no worse than random.
BARS = {"fod-sequences": 0.5, "fod-long-tail": 0.5, "bccd": 0.85}


@dataclass(frozen=True, slots=True)
class Run:
    pool: str
    strategy: str
    seed: int

    @property
    def path(self) -> Path:
        """Named by all that decides it, the learner and the strategy's own file included."""
        identity = json.dumps([asdict(self), STEPS, _code(self.strategy)])
        return CACHE / "curves" / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}.json"


@cache
def _code(strategy: str) -> str:
    files = [Path(__file__).parent / "learning" / f"{name}.py" for name in ("curves", "learner", "pools")]
    files.append(Path(__file__).parents[1] / "serving" / "backends" / "pooling.py")
    if strategy in STRATEGIES and strategy != "random":
        function = getattr(STRATEGIES[strategy], "func", STRATEGIES[strategy])
        files.append(Path(inspect.getfile(function)))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


@cache
def _task(pool: str) -> "Task":
    import torch

    from benchmarks.learning.curves import Task
    from benchmarks.learning.pools import POOLS

    torch.set_num_threads(1)
    return Task.of(POOLS[pool](), steps=STEPS, cache=CACHE / "features")


def look_at(pool: str) -> None:
    _task(pool)


def points_of(run: Run) -> list[dict[str, object]]:
    """From the cache, or computed now, in the process that asks."""
    if not run.path.is_file():
        from benchmarks.learning.curves import curve, measured, trained

        task = _task(run.pool)
        if run.strategy == FULL:
            everything = np.arange(len(task.pool.pool))
            found = [measured(task, trained(task, everything, run.seed), everything)]
        else:
            found = curve(task, run.strategy, run.seed)
        run.path.parent.mkdir(parents=True, exist_ok=True)
        partial = run.path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps([asdict(point) for point in found]))
        partial.replace(run.path)
    points: list[dict[str, object]] = json.loads(run.path.read_text())
    return points


def computed(runs: Sequence[Run], console: Console) -> None:
    """All of them into the cache, in as many processes as there are cores, one thread each."""
    waiting = [run for run in runs if not run.path.is_file()]
    workers = max(1, len(os.sched_getaffinity(0)))
    with Progress(console=console) as bar, ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        list(pool.map(look_at, sorted({run.pool for run in waiting})))  # once each, before two need the same
        progress = bar.add_task("learning curves", total=len(waiting))
        for _ in pool.map(points_of, waiting):
            bar.advance(progress)


@dataclass(frozen=True, slots=True)
class Curves:
    """budgets: (b,) labels. boxes: (seeds, b) drawn for them. map50: (seeds, b) by test."""

    budgets: NDArray[np.float64]
    boxes: NDArray[np.float64]
    map50: Mapping[str, NDArray[np.float64]]

    @classmethod
    def read(cls, pool: str, strategy: str, seeds: int) -> "Curves":
        found = [points_of(Run(pool, strategy, seed)) for seed in range(seeds)]
        tests = found[0][0]["map50"]
        assert isinstance(tests, dict)
        return cls(
            np.array([point["images"] for point in found[0]], dtype=np.float64),
            np.array([[point["boxes"] for point in points] for points in found], dtype=np.float64),
            {test: np.array([[p["map50"][test] for p in points] for points in found]) for test in tests},  # type: ignore[index]
        )


def figures(pool: str, strategies: Sequence[str], seeds: int) -> Iterator[Figure]:
    curves = {name: Curves.read(pool, name, seeds) for name in strategies}
    full = Curves.read(pool, FULL, seeds)
    for test, reached in full.map50.items():
        target = TARGET * float(reached.mean())
        where = f"{pool}, {test}"
        yield reading(f"{where}: mAP50 with all labels", float(reached.mean()), "mAP50", int(full.budgets[0]))
        everything = (float(full.budgets[0]), float(full.boxes.mean()), float(reached.mean()))
        lot = curves["random"]
        needed, _ = _needed(lot, test, target, everything)
        for name, own in curves.items():
            count, drawn = _needed(own, test, target, everything)
            area = over_budgets(own.budgets, own.map50[test])
            yield reading(f"{where}: labels to {TARGET:.0%} of that, {name}", count, "images", seeds)
            yield reading(f"{where}: boxes to {TARGET:.0%} of that, {name}", drawn, "boxes", seeds)
            yield reading(f"{where}: area under the budget curve, {name}", float(area.mean()), "mAP50", seeds)
            if name == DEFAULT:
                what, saved = f"{where}: labels of {name} ÷ random", count / needed
                bar = BARS.get(pool)
                yield at_most(what, saved, bar, "ratio", seeds) if bar else reading(what, saved, "ratio", seeds)
            gain = area - over_budgets(lot.budgets, lot.map50[test])
            error = float(gain.std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else 0.0
            if name == DEFAULT:
                yield at_least(
                    f"{where}: area of {name} - random, in standard errors",
                    float(gain.mean()) / max(error, 1e-9), -1.0, "", seeds,
                )  # fmt: skip


def _needed(own: Curves, test: str, target: float, everything: tuple[float, float, float]) -> tuple[float, float]:
    """Images and boxes; each curve ends where everything is labelled."""
    images, boxes, reached = everything
    mean = np.append(own.map50[test].mean(axis=0), reached)
    return (
        labels_needed(np.append(own.budgets, images), mean, target),
        labels_needed(np.append(own.boxes.mean(axis=0), boxes), mean, target),
    )


def plotted(pool: str, strategies: Sequence[str], seeds: int) -> None:
    """Mean curves with their standard error, one picture for each test."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    full = Curves.read(pool, FULL, seeds)
    for test, reached in full.map50.items():
        figure, axes = pyplot.subplots(figsize=(9, 6), layout="constrained")
        for number, name in enumerate(strategies):
            own = Curves.read(pool, name, seeds)
            mean = own.map50[test].mean(axis=0)
            error = own.map50[test].std(axis=0, ddof=1 if seeds > 1 else 0) / np.sqrt(seeds)
            thick = name in ("random", DEFAULT)
            colour = "black" if name == "random" else f"C{number % 10}"
            style = "-" if number <= 10 else "--"
            axes.plot(own.budgets, mean, style, color=colour, lw=3 if thick else 1.2, label=name)
            axes.fill_between(own.budgets, mean - error, mean + error, color=colour, alpha=0.12, lw=0)
        axes.axhline(TARGET * reached.mean(), color="grey", lw=1, ls=":", label=f"{TARGET:.0%} of all labels")
        axes.set(xscale="log", xlabel="labelled images", ylabel="mAP50", title=f"{pool}, tested on: {test}")
        axes.legend(fontsize=8, ncols=2)
        axes.grid(alpha=0.3)
        RESULTS.mkdir(exist_ok=True)
        figure.savefig(RESULTS / f"labels-{pool}-{test.replace(' ', '-')}.png", dpi=110)
        pyplot.close(figure)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pools", default=",".join(POOL_NAMES))
    parser.add_argument("--strategies", default=",".join(COMPARED))
    parser.add_argument("--seeds", type=int, help="in place of three, six for bccd")
    return parser.parse_args()


def main() -> int:
    asked, console = _asked(), Console()
    pools, strategies = asked.pools.split(","), asked.strategies.split(",")
    seeds = {pool: asked.seeds or SEEDS[pool] for pool in pools}
    runs = [Run(pool, name, seed) for pool in pools for seed in range(seeds[pool]) for name in (FULL, *strategies)]
    computed(sorted(runs, key=lambda run: run.seed), console)
    found = [figure for pool in pools for figure in figures(pool, strategies, seeds[pool])]
    for pool in pools:
        plotted(pool, strategies, seeds[pool])
    return publish("labels", found, console)


if __name__ == "__main__":
    sys.exit(main())
