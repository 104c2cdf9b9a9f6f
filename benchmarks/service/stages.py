"""Where the time of a request goes: the service's own figures per stage, read before and after a load."""

import re
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Figure, reading
from benchmarks.service.detection import Ours
from benchmarks.service.systems import Askance, Setup
from loop.domain.prediction import Inference
from serving.backends import graph_detector
from training.letterbox import Placement

_LINE = re.compile(r"^askance_stage_seconds_(sum|count)\{([^}]*)\} (\S+)$", re.MULTILINE)
_STAGE = re.compile(r'stage="([^"]+)"')


def stages(text: str) -> dict[str, tuple[float, float]]:
    """Seconds and count by stage, in a text of Prometheus figures; empty where the service shows none."""
    found: dict[str, dict[str, float]] = {}
    for what, labels, value in _LINE.findall(text):
        named = _STAGE.search(labels)
        if named:
            one = found.setdefault(named[1], {"sum": 0.0, "count": 0.0})
            one[what] += float(value)
    return {stage: (one["sum"], one["count"]) for stage, one in found.items()}


def profile(service: Askance, concurrency: int, *, warm: float, seconds: float) -> list[Figure]:
    """Mean milliseconds of each stage, and of the whole request as its caller sees it."""
    before = stages(service.metrics())
    cell = service.measure(concurrency, warm=warm, seconds=seconds)
    after = stages(service.metrics())
    where = f"{service.setup.size} px, concurrency {concurrency}"
    found = []
    for stage, (total, count) in after.items():
        old_total, old_count = before.get(stage, (0.0, 0.0))
        if count > old_count:
            mean = 1000 * (total - old_total) / (count - old_count)
            found.append(reading(f"stage {stage}, {where}", mean, "ms", int(count - old_count)))
    whole = 1000 * float(cell.latencies.mean()) if cell.count else float("nan")
    return [*found, reading(f"whole request, {where}", whole, "ms", cell.count)]


def nms_alone(setup: Setup) -> Figure:
    """Mean milliseconds from a network's output to the detections of one image, in this process; the service counts
    them to the stage `network`."""
    spent: list[float] = []
    original = graph_detector.dense_inference

    def timed(
        decoded: NDArray[np.float32], placement: Placement, embedding: NDArray[np.float32], floor: float
    ) -> Inference:
        begun = time.perf_counter()
        answer = original(decoded, placement, embedding, floor)
        spent.append(time.perf_counter() - begun)
        return answer

    graph_detector.dense_inference = timed
    try:
        detect = Ours(setup.weights, setup.chosen)
        spent.clear()  # what choosing and warming up took
        for picture in setup.contents():
            detect([picture])
    finally:
        graph_detector.dense_inference = original
    return reading(f"stage NMS, within network, {setup.size} px, alone", 1000 * float(np.mean(spent)), "ms", len(spent))
