"""How long candidate and champion take for an image on the runtime that would serve them: measured in the cycle, in one
run, for the gate's clause."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from loop.cycle.work import Examined, Timing


def latency_told(parts: Iterable[str], timing: Timing | None, examined: Examined) -> dict[str, object]:
    """For `Cycle.evaluation`: `images`, and of each model, by its part, `runtime`, `median` and `p90` in seconds. Where
    it cannot be measured `unmeasured` says why: a cycle does not fail for it. Empty where nobody wants it."""
    if timing is None:
        return {}
    if examined.unmeasured:
        return {"unmeasured": examined.unmeasured}
    measured = zip(parts, examined.latency, strict=True)
    return {"images": len(timing.image_keys), **{part: asdict(one) for part, one in measured}}


def has_answered(latency: object) -> bool:
    """Whether the candidate has answered on the runtime that would serve it. latency: as `latency_told` gave it, or
    nothing."""
    return isinstance(latency, Mapping) and "candidate" in latency


def seconds_of(latency: Mapping[str, object]) -> tuple[float, float] | None:
    """Medians of champion and candidate, from what `latency_told` gave; None where not both were measured."""
    before, after = latency.get("champion"), latency.get("candidate")
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return None
    return float(before["median"]), float(after["median"])
