"""How a prediction differs from the ground truth, by error type (TIDE: Bolya et al., ECCV 2020)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from loop.domain.geometry import iou_matrix
from loop.domain.prediction import Detection
from loop.domain.truth import Shape

# TIDE's background bound: below it a detection touches no object at all.
BACKGROUND_IOU = 0.1


class ErrorType(StrEnum):
    MISSED = "missed"
    BACKGROUND = "background"
    CLASSIFICATION = "classification"
    LOCALISATION = "localisation"
    BOTH = "both"  # wrong label and badly placed
    DUPLICATE = "duplicate"


def corrections(detections: Sequence[Detection], shapes: Sequence[Shape], *, iou: float) -> dict[ErrorType, int]:
    """Count the errors of `detections` against the regions among `shapes`; an empty result means nothing to correct.

    A detection is right when it is the best-scored one with the label of a shape and IoU of at least `iou`.
    Each other detection is named by what it overlaps most; each shape that no right, misnamed or
    misplaced detection accounts for is missed. The order of the inputs does not matter (ties by score, then box).
    """
    shapes = [shape for shape in shapes if shape.type.is_region]
    ordered = _ordered(detections)
    overlap, same = iou_matrix(_boxes(ordered), _boxes(shapes)), _same(ordered, shapes)
    taken, wrong = _matched(overlap, same, iou)
    counts: dict[ErrorType, int] = {}
    accounted = set(taken)
    for row in wrong:
        error, shape = _name(overlap[row], same[row], taken, iou)
        counts[error] = counts.get(error, 0) + 1
        if shape is not None:
            accounted.add(shape)
    missed = len(shapes) - len(accounted)
    if missed:
        counts[ErrorType.MISSED] = missed
    return counts


@dataclass(frozen=True, slots=True)
class Counted:
    """Of one label: detections that are right (each finds a shape), those that are not, and shapes that none found."""

    right: int = 0
    false_alarms: int = 0
    missed: int = 0

    def __add__(self, other: "Counted") -> "Counted":
        return Counted(self.right + other.right, self.false_alarms + other.false_alarms, self.missed + other.missed)


def counted(detections: Sequence[Detection], shapes: Sequence[Shape], *, iou: float) -> dict[str, Counted]:
    """By label of the detections and of the regions among `shapes`, with what `corrections` calls right."""
    shapes = [shape for shape in shapes if shape.type.is_region]
    ordered = _ordered(detections)
    taken, wrong = _matched(iou_matrix(_boxes(ordered), _boxes(shapes)), _same(ordered, shapes), iou)
    right = Counter(shapes[number].label for number in taken)
    false = Counter(ordered[row].label for row in wrong)
    missed = Counter(shape.label for number, shape in enumerate(shapes) if number not in taken)
    return {label: Counted(right[label], false[label], missed[label]) for label in sorted({*right, *false, *missed})}


def _ordered(detections: Sequence[Detection]) -> list[Detection]:
    return sorted(detections, key=lambda d: (-d.score, d.box, d.label))


def _same(detections: Sequence[Detection], shapes: Sequence[Shape]) -> np.ndarray:
    same = [[d.label == s.label for s in shapes] for d in detections]
    return np.array(same, dtype=bool).reshape(len(detections), len(shapes))


def _boxes(things: Sequence[Detection] | Sequence[Shape]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array([t.box for t in things], dtype=np.float64).reshape(-1, 4)


def _matched(overlap: np.ndarray, same: np.ndarray, iou: float) -> tuple[set[int], list[int]]:
    """Greedy by score, as COCO does: the shapes found, and the rows (detections) left over."""
    taken: set[int] = set()
    wrong: list[int] = []
    for row in range(overlap.shape[0]):
        eligible = [c for c in range(overlap.shape[1]) if same[row, c] and overlap[row, c] >= iou and c not in taken]
        if eligible:
            taken.add(max(eligible, key=lambda c: (overlap[row, c], -c)))
        else:
            wrong.append(row)
    return taken, wrong


def _name(overlap: np.ndarray, same: np.ndarray, taken: set[int], iou: float) -> tuple[ErrorType, int | None]:
    """The error type of one detection, and the shape that it was meant for, if any."""
    if not overlap.size or overlap.max() < BACKGROUND_IOU:
        return ErrorType.BACKGROUND, None
    own = np.where(same, overlap, 0.0)
    if own.max() >= iou:
        return ErrorType.DUPLICATE, None  # the shape was taken by a better-scored detection
    nearest = int(overlap.argmax())
    if overlap[nearest] >= iou:
        return ErrorType.CLASSIFICATION, nearest
    if own.max() >= BACKGROUND_IOU:
        return ErrorType.LOCALISATION, int(own.argmax())
    return ErrorType.BOTH, nearest
