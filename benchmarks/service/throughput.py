"""Images per second and latency of the service beside others, in interleaved rounds: ours, other, ours, other …

A ratio is taken within a round, so that what the machine does meanwhile falls on both; the figure is the median over
rounds. Whoever is not measured is stopped by signal, so that its idle daemons take nothing.
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.report import Figure, at_least, at_most, reading
from benchmarks.service.systems import Cell, System

CPU_BAR_SECONDS = 0.030
ADDED_P50_MS, ADDED_P99_MS = 8.0, 20.0
BARE_BAR = {320: 0.60, 640: 0.85}
ULTRALYTICS_BAR = {320: 2.0, 640: 2.2}
# At 640 pixels; by the names of benchmarks.serving_peers.catalogue. None: nothing is asked.
PEER_BAR: Mapping[str, float | None] = {
    "litserve": 2.5,
    "bentoml": 2.5,
    "ray": 2.5,
    "roboflow": 1.8,
    "litserve-ours": 0.95,
    "bentoml-ours": 0.95,
    "ray-ours": 1.1,
    "ray-flags-ours": None,
}


@dataclass(frozen=True, slots=True)
class Pace:
    """rounds: of each comparison; warm, seconds: of one measurement before and while it counts."""

    rounds: int
    warm: float
    seconds: float


# Between two measurements all run: daemons that were stopped for long take each other for dead.
_BREATH_SECONDS = 0.5

Cells = Mapping[str, Sequence[Cell]]  # by system, one for each round


def compared(systems: Sequence[System], concurrency: int, pace: Pace) -> Cells:
    """All systems in turn, `pace.rounds` times; they run already."""
    found: dict[str, list[Cell]] = {system.name: [] for system in systems}
    for _ in range(pace.rounds):
        for system in systems:
            with contextlib.ExitStack() as others:
                for other in systems:
                    if other is not system:
                        others.enter_context(other.paused())
                found[system.name].append(system.measure(concurrency, warm=pace.warm, seconds=pace.seconds))
            time.sleep(_BREATH_SECONDS)
    return found


def over(cells: Cells, first: str, second: str, value: Callable[[Cell, Cell], float]) -> tuple[float, int]:
    """Median over rounds of `value`, and how many images it rests on."""
    pairs = list(zip(cells[first], cells[second], strict=True))
    return median(value(a, b) for a, b in pairs), sum(a.count + b.count for a, b in pairs)


def ratio(first: Cell, second: Cell) -> float:
    """NaN, which meets no bar, where the second answered nothing."""
    return first.rate / second.rate if second.rate else float("nan")


def rates(cells: Cells, what: str) -> list[Figure]:
    """What each system did, for information."""
    found = []
    for name, each in cells.items():
        count = sum(cell.count for cell in each)
        found.append(reading(f"{name}, {what}", median(cell.rate for cell in each), "images/s", count))
        found.append(reading(f"{name}, {what}, CPU", median(cell.cpu_seconds for cell in each), "CPU s/image", count))
        if failed := sum(cell.failed for cell in each):
            found.append(reading(f"{name}, {what}, failed", failed, "requests", count + failed))
    return found


def no_failures(cells: Cells, what: str) -> list[Figure]:
    """None of ours may fail, whoever stands beside it."""
    each = cells["askance"]
    failed = sum(cell.failed for cell in each)
    return [at_most(f"failed requests, {what}", failed, 0, "requests", failed + sum(cell.count for cell in each))]


def against_bare(cells: Cells, size: int, concurrency: int) -> list[Figure]:
    value, n = over(cells, "askance", "bare runtime", ratio)
    name = f"images/s ÷ bare runtime in-process, {size} px, concurrency {concurrency}"
    return [at_least(name, value, BARE_BAR[size], "ratio", n)]


def against_ultralytics(cells: Cells, size: int, concurrency: int) -> list[Figure]:
    value, n = over(cells, "askance", "ultralytics loop", ratio)
    name = f"images/s ÷ ultralytics.YOLO.predict loop, {size} px, concurrency {concurrency}"
    return [at_least(name, value, ULTRALYTICS_BAR[size], "ratio", n)]


def against_peer(cells: Cells, key: str, peer: str, size: int, concurrency: int) -> Figure:
    value, n = over(cells, "askance", peer, ratio)
    name = f"images/s ÷ {peer}, {size} px, concurrency {concurrency}"
    bar = PEER_BAR[key]
    return reading(name, value, "ratio", n) if bar is None else at_least(name, value, bar, "ratio", n)


def added_latency(cells: Cells, size: int) -> list[Figure]:
    """At concurrency 1."""
    found = []
    for share, bar in ((50, ADDED_P50_MS), (99, ADDED_P99_MS)):
        value, n = over(
            cells, "askance", "bare runtime", lambda a, b, s=share: 1000 * (a.percentile(s) - b.percentile(s))
        )
        found.append(at_most(f"added latency p{share} over bare, {size} px, concurrency 1", value, bar, "ms", n))
    return found


def cpu_of_a_request(cells: Cells) -> list[Figure]:
    """At 320 pixels and concurrency 8."""
    each = cells["askance"]
    value = median(cell.cpu_seconds for cell in each)
    name = "CPU of a request, 320 px, concurrency 8"
    return [at_most(name, value, CPU_BAR_SECONDS, "CPU s", sum(cell.count for cell in each))]
