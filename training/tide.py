"""Which kinds of errors cost the most: how much higher AP50 would be if all of one kind were mended.

TIDE (Bolya, Foley, Hays & Hoffman, ECCV 2020), with its thresholds: right from an IoU of 0.5 on, background below 0.1.
Each kind is mended alone, since one oracle hides what the next would find; the shares do not add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.corrections import BACKGROUND_IOU, ErrorType
from loop.domain.geometry import iou_matrix
from training.evaluate import Evaluation, Found, Truth, evaluate

_RIGHT = 0.5


@dataclass(frozen=True, slots=True)
class ErrorCost:
    """count: of errors, detections of whatever score among them. gain: in AP50, if none of them were made."""

    count: int
    gain: float


@dataclass(frozen=True, slots=True)
class _Sorted:
    """kind: of each detection, None for right ones; meant: the box that it was meant for, -1 for none. missed: boxes
    that no detection accounts for."""

    kind: tuple[ErrorType | None, ...]
    meant: NDArray[np.intp]
    missed: NDArray[np.intp]


def error_costs(found: Sequence[Found], truth: Sequence[Truth], *, n_classes: int) -> Mapping[ErrorType, ErrorCost]:
    """By kind, of one detector on n images."""
    kinds = [_sorted(one, other) for one, other in zip(found, truth, strict=True)]
    before = _ap50(found, truth, n_classes)
    return {kind: _cost(kind, found, truth, kinds, before, n_classes) for kind in ErrorType}


def _cost(
    kind: ErrorType,
    found: Sequence[Found],
    truth: Sequence[Truth],
    kinds: Sequence[_Sorted],
    before: float,
    n_classes: int,
) -> ErrorCost:
    if kind is ErrorType.MISSED:
        count = sum(len(one.missed) for one in kinds)
    else:
        count = sum(one.kind.count(kind) for one in kinds)
    if not count:
        return ErrorCost(0, 0.0)
    mended = [_mended(kind, *of) for of in zip(found, truth, kinds, strict=True)]
    after = _ap50([one for one, _ in mended], [other for _, other in mended], n_classes)
    return ErrorCost(count, max(after - before, 0.0))


def _ap50(found: Sequence[Found], truth: Sequence[Truth], n_classes: int) -> float:
    evaluation: Evaluation = evaluate(found, truth, n_classes=n_classes)
    return 0.0 if np.isnan(evaluation.map50) else evaluation.map50


def _mended(kind: ErrorType, found: Found, truth: Truth, errors: _Sorted) -> tuple[Found, Truth]:
    if kind is ErrorType.MISSED:
        keep = np.setdiff1d(np.arange(len(truth.classes)), errors.missed)
        return found, Truth(truth.boxes[keep], truth.classes[keep])
    wrong = np.array([one is kind for one in errors.kind], dtype=bool)
    if kind in (ErrorType.CLASSIFICATION, ErrorType.LOCALISATION):
        boxes, classes = np.array(found.boxes, dtype=np.float64), np.array(found.classes)
        meant = errors.meant[wrong]
        if kind is ErrorType.LOCALISATION:
            boxes[wrong] = truth.boxes[meant]
        else:
            classes[wrong] = truth.classes[meant]
        return Found(boxes, found.scores, classes), truth
    return Found(found.boxes[~wrong], found.scores[~wrong], found.classes[~wrong]), truth


def _sorted(found: Found, truth: Truth) -> _Sorted:
    order = np.argsort(-found.scores, kind="stable")
    overlap = iou_matrix(found.boxes, truth.boxes)
    same = found.classes[:, None] == truth.classes[None, :]
    taken = np.zeros(len(truth.classes), dtype=bool)
    kinds: list[ErrorType | None] = [None] * len(order)
    meant = np.full(len(order), -1, dtype=np.intp)
    wrong = []
    for row in order:
        free = np.where(same[row] & ~taken, overlap[row], 0.0)
        if free.size and free.max() >= _RIGHT:
            taken[free.argmax()] = True
        else:
            wrong.append(row)
    for row in wrong:
        kinds[row], meant[row] = _kind(overlap[row], same[row])
    mendable = {ErrorType.CLASSIFICATION, ErrorType.LOCALISATION}
    accounted = taken.copy()
    accounted[[meant[row] for row in wrong if kinds[row] in mendable]] = True
    return _Sorted(tuple(kinds), meant, np.flatnonzero(~accounted))


def _kind(overlap: NDArray[np.float64], same: NDArray[np.bool_]) -> tuple[ErrorType, int]:
    own, other = np.where(same, overlap, 0.0), np.where(same, 0.0, overlap)
    best_own, best_other = float(own.max(initial=0.0)), float(other.max(initial=0.0))
    if best_own >= _RIGHT:
        return ErrorType.DUPLICATE, int(own.argmax())
    if best_other >= _RIGHT:
        return ErrorType.CLASSIFICATION, int(other.argmax())
    if best_own >= BACKGROUND_IOU:
        return ErrorType.LOCALISATION, int(own.argmax())
    if best_other >= BACKGROUND_IOU:
        return ErrorType.BOTH, int(other.argmax())
    return ErrorType.BACKGROUND, -1
