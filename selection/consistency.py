"""Consistency: whether a detector says the same of an image and of its mirror image.

Yu, Zhu, Yang & Chen, "Consistency-based active learning for object detection" (CALD), CVPR workshops 2022, with one
augmentation, the horizontal flip, and the constants of its code. It costs a second forward pass.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from loop.domain.geometry import iou_matrix
from loop.domain.prediction import Inference

# What partners that are most worth a label score: those that agree wholly score 2, those that share nothing 0.
BASE_POINT = 1.3
_AGREED = 2.0


def mirrored_back(inference: Inference, width: int) -> Inference:
    """What was said of the mirror image, with boxes in the pixels of the image of `width` pixels itself."""
    left, top, right, bottom = inference.boxes.T
    return replace(inference, boxes=np.stack([width - right, top, width - left, bottom], axis=1))


def consistency(one: Inference, other: Inference) -> float:
    """The least |m - 1.3| over the candidates of both, in [0, 1.3]; the smaller, the more there is to learn.

    one, other: of the image, and of its mirror image (`mirrored_back`); which is which does not matter.
    m = IoU + (1 - JS) (p + q) / 2, in [0, 2], of a candidate and the one of the other pass that overlaps it most: JS is
    the Jensen-Shannon divergence of their class scores in nats, p and q are their largest scores. A candidate that
    none overlaps has m = 0 (CALD's code gives it the scores of any other box). Where neither pass has a candidate they
    agree wholly, m = 2.
    """
    if not len(one.scores) and not len(other.scores):
        return _AGREED - BASE_POINT
    overlap = iou_matrix(one.boxes, other.boxes)
    values = np.concatenate([_agreement(one, other, overlap), _agreement(other, one, overlap.T)])
    return float(np.abs(values - BASE_POINT).min())


def _agreement(these: Inference, those: Inference, overlap: NDArray[np.float64]) -> NDArray[np.float64]:
    """m of each of `these`, (n,)."""
    values = np.zeros(len(these.scores))
    if not overlap.size:
        return values
    partner = overlap.argmax(axis=1)
    iou = overlap[np.arange(len(partner)), partner]
    divergence = _jensen_shannon(_distribution(these.class_scores), _distribution(those.class_scores[partner]))
    sureness = (these.scores.astype(np.float64) + those.scores[partner]) / 2.0
    return np.asarray(np.where(iou > 0.0, iou + (1.0 - divergence) * sureness, 0.0))


def _distribution(class_scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, C), each row of sum 1: sigmoid scores need not be. Rows of zeros say nothing, and become uniform."""
    scores = np.clip(class_scores.astype(np.float64), 0.0, 1.0)
    sums = scores.sum(axis=1, keepdims=True)
    return np.asarray(np.where(sums > 0.0, scores / np.where(sums > 0.0, sums, 1.0), 1.0 / scores.shape[1]))


def _jensen_shannon(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) in [0, log 2]."""
    middle = (p + q) / 2.0
    return np.asarray(np.clip((_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2.0, 0.0, np.log(2.0)))


def _relative_entropy(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) sum of p log(p / q); q is nowhere 0 where p is not."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=(p > 0.0) & (q > 0.0))
    return np.asarray((p * np.log(ratio)).sum(axis=1))
