"""Recipe documents: what can be written, and how each error is named."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import PayloadTooLarge
from loop.domain.recipes.changes import carried, change_between
from loop.domain.recipes.ontology import Attribute, AttributeType, Label, LinkType, labels_named
from loop.domain.recipes.recipe import BadRecipe, Recipe, flaws_of, recipe_from_json, recipe_to_json
from loop.domain.recipes.rules import Count, Severity
from loop.domain.truth import Geometry, Link, Shape
from loop.recipes.document import MOST_BYTES, checked_document, read_recipe
from tests.test_rules import CASES

EXAMPLES = sorted(Path("configs/recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_can_be_used(path):
    """Each is a recipe, and says the same as JSON, as YAML and read back from the store's form."""
    recipe = read_recipe(path.read_bytes()).recipe(3)
    body = recipe_to_json(recipe)
    assert recipe_from_json(json.loads(json.dumps(body))) == recipe
    assert read_recipe(json.dumps(body).encode()).recipe(3) == recipe
    assert read_recipe(yaml.safe_dump(body, allow_unicode=True).encode()).recipe(3) == recipe


def test_there_are_examples():
    """Boxes only, boxes with attributes, people that pick and place."""
    assert [path.stem for path in EXAMPLES] == ["attributes", "boxes", "pick-and-place"]


NAMES = st.text("abcdefgh éß-", min_size=1, max_size=6).filter(lambda name: name.strip() == name)
ATTRIBUTES = st.one_of(
    st.builds(Attribute, NAMES, st.just(AttributeType.TEXT), required=st.booleans(), default=st.none() | NAMES),
    st.builds(
        Attribute, NAMES, st.just(AttributeType.SELECT), options=st.lists(NAMES, min_size=1, unique=True).map(tuple)
    ),
    st.builds(
        Attribute,
        NAMES,
        st.just(AttributeType.NUMBER),
        min=st.floats(-9, 0),
        max=st.floats(0, 9),
        tolerance=st.none() | st.floats(0, 9),
    ),
    st.builds(Attribute, NAMES, st.just(AttributeType.BOOLEAN), default=st.booleans()),
)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Sound ones, with labels of all kinds and links between them; the rules' labels are added."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    rules = draw(
        st.lists(st.sampled_from([case[0] for case in CASES.values()]), max_size=3, unique_by=lambda r: r.kind)
    )
    needed = ["car", "van", "person", "hand", "plate", "area"] if rules else []
    labels = [
        replace(
            label,
            geometry=draw(st.sampled_from(Geometry)),
            attributes=tuple(draw(st.lists(ATTRIBUTES, max_size=3, unique_by=lambda one: one.name))),
        )
        for label in labels_named((*names, *needed))
    ]
    labels = [
        replace(label, attributes=(Attribute("side", AttributeType.TEXT),)) if label.name == "car" else label
        for label in labels
    ]
    links = [LinkType("interacts", ("person",), ("hand",))] if rules else []
    ends = st.lists(st.sampled_from(names), min_size=1, unique=True).map(tuple)
    links += draw(
        st.lists(
            st.builds(LinkType, NAMES, ends, ends, min_in=st.integers(0, 2), max_in=st.none() | st.integers(2, 5)),
            max_size=2,
            unique_by=lambda one: one.name,
        )
    )
    named = [replace(rule, id=f"own {number}") for number, rule in enumerate(rules)]
    return Recipe(draw(st.integers(0, 9)), tuple(labels), draw(st.text(max_size=20)), tuple(links), tuple(named))


@given(recipes())
def test_a_recipe_comes_back_from_its_document(recipe):
    """What the service gives can be sent again, and means the same."""
    if flaws_of(recipe):
        return  # Two rules of these may contradict each other.
    body = json.loads(json.dumps(recipe_to_json(recipe)))
    assert recipe_from_json(body) == recipe
    assert checked_document(body).recipe(recipe.version) == recipe


def test_labels_can_be_plain_names():
    """Colours and keys are given out; what the document says stays, and no key is given twice."""
    recipe = read_recipe(b"labels: [car, {name: van, key: '1', color: '#112233'}, bus]").recipe(1)
    assert [(one.name, one.key, one.geometry) for one in recipe.labels] == [
        ("car", "2", Geometry.BOX),
        ("van", "1", Geometry.BOX),
        ("bus", "3", Geometry.BOX),
    ]
    assert recipe.labels[1].color == "#112233"


AB = "labels: [a, b]\n"
WRONG: dict[str, tuple[str, dict[str, str]]] = {
    "nothing": ("", {"": "valid dictionary"}),
    "no labels": ("labels: []", {"labels": "at least 1"}),
    "a field that is not known": (AB + "rulez: []", {"rulez": "not known"}),
    "a label without a name": ("labels: [{key: a}]", {"labels[0].name": "required"}),
    "a colour in words": ("labels: [{name: a, color: red}]", {"labels[0].color": "match pattern"}),
    "a geometry that is none": ("labels: [{name: a, geometry: cube}]", {"labels[0].geometry": "'box', 'point'"}),
    "a name twice": ("labels: [a, b, a]", {"labels[2].name": "2 times"}),
    "a key twice": ("labels: [{name: a, key: x}, {name: b, key: x}]", {"labels[1].key": "2 times"}),
    "several at once": (
        "labels: [{name: a, attributes: [{name: x, type: color}, {name: y}]}]\n"
        "rules: [{kind: count, label: a, min: -1}]",
        {
            "labels[0].attributes[0].type": "'select'",
            "labels[0].attributes[1].type": "required",
            "rules[0].min": "greater than or equal to 0",
        },
    ),
    "a select without options": (
        "labels: [{name: a, attributes: [{name: x, type: select}]}]",
        {"labels[0].attributes[0].options": "has options"},
    ),
    "options of a number": (
        "labels: [{name: a, attributes: [{name: x, type: number, options: [a]}]}]",
        {"labels[0].attributes[0].options": "no options"},
    ),
    "a turned range": (
        "labels: [{name: a, attributes: [{name: x, type: number, min: 5, max: 2}]}]",
        {"labels[0].attributes[0].min": "more than max"},
    ),
    "a range of texts": (
        "labels: [{name: a, attributes: [{name: x, type: text, min: 5}]}]",
        {"labels[0].attributes[0].min": "neither min nor max"},
    ),
    "a tolerance of texts": (
        "labels: [{name: a, attributes: [{name: x, type: text, tolerance: 5}]}]",
        {"labels[0].attributes[0].tolerance": "for numbers"},
    ),
    "a tolerance that nothing keeps": (
        "labels: [{name: a, attributes: [{name: x, type: number, tolerance: -1}]}]",
        {"labels[0].attributes[0].tolerance": "not below 0"},
    ),
    "a default that is not allowed": (
        "labels: [{name: a, attributes: [{name: x, type: select, options: [l, r], default: u}]}]",
        {"labels[0].attributes[0].default": "none of l, r"},
    ),
    "a default of no kind": (
        "labels: [{name: a, attributes: [{name: x, type: text, default: {}}]}]",
        {"labels[0].attributes[0].default": "valid"},
    ),
    "NaN": (
        "labels: [{name: a, attributes: [{name: x, type: number, min: .nan}]}]",
        {"labels[0].attributes[0].min": "finite"},
    ),
    "a link to an unknown label": (AB + "links: [{name: l, from: [a], to: [z]}]", {"links[0].to": "no label 'z'"}),
    "a link that wants too much": (
        AB + "links: [{name: l, from: [a], to: [b], required: true, max_out: 0}]",
        {"links[0].min_out": "1 is more than max_out"},
    ),
    "an unknown kind of rule": (AB + "rules: [{kind: sum}]", {"rules[0]": "'sum'"}),
    "a rule without a kind": (AB + "rules: [{label: a}]", {"rules[0]": "kind"}),
    "a rule of an unknown label": (AB + "rules: [{kind: count, label: c, max: 1}]", {"rules[0].label": "no label 'c'"}),
    "an attribute that the label lacks": (
        AB + "rules: [{kind: required_attribute, label: a, attribute: x}]",
        {"rules[0].attribute": "no attribute 'x'"},
    ),
    "more than the most": (
        AB + "rules: [{kind: count, label: a, min: 3, max: 1}]",
        {"rules[0].min": "3 is more than max (1)"},
    ),
    "an unknown link": (AB + "rules: [{kind: links, label: a, link: l}]", {"rules[0].link": "no type of link 'l'"}),
    "the wrong end of a link": (
        AB + "links: [{name: l, from: [a], to: [b]}]\nrules: [{kind: links, label: a, link: l, side: in, max: 1}]",
        {"rules[0].label": "never leads to 'a'"},
    ),
    "a turned size": (
        AB + "rules: [{kind: size, labels: [a], min_area: 9, max_area: 3}]",
        {"rules[0].min_area": "9 is more than max_area"},
    ),
    "an overlap beyond one": (AB + "rules: [{kind: overlap, label: a, max_iou: 2}]", {"rules[0].max_iou": "less than"}),
    "a pair of one": (AB + "rules: [{kind: forbidden, labels: [a, a]}]", {"rules[0].labels": "one label twice"}),
    "an id twice": (
        AB + "rules: [{kind: count, label: a, id: r}, {kind: count, label: b, id: r}]",
        {"rules[1].id": "2 times"},
    ),
    "two rules that contradict each other": (
        AB + "rules: [{kind: count, label: a, min: 3}, {kind: count, label: a, max: 2}]",
        {"rules[1]": "at least 3 and at most 2"},
    ),
    "a rule against its type of link": (
        AB + "links: [{name: l, from: [a], to: [b], min_out: 2}]\nrules: [{kind: links, label: a, link: l, max: 1}]",
        {"rules[0]": "at least 2 and at most 1"},
    ),
    "a pair that is required and forbidden": (
        AB + "rules: [{kind: count, label: a, min: 1}, {kind: count, label: b, min: 1}, "
        "{kind: forbidden, labels: [a, b]}]",
        {"rules[2]": "both labels are required"},
    ),
    "a cycle of required links": (
        AB + "links: [{name: l, from: [a], to: [b], required: true}, {name: m, from: [b], to: [a], required: true}]",
        {"links[0].min_out": "a -> b -> a"},
    ),
    "a cycle by a rule": (
        "labels: [a]\nlinks: [{name: l, from: [a], to: [a]}]\nrules: [{kind: links, label: a, link: l, min: 1}]",
        {"rules[0]": "a -> a"},
    ),
    "an old name that is in use": ("labels: [a, {name: b, formerly: [a]}]", {"labels[1].formerly": "name of a label"}),
    "an unreadable text": ("labels: [", {"": "cannot be read"}),
    "an anchor": ("a: &x [1, 2]\nlabels: *x", {"": "anchor"}),
    "a key twice in a map": ("labels: [a]\nlabels: [b]", {"": "'labels' is there twice"}),
    "a key twice in JSON": ('{"labels": ["a"], "labels": ["b"]}', {"": "'labels' is there twice"}),
    "Python in YAML": ("labels: [!!python/object/apply:os.system [ls]]", {"": "constructor"}),
    "a deep nest": ("[" * 100_000, {"": "nested too deeply"}),
    "a deep nest in JSON": ('{"a":' * 100_000, {"": "nested too deeply"}),
}


@pytest.mark.parametrize(("text", "flaws"), WRONG.values(), ids=WRONG.keys())
def test_each_error_is_named_by_its_path(text, flaws):
    """All of them at once, with what to do, and nothing else."""
    with pytest.raises(BadRecipe) as caught:
        read_recipe(text.encode()).recipe(1)
    assert {flaw.path for flaw in caught.value.flaws} == set(flaws)
    for flaw in caught.value.flaws:
        assert flaws[flaw.path] in flaw.problem
        assert flaw.hint


FINE = {
    "a warning that contradicts an error": "rules: [{kind: count, label: a, min: 3}, "
    "{kind: count, label: a, max: 2, severity: warning}]",
    "a cycle that one can leave": "links: [{name: l, from: [a], to: [b, c], required: true}, "
    "{name: m, from: [b], to: [a], required: true}]",
    "a link that is required at both ends": "links: [{name: l, from: [a], to: [b], min_out: 1, min_in: 1}]",
}


@pytest.mark.parametrize("text", FINE.values(), ids=FINE.keys())
def test_what_can_be_satisfied_is_allowed(text):
    """Only what no image could ever satisfy is refused."""
    assert read_recipe(f"labels: [a, b, c]\n{text}".encode()).recipe(1)


def test_functions_are_looked_at_where_they_are_known():
    """A recipe may name only what the installation registers."""
    document = read_recipe(b"labels: [a]\nrules: [{kind: function, function: mine.check}]")
    assert document.recipe(1).functions[0].function == "mine.check"
    assert document.recipe(1, {"mine.check"})
    with pytest.raises(BadRecipe, match=r"no function 'mine\.check'") as caught:
        document.recipe(1, {"other"})
    assert "other" in caught.value.flaws[0].hint


def test_a_document_is_bounded():
    """A megabyte, before anything is parsed."""
    with pytest.raises(PayloadTooLarge):
        read_recipe(b" " * (MOST_BYTES + 1))


# --- from one version to the next -------------------------------------------------------------------------------


def of(*names: str, **geometries: Geometry) -> Recipe:
    labels = tuple(replace(one, geometry=geometries.get(one.name, Geometry.BOX)) for one in labels_named(names))
    return Recipe(1, labels)


def test_what_a_change_changes():
    """Labels are compared by name, and by their new name where one is given."""
    old, new = of("a", "b", "c"), of("a", "x", "d", a=Geometry.POINT)
    change = change_between(old, new, {"b": "x"})
    assert (change.added, change.removed, change.redrawn, change.renamed) == (("d",), ("c",), ("a",), {"b": "x"})
    assert change.orphaned == ("c", "a")


@pytest.mark.parametrize(
    ("renames", "why"),
    [({"z": "x"}, "no label 'z'"), ({"b": "y"}, "no label 'y'"), ({"a": "x"}, "still has 'a'")],
)
def test_a_rename_leads_from_a_label_to_a_label(renames, why):
    """Else a typo would remove a label and add another."""
    with pytest.raises(BadRecipe, match=why):
        change_between(of("a", "b"), of("a", "x"), renames)


def test_a_rename_that_was_done_may_stay_in_the_document():
    """A file that is set again changes nothing."""
    second = carried(of("a"), of("b"), {"a": "b"})
    change = change_between(second, of("b"), {"a": "b"})
    assert (change.renamed, change.added, change.removed) == ({}, (), ())


def test_a_label_remembers_its_names():
    """Also through a version in between, and without its own."""
    second = carried(of("a"), of("b"), {"a": "b"})
    third = carried(second, of("c"), {"b": "c"})
    assert third.labels[0].formerly == ("a", "b")
    assert [third.detected_as(name) for name in ("a", "b", "c", "d")] == ["c", "c", "c", None]
    assert carried(third, of("a"), {"c": "a"}).labels[0].formerly == ("b", "c")
    with pytest.raises(BadRecipe, match="was called 'a'"):
        carried(second, of("b", "a"), {})


def test_old_shapes_are_translated():
    """Under their present names; what is gone or drawn otherwise is left out, with the links to it."""
    old, new = of("a", "b", "c"), of("x", "c", c=Geometry.POINT)
    recipe = carried(old, new, {"a": "x"})
    box = (0.0, 0.0, 5.0, 5.0)
    shapes = (
        Shape("a", box, id="1", links=(Link("l", "2"), Link("l", "4"))),
        Shape("b", box, id="2"),
        Shape("c", box),
        Shape("a", box, id="4"),
    )
    assert recipe.translated(shapes) == (Shape("x", box, id="1", links=(Link("l", "4"),)), Shape("x", box, id="4"))


def test_a_plain_label_is_written_as_ever():
    """The stored form of recipes from before there was more."""
    label = Label("a", "#e69f00", "1")
    assert recipe_to_json(Recipe(1, (label,)))["labels"] == [{"name": "a", "color": "#e69f00", "key": "1"}]
    assert Count(id="r", label="a").severity is Severity.ERROR
