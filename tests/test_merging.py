"""What several people say of shapes beside where they are: attributes, points, outlines, links, groups; merged."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loop.domain.policy.quality_rules import ConsensusRules
from loop.domain.quality.consensus import Reliability
from loop.domain.quality.settling import Settlement, settled
from loop.domain.recipes.ontology import Attribute, AttributeType
from loop.domain.review.tasks import Outcome, Submission
from loop.domain.truth import Geometry, Link, Shape, Value, drawn, shape_to_json

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LABELS = ("person", "hand", "area", "path")
REACH = 10.0
CAR = Shape("person", (0.0, 0.0, 20.0, 40.0), id="p")
OTHER = Shape("person", (100.0, 0.0, 120.0, 40.0), id="q")
ATTRIBUTES = {
    ("person", one.name): one
    for one in (
        Attribute("pose", AttributeType.SELECT, ("stands", "sits", "lies")),
        Attribute("seen", AttributeType.BOOLEAN),
        Attribute("wears", AttributeType.MULTISELECT, ("hat", "coat", "gloves")),
        Attribute("age", AttributeType.NUMBER),
        Attribute("height", AttributeType.NUMBER, tolerance=5.0),
        Attribute("remark", AttributeType.TEXT),
    )
}


def by(number: int, *shapes: Shape) -> Submission:
    return Submission(
        id=f"sub_{number}", task_id=f"task_{number}", project_id="p", item_digest="d", reviewer=f"r{number}",
        epoch=1, outcome=Outcome.SUBMITTED, shapes=shapes, note="", content_digest="", corrections={}, seconds=1.0,
        created_at=NOW,
    )  # fmt: skip


def of(*answers: Sequence[Shape], known: Mapping[str, Reliability] | None = None, **more: Any) -> Settlement:
    rules = {name: more.pop(name) for name in ("min_agreement", "min_certainty") if name in more}
    return settled(
        [by(number, *shapes) for number, shapes in enumerate(answers)],
        labels=LABELS,
        reliabilities=known or {},
        rules=ConsensusRules(**rules),
        attributes=ATTRIBUTES,
        **{"reach": REACH, **more},
    )


def saying(name: str, *values: Value | None, nudge: float = 0.1) -> list[list[Shape]]:
    """One person each, who mark the same object a little apart and give these values."""
    return [
        [replace(CAR, box=(number * nudge, 0.0, 20.0, 40.0), attributes={} if value is None else {name: value})]
        for number, value in enumerate(values)
    ]


def hand(x: float, y: float = 20.0, **more: Any) -> Shape:
    return drawn(Geometry.POINT, "hand", [(x, y)], **{"id": "h", **more})


def codes(found: Settlement) -> list[str]:
    return [reason.code for reason in found.reasons]


# --- attributes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("pose", ("sits", "sits", "sits"), "sits"),
        ("pose", ("sits", "lies", "sits"), "sits"),
        ("pose", ("sits", None, "sits"), "sits"),
        ("pose", (None, None, "sits"), None),
        ("seen", (True, False, False), False),
        ("wears", (("hat", "coat"), ("coat", "hat"), ("hat",)), ("hat", "coat")),
        ("age", (30.0, 30.0, 90.0), 30.0),
        ("height", (171.0, 174.0, 240.0), 174.0),
        ("height", (171.0, 175.0), 171.0),
        ("remark", ("red coat", " red coat\n"), "red coat"),
        ("remark", ("", None), None),
    ],
)  # fmt: skip
def test_what_most_say_stands(name: str, values: Sequence[Value], expected: Value) -> None:
    """Options by votes; numbers by the middle one, within the recipe's tolerance; texts that are equal but for spaces
    around them."""
    (merged,) = of(*saying(name, *values)).shapes or ()
    assert merged.attributes.get(name) == expected


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("pose", ("sits", "lies")),
        ("pose", ("sits", "lies", "stands")),
        ("pose", ("sits", None)),
        ("seen", (True, False)),
        ("wears", (("hat",), ("coat",), ("hat", "coat"))),
        ("age", (30.0, 31.0)),
        ("height", (160.0, 170.0)),
        ("remark", ("red coat", "red coat", "Red coat")),
        ("remark", ("red coat", None, "red coat")),
    ],
)  # fmt: skip
def test_a_tie_or_too_little_agreement_is_for_another_person(name: str, values: Sequence[Value]) -> None:
    """Who sees the shape among the disputed, with a value that somebody gave."""
    found = of(*saying(name, *values))
    assert found.shapes is None
    assert codes(found) == ["attribute-disputed"]
    (shown,) = found.merged.shapes
    assert found.merged.disputed == (shown.id,)
    assert shown.attributes.get(name) in values


def test_what_is_agreed_elsewhere_in_an_image_decides_no_dispute() -> None:
    """Of three who all differ nobody is right for having said what all say of another object."""
    values, where = ("sits", "lies", "stands"), {"attributes": {"pose": "sits"}}
    answers = [
        [replace(CAR, box=(0.1 * n, 0.0, 20.0, 40.0), attributes={"pose": value}), replace(OTHER, **where)]
        for n, value in enumerate(values)
    ]
    found = of(*answers)
    assert (found.shapes, codes(found), len(found.merged.disputed)) == (None, ["attribute-disputed"], 1)


def test_who_calls_it_otherwise_has_no_say_on_its_attributes() -> None:
    """They saw another thing there."""
    answers = saying("pose", "sits", "lies", "sits")
    answers[1] = [replace(answers[1][0], label="area")]
    (merged,) = of(*answers).shapes or ()
    assert (merged.label, merged.attributes) == ("person", {"pose": "sits"})


def test_who_is_often_wrong_about_an_attribute_is_believed_less() -> None:
    """As their earlier works show: two who say the same against one who was right all the time."""
    right, wrong = {"": "attribute/person/pose"}, ("sits", "lies", "stands")
    earlier = [right | {"r0": "sits", "r9": "sits", "r1": wrong[n % 3], "r2": wrong[n // 3 % 3]} for n in range(40)]
    answers = saying("pose", "sits", "lies", "lies")
    assert [one.attributes["pose"] for one in of(*answers).shapes or ()] == ["lies"]
    assert [one.attributes["pose"] for one in of(*answers, earlier=earlier).merged.shapes] == ["sits"]
    other = [{**one, "": "attribute/person/seen"} for one in earlier]
    assert [one.attributes["pose"] for one in of(*answers, earlier=other).shapes or ()] == ["lies"]


def test_what_was_said_is_kept_for_later() -> None:
    """Of each attribute and link, by question, also where all are the same; what comes back as `earlier`, so that each
    work teaches the next. Numbers and texts teach nothing."""
    shapes = [replace(CAR, attributes={"pose": "sits", "age": 3.0}, links=(Link("has", "h"),)), hand(5.0)]
    question = {"": "attribute/person/pose", "r0": "sits", "r1": "sits"}
    link = {"": "link/has", "r0": "yes", "r1": "yes"}
    labels = [{"r0": label, "r1": label} for label in ("hand", "person")]
    for other in (shapes, [shapes[0], hand(6.0)]):
        votes = of(shapes, other).votes
        assert question in votes and link in votes and len(votes) == 4
        assert sorted((one for one in votes if "" not in one), key=lambda one: one["r0"]) == labels
    assert of(shapes, shapes, earlier=of(shapes, [shapes[0], hand(6.0)]).votes).shapes is not None


def test_people_who_differ_in_attributes_do_not_agree() -> None:
    """F1 counts a shape as the same where all that is said of it is; box by box they would agree entirely."""
    assert of(*saying("pose", "sits", "lies", "sits")).f1 == pytest.approx(1 / 3)
    assert of(*saying("height", 170.0, 174.0)).f1 == 1.0
    strict = of(*saying("pose", "sits", "lies", "sits"), min_agreement=0.5)
    assert strict.shapes is None
    assert strict.merged.disputed == ("m1",)


def test_what_the_recipe_does_not_ask_any_more_is_left_out() -> None:
    (merged,) = of(*saying("colour", "red", "blue")).shapes or ()
    assert merged.attributes == {}


# --- points and outlines ------------------------------------------------------------------------------


def test_points_within_reach_are_one_object() -> None:
    """One far away is another; of three the middle one stands."""
    (merged,) = of([hand(10.0)], [hand(12.0)], [hand(19.0)]).shapes or ()
    assert (merged.type, merged.points) == (Geometry.POINT, ((12.0, 20.0),))
    apart = of([hand(10.0)], [hand(21.0)])
    assert (apart.shapes, apart.f1, len(apart.merged.disputed)) == (None, 0.0, 2)


def test_a_careful_hand_draws_a_point_to_itself() -> None:
    known = {"r0": Reliability(spread=0.01), "r1": Reliability(spread=0.09)}
    (merged,) = of([hand(10.0)], [hand(15.0)], known=known).shapes or ()
    assert merged.points[0][0] == pytest.approx(10.5)


def polygon(by: float, label: str = "area") -> Shape:
    return drawn(Geometry.POLYGON, label, [(by, 0.0), (by + 40.0, 0.0), (by + 40.0, 30.0), (by, 30.0)])


def test_of_outlines_the_most_alike_stands_as_somebody_drew_it() -> None:
    """Corners have no mean, and one that is off draws nothing with it."""
    assert of([polygon(0.0)], [polygon(2.0)], [polygon(9.0)]).shapes == (polygon(2.0),)
    lines = [drawn(Geometry.POLYLINE, "path", [(0.0, y), (90.0, y)]) for y in (0.0, 2.0, 9.0)]
    assert of(*([one] for one in lines)).shapes == (lines[1],)


def test_polygons_of_one_box_are_not_one_object_for_it() -> None:
    """Halves of a square, whose boxes are the same."""
    corners = [(0.0, 0.0), (40.0, 0.0), (40.0, 40.0), (0.0, 40.0)]
    upper = drawn(Geometry.POLYGON, "area", corners[:3])
    lower = drawn(Geometry.POLYGON, "area", [corners[0], *corners[2:]])
    assert of([upper], [lower]).f1 == 0.0
    assert of([upper, lower], [upper], [lower]).shapes == (upper, lower)


# --- links and groups ---------------------------------------------------------------------------------


def linked(*ends: float, to: str | None = "h0") -> list[Shape]:
    """A person and hands at these places, with a link to one of them."""
    links = () if to is None else (Link("has", to),)
    return [replace(CAR, links=links), *(hand(x, id=f"h{number}") for number, x in enumerate(ends))]


def ends_of(shapes: Sequence[Shape]) -> list[tuple[float, ...]]:
    """Where each link leads."""
    where = {shape.id: shape.box for shape in shapes}
    return [where[link.to] for shape in shapes for link in shape.links]


def test_a_link_that_most_draw_stands() -> None:
    """Between the merged shapes, whatever the ids were; only what is linked to keeps one."""
    found = of(linked(10.0), linked(11.0), linked(12.0, to=None))
    assert ends_of(found.shapes) == [(11.0, 20.0, 11.0, 20.0)]
    assert [bool(shape.id) for shape in found.shapes] == [shape.label == "hand" for shape in found.shapes]


def test_a_link_that_one_of_two_draws_is_for_another_person() -> None:
    found = of(linked(10.0), linked(11.0, to=None))
    assert (found.shapes, codes(found), found.f1) == (None, ["link-disputed"], 0.5)
    assert [shape.label for shape in found.merged.shapes if shape.id in found.merged.disputed] == ["person"]


def test_links_to_different_ends_are_not_the_same() -> None:
    """Of three the two win, and the link of the third goes."""
    mine, theirs = linked(10.0, 60.0), linked(11.0, 61.0, to="h1")
    assert of(mine, theirs).shapes is None
    assert ends_of(of(mine, theirs, linked(12.0, 62.0)).shapes) == [(11.0, 20.0, 11.0, 20.0)]


def test_that_all_said_yes_so_far_is_no_reason_for_a_link() -> None:
    """What nobody draws is never asked about. Two against one win as before; two against two are for another person."""
    earlier = [{"": "link/has", **{f"r{n}": "yes" for n in range(4)}}] * 40
    answers = [linked(10.0 + n / 10, 60.0 + n / 10, to=f"h{n // 2}") for n in range(4)]
    assert ends_of(of(*answers[:3], earlier=earlier).shapes or ()) == [pytest.approx((10.1, 20.0, 10.1, 20.0))]
    found = of(*answers, earlier=earlier)
    assert (found.shapes, codes(found)) == (None, ["link-disputed", "link-disputed"])


def test_a_link_goes_with_its_end_and_lowers_agreement() -> None:
    """What one of three marked alone is not there, nor what leads to it."""
    extra = linked(10.0, 200.0)
    extra[0] = replace(extra[0], links=(*extra[0].links, Link("has", "h1")))
    found = of(linked(10.0), linked(11.0), extra)
    assert len(ends_of(found.shapes)) == 1
    assert len(found.shapes) == 2
    assert found.f1 == pytest.approx((1.0 + 2 * 1 / 5 * 2) / 3)


def test_what_breaks_a_rule_is_never_the_truth() -> None:
    """Though every link is sure: with none left, the recipe's rule refuses the whole."""
    answers = [linked(10.0, to=None), linked(11.0, to=None), linked(12.0)]

    def refuses(shapes: Sequence[Shape]) -> str:
        return "" if any(shape.links for shape in shapes) else "a person needs a hand"

    assert of(*answers).shapes is not None
    found = of(*answers, refuses=refuses)
    assert (found.shapes, codes(found)) == (None, ["rules-broken"])
    assert len(found.merged.shapes) == 2


def grouped(*groups: str, nudge: float = 0.0) -> list[Shape]:
    return [
        Shape("person", (40.0 * n + nudge, 0.0, 40.0 * n + 20.0, 40.0), id=f"p{n}", group=group)
        for n, group in enumerate(groups)
    ]


def partition(shapes: Sequence[Shape]) -> list[list[float]]:
    groups: dict[str, list[float]] = {}
    for shape in shapes:
        if shape.group:
            groups.setdefault(shape.group, []).append(shape.box[2])
    return sorted(groups.values())


def test_groups_stand_where_all_put_the_same_together() -> None:
    """Whatever they call them; who did not mark one of them has no say on it."""
    found = of(grouped("a", "a", "b", ""), grouped("x", "x", "y", "", nudge=1.0))
    assert partition(found.shapes) == [[20.0, 60.0], [100.0]] and found.f1 == 1.0
    missing = grouped("k", "k", "k")[:1] + grouped("k", "k", "k")[2:]
    assert partition(of(grouped("a", "a", "a"), grouped("b", "b", "b", nudge=1.0), missing).shapes) == [[20, 60, 100]]


def test_groups_that_differ_are_for_another_person() -> None:
    """Even of two against one. What hangs together by it is disputed, and no more."""
    found = of(grouped("a", "a", "b", "b"), grouped("a", "a", "b", "b"), grouped("a", "", "b", "b", nudge=1.0))
    assert (found.shapes, set(codes(found))) == (None, {"group-disputed"})
    assert sorted(one.box[2] for one in found.merged.shapes if one.id in found.merged.disputed) == [20.0, 60.0]
    assert found.f1 == pytest.approx((1.0 + 0.5 + 0.5) / 3)


def test_tracks_are_not_merged() -> None:
    tracked = [[replace(CAR, track="t")], [replace(CAR, track="t", box=(1.0, 0.0, 20.0, 40.0))]]
    found = of(*tracked)
    assert (found.shapes, found.merged, codes(found)) == (None, None, ["not-mergeable"])


# --- whatever people say --------------------------------------------------------------------------------


@st.composite
def scenes(draw: st.DrawFn) -> list[list[Shape]]:
    """Two to four people before the same few persons and hands; all that they say differs a little."""
    people, persons, hands = draw(st.integers(2, 4)), draw(st.integers(0, 3)), draw(st.integers(0, 3))
    return [[*draw(_persons(persons, hands)), *draw(_hands(hands))] for _ in range(people)]


@st.composite
def _persons(draw: st.DrawFn, count: int, hands: int) -> list[Shape]:
    pose = st.fixed_dictionaries(
        {},
        optional={
            "pose": st.sampled_from(("stands", "sits")),
            "height": st.sampled_from((170.0, 172.0, 190.0)),
            "remark": st.sampled_from(("old", " old", "young")),
            "wears": st.sampled_from((("hat",), ("hat", "coat"), ("coat", "hat"))),
        },
    )
    targets = st.sets(st.integers(0, max(hands - 1, 0)), max_size=1 if hands else 0)
    found = []
    for number in range(count):
        left = 100.0 * number + draw(st.integers(0, 4))
        found.append(
            Shape(
                "person",
                (left, 0.0, left + 40.0, 80.0),
                id=f"p{number}",
                attributes=draw(pose),
                links=tuple(Link("has", f"h{one}") for one in sorted(draw(targets))),
                group=draw(st.sampled_from(("", "", "a", "b"))),
            )
        )
    return found


@st.composite
def _hands(draw: st.DrawFn, count: int) -> list[Shape]:
    return [hand(100.0 * n + draw(st.integers(0, 6)), 40.0, id=f"h{n}") for n in range(count)]


def renamed(shapes: Sequence[Shape], order: Sequence[int], letter: str) -> list[Shape]:
    """The same answer with its shapes in another order, under other ids and names of groups."""
    return [
        replace(
            shapes[at],
            id=letter + shapes[at].id,
            group=shapes[at].group and letter + shapes[at].group,
            links=tuple(Link(link.type, letter + link.to) for link in shapes[at].links),
        )
        for at in order
    ]


def told(shapes: Sequence[Shape]) -> list[str]:
    return [json.dumps(shape_to_json(shape), sort_keys=True) for shape in shapes]


@given(scenes(), st.randoms(use_true_random=False))
def test_the_order_of_people_and_shapes_and_their_ids_do_not_matter(answers: list[list[Shape]], random: Any) -> None:
    """To the last bit."""
    before = of(*answers)
    assume(any(answer != answers[0] for answer in answers))
    submissions = [
        by(number, *renamed(shapes, random.sample(range(len(shapes)), len(shapes)), "zxyw"[number]))
        for number, shapes in enumerate(answers)
    ]
    random.shuffle(submissions)
    after = settled(
        submissions, labels=LABELS, reliabilities={}, rules=ConsensusRules(), attributes=ATTRIBUTES, reach=REACH
    )
    assert (before.f1, before.iou, before.reasons, before.pairs) == (
        after.f1, after.iou, after.reasons, after.pairs,
    )  # fmt: skip
    assert sorted(map(repr, before.votes)) == sorted(map(repr, after.votes))
    for one, other in ((before.shapes, after.shapes), (before.merged, after.merged)):
        assert (one is None) == (other is None)
    assert told(before.shapes or before.merged.shapes) == told(after.shapes or after.merged.shapes)


def test_shapes_in_one_place_are_told_apart_whatever_their_order() -> None:
    """By what is said of them, where all else is the same."""
    both = [replace(CAR, attributes={"pose": "sits"}), replace(OTHER, box=CAR.box, attributes={"pose": "lies"})]
    other = [replace(shape, box=(1.0, 0.0, 20.0, 40.0)) for shape in both]
    found = of(both, other)
    assert found.f1 == 1.0
    assert sorted(str(shape.attributes["pose"]) for shape in found.shapes or ()) == ["lies", "sits"]
    assert found == of(both[::-1], other) == of(both, other[::-1])


@given(scenes())
def test_nothing_is_merged_that_nobody_gave(answers: list[list[Shape]]) -> None:
    """No value of an attribute, no link, no outline; every place lies between those that were drawn."""
    found = of(*answers)
    merged = found.shapes if found.shapes is not None else found.merged.shapes
    given_shapes = [shape for answer in answers for shape in answer]
    for shape in merged:
        near = [s for s in given_shapes if s.label == shape.label and abs(s.box[0] - shape.box[0]) < 20.0]
        for name, value in shape.attributes.items():
            assert value in [one.attributes.get(name) for one in near]
        assert min(s.box[0] for s in near) - 1e-6 <= shape.box[0] <= max(s.box[0] for s in near) + 1e-6
        assert len(shape.links) <= max(3 * len(s.links) for s in near)
    assert len(merged) <= len(given_shapes)
    assert 0.0 <= found.f1 <= 1.0


@given(scenes(), st.integers(2, 4))
def test_merging_again_changes_nothing(answers: list[list[Shape]], people: int) -> None:
    """Where all give what was merged, each in an order and under ids of their own, that is what it comes to."""
    found = of(*answers)
    merged = found.shapes if found.shapes is not None else found.merged.shapes
    named = [replace(shape, id=shape.id or f"n{number}") for number, shape in enumerate(merged)]
    again = of(*[renamed(named, range(len(named)), letter) for letter in "abcd"[:people]])
    assert again.f1 == 1.0 and again.shapes is not None

    def bare(shapes: Sequence[Shape]) -> list[Any]:
        return sorted((s.label, s.box, sorted(map(repr, s.attributes.items()))) for s in shapes)

    assert bare(again.shapes) == bare(merged)
    assert sorted(ends_of(again.shapes)) == sorted(ends_of(named))
    assert partition(again.shapes) == partition(merged)


# --- what it is worth -------------------------------------------------------------------------------------

# How often each errs: in an attribute, in a link, and by how many pixels a point lies off.
CREW = {
    "poor": (0.45, 0.45, 5.0),
    "hasty": (0.4, 0.45, 4.0),
    "usual": (0.2, 0.2, 3.0),
    "good": (0.15, 0.15, 2.0),
    "careful": (0.12, 0.12, 1.5),
}
POSES = ("stands", "sits", "lies")
HANDS = 6
IMAGES, LEARNING, REMEMBERED = 75, 15, 25


def _truth(rng: np.random.Generator) -> list[Shape]:
    """Persons with a pose, each linked to one hand near it; every hand is there twice as often as is linked to."""
    found = []
    for number in range(HANDS):
        left = 200.0 * number
        pose = str(rng.choice(POSES))
        to = f"{'l' if rng.random() < 0.5 else 'r'}{number}"
        found += [
            Shape(
                "person", (left, 0.0, left + 60.0, 90.0), id=f"p{number}", attributes={"pose": pose},
                links=(Link("has", to),),
            ),
            hand(left, 40.0, id=f"l{number}"),
            hand(left + 60.0, 40.0, id=f"r{number}"),
        ]  # fmt: skip
    return found


def _answered(truth: Sequence[Shape], skill: tuple[float, float, float], rng: np.random.Generator) -> list[Shape]:
    wrong, slip, off = skill
    found = []
    for shape in truth:
        if shape.label == "hand":
            # Now and then a point is far off, whoever sets it.
            x, y = np.array(shape.points[0]) + rng.normal(0.0, off, 2) + (rng.random() < 0.1) * np.array([6.0, 4.0])
            found.append(hand(float(x), float(y), id=shape.id))
            continue
        pose, (link,) = str(shape.attributes["pose"]), shape.links
        if rng.random() < wrong:
            pose = str(rng.choice([one for one in POSES if one != pose]))
        if rng.random() < slip:
            link = Link("has", ("r" if link.to[0] == "l" else "l") + link.to[1:])
        found.append(replace(shape, attributes={"pose": pose}, links=(link,)))
    return found


def _right(shapes: Sequence[Shape], truth: Sequence[Shape]) -> tuple[float, float, float]:
    """Of an image: the share of poses, the share of links, and how far points lie off in pixels, squared."""
    middle = {shape.id: shape.points[0] for shape in shapes if shape.label == "hand"}
    persons = sorted((s for s in shapes if s.label == "person"), key=lambda s: s.box)
    hands = sorted((s for s in shapes if s.label == "hand"), key=lambda s: s.box)
    true_persons = [s for s in truth if s.label == "person"]
    true_middle = {s.id: s.points[0] for s in truth if s.label == "hand"}
    poses = [a.attributes["pose"] == b.attributes["pose"] for a, b in zip(persons, true_persons, strict=True)]
    links = [
        len(a.links) == 1 and abs(middle[a.links[0].to][0] - true_middle[b.links[0].to][0]) < 30.0
        for a, b in zip(persons, true_persons, strict=True)
    ]
    true_hands = sorted(true_middle.values())
    off = [np.square(np.subtract(a.points[0], b)).sum() for a, b in zip(hands, true_hands, strict=True)]
    return float(np.mean(poses)), float(np.mean(links)), float(np.mean(off))


def _plain_vote(answers: Sequence[Sequence[Shape]]) -> list[Shape]:
    """What more say, the first of what is as frequent; the mean of points."""
    found = []
    for same in zip(*answers, strict=True):
        if same[0].label == "hand":
            x, y = np.mean([one.points[0] for one in same], axis=0)
            found.append(hand(float(x), float(y), id=same[0].id))
            continue
        poses, links = [one.attributes["pose"] for one in same], [one.links for one in same]
        pose, link = max(poses, key=poses.count), max(links, key=links.count)
        found.append(replace(same[0], attributes={"pose": pose}, links=link))
    return found


def test_merged_answers_are_better_than_the_best_single_person_and_a_plain_vote() -> None:
    """Five people with known error rates: in attributes, in links, and in where points are. Who is right is learned
    from the last works, as in the queue; how steady a hand is, from golden items."""
    rng = np.random.default_rng(1)
    known = {f"r{n}": Reliability(spread=0.01 * skill[2]) for n, skill in enumerate(CREW.values())}
    works: list[Sequence[Mapping[str, str]]] = []
    scores: dict[str, list[tuple[float, float, float]]] = {}
    for number in range(IMAGES):
        truth = _truth(rng)
        answers = [_answered(truth, skill, rng) for skill in CREW.values()]
        earlier = [vote for votes in works[-REMEMBERED:] for vote in votes]
        found = of(*answers, known=known, earlier=earlier, reach=25.0)
        works.append(found.votes)
        if number < LEARNING:
            continue
        merged = found.shapes if found.shapes is not None else found.merged.shapes
        given_by = dict(zip(CREW, answers, strict=True)) | {"vote": _plain_vote(answers), "merged": merged}
        for who, shapes in given_by.items():
            scores.setdefault(who, []).append(_right(shapes, truth))
    poses, links, off = (
        {who: float(np.mean([one[n] for one in own])) for who, own in scores.items()} for n in range(3)
    )
    others = [*CREW, "vote"]
    assert poses["merged"] > max(poses[who] for who in others), poses
    assert links["merged"] > max(links[who] for who in others), links
    assert off["merged"] < min(off[who] for who in others), off
