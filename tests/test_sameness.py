"""When a correction is a matter of taste: whether two answers say the same, whatever was drawn."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.quality.attributes import attributes_of
from loop.domain.quality.sameness import alike
from loop.domain.recipes.ontology import Attribute, AttributeType, Label
from loop.domain.recipes.recipe import Recipe
from loop.domain.truth import Geometry, Link, Shape, drawn

REACH = 10.0
ATTRIBUTES = attributes_of(
    Recipe(1, (Label("cell", "#e69f00", "", attributes=(Attribute("size", AttributeType.NUMBER, tolerance=2.0),)),))
)
BOX = Shape("cell", (0.0, 0.0, 100.0, 100.0))
FAR = Shape("cell", (500.0, 500.0, 600.0, 600.0))


def same(one: Sequence[Shape], other: Sequence[Shape], iou: float = 0.5) -> bool:
    return alike(one, other, iou=iou, attributes=ATTRIBUTES, reach=REACH)


def by(pixels: float, shape: Shape) -> Shape:
    """To the right."""
    x1, y1, x2, y2 = shape.box
    points = tuple((x + pixels, y) for x, y in shape.points)
    return replace(shape, box=(x1 + pixels, y1, x2 + pixels, y2), points=points)


POINT = drawn(Geometry.POINT, "cell", [(50.0, 50.0)])
LINE = drawn(Geometry.POLYLINE, "cell", [(0.0, 0.0), (100.0, 0.0)])
OUTLINE = drawn(Geometry.POLYGON, "cell", [(0.0, 0.0), (100.0, 0.0), (100.0, 100.0)])
SIZED = replace(BOX, attributes={"size": 10.0})
LINKED = (replace(BOX, id="a", links=(Link("beside", "b"),)), replace(FAR, id="b"))
GROUPED = (replace(BOX, group="g"), replace(FAR, group="g"))


@pytest.mark.parametrize("shape", [BOX, POINT, LINE, OUTLINE, SIZED], ids=lambda shape: shape.type.value)
@pytest.mark.parametrize(("pixels", "expected"), [(0.0, True), (1.0, True), (8.0, True), (60.0, False)])
def test_a_corrected_pixel_is_a_matter_of_taste_whatever_was_drawn(shape: Shape, pixels: float, expected: bool) -> None:
    assert same([shape], [by(pixels, shape)]) is expected


@pytest.mark.parametrize(("iou", "expected"), [(0.5, True), (0.7, False)])
def test_how_near_is_near_enough_is_asked_for(iou: float, expected: bool) -> None:
    """Points 8 pixels apart, with a reach of 10, are as alike as boxes with an IoU of 0.58."""
    assert same([POINT], [by(8.0, POINT)], iou) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param([SIZED], [replace(SIZED, attributes={"size": 12.0})], True, id="within the tolerance"),
        pytest.param([SIZED], [replace(SIZED, attributes={"size": 13.0})], False, id="beyond it"),
        pytest.param([SIZED], [BOX], False, id="nothing said"),
        pytest.param([replace(BOX, attributes={"gone": "x"})], [BOX], True, id="what the recipe does not have"),
        pytest.param([POINT], [replace(POINT, label="other")], False, id="another label"),
        pytest.param([POINT], [], False, id="missing"),
        pytest.param([POINT], [POINT, by(300.0, POINT)], False, id="one more"),
        pytest.param([POINT, by(300.0, POINT)], [by(301.0, POINT), POINT], True, id="in another order"),
        pytest.param(LINKED, [by(1.0, LINKED[0]), by(1.0, LINKED[1])], True, id="linked alike"),
        pytest.param(
            LINKED, [replace(BOX, id="x", links=(Link("beside", "y"),)), replace(FAR, id="y")], True, id="other ids",
        ),
        pytest.param(LINKED, [replace(LINKED[0], links=()), LINKED[1]], False, id="without the link"),
        pytest.param(GROUPED, [replace(BOX, group="h"), replace(by(1.0, FAR), group="h")], True, id="grouped alike"),
        pytest.param(GROUPED, [replace(BOX, group="g"), FAR], False, id="not grouped"),
        pytest.param([], [], True, id="nothing"),
    ],
)  # fmt: skip
def test_what_is_said_of_a_shape_is_the_same_or_not(
    one: Sequence[Shape], other: Sequence[Shape], expected: bool
) -> None:
    assert same(one, other) is expected
    assert same(other, one) is expected


def test_answers_to_clips_are_alike_where_they_are_equal() -> None:
    """A person decides on all else."""
    framed = replace(BOX, frame=0, track="t")
    assert same([framed], [framed])
    assert not same([framed], [by(1.0, framed)])


@given(st.lists(st.sampled_from([BOX, FAR, POINT, by(300.0, POINT), LINE, OUTLINE, SIZED]), unique=True))
def test_every_answer_is_like_itself(shapes: list[Shape]) -> None:
    assert same(shapes, list(reversed(shapes)), 0.99)
