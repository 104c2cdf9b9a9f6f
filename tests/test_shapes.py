"""Shapes: what can be drawn, how it is written down, and what cannot be kept."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from loop.domain.corrections import ErrorType, corrections
from loop.domain.errors import BadShape
from loop.domain.geometry import bounds_of, is_in_polygon, polygon_area
from loop.domain.prediction import Detection
from loop.domain.recipes.ontology import Label, LinkType, require_allowed
from loop.domain.recipes.recipe import Recipe
from loop.domain.review.tasks import Outcome
from loop.domain.truth import (
    MOST_POINTS,
    Geometry,
    Link,
    Shape,
    checked_shapes,
    drawn,
    shape_from_json,
    shape_to_json,
)
from loop.review.answers import Said, content_digest
from serving.api.schemas.shapes import ShapeIO
from tests.shapes import HEIGHT, LABELS, RECIPE, WIDTH, answers

BOX = Shape("box", (1, 2, 30, 40))
TRIANGLE = ((0.0, 0.0), (10.0, 0.0), (0.0, 10.0))


@given(answers())
def test_a_shape_comes_back_from_json(shapes):
    """Through JSON text nothing is lost, whatever the geometry."""
    text = json.dumps([shape_to_json(shape) for shape in shapes], allow_nan=False)
    assert tuple(shape_from_json(document) for document in json.loads(text)) == shapes


@given(answers())
def test_a_shape_comes_back_from_the_wire(shapes):
    """The API takes what it gives: as JSON text, nothing is lost, and nothing empty is sent."""
    for shape in shapes:
        sent = ShapeIO.model_validate(shape_to_json(shape)).model_dump_json()
        assert ShapeIO.model_validate_json(sent).shape() == shape
        assert all(json.loads(sent).values())


@given(answers())
def test_what_fits_is_kept_as_it_is(shapes):
    """Inside the image nothing is changed by the check, and a checked answer passes again."""
    kept = RECIPE.checked(shapes, WIDTH, HEIGHT)
    assert kept == shapes
    assert all(shape.type is Geometry.BOX or shape.box == bounds_of(shape.points) for shape in kept)


def test_a_plain_box_is_written_as_ever():
    """Stored answers, manifests and their digests keep their bytes: label and box, and nothing else."""
    assert shape_to_json(BOX) == {"label": "box", "box": [1.0, 2.0, 30.0, 40.0]}
    assert shape_from_json({"label": "box", "box": [1, 2, 30, 40]}) == BOX
    # As it was before there was anything but boxes.
    digest = "02035940bf61c5bebf5b95ccd0a34e6ba95c02cc5982e98f8310b055901a7062"
    assert content_digest(_said(Shape("car", (1.0, 2.0, 3.5, 4.0)), note="dark")) == digest


@pytest.mark.parametrize(
    "change",
    [
        {"type": Geometry.POLYGON, "points": TRIANGLE},
        {"id": "a"},
        {"attributes": {"side": "left"}},
        {"attributes": {"side": "right"}},
        {"links": (Link("next", "b"),)},
        {"group": "g"},
        {"track": "t"},
    ],
)
def test_every_field_is_part_of_an_answer(change):
    """Two answers that differ anywhere have different digests: the second is no repetition of the first."""
    digests = {content_digest(_said(shape)) for shape in (BOX, replace(BOX, **change))}
    assert len(digests) == 2


def _said(shape: Shape, note: str = "") -> Said:
    return Said(task_id="t", epoch=1, outcome=Outcome.SUBMITTED, shapes=(shape,), note=note)


def polygon(*points, **more) -> Shape:
    return drawn(Geometry.POLYGON, "polygon", points, **more)


REFUSED: dict[str, tuple[list[Shape], str]] = {
    "two corners": ([polygon((0, 0), (5, 5))], "polygon of 2 points"),
    "the same corner thrice": ([polygon((0, 0), (5, 5), (0, 0))], "2 distinct points"),
    "corners on a line": ([polygon((0, 0), (5, 5), (9, 9))], "without an area"),
    "a polygon outside": ([polygon((0, 0), (5, 5), (0, 500))], "does not lie in the 640 x 480 image"),
    "a line of one point": ([drawn(Geometry.POLYLINE, "polyline", [(1, 1)])], "polyline of 1 points"),
    "a line without a length": ([drawn(Geometry.POLYLINE, "polyline", [(1, 1), (1, 1)])], "1 distinct points"),
    "two points": ([drawn(Geometry.POINT, "point", [(1, 1), (2, 2)])], "point of 2 points"),
    "no point": ([Shape("point", (0, 0, 0, 0), Geometry.POINT)], "point of 0 points"),
    "NaN": ([drawn(Geometry.POINT, "point", [(float("nan"), 1)])], "does not lie in"),
    "infinite": ([polygon((0, 0), (float("inf"), 5), (0, 5))], "does not lie in"),
    "too many points": ([polygon(*[(i % 640, i % 480) for i in range(MOST_POINTS + 1)])], "10001 points"),
    "a box with points": ([replace(BOX, points=((1, 1),))], "is a box and has points"),
    "an id twice": ([replace(BOX, id="a"), replace(BOX, id="a")], "has the id 'a', as shape 0 has"),
    "an id with a space": ([replace(BOX, id="a b")], "has the id 'a b'"),
    "a link to nobody": ([replace(BOX, links=(Link("next", "z"),))], "which no shape of this answer"),
    "a link to itself": ([replace(BOX, id="a", links=(Link("next", "a"),))], "link to itself"),
    "a link twice": ([replace(BOX, links=(Link("next", "a"),) * 2), replace(BOX, id="a")], "same link twice"),
    "an attribute that is NaN": ([replace(BOX, attributes={"doors": float("nan")})], "not finite"),
    "a novel": ([replace(BOX, attributes={"note": "x" * 5000})], "too long"),
    "links without end": ([replace(BOX, links=tuple(Link("next", str(i)) for i in range(1001)))], "1001 links"),
}


@pytest.mark.parametrize(("shapes", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_kept_is_refused(shapes, why):
    """Each is a BadShape that says which shape, why, and what to do."""
    with pytest.raises(BadShape, match=why) as caught:
        checked_shapes(shapes, labels=[one.name for one in LABELS], width=WIDTH, height=HEIGHT)
    assert caught.value.hint
    assert isinstance(caught.value.ids["shape"], int)


def test_points_at_the_edge_are_clipped():
    """Half a pixel beyond the edge is rounding, and the box follows."""
    (shape,) = checked_shapes([polygon((-0.5, 0), (640.7, 0), (0, 480))], labels=["polygon"], width=640, height=480)
    assert (shape.points[:2], shape.box) == (((0, 0), (640, 0)), (0, 0, 640, 480))


NOT_ALLOWED: dict[str, tuple[Shape, str]] = {
    "another geometry": (replace(polygon(*TRIANGLE), label="box"), "'box' is drawn as a box"),
    "an unknown attribute": (replace(BOX, attributes={"size": 3.0}), "attribute 'size', which 'box' does not have"),
    "no option": (replace(BOX, attributes={"side": "up"}), "none of left, right"),
    "a list for one option": (replace(BOX, attributes={"side": ("left",)}), "not the name of an option"),
    "an unknown option": (replace(BOX, attributes={"marks": ("a", "z")}), "names 'z'"),
    "an option twice": (replace(BOX, attributes={"marks": ("a", "a")}), "twice"),
    "text for a number": (replace(BOX, attributes={"doors": "3"}), "is no number"),
    "a truth value for a number": (replace(BOX, attributes={"doors": True}), "is no number"),
    "too small": (replace(BOX, attributes={"doors": -2.0}), "less than -1.5"),
    "too large": (replace(BOX, attributes={"doors": 10}), "more than 9"),
    "a number for a truth value": (replace(BOX, attributes={"parked": 1.0}), "neither true nor false"),
    "a number for text": (replace(BOX, attributes={"note": 1.0}), "is no text"),
    "an unknown link": (replace(BOX, links=(Link("eats", "b"),)), "'eats', which the recipe does not know"),
    "a link to the wrong label": (replace(BOX, links=(Link("holds", "b"),)), "'holds' link from 'box' to 'point'"),
}


@pytest.mark.parametrize(("shape", "why"), NOT_ALLOWED.values(), ids=NOT_ALLOWED.keys())
def test_what_the_recipe_does_not_allow_is_refused(shape, why):
    """Geometry, attributes and links are the label's."""
    there = drawn(Geometry.POINT, "point", [(3, 3)], id="b")
    types = (*RECIPE.link_types, LinkType("holds", ("box",), ("polygon",)))
    with pytest.raises(BadShape, match=why):
        require_allowed([shape, there], {one.name: one for one in LABELS}, {one.name: one for one in types})


@pytest.mark.parametrize(
    "body",
    [
        {"type": "polygon"},
        {"points": [[1, 1]]},
        {"type": "polygon", "points": [[0, 0], [9, 0], [0, 9]], "box": [0, 0, 20, 20]},
        {"type": "point", "points": [[1, 2, 3]]},
        {"type": "circle", "points": [[1, 2]]},
        {"box": [0, 0, 1, 1], "colour": "red"},
        {"box": [0, 0, 1, float("nan")]},
        {"box": [0, 0, 1, 1], "id": "a b"},
        {"box": [0, 0, 1, 1], "attributes": {"a": None}},
        {"box": [0, 0, 1, 1], "attributes": {"a": float("inf")}},
        {"box": [0, 0, 1, 1], "attributes": {"a": [1]}},
        {"box": [0, 0, 1, 1], "links": [{"type": "t", "to": "x", "why": 1}]},
        {"type": "polygon", "points": [[1, 1]] * (MOST_POINTS + 1)},
        {},
    ],
)
def test_the_wire_is_closed_and_bounded(body):
    """What is not known, not finite, or too much never reaches the domain."""
    with pytest.raises(ValidationError):
        ShapeIO.model_validate({"label": "a", **body})


def test_only_regions_are_compared_with_detections():
    """A point and a line are neither found nor missed; a polygon is, by its box."""
    shapes = [
        drawn(Geometry.POINT, "a", [(5, 5)]),
        drawn(Geometry.POLYLINE, "a", [(0, 0), (9, 9)]),
        drawn(Geometry.POLYGON, "a", TRIANGLE),
    ]
    assert corrections([Detection("a", 0.9, (0, 0, 10, 10))], shapes, iou=0.5) == {}
    assert corrections([], shapes, iou=0.5) == {ErrorType.MISSED: 1}


def test_detections_are_read_in_the_recipes_words():
    """A label that was renamed is proposed as it is called now; one that is gone, or is no region, is not proposed."""
    labels = (Label("van", "#000000", "", formerly=("car",)), Label("hand", "#000000", "", Geometry.POINT))
    found = [Detection(name, 0.9, (0, 0, 9, 9)) for name in ("car", "van", "hand", "dog")]
    assert [one.label for one in Recipe(2, labels).proposed(found)] == ["van", "van"]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=3, max_size=8, unique=True), st.data())
def test_a_convex_polygon_holds_the_mean_of_its_corners(points, data):
    """Of a triangle, what lies between its corners is inside, and what is beyond its box is not."""
    triangle = points[:3]
    middle = (sum(x for x, _ in triangle) / 3, sum(y for _, y in triangle) / 3)
    if polygon_area(triangle) > 1e-3:
        assert is_in_polygon(middle, triangle)
    x1, y1, x2, y2 = bounds_of(points)
    outside = data.draw(st.sampled_from([(x1 - 1, y1), (x2 + 1, y2), (x1, y1 - 1), (x2, y2 + 1)]))
    assert not is_in_polygon(outside, points)
