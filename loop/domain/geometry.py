"""Boxes as absolute pixels `xyxy` and their overlap; what points enclose."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
Box = tuple[float, float, float, float]
Point = tuple[float, float]


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


def box_area(box: Box) -> float:
    """Square pixels; 0 for a turned box."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def bounds_of(points: Sequence[Point]) -> Box:
    """The smallest box around at least one point; empty around one."""
    across, down = [x for x, _ in points], [y for _, y in points]
    return min(across), min(down), max(across), max(down)


def polygon_area(points: Sequence[Point]) -> float:
    """Square pixels, by the shoelace formula: parts that run around the other way count against the rest."""
    following = [*points[1:], *points[:1]]
    twice = sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(points, following, strict=True))
    return abs(twice) / 2


def is_in_polygon(point: Point, polygon: Sequence[Point]) -> bool:
    """By the even-odd rule; on the edge either may come."""
    x, y = point
    begins = np.asarray(polygon, dtype=np.float64)
    ends = np.roll(begins, -1, axis=0)
    crossing = (begins[:, 1] > y) != (ends[:, 1] > y)
    (x1, y1), (x2, y2) = begins[crossing].T, ends[crossing].T
    return bool(np.count_nonzero(x < x1 + (y - y1) * (x2 - x1) / (y2 - y1)) % 2)
