"""Ground truth that is made wrong on purpose, and how well those who look for it find it again."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from loop.domain.geometry import iou_matrix
from training.evaluate import Found, Truth
from training.label_errors import Flaw, LabelScores

_FOUND = 0.5  # IoU from which a detection is the object whose box was dropped
_FARTHEST = 0.5  # IoU that a moved box keeps at most
_TRIES = 50


@dataclass(frozen=True, slots=True, eq=False)
class Spoiled:
    """truth: (n,) with its errors. wrong: of each image and box of `truth`, whether it was made wrong. dropped: (d, 4)
    of each image the boxes that were taken away."""

    truth: list[Truth]
    wrong: list[NDArray[np.bool_]]
    dropped: list[NDArray[np.float64]]

    @property
    def errors(self) -> int:
        return sum(int(wrong.sum()) + len(dropped) for wrong, dropped in zip(self.wrong, self.dropped, strict=True))

    @property
    def images(self) -> NDArray[np.bool_]:
        """(n,): those with an error."""
        return np.array([bool(wrong.any() or len(lost)) for wrong, lost in zip(self.wrong, self.dropped, strict=True)])


def spoiled(
    truth: Sequence[Truth], sizes: Sequence[tuple[int, int]], share: float, *, n_classes: int, rng: np.random.Generator
) -> Spoiled:
    """`share` of all boxes made wrong, a third of them each way: given another class (any, at random), dropped, or
    moved, by up to its own size in a random direction and scaled by up to half, so that less than an IoU of 0.5 is
    left and all of it is inside its image. sizes: (n,) width and height of each image, pixels."""
    owners = [(image, box) for image, one in enumerate(truth) for box in range(len(one.classes))]
    chosen = rng.permutation(len(owners))[: round(share * len(owners))]
    flaw_of = {owners[at]: tuple(Flaw)[number % len(Flaw)] for number, at in enumerate(chosen)}
    given, wrong, dropped = [], [], []
    for image, one in enumerate(truth):
        flaws = [flaw_of.get((image, box)) for box in range(len(one.classes))]
        boxes, classes = one.boxes.astype(np.float64), one.classes.copy()
        for box, flaw in enumerate(flaws):
            if flaw is Flaw.MISNAMED and n_classes > 1:
                classes[box] = (classes[box] + rng.integers(1, n_classes)) % n_classes
            elif flaw is Flaw.MISPLACED:
                boxes[box] = _moved(one.boxes[box], sizes[image], rng)
        kept = np.array([flaw is not Flaw.OVERLOOKED for flaw in flaws], dtype=bool)
        given.append(Truth(boxes[kept], classes[kept]))
        wrong.append(np.array([flaw is not None for flaw in flaws], dtype=bool)[kept])
        dropped.append(boxes[~kept])
    return Spoiled(given, wrong, dropped)


def _moved(box: NDArray[np.floating], size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Where the image has no room for that: the corner of it that is farthest away."""
    limits, side = np.array(size, dtype=np.float64), box[2:] - box[:2]
    for _ in range(_TRIES):
        middle = (box[:2] + box[2:]) / 2 + rng.uniform(-1.0, 1.0, 2) * side
        half = side * rng.uniform(0.5, 1.5) / 2
        found = np.concatenate([np.maximum(middle - half, 0.0), np.minimum(middle + half, limits)])
        if (found[:2] + 1.0 < found[2:]).all() and iou_matrix(found[None], box[None])[0, 0] < _FARTHEST:
            return found
    start = np.where((box[:2] + box[2:]) / 2 > limits / 2, 0.0, limits - side / 2)
    return np.concatenate([start, start + side / 2])


@dataclass(frozen=True, slots=True)
class Finding:
    """Average precisions in [0, 1], and what a random order has on average: the share of what is wrong."""

    images: float
    images_by_chance: float
    boxes: float
    boxes_by_chance: float


def finding(scores: LabelScores, what: Spoiled, found: Sequence[Found]) -> Finding:
    """How well the order of `scores` (made with the limit 1) has the errors first. Images: those with an error. Boxes:
    each box of the truth by the worst that is said of it, and each suspicion that one is missing, of which the first
    that lies on a dropped box has found it. A dropped box that nothing lies on is found last."""
    doubt = [np.zeros(len(wrong)) for wrong in what.wrong]
    missing: list[tuple[float, bool]] = []
    free = [np.ones(len(lost), dtype=bool) for lost in what.dropped]
    for one in scores.suspicions:
        if one.box is not None:
            doubt[one.image][one.box] = max(doubt[one.image][one.box], 1.0 - one.score)
        elif one.detection is not None:
            box = found[one.image].boxes[one.detection]
            missing.append((1.0 - one.score, _takes(box, what.dropped[one.image], free[one.image])))
    unseen = sum(int(left.sum()) for left in free)
    order = np.concatenate([*doubt, [given for given, _ in missing], np.full(unseen, -1.0)])
    wrong = np.concatenate([*what.wrong, [hit for _, hit in missing], np.ones(unseen, dtype=bool)]).astype(bool)
    images = what.images
    shown = sum(len(one) for one in what.wrong) + sum(len(lost) for lost in what.dropped)
    return Finding(
        images=float(average_precision_score(images, 1.0 - scores.images)),
        images_by_chance=float(images.mean()),
        boxes=float(average_precision_score(wrong, order)),
        boxes_by_chance=what.errors / shown,
    )


def _takes(box: NDArray[np.floating], dropped: NDArray[np.float64], free: NDArray[np.bool_]) -> bool:
    if not free.any():
        return False
    overlap = np.where(free, iou_matrix(box[None], dropped)[0], 0.0)
    at = int(overlap.argmax())
    if overlap[at] < _FOUND:
        return False
    free[at] = False
    return True
