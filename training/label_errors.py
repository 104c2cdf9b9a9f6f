"""Which ground truth is probably wrong, by what a detector says that has not learned from it.

After ObjectLab (Tkachenko, Thyagarajan & Mueller 2023): objects that were overlooked, boxes that are badly placed, and
labels that were swapped, each by comparing the truth with the detections, and one score for each image. Two things
are different. How far a detection is believed is measured, per class, by how often detections of at least its score
agree with the truth, instead of fixed scores of 0.95 and 0.5 that small detectors hardly reach. And a box that was
not found is suspected so far as the detector finds the other objects of its class.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from loop.domain.geometry import iou_matrix
from training.evaluate import Found, Truth

Floats = NDArray[np.float64]

_SAME = 0.5  # IoU from which a detection is of an object
_IOU_SHARE = 0.9  # of similarity; the rest is how near the centres are
_TEMPERATURE = 0.1  # of the softened minimum over an image's boxes
_TOUCHING = 0.1  # similarity from which a detection is beside a box
_WRONG = 0.05  # of the truth, before anything is known of it
_LEAST = 1e-6  # so that one perfect suspicion does not make all images with it equal


class Flaw(StrEnum):
    OVERLOOKED = "overlooked"  # an object without a box
    MISPLACED = "misplaced"  # a box that does not lie on its object, or on none
    MISNAMED = "misnamed"  # a box with the label of something else


@dataclass(frozen=True, slots=True)
class Suspicion:
    """score: in [0, 1], 0 for what is certainly wrong. image: index. box: of the image's truth; None where one is
    missing. detection: of the image's detections, that speaks against it; None where none is near."""

    score: float
    flaw: Flaw
    image: int
    box: int | None
    detection: int | None


@dataclass(frozen=True, slots=True, eq=False)
class LabelScores:
    """images: (n,) in [0, 1], 1 for truth that nothing speaks against. suspicions: of all images, the worst first,
    below the limit that was asked for."""

    images: Floats
    suspicions: tuple[Suspicion, ...]


def score_labels(found: Sequence[Found], truth: Sequence[Truth], *, n_classes: int, limit: float = 0.5) -> LabelScores:
    """Scores for the truth of n images. found: (n,) what a detector says of each that was not trained on it. limit: of
    the suspicions that are told. Raises ValueError for lists of different lengths."""
    overlaps = [iou_matrix(one.boxes, other.boxes) for one, other in zip(found, truth, strict=True)]
    belief = _belief(found, truth, overlaps, n_classes)
    recall = _recall(found, truth, overlaps, n_classes)
    images = np.ones(len(found))
    suspicions: list[Suspicion] = []
    for index, (one, other, overlap) in enumerate(zip(found, truth, overlaps, strict=True)):
        near = _similarity(one.boxes, other.boxes, overlap)
        parts = (
            _overlooked(one, other, near, belief[index], index),
            _misplaced(one, other, near, belief[index], recall, index),
            _misnamed(one, other, near, belief[index], index),
        )
        images[index] = np.prod([_pooled([s.score for s in part]) for part in parts]) ** (1 / len(parts))
        suspicions += [s for part in parts for s in part if s.score < limit]
    suspicions.sort(key=lambda s: (s.score, s.image, s.flaw, s.box or 0, s.detection or 0))
    return LabelScores(images, tuple(suspicions))


def _overlooked(found: Found, truth: Truth, near: Floats, belief: Floats, image: int) -> list[Suspicion]:
    """Detections that are believed, with no box of their class near. What lies on a box of another class is for
    `_misnamed`."""
    scores = []
    for row, label in enumerate(found.classes):
        own = near[row][truth.classes == label].max(initial=0.0)
        other = near[row].max(initial=0.0)
        if own >= _SAME or other < _SAME:
            scores.append(Suspicion(float(1.0 - belief[row] * (1.0 - own)), Flaw.OVERLOOKED, image, None, row))
    return scores


def _misplaced(found: Found, truth: Truth, near: Floats, belief: Floats, recall: Floats, image: int) -> list[Suspicion]:
    """A box is where its best detection is; or an object's that was found beside it and has no other box; or it was not
    found at all, which says the more the seldomer that happens. What was found under another name is for `_misnamed`.
    """
    agrees = found.classes[:, None] == truth.classes[None, :]
    stray = ~((near >= _SAME) & agrees).any(axis=1)
    scores = []
    for column, label in enumerate(truth.classes):
        own = np.flatnonzero(agrees[:, column])
        best = int(own[near[own, column].argmax()]) if own.size else None
        seen = float(near[best, column]) if best is not None else 0.0
        if seen < _SAME:
            elsewhere = _WRONG / (_WRONG + (1.0 - _WRONG) * (1.0 - float(recall[label])))
            beside = [row for row in own[stray[own]] if near[row, column] > _TOUCHING]
            doubt = max((float(belief[row] * (1.0 - near[row, column])) for row in beside), default=elsewhere)
            renamed = bool((near[~agrees[:, column], column] >= _SAME).any())
            seen = 1.0 if renamed else 1.0 - doubt
        scores.append(Suspicion(seen, Flaw.MISPLACED, image, column, best))
    return scores


def _misnamed(found: Found, truth: Truth, near: Floats, belief: Floats, image: int) -> list[Suspicion]:
    scores = []
    for column, label in enumerate(truth.classes):
        other = np.flatnonzero(found.classes != label)
        against = belief[other] * near[other, column]
        own = np.flatnonzero(found.classes == label)
        support = float((belief[own] * near[own, column]).max(initial=0.0))
        worst = int(other[against.argmax()]) if other.size else None
        doubt = float(against.max(initial=0.0)) * (1.0 - support)
        scores.append(Suspicion(1.0 - doubt, Flaw.MISNAMED, image, column, worst))
    return scores


def _pooled(scores: Sequence[float]) -> float:
    """The softened minimum; 1 for none."""
    if not scores:
        return 1.0
    values = np.clip(np.array(scores), _LEAST, 1.0)
    weights = np.exp(-(values - values.min()) / _TEMPERATURE)
    return float(weights @ values / weights.sum())


def _similarity(boxes: NDArray[np.floating], others: NDArray[np.floating], overlap: Floats) -> Floats:
    """(n, m) in [0, 1]: IoU, and a little of how near the centres are, in diagonals of the other box, so that boxes
    which hardly meet can be told from those far away."""
    one, other = (np.asarray(given, dtype=np.float64).reshape(-1, 2, 2) for given in (boxes, others))
    diagonal = np.maximum(np.linalg.norm(other[:, 1] - other[:, 0], axis=1), 1e-9)
    apart = np.linalg.norm(one.mean(axis=1)[:, None] - other.mean(axis=1)[None], axis=2) / diagonal
    return np.asarray(_IOU_SHARE * overlap + (1 - _IOU_SHARE) * np.exp(-apart))


def _belief(found: Sequence[Found], truth: Sequence[Truth], overlaps: Sequence[Floats], n_classes: int) -> list[Floats]:
    """For each detection the share of right ones among those of its class with at least its score: whichever agree with
    a box of the truth. Falls with the score; starts from half, so that few detections prove little."""
    right = [
        ((overlap >= _SAME) & (one.classes[:, None] == other.classes[None, :])).any(axis=1)
        for one, other, overlap in zip(found, truth, overlaps, strict=True)
    ]
    sizes = np.cumsum([0, *(len(one.scores) for one in found)])
    scores = np.concatenate([np.zeros(0), *(one.scores for one in found)])
    classes = np.concatenate([np.zeros(0, dtype=np.int64), *(one.classes for one in found)])
    agreed = np.concatenate([np.zeros(0), *right])
    believed = np.empty(len(scores))
    for label in range(n_classes):
        of = np.flatnonzero(classes == label)
        of = of[np.argsort(-scores[of], kind="stable")]
        share = (np.cumsum(agreed[of]) + 0.5) / (np.arange(len(of)) + 2.0)
        # Never more for a lower score: the most that any lower one reaches, from below.
        believed[of] = np.maximum.accumulate(share[::-1])[::-1]
    return [believed[begin:end] for begin, end in pairwise(sizes)]


def _recall(found: Sequence[Found], truth: Sequence[Truth], overlaps: Sequence[Floats], n_classes: int) -> Floats:
    """(C,): the share of a class's boxes that a detection of the class finds; starts from half."""
    boxes, hit = np.ones(n_classes), np.full(n_classes, 0.5)
    for one, other, overlap in zip(found, truth, overlaps, strict=True):
        seen = ((overlap >= _SAME) & (one.classes[:, None] == other.classes[None, :])).any(axis=0)
        np.add.at(boxes, other.classes, 1.0)
        np.add.at(hit, other.classes, seen.astype(float))
    return np.asarray(hit / boxes)
