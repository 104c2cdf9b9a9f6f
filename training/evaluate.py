"""How good a detector is on a set of images: COCO's average precision, kept so that a bootstrap is cheap.

`evaluate` matches once and keeps, per detection, which image it is on and at which IoU thresholds it is right.
AP of any resample of the images is then a weighted cumulative sum (`Evaluation.resampled`), with no matching.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loop.domain.corrections import corrections
from loop.domain.errors import BadDataset
from loop.domain.geometry import iou_matrix
from loop.domain.prediction import Detection
from loop.domain.truth import Shape

IOU_THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
# COCO's: an overlap counts as 1 a little below it.
_REQUIRED: NDArray[np.float64] = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)
_RECALLS = 101
MAX_DETECTIONS = 100  # per image and class, the best-scored
# Weights held at once in `resampled` (resamples × detections of one class): small enough for the CPU's caches.
_CHUNK = 100_000


class Found(NamedTuple):
    """What a detector says of one image, in any order; n candidates.

    boxes: (n, 4) pixels `xyxy`; scores: (n,) in [0, 1]; classes: (n,) indices in [0, n_classes).
    """

    boxes: NDArray[np.floating]
    scores: NDArray[np.floating]
    classes: NDArray[np.integer]


class Truth(NamedTuple):
    """What is on one image. boxes: (m, 4) pixels `xyxy`; classes: (m,) indices in [0, n_classes)."""

    boxes: NDArray[np.floating]
    classes: NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One detector on n images with C classes: statistics from which any resample can be scored.

    D detections, ordered by class, then descending score, then image. image, label: (D,) int32, score: (D,)
    float64, hits: (D, 10) bool, right at each of IOU_THRESHOLDS. boxes: (n, C) int32, ground-truth boxes.
    failed: (n,) bool, a person would have to correct something at the operating point.
    """

    image: NDArray[np.int32]
    label: NDArray[np.int32]
    score: NDArray[np.float64]
    hits: NDArray[np.bool_]
    boxes: NDArray[np.int32]
    failed: NDArray[np.bool_]

    @property
    def n_images(self) -> int:
        return int(self.boxes.shape[0])

    @property
    def n_classes(self) -> int:
        return int(self.boxes.shape[1])

    @property
    def class_boxes(self) -> NDArray[np.int64]:
        """(C,) ground-truth boxes of each class."""
        return np.asarray(self.boxes.sum(axis=0, dtype=np.int64))

    @cached_property
    def ap(self) -> NDArray[np.float64]:
        """(C, 10) average precision per class and IoU threshold; NaN for a class without boxes."""
        once = np.ones((1, self.n_images), dtype=np.int32)
        return np.asarray(self.resampled(once)[0])

    @property
    def class_ap(self) -> NDArray[np.float64]:
        """(C,) AP50-95; NaN for a class without boxes."""
        return np.asarray(self.ap.mean(axis=1))

    @property
    def class_ap50(self) -> NDArray[np.float64]:
        return np.asarray(self.ap[:, 0])

    @property
    def class_quality(self) -> NDArray[np.float64]:
        """(C,) AP50 in [0, 1]; of a class without boxes the mean of the others (1 where none has any), so that nothing
        speaks for or against it."""
        known = ~np.isnan(self.class_ap50)
        return np.where(known, self.class_ap50, self.map50 if known.any() else 1.0)

    @property
    def map50_95(self) -> float:
        """COCO's main figure, over the classes that have boxes; NaN where none has."""
        return float(mean_over_classes(self.class_ap))

    @property
    def map50(self) -> float:
        return float(mean_over_classes(self.class_ap50))

    @property
    def failure_rate(self) -> float:
        """Share of images that a person would have to correct; NaN where there is no image."""
        return float(self.failed.mean()) if self.n_images else float("nan")

    def resampled(self, counts: NDArray[np.integer]) -> NDArray[np.float64]:
        """AP where image i is there `counts[r, i]` times: (R, n) non-negative integers → (R, C, 10).

        NaN for a class without boxes in a resample. Costs O(R · (D + 10 · hits)), no matching.
        """
        if counts.ndim != 2 or counts.shape[1] != self.n_images:
            raise ValueError(f"expected counts of shape (R, {self.n_images}), got {counts.shape}")
        result = np.full((counts.shape[0], self.n_classes, len(IOU_THRESHOLDS)), np.nan)
        for index, rows in self._classes():
            for chunk in _chunks(counts.shape[0], rows.stop - rows.start):
                result[chunk, index] = _average_precision(
                    self.image[rows], self.hits[rows], self.boxes[:, index], counts[chunk]
                )
        return result

    def _classes(self) -> Iterator[tuple[int, slice]]:
        edges = np.searchsorted(self.label, np.arange(self.n_classes + 1))
        for index in range(self.n_classes):
            yield index, slice(int(edges[index]), int(edges[index + 1]))

    def take(self, images: NDArray[np.integer]) -> "Evaluation":
        """The evaluation on these images (m,), in this order; an image may be there several times."""
        order = np.argsort(self.image, kind="stable")
        starts = np.searchsorted(self.image[order], images, side="left")
        lengths = np.searchsorted(self.image[order], images, side="right") - starts
        place = np.repeat(np.arange(len(images), dtype=np.int32), lengths)
        within = np.arange(len(place)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = order[np.repeat(starts, lengths) + within]
        return _ordered(
            place, self.label[rows], self.score[rows], self.hits[rows], self.boxes[images], self.failed[images]
        )

    def followed_by(self, other: "Evaluation") -> "Evaluation":
        """The evaluation on these images, then on those of `other`, of the same classes."""
        return _ordered(
            np.concatenate([self.image, other.image + np.int32(self.n_images)]),
            np.concatenate([self.label, other.label]),
            np.concatenate([self.score, other.score]),
            np.concatenate([self.hits, other.hits]),
            np.concatenate([self.boxes, other.boxes]),
            np.concatenate([self.failed, other.failed]),
        )

    def without_detections(self) -> "Evaluation":
        """A detector that finds nothing, on the same images: what a project's first model is compared to."""
        return Evaluation(
            image=self.image[:0],
            label=self.label[:0],
            score=self.score[:0],
            hits=self.hits[:0],
            boxes=self.boxes,
            failed=self.boxes.sum(axis=1) > 0,
        )

    def to_json(self, labels: Sequence[str]) -> dict[str, object]:
        """The figures, for people and for the registry; null for what cannot be said for want of boxes."""
        each = zip(labels, self.class_ap, self.class_ap50, self.class_boxes, strict=True)
        return {
            "images": self.n_images,
            "boxes": int(self.class_boxes.sum()),
            "map50_95": or_none(self.map50_95),
            "map50": or_none(self.map50),
            "failure_rate": or_none(self.failure_rate),
            "classes": {
                label: {"ap50_95": or_none(ap), "ap50": or_none(ap50), "boxes": int(boxes)}
                for label, ap, ap50, boxes in each
            },
        }

    def to_bytes(self) -> bytes:
        """The statistics as a NumPy archive, so that a gate can decide later what was evaluated now."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            image=self.image,
            label=self.label,
            score=self.score,
            hits=self.hits,
            boxes=self.boxes,
            failed=self.failed,
        )
        return buffer.getvalue()

    @classmethod
    def read(cls, content: bytes) -> "Evaluation":
        """What `to_bytes` wrote. Raises BadDataset for anything else; nothing in it is ever executed."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})
        except Exception as error:  # NumPy raises what zipfile, zlib and its header parser raise
            raise BadDataset(
                f"these bytes are not an evaluation ({error}).", hint="Evaluate the model again."
            ) from error


def evaluate(
    predictions: Sequence[Found],
    truths: Sequence[Truth],
    *,
    n_classes: int,
    score_threshold: float = 0.25,
    failure_iou: float = 0.5,
) -> Evaluation:
    """Match `predictions` to `truths`, image by image (same order), as COCO does.

    Per image, class and IoU threshold (0.50, 0.55 … 0.95), the 100 best-scored detections take, in the order of
    their scores, the free box that they overlap most. AP is the mean of the interpolated precision at the
    101 recalls 0, 0.01 … 1 (Lin et al., ECCV 2014; pycocotools' COCOeval, area "all").

    An image failed when its detections scoring at least `score_threshold` need any correction at
    `failure_iou` (loop.domain.corrections). Raises ValueError for arrays that do not fit together.
    """
    if len(predictions) != len(truths):
        raise ValueError(f"{len(predictions)} predictions for {len(truths)} images")
    boxes = np.zeros((len(truths), n_classes), dtype=np.int32)
    failed = np.zeros(len(truths), dtype=bool)
    kept: list[tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.bool_]]] = []
    for index, (found, truth) in enumerate(zip(predictions, truths, strict=True)):
        found, truth = _checked(found, truth, n_classes, index)
        boxes[index] = np.bincount(truth.classes, minlength=n_classes)
        failed[index] = _fails(found, truth, score_threshold, failure_iou)
        kept.append(_matched(found, truth))
    image = np.repeat(np.arange(len(kept), dtype=np.int32), [len(labels) for labels, _, _ in kept])
    label = np.concatenate([np.zeros(0, dtype=np.int32), *(labels for labels, _, _ in kept)])
    score = np.concatenate([np.zeros(0), *(scores for _, scores, _ in kept)])
    hits = np.concatenate([np.zeros((0, len(IOU_THRESHOLDS)), dtype=bool), *(hits for _, _, hits in kept)])
    return _ordered(image, label, score, hits, boxes, failed)


def mean_over_classes(class_ap: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis, leaving out NaN (classes without boxes); NaN where nothing is left."""
    present = ~np.isnan(class_ap)
    total = np.where(present, class_ap, 0.0).sum(axis=-1)
    counted = present.sum(axis=-1)
    mean: NDArray[np.float64] = np.divide(total, counted, out=np.full(np.shape(total), np.nan), where=counted > 0)
    return mean


def or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else float(value)


def _ordered(
    image: NDArray[np.int32],
    label: NDArray[np.int32],
    score: NDArray[np.float64],
    hits: NDArray[np.bool_],
    boxes: NDArray[np.int32],
    failed: NDArray[np.bool_],
) -> Evaluation:
    """By class, then descending score; what is equal stays in the order of the images (COCO's merge sort)."""
    order = np.lexsort((image, -score, label))
    return Evaluation(
        image=image[order], label=label[order], score=score[order], hits=hits[order], boxes=boxes, failed=failed
    )


def _checked(found: Found, truth: Truth, n_classes: int, index: int) -> tuple[Found, Truth]:
    found = Found(
        boxes=np.asarray(found[0], dtype=np.float64),
        scores=np.asarray(found[1], dtype=np.float64),
        classes=np.asarray(found[2], dtype=np.int64),
    )
    truth = Truth(boxes=np.asarray(truth[0], dtype=np.float64), classes=np.asarray(truth[1], dtype=np.int64))
    n, m = len(found.scores), len(truth.classes)
    if found.boxes.size != 4 * n or found.classes.shape != (n,) or truth.boxes.size != 4 * m:
        raise ValueError(
            f"image {index}: boxes {found.boxes.shape}, scores {found.scores.shape}, classes {found.classes.shape}; "
            f"true boxes {truth.boxes.shape}, classes {truth.classes.shape}"
        )
    for classes in (found.classes, truth.classes):
        if classes.size and (classes.min() < 0 or classes.max() >= n_classes):
            raise ValueError(f"image {index}: a class is outside [0, {n_classes})")
    if not (np.isfinite(found.scores).all() and np.isfinite(found.boxes).all() and np.isfinite(truth.boxes).all()):
        raise ValueError(f"image {index}: a score or a box is not finite")
    return found._replace(boxes=found.boxes.reshape(-1, 4)), truth._replace(boxes=truth.boxes.reshape(-1, 4))


def _fails(found: Found, truth: Truth, score_threshold: float, iou: float) -> bool:
    shown = found.scores >= score_threshold
    detections = [
        Detection(label=str(label), score=float(score), box=(x1, y1, x2, y2))
        for (x1, y1, x2, y2), score, label in zip(
            found.boxes[shown].tolist(), found.scores[shown], found.classes[shown], strict=True
        )
    ]
    shapes = [
        Shape(str(label), (x1, y1, x2, y2))
        for (x1, y1, x2, y2), label in zip(truth.boxes.tolist(), truth.classes, strict=True)
    ]
    return bool(corrections(detections, shapes, iou=iou))


def _matched(found: Found, truth: Truth) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.bool_]]:
    """Labels (k,), scores (k,) and hits (k, 10) of the detections of one image that count."""
    order = np.argsort(-found.scores, kind="stable")
    overlap = iou_matrix(found.boxes, truth.boxes)
    rows: list[NDArray[np.intp]] = []
    hits: list[NDArray[np.bool_]] = []
    for label in np.unique(found.classes):
        own = order[found.classes[order] == label][:MAX_DETECTIONS]
        rows.append(own)
        hits.append(_greedy(overlap[np.ix_(own, np.flatnonzero(truth.classes == label))]))
    if not rows:
        return np.zeros(0, dtype=np.int32), np.zeros(0), np.zeros((0, len(IOU_THRESHOLDS)), dtype=bool)
    kept = np.concatenate(rows)
    scores = np.asarray(found.scores[kept], dtype=np.float64)
    return found.classes[kept].astype(np.int32), scores, np.concatenate(hits)


def _greedy(overlap: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(k, 10): which of k detections (best first) take one of the m boxes, given their IoU (k, m)."""
    hits = np.zeros((overlap.shape[0], len(IOU_THRESHOLDS)), dtype=bool)
    if not overlap.size:
        return hits
    free = np.ones((len(IOU_THRESHOLDS), overlap.shape[1]), dtype=bool)
    last = overlap.shape[1] - 1
    for row in np.flatnonzero(overlap.max(axis=1) >= _REQUIRED[0]):
        eligible = free & (overlap[row] >= _REQUIRED[:, None])
        # Of equal overlaps COCO takes the last box: argmax finds the first, so look from behind.
        best = last - np.where(eligible, overlap[row], -1.0)[:, ::-1].argmax(axis=1)
        hits[row] = eligible.any(axis=1)
        free[hits[row], best[hits[row]]] = False
    return hits


def _chunks(total: int, detections: int) -> Iterator[slice]:
    size = max(1, _CHUNK // max(detections, 1))
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


def _average_precision(
    image: NDArray[np.int32], hits: NDArray[np.bool_], boxes: NDArray[np.int32], counts: NDArray[np.integer]
) -> NDArray[np.float64]:
    """(R, 10) AP of one class, whose detections are in descending order of score; NaN where it has no boxes.

    Precision rises only at hits, so its envelope needs no other place: each hit is worth the highest precision
    from there on, times the number of recalls (of 101) that it is the first to reach.
    """
    positives = (counts @ boxes).astype(np.float64)
    weights = counts[:, image].astype(np.int32)
    seen = np.cumsum(weights, axis=1, dtype=np.int32)
    result = np.zeros((counts.shape[0], hits.shape[1]))
    for threshold in range(hits.shape[1]):
        at = np.flatnonzero(hits[:, threshold])
        if at.size:
            found = np.cumsum(weights[:, at], axis=1, dtype=np.int32)
            result[:, threshold] = _interpolated(found, seen[:, at], positives)
    result[positives == 0] = np.nan
    return result


def _interpolated(
    found: NDArray[np.int32], seen: NDArray[np.int32], positives: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(R,) 101-point AP, from the right and all detections up to each hit, both (R, hits)."""
    precision = found / np.maximum(seen, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = found / np.maximum(positives, 1.0)[:, None]
    reached = _recalls_up_to(recall)
    worth = np.einsum("rh,rh->r", envelope, reached) - np.einsum("rh,rh->r", envelope[:, 1:], reached[:, :-1])
    return np.asarray(worth / _RECALLS)


def _recalls_up_to(recall: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many of the recalls 0, 0.01 … 1 are at most `recall`, as floats.

    The same as searching in `np.linspace(0, 1, 101)`, rounding included, at a fifth of the time.
    """
    below = np.floor(recall * 100.0 + 1e-9)
    return np.asarray(below + (below * 0.01 <= recall))
