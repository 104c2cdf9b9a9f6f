"""How alike two shapes lie, and the one place that stands for several."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.geometry import Point, iou_matrix
from loop.domain.quality.likeness import (
    REACH,
    area_iou,
    extent,
    likeness,
    line_distance,
    medoid,
    middle_point,
    reach_of,
)
from loop.domain.truth import Geometry, Shape, drawn

REACHED = 10.0
SQUARE = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]

coordinates = st.integers(0, 40).map(float)
points = st.tuples(coordinates, coordinates)


def point(x: float, y: float = 0.0) -> Shape:
    return drawn(Geometry.POINT, "hand", [(x, y)])


def line(*corners: Point) -> Shape:
    return drawn(Geometry.POLYLINE, "kerb", corners)


def alike(one: Shape, other: Shape) -> float:
    boxes = [np.array([extent(shape, REACHED)]) for shape in (one, other)]
    return likeness(one, other, REACHED, float(iou_matrix(*boxes)[0, 0]))


# --- points -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("apart", "expected"), [(0.0, 1.0), (10.0, 0.5), (20.0, 0.2), (30.0, 0.0), (99.0, 0.0)])
def test_points_a_reach_apart_are_half_alike(apart: float, expected: float) -> None:
    """As boxes with an IoU of one half; in every direction."""
    assert alike(point(0.0), point(apart)) == pytest.approx(expected)
    assert alike(point(0.0), point(0.6 * apart, 0.8 * apart)) == pytest.approx(expected)


def test_a_reach_is_a_share_of_the_items_diagonal() -> None:
    """So that points in an image that was scaled are as alike as before."""
    assert reach_of(300, 400) == pytest.approx(500 * REACH)
    assert reach_of(600, 800) == pytest.approx(2 * reach_of(300, 400))


@given(points, points)
def test_what_is_alike_at_all_has_extents_that_touch(a: Point, b: Point) -> None:
    """So what does not touch need not be compared."""
    one, other = point(*a), point(*b)
    boxes = [np.array([extent(shape, REACHED)]) for shape in (one, other)]
    assert iou_matrix(*boxes)[0, 0] > 0.0 or alike(one, other) == 0.0


def test_shapes_that_are_drawn_otherwise_are_not_alike() -> None:
    """But a polygon and a box, which both have an area, by their boxes."""
    box = Shape("car", (0.0, 0.0, 10.0, 10.0))
    polygon = drawn(Geometry.POLYGON, "car", SQUARE)
    assert alike(point(5.0, 5.0), box) == alike(line((0.0, 5.0), (10.0, 5.0)), box) == 0.0
    assert alike(point(5.0, 5.0), line((0.0, 5.0), (10.0, 5.0))) == 0.0
    assert alike(polygon, box) == 1.0


# --- areas --------------------------------------------------------------------------------------------


def moved(by: float, corners: list[Point] = SQUARE) -> list[Point]:
    return [(x + by, y) for x, y in corners]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(SQUARE, SQUARE, 1.0, id="the same"),
        pytest.param(SQUARE, SQUARE[::-1], 1.0, id="drawn the other way round"),
        pytest.param(SQUARE, SQUARE[2:] + SQUARE[:2], 1.0, id="begun elsewhere"),
        pytest.param(SQUARE, moved(5.0), 1 / 3, id="half over each other"),
        pytest.param(SQUARE, moved(10.0), 0.0, id="side by side"),
        pytest.param(SQUARE, SQUARE[:3], 0.5, id="half of it"),
        pytest.param(SQUARE[:3], [SQUARE[0], SQUARE[2], SQUARE[3]], 0.0, id="halves with one box"),
        pytest.param(SQUARE, [(2.0, 2.0), (4.0, 2.0), (4.0, 4.0), (2.0, 4.0)], 0.04, id="inside"),
        pytest.param(SQUARE[:3], [(0.0, 0.0), (10.0, 0.0), (0.0, 10.0)], 1 / 3, id="sides that cross"),
    ],
)
def test_polygons_are_alike_by_their_areas(one: list[Point], other: list[Point], expected: float) -> None:
    assert area_iou(tuple(one), tuple(other)) == pytest.approx(expected, abs=1e-3)
    assert area_iou(tuple(other), tuple(one)) == area_iou(tuple(one), tuple(other))


@given(st.lists(points, min_size=3, max_size=7, unique=True), st.lists(points, min_size=3, max_size=7, unique=True))
def test_areas_are_those_that_counting_cells_gives(one: list[Point], other: list[Point]) -> None:
    """By the even-odd rule, whatever crosses whatever: against cells of an eighth of a pixel."""
    middles = (np.arange(0, 40 * 8) + 0.5) / 8

    def inside(polygon: list[Point]) -> np.ndarray:
        x, y = np.meshgrid(middles, middles)
        odd = np.zeros(x.shape, dtype=bool)
        for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
            if y1 != y2:
                odd ^= ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
        return odd

    a, b = inside(one), inside(other)
    area = (a | b).sum() / 64
    assert abs(area_iou(tuple(one), tuple(other)) - (a & b).sum() / max((a | b).sum(), 1)) < 0.02 + 6.0 / max(area, 1.0)


def test_outlines_of_many_corners_are_compared_in_bounded_time() -> None:
    """Ten thousand corners each, as a tool traces them: a circle, and one half as large."""
    turn = np.linspace(0.0, 2 * np.pi, 10_000, endpoint=False)
    circle, smaller = (np.stack([r * np.cos(turn), r * np.sin(turn)], axis=1) for r in (100.0, 50.0))
    assert area_iou(tuple(map(tuple, circle)), tuple(map(tuple, smaller))) == pytest.approx(0.25, abs=2e-3)


# --- lines --------------------------------------------------------------------------------------------


def test_lines_are_as_far_apart_as_their_points_are_on_average() -> None:
    straight = line((0.0, 0.0), (100.0, 0.0))
    assert line_distance(straight, line((0.0, 4.0), (100.0, 4.0))) == pytest.approx(4.0)
    assert line_distance(straight, line((100.0, 0.0), (50.0, 0.0), (0.0, 0.0))) == pytest.approx(0.0)
    half = line((0.0, 0.0), (50.0, 0.0))
    assert line_distance(straight, half) == line_distance(half, straight) == pytest.approx(12.5, abs=0.5)


# --- one for several ----------------------------------------------------------------------------------


def test_the_most_alike_of_all_stands_for_them() -> None:
    """Where several are, each may."""
    apart = np.abs(np.subtract.outer([0.0, 1.0, 5.0], [0.0, 1.0, 5.0]))
    assert medoid(1.0 - apart / 10.0).tolist() == [False, True, False]
    assert medoid(np.ones((2, 2))).tolist() == [True, True]


@given(st.lists(points, min_size=3, max_size=6), st.permutations(range(6)))
def test_the_middle_point_is_where_distances_are_least(places: list[Point], order: list[int]) -> None:
    """No nudge makes their sum smaller; whoever comes first."""
    array = np.array(places)
    found = middle_point(array, np.ones(len(array)))

    def total(at: Point) -> float:
        return float(np.hypot(*(array - at).T).sum())

    nudges = [(found[0] + 0.3 * math.cos(a), found[1] + 0.3 * math.sin(a)) for a in np.linspace(0, 6.28, 16)]
    assert total(found) <= min(map(total, [*nudges, *places])) + 1e-3
    turned = [at for at in order if at < len(array)]
    assert middle_point(array[turned], np.ones(len(array))) == pytest.approx(found, abs=1e-2)


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_one_outlier_among_three_does_not_draw_the_point_away(x: float, y: float) -> None:
    """The mean goes with it; the middle point stays within twice what the others lie apart."""
    found = middle_point(np.array([(0.0, 0.0), (4.0, 0.0), (x, y)]), np.ones(3))
    assert math.hypot(*found) <= 8.0


def test_of_two_points_the_mean_stands_nearer_to_the_more_exact() -> None:
    pair = np.array([(0.0, 0.0), (4.0, 0.0)])
    assert middle_point(pair, np.ones(2)) == (2.0, 0.0)
    assert middle_point(pair, np.array([3.0, 1.0])) == (1.0, 0.0)
    assert middle_point(pair[:1], np.ones(1)) == (0.0, 0.0)
