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
_STEPS = 4096  # in which scores are told apart
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


class Agreement:
    """How often detections and truth agree, by class; takes in one image after the other, and grows with none."""

    def __init__(self, n_classes: int) -> None:
        self._said = np.zeros((n_classes, _STEPS), dtype=np.int32)
        self._right = np.zeros((n_classes, _STEPS), dtype=np.int32)
        self._boxes, self._hit = np.ones(n_classes), np.full(n_classes, 0.5)

    def add(self, found: Found, truth: Truth) -> None:
        overlap = iou_matrix(found.boxes, truth.boxes)
        agrees = (overlap >= _SAME) & (found.classes[:, None] == truth.classes[None, :])
        where = found.classes, _step(found.scores)
        np.add.at(self._said, where, 1)
        np.add.at(self._right, where, agrees.any(axis=1))
        np.add.at(self._boxes, truth.classes, 1.0)
        np.add.at(self._hit, truth.classes, agrees.any(axis=0))

    def trust(self) -> "Trust":
        said, right = (np.cumsum(counts[:, ::-1], axis=1)[:, ::-1] for counts in (self._said, self._right))
        share = np.where(self._said > 0, (right + 0.5) / (said + 1.0), 0.0)
        # Never more for a lower score: the most that any lower one reaches, from below.
        return Trust(np.maximum.accumulate(share, axis=1), self._hit / self._boxes)


@dataclass(frozen=True, slots=True, eq=False)
class Trust:
    """share: (C, steps) of the score: of the detections of a class with at least this score, the share that agrees with
    a box of the truth. Falls with the score; starts from half, so that few detections prove little. recall: (C,) the
    share of a class's boxes that a detection of the class finds; starts from half."""

    share: Floats
    recall: Floats

    def belief(self, found: Found) -> Floats:
        """(n,) of each detection."""
        return np.asarray(self.share[found.classes, _step(found.scores)])


def _step(scores: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.clip((np.asarray(scores) * _STEPS).astype(np.int64), 0, _STEPS - 1)


def score_labels(found: Sequence[Found], truth: Sequence[Truth], *, n_classes: int, limit: float = 0.5) -> LabelScores:
    """Scores for the truth of n images. found: (n,) what a detector says of each that was not trained on it. limit: of
    the suspicions that are told. Raises ValueError for lists of different lengths."""
    agreement = Agreement(n_classes)
    for one, other in zip(found, truth, strict=True):
        agreement.add(one, other)
    trust = agreement.trust()
    images = np.ones(len(found))
    suspicions: list[Suspicion] = []
    for index, (one, other) in enumerate(zip(found, truth, strict=True)):
        images[index], own = score_image(one, other, trust, image=index, limit=limit)
        suspicions += own
    suspicions.sort(key=_badness)
    return LabelScores(images, tuple(suspicions))


def score_image(
    found: Found, truth: Truth, trust: Trust, *, image: int = 0, limit: float = 0.5
) -> tuple[float, list[Suspicion]]:
    """Of one image among those that the trust was gathered on: its score, and its suspicions below the limit, the worst
    first, under this number."""
    near = _similarity(found.boxes, truth.boxes, iou_matrix(found.boxes, truth.boxes))
    belief = trust.belief(found)
    parts = (
        _overlooked(found, truth, near, belief, image),
        _misplaced(found, truth, near, belief, trust.recall, image),
        _misnamed(found, truth, near, belief, image),
    )
    score = float(np.prod([_pooled([s.score for s in part]) for part in parts]) ** (1 / len(parts)))
    return score, sorted((s for part in parts for s in part if s.score < limit), key=_badness)


def _badness(one: Suspicion) -> tuple[float, int, Flaw, int, int]:
    return one.score, one.image, one.flaw, one.box or 0, one.detection or 0


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
