"""Rules: what each asks of an answer, and what an issue says."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import RulesBroken
from loop.domain.recipes.ontology import Attribute, AttributeType, Label, LinkType
from loop.domain.recipes.recipe import Recipe
from loop.domain.recipes.rules import (
    MOST_FINDINGS,
    Count,
    Forbidden,
    Inside,
    Issue,
    Links,
    Overlap,
    RequiredAttribute,
    Rule,
    Scene,
    Severity,
    Side,
    Size,
    Unit,
    issue_from_json,
    issue_to_json,
    issues_of,
    require_no_errors,
    rule_from_json,
    rule_to_json,
)
from loop.domain.truth import Geometry, Link, Shape, drawn
from tests.shapes import HEIGHT, RECIPE, WIDTH, answers


def box(label: str, *corners: float, **more) -> Shape:
    return Shape(label, corners or (10, 10, 20, 20), **more)


def point(label: str, x: float, y: float, **more) -> Shape:
    return drawn(Geometry.POINT, label, [(x, y)], **more)


def linked(label: str, own: str, *to: str, kind: str = "interacts") -> Shape:
    return box(label, id=own, links=tuple(Link(kind, other) for other in to))


CAR, FAR = box("car"), box("car", 50, 50, 60, 60)
L_SHAPE = drawn(Geometry.POLYGON, "area", [(0, 0), (40, 0), (40, 10), (10, 10), (10, 40), (0, 40)])

# rule, shapes, the numbers of the shapes that each issue is about.
CASES: dict[str, tuple[Rule, list[Shape], list[list[int]]]] = {
    "an attribute is there": (
        RequiredAttribute(id="r", label="car", attribute="side"),
        [box("car", attributes={"side": "left"}), box("van")],
        [],
    ),
    "an attribute is missing": (
        RequiredAttribute(id="r", label="car", attribute="side"),
        [CAR, box("car", attributes={"side": ""}), box("car", attributes={"side": ()})],
        [[0], [1], [2]],
    ),
    "false and zero are values": (
        RequiredAttribute(id="r", label="car", attribute="side"),
        [box("car", attributes={"side": False}), box("car", attributes={"side": 0.0})],
        [],
    ),
    "as many as there may be": (Count(id="r", label="car", min=1, max=2), [CAR, FAR, box("van")], []),
    "too few": (Count(id="r", label="car", min=1), [box("van")], [[]]),
    "too many": (Count(id="r", label="car", max=1), [CAR, box("van"), FAR], [[0, 2]]),
    "links are counted where they begin": (
        Links(id="r", label="person", link="interacts", min=1, max=1),
        [linked("person", "a", "x"), linked("person", "b"), linked("person", "c", "x", "y"), linked("hand", "x")],
        [[1], [2]],
    ),
    "links are counted where they end": (
        Links(id="r", label="hand", link="interacts", side=Side.IN, max=1),
        [linked("person", "a", "x", "y"), linked("person", "b", "x"), linked("hand", "x"), linked("hand", "y")],
        [[2]],
    ),
    "no link leads to what has no id": (
        Links(id="r", label="hand", link="interacts", side=Side.IN, min=1),
        [linked("person", "a"), box("hand")],
        [[1]],
    ),
    "links of another type do not count": (
        Links(id="r", label="person", link="interacts", min=1),
        [linked("person", "a", "x", kind="owns"), linked("hand", "x")],
        [[0]],
    ),
    "sizes in pixels": (
        Size(id="r", labels=("car", "van"), min_width=5, max_height=20, max_area=300),
        [CAR, box("van", 0, 0, 4, 4), box("car", 0, 0, 5, 21), box("van", 0, 0, 20, 20), box("bus", 0, 0, 1, 1)],
        [[1], [2], [3]],
    ),
    "sizes as a share of the image": (
        Size(id="r", labels=("car",), unit=Unit.SHARE, min_width=0.1, min_area=0.02, max_height=0.5),
        [box("car", 0, 0, 20, 10), box("car", 0, 0, 9, 50), box("car", 0, 0, 10, 51)],
        [[1], [2]],
    ),
    "overlap of one label": (
        Overlap(id="r", label="car", max_iou=0.5),
        [CAR, box("car", 10, 10, 20, 19), FAR, box("van")],
        [[0, 1]],
    ),
    "overlap of two labels": (
        Overlap(id="r", label="van", other="car", max_iou=0.5),
        [CAR, box("car", 10, 10, 20, 19), box("van")],
        [[2, 0], [2, 1]],
    ),
    "just as much overlap as there may be": (
        Overlap(id="r", label="car", max_iou=0.5),
        [box("car", 0, 0, 10, 10), box("car", 0, 0, 10, 20)],
        [],
    ),
    "inside": (
        Inside(id="r", label="plate", within=("car", "van"), share=0.5),
        [CAR, box("plate", 15, 15, 25, 20), box("plate", 16, 15, 26, 20), box("plate", 0, 0, 5, 5)],
        [[2], [3]],
    ),
    "inside nothing at all": (Inside(id="r", label="plate", within=("car",)), [box("plate")], [[0]]),
    "a shape is not inside itself": (Inside(id="r", label="car", within=("car",)), [CAR, FAR], [[0], [1]]),
    "a point in a box": (
        Inside(id="r", label="hand", within=("car",)),
        [CAR, point("hand", 10, 20), point("hand", 15, 21)],
        [[2]],
    ),
    "a point in a polygon, not only in its box": (
        Inside(id="r", label="hand", within=("area",)),
        [L_SHAPE, point("hand", 5, 30), point("hand", 30, 30)],
        [[2]],
    ),
    "one of a pair": (Forbidden(id="r", labels=("car", "van")), [CAR, FAR], []),
    "both of a pair": (Forbidden(id="r", labels=("van", "car")), [CAR, box("van"), FAR], [[1, 0, 2]]),
}


@pytest.mark.parametrize(("rule", "shapes", "found"), CASES.values(), ids=CASES.keys())
def test_what_a_rule_asks(rule, shapes, found):
    """Each breach is one issue, pinned to the shapes that it is about."""
    named = [replace(shape, id=shape.id or f"s{index}") for index, shape in enumerate(shapes)]
    # In the case without ids none may be given: it is what the rule is about.
    if any(not shape.id for shape in shapes) and isinstance(rule, Links):
        named = shapes
    issues = issues_of([rule], Scene(tuple(named), 100, 100))
    assert [issue.shapes for issue in issues] == [
        tuple(named[index].id or f"#{index}" for index in indices) for indices in found
    ]
    assert all((issue.rule, issue.severity) == ("r", Severity.ERROR) and issue.message for issue in issues)


def test_the_rules_of_pick_and_place():
    """A person has exactly one interaction; an interaction says pick, put or nothing, and has one person at most."""
    action = Attribute("action", AttributeType.SELECT, options=("pick", "put", "nothing"), required=True)
    recipe = Recipe(
        1,
        (Label("person", "#000000", ""), Label("interaction", "#000000", "", Geometry.POINT, (action,))),
        link_types=(LinkType("interacts", ("person",), ("interaction",), min_out=1, max_out=1, max_in=1),),
    )
    hand = point("interaction", 5, 5, id="i", attributes={"action": "pick"})
    good = (linked("person", "p", "i"), hand)
    assert recipe.issues(recipe.checked(good, 100, 100), 100, 100) == ()
    bad = (
        linked("person", "p", "i"),
        linked("person", "q", "i"),
        linked("person", "r"),
        replace(hand, attributes={}),
    )
    told = {(issue.rule, issue.shapes) for issue in recipe.issues(recipe.checked(bad, 100, 100), 100, 100)}
    assert told == {("interacts.out", ("r",)), ("interacts.in", ("i",)), ("interaction.action", ("i",))}


@given(answers(), st.integers(0, 4), st.integers(0, 4))
def test_counts_by_definition(shapes, low, high):
    """An issue is there exactly where the number of boxes is out of bounds."""
    number = sum(shape.label == "box" for shape in shapes)
    issues = issues_of([Count(id="r", label="box", min=low, max=high)], Scene(shapes, WIDTH, HEIGHT))
    assert bool(issues) == (number < low or number > high)


@given(answers(), st.integers(0, 3))
def test_links_by_definition(shapes, high):
    """Leaving links are counted at their shape, arriving ones at the shape of that id; both sides agree in sum."""
    scene = Scene(shapes, WIDTH, HEIGHT)
    out = issues_of([Links(id="r", label="box", link="next", max=high)], scene)
    assert {issue.shapes[0] for issue in out} == {s.id for s in shapes if s.label == "box" and len(s.links) > high}
    into = issues_of([Links(id="r", label="box", link="next", side=Side.IN, max=high)], scene)
    arriving = {s.id: sum(link.to == s.id for other in shapes for link in other.links) for s in shapes}
    assert {issue.shapes[0] for issue in into} == {s.id for s in shapes if s.label == "box" and arriving[s.id] > high}


RULES = st.sampled_from([case[0] for case in CASES.values()])


@given(answers(), st.lists(RULES, max_size=4))
def test_judging_changes_nothing_and_depends_on_nothing_else(shapes, rules):
    """The same answer has the same issues, in the order of the rules, however often it is judged."""
    scene = Scene(shapes, WIDTH, HEIGHT)
    issues = issues_of(rules, scene)
    assert issues == issues_of(rules, scene)
    assert issues == tuple(issue for rule in rules for issue in issues_of([rule], scene))


@given(RULES, st.sampled_from(Severity))
def test_a_rule_comes_back_from_json(rule, severity):
    """What the store keeps is the rule."""
    rule = replace(rule, severity=severity)
    assert rule_from_json(rule_to_json(rule)) == rule


def test_thousands_of_overlaps_are_told_a_hundred_times():
    """Who stamps boxes on boxes gets a list that can be read, in bounded memory."""
    shapes = tuple(box("car") for _ in range(3000))
    rules = [Overlap(id="r", label="car", max_iou=0.1), Inside(id="s", label="car", within=("van",))]
    assert len(issues_of(rules, Scene(shapes, 100, 100))) == 2 * MOST_FINDINGS


def test_errors_refuse_and_warnings_do_not():
    """The refusal holds all issues, warnings too, as plain values."""
    warning, error = Issue("w", Severity.WARNING, "m", ("a",)), Issue("e", Severity.ERROR, "n")
    require_no_errors((warning,))
    with pytest.raises(RulesBroken, match="e: n") as caught:
        require_no_errors((warning, error))
    assert [issue_from_json(one) for one in caught.value.ids["issues"]] == [warning, error]
    assert issue_to_json(error)["shapes"] == []


def test_an_answer_without_ids_is_pinned_by_number():
    """#3 is the fourth shape."""
    shapes = (box("van"), box("van"), box("van"), CAR)
    (issue,) = issues_of([Count(id="r", label="car", max=0)], Scene(shapes, 100, 100))
    assert issue.shapes == ("#3",)


def test_the_rules_of_a_recipe_come_before_its_own():
    """Issues are in a stable order: what labels and links ask for, then the list of rules."""
    label = Label("car", "#000000", "", attributes=(Attribute("side", AttributeType.TEXT, required=True),))
    recipe = Recipe(1, (label,), rules=(Count(id="own", label="car", max=0, severity=Severity.WARNING),))
    assert [issue.rule for issue in recipe.issues((CAR,), 100, 100)] == ["car.side", "own"]
    assert RECIPE.issues((), WIDTH, HEIGHT) == ()
