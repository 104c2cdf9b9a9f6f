"""Whether lower precisions answer as float32 does, and what they gain, on real images.

    python -m benchmarks.precision                every fourth picture of the data set
    QUICK=1 python -m benchmarks.precision        every twentieth

The model is that of bench-serving. Bars are the limits of the section `parity`.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.report import QUICK, Figure, at_least, at_most, publish, reading
from benchmarks.service.detection import decoded
from benchmarks.service.model import DATA_SET, SIZES, bench_model
from loop.domain.ports import Detector
from loop.domain.prediction import Inference
from serving.backends.graph import graph_of
from serving.backends.openvino import supported_precisions
from serving.backends.parity import ParityLimits, compared
from serving.backends.runtimes import Candidate, Place, opened, prepared
from tests.requirements import DATA

EVERY = 20 if QUICK else 4
ROUNDS = 3
LIMITS = ParityLimits()

Pixels = Sequence[NDArray[np.uint8]]


def answered(detector: Detector, images: Pixels) -> tuple[list[Inference], float]:
    """And the median milliseconds of an image, one at a time in one thread."""
    answers, times = [], []
    for image in images:
        begun = time.perf_counter()
        answers += detector.predict([image], score_floor=0.0)
        times.append(1000 * (time.perf_counter() - begun))
    return answers, median(times)


def measured(weights: Path, size: int) -> Iterator[Figure]:
    head, graph = graph_of(weights.read_bytes())
    pictures = sorted((DATA / DATA_SET).glob("**/*.jpg"))[::EVERY]
    images = [decoded(picture.read_bytes(), size) for picture in pictures]
    precisions = [name for name in supported_precisions() if name != "int8"]  # which is a graph of its own
    place = Place(device="cpu", threads=1, batch=1)
    candidates = {name: Candidate("openvino", name) for name in precisions}
    detectors = {
        name: opened(candidate, head, prepared(candidate, head, graph, place), place)
        for name, candidate in candidates.items()
    }
    answers: dict[str, list[Inference]] = {}
    times: dict[str, list[float]] = {name: [] for name in precisions}
    for _ in range(ROUNDS):
        for name, detector in detectors.items():
            answers[name], taken = answered(detector, images)
            times[name].append(taken)
    for name in precisions[1:]:
        verdict, what = compared(answers["fp32"], answers[name], LIMITS), f"OpenVINO {name}, {size} px"
        yield at_least(f"{what}: matched", verdict.matched, LIMITS.matched, "share", verdict.compared)
        yield at_most(
            f"{what}: largest score difference", verdict.score_difference, LIMITS.score_difference, "score",
            verdict.compared,
        )  # fmt: skip
        yield at_least(f"{what}: least cosine", verdict.cosine, LIMITS.cosine, "cosine", verdict.images)
        ratio = median(a / b for a, b in zip(times[name], times["fp32"], strict=True))
        yield reading(f"{what}: time ÷ float32", ratio, "ratio", ROUNDS * len(images))


def main() -> int:
    model, console = bench_model(), Console()
    if not model.trained:
        console.print("[yellow]The data set is missing: there is nothing to compare on.[/]")
        return 1
    return publish("precision", [figure for size in SIZES for figure in measured(model.files[size], size)], console)


if __name__ == "__main__":
    raise SystemExit(main())
