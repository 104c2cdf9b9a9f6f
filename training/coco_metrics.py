"""COCO's figures of a detector, by faster-coco-eval: of all images, of each class, by the size of objects.

What the gate decides on is computed by training/evaluate.py, whose statistics a bootstrap can weigh again; these are
for people, as papers report them. Both give the same AP (tests/test_coco_metrics.py).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

from training.evaluate import Found, Truth

log = logging.getLogger("askance.cycle")

# COCO's, in the order of its arrays: square pixels of the image as it came, from and below. Of boxes, since that is
# what is found; COCO's own images count the area of the object's outline.
AREAS: Mapping[str, tuple[float, float]] = {
    "all": (0.0, 1e5**2),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e5**2),
}
_MOST = (1, 10, 100)  # detections of a class in an image that count
_AT_50, _AT_75 = 0, 5  # among COCO's ten thresholds


@dataclass(frozen=True, slots=True)
class CocoFigures:
    """In [0, 1]; None where there is no box to judge by. ap: over IoU 0.50 to 0.95; ap50, ap75: at that IoU. ar1, ar10,
    ar100: recall with at most so many detections of a class in an image. small, medium, large: by AREAS. boxes: true
    ones."""

    boxes: int
    ap: float | None
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar1: float | None
    ar10: float | None
    ar100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None

    def to_json(self) -> dict[str, float | int | None]:
        return asdict(self)


NOTHING = CocoFigures(0, *[None] * 12)


@dataclass(frozen=True, slots=True)
class CocoResult:
    """classes: (C,) each alone, in the order of the labels; whole: the mean over those that have boxes."""

    whole: CocoFigures
    classes: Sequence[CocoFigures]


class CocoScores:
    """One detector on n images, prepared once; `of` then judges any of them."""

    def __init__(self, found: Sequence[Found], truth: Sequence[Truth], *, n_classes: int) -> None:
        """found, truth: image by image in the same order, classes in [0, n_classes)."""
        self._classes = n_classes
        self._boxes = _counts(truth, n_classes)
        categories = [{"id": label + 1, "name": str(label)} for label in range(n_classes)]
        images = [{"id": image + 1} for image in range(len(truth))]
        self._truth = COCO({"images": images, "categories": categories, "annotations": list(_annotations(truth))})
        self._found = self._truth.loadRes(list(_results(found)))

    def of(self, images: NDArray[np.integer]) -> CocoResult:
        """Of these images (m,), each once."""
        boxes = self._boxes[images].sum(axis=0)
        if not boxes.sum():
            return CocoResult(NOTHING, [NOTHING] * self._classes)
        run = COCOeval_faster(self._truth, self._found, iouType="bbox", print_function=log.debug)
        run.params.imgIds = sorted((np.asarray(images) + 1).tolist())
        run.params.areaRng = [list(area) for area in AREAS.values()]
        run.params.areaRngLbl = list(AREAS)
        run.params.maxDets = list(_MOST)
        run.evaluate()
        run.accumulate()
        shape = (len(run.params.iouThrs), len(run.params.recThrs), self._classes, len(AREAS), len(_MOST))
        precision = np.asarray(run.eval["precision"]).reshape(shape)
        recall = np.asarray(run.eval["recall"]).reshape(shape[0], *shape[2:])
        return CocoResult(
            _figures(precision, recall, int(boxes.sum())),
            [_figures(precision[:, :, [c]], recall[:, [c]], int(boxes[c])) for c in range(self._classes)],
        )


def _figures(precision: NDArray[np.float64], recall: NDArray[np.float64], boxes: int) -> CocoFigures:
    """precision: (10, 101, C, areas, limits), recall: (10, C, areas, limits); -1 where there are no boxes."""
    areas = list(AREAS)
    small, medium, large = (areas.index(name) for name in ("small", "medium", "large"))
    return CocoFigures(
        boxes=boxes,
        ap=_mean(precision[:, :, :, 0, -1]),
        ap50=_mean(precision[_AT_50, :, :, 0, -1]),
        ap75=_mean(precision[_AT_75, :, :, 0, -1]),
        ap_small=_mean(precision[:, :, :, small, -1]),
        ap_medium=_mean(precision[:, :, :, medium, -1]),
        ap_large=_mean(precision[:, :, :, large, -1]),
        ar1=_mean(recall[:, :, 0, 0]),
        ar10=_mean(recall[:, :, 0, 1]),
        ar100=_mean(recall[:, :, 0, 2]),
        ar_small=_mean(recall[:, :, small, -1]),
        ar_medium=_mean(recall[:, :, medium, -1]),
        ar_large=_mean(recall[:, :, large, -1]),
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[values > -1]
    return float(known.mean()) if known.size else None


def _counts(truth: Sequence[Truth], n_classes: int) -> NDArray[np.int64]:
    """(n, C) boxes."""
    counts = [np.bincount(one.classes.astype(np.int64), minlength=n_classes) for one in truth]
    return np.array(counts, dtype=np.int64).reshape(len(truth), n_classes)


def _annotations(truth: Sequence[Truth]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for image, one in enumerate(truth, start=1):
        for box, label in zip(_xywh(one.boxes), one.classes.tolist(), strict=True):
            made.append(
                {
                    "id": len(made) + 1,
                    "image_id": image,
                    "category_id": label + 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    return made


def _results(found: Sequence[Found]) -> list[dict[str, Any]]:
    # It would draw an outline of each, eight numbers that nobody reads.
    unused: list[float] = []
    return [
        {"image_id": image, "category_id": label + 1, "bbox": box, "score": score, "segmentation": unused}
        for image, one in enumerate(found, start=1)
        for box, label, score in zip(_xywh(one.boxes), one.classes.tolist(), one.scores.tolist(), strict=True)
    ]


def _xywh(boxes: NDArray[np.floating]) -> list[list[float]]:
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    sizes = np.maximum(corners[:, 2:] - corners[:, :2], 0.0)
    pairs: list[list[float]] = np.hstack([corners[:, :2], sizes]).tolist()
    return pairs
