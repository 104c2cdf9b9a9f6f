"""Shapes and recipes for property tests: everything that a recipe can ask for, and answers that fit it."""

from dataclasses import replace

from hypothesis import strategies as st

from loop.domain.geometry import polygon_area
from loop.domain.recipes.ontology import Attribute, AttributeType, Label, LinkType
from loop.domain.recipes.recipe import Recipe
from loop.domain.truth import Geometry, Link, Shape, Value, drawn

WIDTH, HEIGHT = 640, 480

IDS = st.text("abcXYZ019_.:-", min_size=1, max_size=8)

ATTRIBUTES = (
    Attribute("side", AttributeType.SELECT, options=("left", "right")),
    Attribute("marks", AttributeType.MULTISELECT, options=("a", "b", "c")),
    Attribute("note", AttributeType.TEXT),
    Attribute("doors", AttributeType.NUMBER, min=-1.5, max=9),
    Attribute("parked", AttributeType.BOOLEAN),
)
VALUES: dict[str, st.SearchStrategy[Value]] = {
    "side": st.sampled_from(["left", "right"]),
    "marks": st.lists(st.sampled_from(["a", "b", "c"]), unique=True).map(tuple),
    "note": st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20),
    "doors": st.floats(-1.5, 9),
    "parked": st.booleans(),
}
# A label for each geometry; links lead from any to any.
LABELS = tuple(Label(geometry.value, "#e69f00", "", geometry, ATTRIBUTES) for geometry in Geometry)
RECIPE = Recipe(1, LABELS, link_types=(LinkType("next", tuple(Geometry), tuple(Geometry)),))

_ACROSS, _DOWN = st.floats(0, WIDTH), st.floats(0, HEIGHT)
_POINTS = st.tuples(_ACROSS, _DOWN)


@st.composite
def _plain(draw: st.DrawFn) -> Shape:
    geometry = draw(st.sampled_from(list(Geometry)))
    more = {
        "attributes": draw(st.fixed_dictionaries({}, optional=VALUES)),
        "group": draw(st.just("") | IDS),
        "track": draw(st.just("") | IDS),
    }
    if geometry is Geometry.BOX:
        x1, x2 = sorted(draw(st.tuples(_ACROSS, _ACROSS).filter(lambda pair: pair[0] != pair[1])))
        y1, y2 = sorted(draw(st.tuples(_DOWN, _DOWN).filter(lambda pair: pair[0] != pair[1])))
        return Shape(geometry.value, (x1, y1, x2, y2), **more)
    fewest = {Geometry.POINT: 1, Geometry.POLYLINE: 2, Geometry.POLYGON: 3}[geometry]
    points = st.lists(_POINTS, min_size=fewest, max_size=1 if fewest == 1 else 6, unique=True)
    if geometry is Geometry.POLYGON:
        points = points.filter(lambda corners: polygon_area(corners) > 1e-3)
    return drawn(geometry, geometry.value, draw(points), **more)


@st.composite
def answers(draw: st.DrawFn) -> tuple[Shape, ...]:
    """Shapes that RECIPE allows in a WIDTH x HEIGHT image, some with ids and links."""
    shapes = draw(st.lists(_plain(), max_size=4))
    ids = draw(st.lists(IDS, min_size=len(shapes), max_size=len(shapes), unique=True))
    linked = []
    for shape, own in zip(shapes, ids, strict=True):
        targets = draw(st.lists(st.sampled_from(ids), unique=True, max_size=2)) if ids else []
        links = tuple(Link("next", target) for target in targets if target != own)
        linked.append(_named(shape, own, links))
    return tuple(linked)


def _named(shape: Shape, own: str, links: tuple[Link, ...]) -> Shape:
    return replace(shape, id=own, links=links)
