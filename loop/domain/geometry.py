"""Boxes as absolute pixels `xyxy` and their overlap."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
Box = tuple[float, float, float, float]


def iou_matrix(a: FloatArray, b: FloatArray) -> NDArray[np.float64]:
    """Intersection over union of each box of `a` (n, 4) with each of `b` (m, 4); (n, m) in [0, 1].

    Boxes are `xyxy`. Empty boxes have an overlap of 0 with everything.
    """
    a = np.asarray(a, dtype=np.float64).reshape(-1, 4)
    b = np.asarray(b, dtype=np.float64).reshape(-1, 4)
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.clip(bottom_right - top_left, 0.0, None)
    intersection = sides[..., 0] * sides[..., 1]
    union = _areas(a)[:, None] + _areas(b)[None, :] - intersection
    overlap: NDArray[np.float64] = np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)
    return overlap


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0.0, None)
    return np.asarray(sides[:, 0] * sides[:, 1])
