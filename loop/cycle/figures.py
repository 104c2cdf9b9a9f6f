"""What a cycle measured of champion and candidate, side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loop.domain.cycle import Cycle
from loop.domain.policy.slice_rules import SliceKind
from training.coco_findings import CocoFindings, SliceFigures
from training.coco_metrics import CocoFigures


@dataclass(frozen=True, slots=True)
class Compared:
    """before: of the champion; None where there was none."""

    before: CocoFigures | None
    after: CocoFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """note: why it has no images, in words. failed_before, failed_after: share of its images that a person would have
    to correct; None where that cannot be said. calibration_before, calibration_after: D-ECE there. errors: by kind, how
    much higher the candidate's AP50 would be without them; of views, audits and past failures."""

    kind: SliceKind
    name: str
    images: int
    note: str
    figures: Compared
    failed_before: float | None
    failed_after: float | None
    calibration_before: float | None
    calibration_after: float | None
    errors: Mapping[str, float]

    @property
    def worst(self) -> tuple[str, float] | None:
        """The kind of error that costs the most, and what; None where none costs anything."""
        kind = max(self.errors, key=lambda name: self.errors[name], default="")
        return (kind, self.errors[kind]) if kind and self.errors[kind] > 0.0 else None


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """Of one model. median, p90: seconds for one image."""

    runtime: str
    median: float
    p90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRows:
    """images: that were timed; 0 with `unmeasured`, which says why none were, or where nobody wanted it."""

    images: int
    before: LatencyRow | None
    after: LatencyRow | None
    unmeasured: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleFigures:
    """images: judged by; beside: that only slices look at. classes: by label. left_out: slices that are too many to be
    shown, by kind. calibration_before, calibration_after: D-ECE on the judged images."""

    images: int
    beside: int
    split: str
    whole: Compared
    calibration_before: float | None
    calibration_after: float | None
    classes: Mapping[str, Compared]
    slices: Sequence[SliceRow]
    left_out: Mapping[str, int]
    latency: LatencyRows


def figures_of(cycle: Cycle, get: Callable[[str], bytes]) -> CycleFigures | None:
    """None where the cycle has not been evaluated, or by a version that kept none. get: the blob with a key."""
    after, before = (_findings(cycle, part, get) for part in ("candidate", "champion"))
    if after is None:
        return None
    classes = {} if before is None else before.classes
    slices = {} if before is None else {(one.kind, one.name): one for one in before.slices}
    return CycleFigures(
        images=after.images,
        beside=_count(cycle.evaluation.get("beside")),
        split=str(cycle.evaluation.get("split", "")),
        whole=Compared(None if before is None else before.whole, after.whole),
        calibration_before=None if before is None else before.calibration_error,
        calibration_after=after.calibration_error,
        classes={label: Compared(classes.get(label), one) for label, one in after.classes.items()},
        slices=[_row(slices.get((one.kind, one.name)), one) for one in after.slices],
        left_out=after.left_out,
        latency=_latency(cycle.evaluation.get("latency")),
    )


def _findings(cycle: Cycle, part: str, get: Callable[[str], bytes]) -> CocoFindings | None:
    key = cycle.evaluation.get(f"{part}_coco")
    return CocoFindings.read(get(str(key))) if key else None


def _row(before: SliceFigures | None, after: SliceFigures) -> SliceRow:
    return SliceRow(
        kind=after.kind,
        name=after.name,
        images=after.images,
        note=after.note,
        figures=Compared(None if before is None else before.figures, after.figures),
        failed_before=None if before is None else before.failure_rate,
        failed_after=after.failure_rate,
        calibration_before=None if before is None else before.calibration_error,
        calibration_after=after.calibration_error,
        errors=after.errors,
    )


def _latency(told: object) -> LatencyRows:
    told = told if isinstance(told, Mapping) else {}
    before, after = (LatencyRow(**told[part]) if part in told else None for part in ("champion", "candidate"))
    return LatencyRows(
        images=_count(told.get("images")), before=before, after=after, unmeasured=str(told.get("unmeasured", ""))
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
