"""Where the time of a request goes: the service's own figures per stage, read before and after a load."""

import re

from benchmarks.report import Figure, reading
from benchmarks.service.systems import Askance

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
