"""The conditions of the promotion gate, each with its figures.

What a candidate is shown to be worse at stops it; what it is not shown to be better at does, too, where that is asked
for (training/promotion.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import scipy  # loads its parts when they are first used: what serves imports this module and needs none of them
from numpy.typing import NDArray

from loop.domain.errors import SettingsError
from training.calibration import calibration_of
from training.evaluate import Evaluation, mean_over_classes

WORN = 10  # uses of the same images, from which their bounds are half again as wide


class GateMode(StrEnum):
    SUPERIOR = "superior"
    NON_INFERIOR = "non_inferior"  # a new class, a cheaper model: not worse by more than the margin


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What a promotion takes. mAP and AP are fractions: 0.01 is one point.

    margin: by how much mAP50-95 may be worse in `non_inferior`. class_margin: by how much the AP50-95 of any
    class with at least `min_class_boxes` boxes may be; slice_margin: of any slice of at least `min_units` images or
    groups. failure_margin: of the images that failed in production and that the champion gets right now, the share that
    may fail again. calibration_margin: by how much the calibration error may be larger. latency_ratio: how much slower
    an image may be than with the champion. confidence: of the one-sided bounds, and of the intervals shown. min_units:
    fewer independent images (or groups of them) say too little for a bootstrap to be honest. first_floor: what the
    lower bound of a first model's mAP50 must be above, since there is no champion to compare with; first_units: its
    min_units.
    """

    mode: GateMode = GateMode.SUPERIOR
    margin: float = 0.01
    class_margin: float = 0.05
    min_class_boxes: int = 20
    slice_margin: float = 0.05
    failure_margin: float = 0.1
    calibration_margin: float = 0.05
    latency_ratio: float = 1.5
    confidence: float = 0.95
    resamples: int = 2000
    min_units: int = 20
    first_floor: float = 0.05
    first_units: int = 10

    def __post_init__(self) -> None:
        """Raises SettingsError, naming the setting."""
        wrong = {
            "margin": not 0.0 <= self.margin < 1.0,
            "class_margin": not 0.0 <= self.class_margin < 1.0,
            "slice_margin": not 0.0 <= self.slice_margin < 1.0,
            "failure_margin": not 0.0 <= self.failure_margin < 1.0,
            "calibration_margin": not 0.0 <= self.calibration_margin < 1.0,
            "latency_ratio": not self.latency_ratio > 0.0,
            "min_class_boxes": self.min_class_boxes < 1,
            "confidence": not 0.5 <= self.confidence < 1.0,
            "resamples": self.resamples < 100,
            "min_units": self.min_units < 2,
            "first_floor": not 0.0 <= self.first_floor < 1.0,
            "first_units": self.first_units < 2,
        }
        for name, bad in wrong.items():
            if bad:
                raise SettingsError(
                    f"the gate's {name} is {getattr(self, name)}.",
                    hint="Margins and first_floor lie in [0, 1), confidence in [0.5, 1), latency_ratio is above 0, "
                    "min_class_boxes at least 1, resamples at least 100, min_units and first_units at least 2.",
                    setting=name,
                )


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """Further m images that were held out, which only slices and mended failures look at. groups: (m,)."""

    champion: Evaluation
    candidate: Evaluation
    groups: NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Circumstances:
    """What is known beside the two evaluations of n images.

    beside: m more images. slices: (n + m,) bool by name, which images belong to it. margins: of slices that have one
    of their own. said: slices that somebody waits for, and why one cannot be judged where that is known; they are
    spoken of where they are too small, too. mended: (n + m,) bool, images on which a model failed in production.
    seconds: an image takes with the champion, and with the candidate, on the runtimes that serve; unmeasured: why that
    is not known. uses: how often the n images have decided, this time included.
    """

    beside: Beside | None = None
    slices: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    margins: Mapping[str, float] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)
    mended: NDArray[np.bool_] | None = None
    seconds: tuple[float, float] | None = None
    unmeasured: str = ""
    uses: int = 1


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition of the gate. `detail` says it in words with its figures; `numbers` holds them."""

    name: str
    passed: bool
    detail: str
    numbers: Mapping[str, float | None]


def holm(p_values: NDArray[np.float64], level: float) -> NDArray[np.bool_]:
    """(k,) which hypotheses are rejected with family-wise error at most `level` (Holm 1979, step-down)."""
    order = np.argsort(p_values, kind="stable")
    passing = p_values[order] <= level / np.arange(len(p_values), 0, -1)
    rejected = np.zeros(len(p_values), dtype=bool)
    rejected[order] = np.logical_and.accumulate(passing)
    return rejected


def class_clauses(
    champion: Evaluation,
    candidate: Evaluation,
    resampled: NDArray[np.float64],
    labels: Sequence[str],
    settings: GateSettings,
) -> list[Clause]:
    """One clause for each class with enough boxes; `resampled` (R, C) holds the differences of AP50-95."""
    boxes = candidate.class_boxes
    guarded = np.flatnonzero(boxes >= settings.min_class_boxes)
    p_values = np.array([_p_worse(resampled[:, index], settings.class_margin) for index in guarded])
    worse = holm(p_values, 1.0 - settings.confidence)
    return [
        _class_clause(
            labels[int(index)],
            float(champion.class_ap[index]),
            float(candidate.class_ap[index]),
            int(boxes[index]),
            float(p),
            settings,
            shown_worse=bool(bad),
        )
        for index, p, bad in zip(guarded, p_values, worse, strict=True)
    ]


def _p_worse(deltas: NDArray[np.float64], margin: float) -> float:
    """p-value of "this class is not worse by more than the margin": share of draws that agree, never 0."""
    deltas = deltas[~np.isnan(deltas)]
    return float((1 + np.count_nonzero(deltas >= -margin)) / (1 + len(deltas)))


def _class_clause(
    label: str, before: float, after: float, boxes: int, p: float, settings: GateSettings, *, shown_worse: bool
) -> Clause:
    verdict = "is worse" if shown_worse else "is not shown to be worse"
    detail = (
        f"AP50-95 {before:.3f} → {after:.3f} ({after - before:+.3f}) on {boxes} boxes "
        f"{verdict} by more than {settings.class_margin:g} (p = {p:.4f}, Holm)"
    )
    numbers = {
        "champion": before,
        "candidate": after,
        "delta": after - before,
        "boxes": float(boxes),
        "p": p,
        "margin": settings.class_margin,
    }
    return Clause(f"class {label}", not shown_worse, detail, numbers)


def slice_clauses(
    champion: Evaluation,
    candidate: Evaluation,
    known: Circumstances,
    unit_of: NDArray[np.intp],
    counts: NDArray[np.int32],
    settings: GateSettings,
) -> list[Clause]:
    """One clause for each slice with enough independent images, and for those that are waited for. Of all held-out
    images: unit_of (n + m,), counts (R, n + m) the draws."""
    guarded, small = [], {}
    for name, chosen in sorted(known.slices.items()):
        units = len(np.unique(unit_of[chosen]))
        if units >= settings.min_units and champion.boxes[chosen].sum() > 0:
            guarded.append((name, np.flatnonzero(chosen)))
        else:
            small[name] = _too_little(chosen, units, champion, settings)
    told, p_values = [], []
    for name, images in guarded:
        before, after = champion.take(images), candidate.take(images)
        drawn = counts[:, images]
        deltas = mean_over_classes(after.resampled(drawn).mean(axis=2) - before.resampled(drawn).mean(axis=2))
        p_values.append(_p_worse(deltas, known.margins.get(name, settings.slice_margin)))
        told.append((before.map50_95, after.map50_95))
    worse = holm(np.array(p_values), 1.0 - settings.confidence)
    judged = [
        _slice_clause(
            name, len(images), *figures, p, known.margins.get(name, settings.slice_margin), shown_worse=bool(bad)
        )
        for (name, images), figures, p, bad in zip(guarded, told, p_values, worse, strict=True)
    ]
    return judged + [
        _unjudged(name, why or small[name], known.slices) for name, why in sorted(known.said.items())
        if why or name in small
    ]  # fmt: skip


def _too_little(chosen: NDArray[np.bool_], units: int, champion: Evaluation, settings: GateSettings) -> str:
    images = int(chosen.sum())
    if units >= settings.min_units:
        return f"{images} images, and no box on them"
    return f"{images} images in {units} independent groups are too few: {settings.min_units} can be judged"


def _unjudged(name: str, why: str, slices: Mapping[str, NDArray[np.bool_]]) -> Clause:
    images = int(slices[name].sum()) if name in slices else 0
    return Clause(f"slice {name}", True, f"not judged: {why}", {"images": float(images)})


def _slice_clause(
    name: str, images: int, before: float, after: float, p: float, margin: float, *, shown_worse: bool
) -> Clause:
    verdict = "is worse" if shown_worse else "is not shown to be worse"
    detail = (
        f"mAP50-95 {before:.3f} → {after:.3f} ({after - before:+.3f}) on {images} images {verdict} by more than "
        f"{margin:g} (p = {p:.4f}, Holm)"
    )
    numbers = {
        "champion": before,
        "candidate": after,
        "delta": after - before,
        "images": float(images),
        "p": p,
        "margin": margin,
    }
    return Clause(f"slice {name}", not shown_worse, detail, numbers)


def mended_clauses(
    champion: Evaluation, candidate: Evaluation, failed_once: NDArray[np.bool_] | None, settings: GateSettings
) -> list[Clause]:
    """Fixed failures stay fixed: of the images on which a model failed in production and that the champion gets right,
    the candidate is not shown to fail on more than the margin (exact binomial test). None without such images."""
    if failed_once is None:
        return []
    mended = failed_once & ~champion.failed
    total, again = int(mended.sum()), int((candidate.failed & mended).sum())
    if not total:
        return []
    p = float(scipy.stats.binom.sf(again - 1, total, settings.failure_margin))
    passed = again == 0 or p > 1.0 - settings.confidence
    verdict = "are not shown to be more" if passed else "are more"
    detail = (
        f"{again} of {total} images that failed in production and were mended fail again; those {verdict} than "
        f"{settings.failure_margin:g} of them (p = {p:.4f})"
    )
    numbers = {"images": float(total), "again": float(again), "p": p, "margin": settings.failure_margin}
    return [Clause("mended failures", passed, detail, numbers)]


def calibration_clauses(
    champion: Evaluation, candidate: Evaluation, counts: NDArray[np.int32], settings: GateSettings
) -> list[Clause]:
    """Scores must not be shown to mean less than the champion's. None where a model has no detection."""
    before, after = calibration_of(champion), calibration_of(candidate)
    if np.isnan(before.error) or np.isnan(after.error):
        return []
    p = _p_worse(before.resampled(counts) - after.resampled(counts), settings.calibration_margin)
    passed = p > 1.0 - settings.confidence
    verdict = "is not shown to be larger" if passed else "is larger"
    detail = (
        f"calibration error (D-ECE) {before.error:.3f} → {after.error:.3f} {verdict} by more than "
        f"{settings.calibration_margin:g} (p = {p:.4f})"
    )
    numbers = {"champion": before.error, "candidate": after.error, "p": p, "margin": settings.calibration_margin}
    return [Clause("calibration", passed, detail, numbers)]


def latency_clauses(known: Circumstances, settings: GateSettings) -> list[Clause]:
    """None where nobody wanted it measured."""
    if known.seconds is None:
        return [Clause("latency", True, f"not judged: {known.unmeasured}", {})] if known.unmeasured else []
    before, after = known.seconds
    passed = after <= settings.latency_ratio * before
    detail = (
        f"an image takes {1000 * before:.1f} → {1000 * after:.1f} ms on the runtime that serves; at most "
        f"{settings.latency_ratio:g} times the champion's are allowed"
    )
    numbers = {"champion": before, "candidate": after, "ratio": after / before, "limit": settings.latency_ratio}
    return [Clause("latency", passed, detail, numbers)]
