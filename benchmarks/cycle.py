"""The retrain cycle: how fast corrections come to serve, what the loop's choices and doubts are worth, what it costs.

    python -m benchmarks.cycle            an hour and a half on two quiet cores
    QUICK=1 python -m benchmarks.cycle    ten minutes: short trainings, one seed, bccd only for the cycles
    python -m benchmarks.cycle --only serving,labels

serving   from the last of somebody's corrections to the new model serving, in a service with 1,000 labelled images
          (QUICK: 300); and a rollback then, in one command
import    COCO annotations a second into SQLite and PostgreSQL, of images that the project has
cycles    three cycles from a tenth of the labels, what is labelled next chosen by the loop (as configured), at
          random, and everything at once; mAP50 after each, and a picture
labels    5 % of the boxes of a pool made wrong (benchmarks/learning/spoiling.py says how): how early they are found,
          and what mending is worth
retrain   our training beside ultralytics alone: the same network, images and settings, taking turns

Learners of `cycles` and `labels` are small ones on a frozen body (benchmarks/learning/learner.py). Other figures of the
cycle are measured elsewhere: the gate's errors and seconds by bench-gate, snapshots by bench-snapshot, filters of items
by bench-items, labels that choosing saves by bench-labels.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.console import Console

from benchmarks.labels import DEFAULT
from benchmarks.learning.rounds import LOOKED_AT, TENTHS, WRONG, Mended, cycles, look_at, mending
from benchmarks.report import QUICK, RESULTS, Figure, at_least, at_most, publish, reading

Result = TypeVar("Result")

ITEMS = 300 if QUICK else 1_000
PREPARED = 1 if QUICK else 3  # epochs of the champion
SERVING_RUNS = 1 if QUICK else 3
SERVING_BAR = 20.0  # seconds
ROLLBACK_BAR = 10.0  # seconds
IMPORTED = 1_000 if QUICK else 100_000  # images
STEPS = 60 if QUICK else 250  # of a learner
LABEL_STEPS = 150 if QUICK else 250  # of those that doubt labels: who knows little doubts at random
SEEDS = 1 if QUICK else 3
CYCLE_POOLS = ("bccd",) if QUICK else ("bccd", "fod-sequences")
# Whose images have mostly one box, of which few are missing; blood cells lack boxes as they are, so that whoever finds
# one that was dropped is right no more often than who finds one that was never there. These are for information.
LABEL_POOLS = ("fod-sequences",) if QUICK else ("fod-sequences", "bccd")
BARRED = "fod-sequences"
TIMES_CHANCE = 3.0
RETRAINED = (64, 2) if QUICK else (256, 5)  # images, epochs
TURNS = 2 if QUICK else 5
OVERHEAD_BAR = 1.05


def serving(console: Console) -> Iterator[Figure]:
    from benchmarks.service.turnaround import turnaround

    found = [turnaround(ITEMS, epochs=1, prepared=PREPARED) for _ in range(SERVING_RUNS)]
    rest = float(np.median([one.rest for one in found]))
    yield at_most(f"last correction to serving, {ITEMS:,} items, without training", rest, SERVING_BAR, "s", len(found))
    for name, seconds in (
        ("rollback in one command, to a model on standby", [one.rollback for one in found]),
        ("rollback in one command, to a model that has to start", [one.further for one in found]),
    ):
        yield at_most(f"{name}, idle service", float(np.median(seconds)), ROLLBACK_BAR, "s", len(found))
    yield reading("training itself, an epoch", float(np.median([one.training for one in found])), "s", len(found))
    for step in found[0].steps:
        seconds = [one.steps.get(step, 0.0) - (one.training if step == "train" else 0.0) for one in found]
        yield reading(f"of which the step {step}", float(np.median(seconds)), "s", len(found))
        cpu = float(np.median([one.cpu.get(step, 0.0) for one in found]))
        yield reading(f"CPU of the step {step}" + ", with the training" * (step == "train"), cpu, "s", len(found))


def imported(console: Console) -> Iterator[Figure]:
    from benchmarks import exchange
    from tests.postgres import postgres_cluster

    with tempfile.TemporaryDirectory(prefix="askance-cycle-") as made:
        folder = Path(made)
        place = exchange.Place(folder / "data")
        yield from exchange.into("SQLite", place, folder / "known", IMPORTED)
        with postgres_cluster(durable=True) as cluster:
            other = exchange.Place(folder / "other", cluster.url(cluster.new_database()))
            yield from exchange.into("PostgreSQL", other, folder / "known", IMPORTED)
            other.store.close()


def chosen_cycles(console: Console) -> Iterator[Figure]:
    ways = (DEFAULT, "random", None)
    runs = [(pool, STEPS, way, seed) for pool in CYCLE_POOLS for way in ways for seed in range(SEEDS)]
    reached = dict(zip(runs, _everywhere(cycles, runs), strict=True))
    for pool in CYCLE_POOLS:
        for test in reached[pool, STEPS, None, 0][0]:
            curves = {
                way: np.array([[at[test] for at in reached[pool, STEPS, way, seed]] for seed in range(SEEDS)])
                for way in ways
            }
            full = float(curves[None].mean())
            _plotted(pool, test, {str(way): curve for way, curve in curves.items() if way}, full)
            for number, tenth in enumerate(TENTHS):
                when = "at first" if number == 0 else f"after cycle {number}"
                for way in ways[:2]:
                    value = float(curves[way][:, number].mean())
                    yield reading(f"{pool}, {test}: {way}, {when}, {tenth}0 % labelled", value, "mAP50", SEEDS)
            yield reading(f"{pool}, {test}: all labels", full, "mAP50", SEEDS)


def label_errors(console: Console) -> Iterator[Figure]:
    runs = [(pool, LABEL_STEPS, seed) for pool in LABEL_POOLS for seed in range(SEEDS)]
    found = dict(zip(runs, _everywhere(mending, runs), strict=True))
    for pool in LABEL_POOLS:
        every = [found[pool, LABEL_STEPS, seed] for seed in range(SEEDS)]
        yield from _told(f"{pool}, {WRONG:.0%} of boxes wrong", every, barred=pool == BARRED)


def _told(where: str, every: Sequence[Mended], *, barred: bool) -> Iterator[Figure]:
    def mean(value: Callable[[Mended], float]) -> float:
        return float(np.mean([value(one) for one in every]))

    n = len(every)
    for what, times in (
        ("images with an error", mean(lambda one: one.finding.images / one.finding.images_by_chance)),
        ("wrong boxes", mean(lambda one: one.finding.boxes / one.finding.boxes_by_chance)),
    ):
        name = f"{where}: precision of finding {what} ÷ chance"
        yield at_least(name, times, TIMES_CHANCE, "ratio", n) if barred else reading(name, times, "ratio", n)
    yield reading(f"{where}: average precision, images", mean(lambda one: one.finding.images), "AP", n)
    yield reading(f"{where}: average precision, boxes", mean(lambda one: one.finding.boxes), "AP", n)
    yield reading(f"{where}: errors in the first {LOOKED_AT:.0%} of boxes", mean(lambda one: one.fixed), "share", n)
    yield reading(f"{where}: learned with the errors", mean(lambda one: one.spoiled), "mAP50", n)
    yield reading(f"{where}: with those fixed", mean(lambda one: one.mended), "mAP50", n)
    yield reading(f"{where}: without any", mean(lambda one: one.clean), "mAP50", n)


def retraining(console: Console) -> Iterator[Figure]:
    from benchmarks.service.retraining import laid_out, run

    images, epochs = RETRAINED
    with tempfile.TemporaryDirectory(prefix="askance-retrain-") as made:
        folder = Path(made)
        laid_out(folder, images, epochs)
        ways = ("ours", "bare")
        for way in ways:  # what the first run warms: files, the compiled code of Python
            run(way, folder)
        pairs = [{way: run(way, folder) for way in ways[:: 1 if turn % 2 else -1]} for turn in range(TURNS)]
    wall = float(np.median([pair["ours"].seconds / pair["bare"].seconds for pair in pairs]))
    cpu = float(np.median([pair["ours"].cpu / pair["bare"].cpu for pair in pairs]))
    what = f"training {images} images, {epochs} epochs"
    yield at_most(f"{what}: ours ÷ ultralytics alone", wall, OVERHEAD_BAR, "ratio", TURNS)
    yield at_most(f"{what}: CPU, ours ÷ ultralytics alone", cpu, OVERHEAD_BAR, "ratio", TURNS)
    for way in ways:
        yield reading(f"{what}: {way}", float(np.median([pair[way].seconds for pair in pairs])), "s", TURNS)


def _everywhere(work: Callable[..., Result], runs: Sequence[tuple[Any, ...]]) -> list[Result]:
    """In as many processes as there are cores, one thread each."""
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), get_context("spawn")) as workers:
        # Once each, before two need the same.
        list(workers.map(look_at, *zip(*dict.fromkeys(run[:2] for run in runs), strict=True)))
        return list(workers.map(work, *zip(*runs, strict=True)))


def _plotted(pool: str, test: str, curves: Mapping[str, np.ndarray], full: float) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 5), layout="constrained")
    share = [10 * tenth for tenth in TENTHS]
    for way, curve in curves.items():
        error = curve.std(axis=0, ddof=1) / np.sqrt(len(curve)) if len(curve) > 1 else np.zeros(len(share))
        axes.errorbar(share, curve.mean(axis=0), error, marker="o", capsize=3, label=way)
    axes.axhline(full, color="grey", ls=":", label="all labels")
    axes.set(xlabel="labelled, % of the pool", ylabel="mAP50", title=f"{pool}, tested on: {test}", xticks=share)
    axes.legend()
    axes.grid(alpha=0.3)
    RESULTS.mkdir(exist_ok=True)
    figure.savefig(RESULTS / f"cycle-{pool}-{test.replace(' ', '-')}.png", dpi=110)
    pyplot.close(figure)


PARTS: Mapping[str, Callable[[Console], Iterator[Figure]]] = {
    "serving": serving, "import": imported, "cycles": chosen_cycles, "labels": label_errors, "retrain": retraining
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help=",".join(PARTS))
    console = Console(stderr=True)
    found = []
    for name in parser.parse_args().only.split(","):
        console.log(f"{name} …")
        found += list(PARTS[name](console))
    return publish("cycle", found, Console())


if __name__ == "__main__":
    sys.exit(main())
