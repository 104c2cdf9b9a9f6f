"""How alike two shapes lie, from 0, apart, to 1, the same; and the one place that stands for several."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from loop.domain.geometry import Box, Point
from loop.domain.truth import Geometry, Shape

Floats = NDArray[np.float64]

# Two points that lie this far apart, as a share of the item's diagonal, are as alike as boxes with an IoU of one half:
# 22 pixels of 1280 x 720. A share, so that an image means the same at any size; of the item, since a point has no size.
REACH = 0.015

_LINES = 64  # across both polygons, beside those at corners
_FEW_CORNERS = 256  # of both together; of traced outlines the corners lie closer than any lines, and these alone count
_MOST_LINES = 256
_REMEMBERED = 4096  # pairs of polygons: a settlement asks for each some times
_SAMPLES = 64  # along a polyline, its ends among them
_MOST_STEPS = 200
_STILL = 1e-9  # pixels, that tell one place from another
_ENOUGH = 1e-6  # pixels


def reach_of(width: int, height: int) -> float:
    """REACH of an item, in pixels."""
    return REACH * math.hypot(width, height)


def extent(shape: Shape, reach: float) -> Box:
    """The box that stands for a shape, never empty: of a point or a line as far around as anything can be like it."""
    x1, y1, x2, y2 = shape.box
    around = 0.0 if shape.type.is_region else 1.5 * reach
    return x1 - around, y1 - around, x2 + around, y2 + around


def likeness(one: Shape, other: Shape, reach: float, box_iou: float) -> float:
    """Of two boxes, and of a box and a polygon, the IoU of their boxes; of polygons that of their areas; of points and
    of polylines (3 reach - d) / (3 reach + d), the IoU of two equal lengths of 3 reach that lie d apart, with the
    distance for d; of anything else 0.

    box_iou: of the `extent` of both.
    """
    if one.type.is_region and other.type.is_region:
        polygons = one.type is Geometry.POLYGON and other.type is Geometry.POLYGON
        return area_iou(one.points, other.points) if polygons else box_iou
    if one.type is not other.type:
        return 0.0
    apart = math.dist(one.points[0], other.points[0]) if one.type is Geometry.POINT else line_distance(one, other)
    return max(3.0 * reach - apart, 0.0) / (3.0 * reach + apart)


@lru_cache(maxsize=_REMEMBERED)
def area_iou(one: tuple[Point, ...], other: tuple[Point, ...]) -> float:
    """Intersection over union of two polygons, by the even-odd rule, in [0, 1].

    By scan lines: along a line lengths are exact, and between two heights at which there is a corner or a crossing they
    change evenly, so that the middle line stands for all between. Crossings alone are not looked for.
    """
    a, b = (np.asarray(points, dtype=np.float64) for points in (one, other))
    heights = _heights(a, b)
    lines, weights = (heights[1:] + heights[:-1]) / 2.0, np.diff(heights)
    (rows_a, at_a), (rows_b, at_b) = _crossings(a, lines), _crossings(b, lines)
    rows, at = np.concatenate([rows_a, rows_b]), np.concatenate([at_a, at_b])
    of_a = np.arange(len(rows)) < len(rows_a)
    order = np.lexsort((at, rows))
    # Every line meets each polygon an even number of times, so that all begin outside of both.
    in_a, in_b = (np.cumsum(mine)[:-1] % 2 == 1 for mine in (of_a[order], ~of_a[order]))
    lengths = np.diff(at[order]) * weights[rows[order][:-1]]
    union = float(lengths[in_a | in_b].sum())
    return float(lengths[in_a & in_b].sum()) / union if union > 0.0 else 0.0


def line_distance(one: Shape, other: Shape) -> float:
    """Pixels: how far the points of one polyline lie from the other, on average; the larger of both ways, so that who
    drew only a part is told from who drew all. The direction in which it was drawn does not matter."""
    a, b = (np.asarray(shape.points, dtype=np.float64) for shape in (one, other))
    return max(_mean_distance(_along(a), b), _mean_distance(_along(b), a))


def medoid(alike: Floats) -> NDArray[np.bool_]:
    """(m,): which of m shapes are most like the others on average. alike: (m, m) likenesses."""
    total = alike.sum(axis=1)
    return np.asarray(total >= total.max() - 1e-9)


def middle_point(points: Floats, weights: Floats) -> Point:
    """The weighted geometric median of (m, 2), m >= 1: the least sum of weighted distances (Weiszfeld 1937), which no
    single point can draw away from where most of the weight lies. Of two, which it does not tell apart, the mean."""
    optimal = _optimal(points, weights)
    if len(points) == 2 and not (points == points[0]).all():
        found = np.average(points, axis=0, weights=weights)
    elif optimal.any():
        found = np.unique(points[optimal], axis=0).mean(axis=0)
    else:
        found = _weiszfeld(points, weights)
    return float(found[0]), float(found[1])


def _heights(a: Floats, b: Floats) -> Floats:
    """Between which the lines are drawn."""
    corners = np.concatenate([a[:, 1], b[:, 1]])
    if len(corners) > _FEW_CORNERS:
        return np.linspace(corners.min(), corners.max(), _MOST_LINES + 1)
    return np.unique(np.concatenate([corners, np.linspace(corners.min(), corners.max(), _LINES + 1)]))


def _crossings(polygon: Floats, lines: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Where the sides meet the lines: the number of the line, and how far right."""
    ends = np.roll(polygon, -1, axis=0)
    rows, sides = np.nonzero((polygon[:, 1] > lines[:, None]) != (ends[:, 1] > lines[:, None]))
    (x1, y1), (x2, y2) = polygon[sides].T, ends[sides].T
    return rows, np.asarray(x1 + (lines[rows] - y1) * (x2 - x1) / (y2 - y1))


def _along(line: Floats) -> Floats:
    """(_SAMPLES, 2), evenly along a polyline."""
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    places = np.linspace(0.0, lengths[-1], _SAMPLES)
    return np.stack([np.interp(places, lengths, line[:, axis]) for axis in (0, 1)], axis=1)


def _mean_distance(samples: Floats, line: Floats) -> float:
    """Of points from the nearest part of a polyline."""
    begins, sides = line[:-1], np.diff(line, axis=0)
    squares = np.maximum(np.square(sides).sum(axis=1), 1e-12)
    off = samples[:, None, :] - begins
    share = np.clip((off * sides).sum(axis=2) / squares, 0.0, 1.0)
    nearest = off - share[:, :, None] * sides
    return float(np.hypot(nearest[:, :, 0], nearest[:, :, 1]).min(axis=1).mean())


def _optimal(points: Floats, weights: Floats) -> NDArray[np.bool_]:
    """(m,): which of the points have the least sum themselves: the pull of all others is no stronger than their own
    weight (Kuhn 1973)."""
    off = points[None, :, :] - points[:, None, :]
    apart = np.hypot(off[:, :, 0], off[:, :, 1])
    here = apart < _STILL
    pull = (off * (weights / np.where(here, 1.0, apart))[:, :, None]).sum(axis=1)
    own = (here * weights).sum(axis=1)
    return np.asarray(np.hypot(pull[:, 0], pull[:, 1]) <= own * (1.0 + 1e-12))


def _weiszfeld(points: Floats, weights: Floats) -> Floats:
    found = np.average(points, axis=0, weights=weights)
    for _ in range(_MOST_STEPS):
        off = points - found
        pull = weights / np.maximum(np.sqrt((off * off).sum(axis=1)), _STILL)
        before, found = found, pull @ points / pull.sum()
        if np.abs(found - before).max() < _ENOUGH:
            break
    return np.asarray(found)
