"""Tracks: what lies between the key frames that people draw, and what is no track at all."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import BadShape
from loop.domain.items.clips import Frame, positions_of
from loop.domain.items.tracks import expanded
from loop.domain.policy.quality_rules import ConsensusRules
from loop.domain.quality.settling import settled
from loop.domain.review.tasks import Submission
from loop.domain.truth import Geometry, Link, Shape, drawn, shape_from_json
from tests.contract.records import a_submission, a_task

# Also read by the page's tests, so that people see what their answers come to.
CASES = Path(__file__).parents[1] / "serving/web/src/review/clip.cases.json"
FRAMES = 12
EVEN = {frame: float(frame) for frame in range(FRAMES)}

sides = st.floats(0.0, 1000.0)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    x, y = draw(sides), draw(sides)
    return x, y, x + draw(st.floats(1.0, 100.0)), y + draw(st.floats(1.0, 100.0))


@st.composite
def answers(draw: st.DrawFn) -> list[Shape]:
    """Tracks of boxes and of triangles with key frames wherever, some of them outside, and shapes without a track."""
    shapes: list[Shape] = []
    for number in range(draw(st.integers(0, 3))):
        keys = draw(st.lists(st.integers(0, FRAMES - 1), min_size=1, max_size=5, unique=True))
        polygon = draw(st.booleans())
        for frame in keys:
            box = draw(boxes())
            shape = Shape("car", box)
            if polygon:
                shape = drawn(Geometry.POLYGON, "car", [box[:2], (box[2], box[1]), box[2:]])
            outside = draw(st.booleans()) and len(keys) > 1
            shapes.append(replace(shape, track=f"t{number}", frame=frame, outside=outside))
    loose = draw(st.lists(st.tuples(boxes(), st.integers(0, FRAMES - 1)), max_size=2))
    shapes += [Shape("car", place, frame=frame) for place, frame in loose]
    return draw(st.permutations(shapes))


@st.composite
def times(draw: st.DrawFn) -> dict[int, float]:
    """Of frames that come at any rate."""
    gaps = draw(st.lists(st.floats(0.001, 10.0), min_size=FRAMES, max_size=FRAMES))
    return {frame: sum(gaps[:frame]) for frame in range(FRAMES)}


def of_all(shapes: list[Shape], positions: dict[int, float] = EVEN) -> dict[int, list[Shape]]:
    return {frame: [one.shape for one in placed] for frame, placed in expanded(shapes, positions).items()}


def box(frame: int, x: float, *, track: str = "a", **more) -> Shape:
    return Shape("car", (x, 0.0, x + 10.0, 10.0), track=track, frame=frame, **more)


@given(answers(), times())
def test_what_was_drawn_stays(shapes, positions):
    """Every key frame that is not outside is in its frame exactly as it was drawn, and is told from what was not."""
    found = of_all(shapes, positions)
    for shape in shapes:
        assert (shape in found[shape.frame]) == (not shape.outside)
    drawn_ones = [shape for placed in found.values() for shape in placed if shape.keyframe]
    assert sorted(map(repr, drawn_ones)) == sorted(repr(shape) for shape in shapes if not shape.outside)


@given(answers(), times())
def test_interpolation_lies_between_its_key_frames(shapes, positions):
    """No side of an interpolated box is beyond that of the key frame before or of the one after; none lies before the
    first or after the last, nor where its track is outside."""
    for frame, placed in of_all(shapes, positions).items():
        for shape in placed:
            if shape.keyframe:
                continue
            keys = sorted((one for one in shapes if one.track == shape.track), key=lambda one: one.frame)
            before = [key for key in keys if key.frame < frame][-1]
            after = next(key for key in keys if key.frame > frame)
            assert not before.outside
            for low, value, high in zip(before.box, shape.box, after.box, strict=True):
                assert min(low, high) <= value <= max(low, high)


@given(answers(), times(), st.randoms(use_true_random=False))
def test_the_order_of_shapes_does_not_matter(shapes, positions, random):
    """Whichever key frame comes first, each frame has the same shapes in the same order."""
    shuffled = list(shapes)
    random.shuffle(shuffled)
    assert of_all(shuffled, positions) == of_all(shapes, positions)


@given(answers(), times())
def test_what_was_expanded_may_be_sent_again(shapes, positions):
    """All shapes of all frames, with the outside key frames, come to the same shapes."""
    once = of_all(shapes, positions)
    again = [shape for placed in once.values() for shape in placed] + [one for one in shapes if one.outside]
    assert of_all(again, positions) == once


def test_a_box_is_half_way_at_half_time():
    """Linear in time, also where frames do not come evenly."""
    found = of_all([box(0, 0.0), box(2, 100.0)], {0: 0.0, 1: 3.0, 2: 4.0})
    assert [one.box[0] for frame in range(3) for one in found[frame]] == [0.0, 75.0, 100.0]
    assert [one.keyframe for frame in range(3) for one in found[frame]] == [True, False, True]


@pytest.mark.parametrize(("last", "middle"), [(4.0, 3.0), (None, 1.0)])
def test_interpolation_goes_by_time_where_all_frames_have_one(last, middle):
    """Else by index."""
    frames = [
        Frame(project_id="p", group_id="g", index=index, item_digest=f"{index}", seconds=seconds)
        for index, seconds in enumerate([0.0, 3.0, last])
    ]
    assert positions_of(frames)[1] == middle


@pytest.mark.parametrize("case", json.loads(CASES.read_text()), ids=lambda case: case["rule"])
def test_an_answer_comes_to_what_the_page_shows(case: dict[str, Any]) -> None:
    """In each frame."""
    frames = [
        Frame(project_id="p", group_id="g", index=index, item_digest=f"{index}", seconds=seconds)
        for index, seconds in enumerate(case["times"])
    ]
    found = of_all([shape_from_json(shape) for shape in case["shapes"]], positions_of(frames))
    seen = [[{"track": one.track, "box": list(one.box)} for one in found[frame.index]] for frame in frames]
    assert seen == case["seen"]


def test_the_same_box_in_other_frames_is_another_answer():
    """Two people who mark it in different frames do not agree, however well the boxes overlap."""

    def answer(reviewer: str, frame: int) -> Submission:
        shapes = (Shape("car", (0.0, 0.0, 9.0, 9.0), frame=frame),)
        return replace(a_submission(a_task(0)), shapes=shapes, reviewer=reviewer)

    def truth(*answers: Submission) -> tuple[Shape, ...] | None:
        return settled(answers, labels=("car",), reliabilities={}, rules=ConsensusRules()).shapes

    assert truth(answer("ada", 1), answer("bob", 1)) is not None
    assert truth(answer("ada", 1), answer("bob", 2)) is None


def test_a_track_ends_with_its_last_key_frame_and_leaves_where_it_is_outside():
    """Nothing is invented beyond; on the way to an outside key frame it is still there."""
    found = of_all([box(1, 0.0), box(4, 30.0, outside=True), box(6, 60.0), box(7, 70.0)])
    assert {frame: placed[0].box[0] for frame, placed in found.items() if placed} == {
        1: 0.0, 2: 10.0, 3: 20.0, 6: 60.0, 7: 70.0,
    }  # fmt: skip


def test_a_polygon_with_other_corners_stays_until_the_next_key_frame():
    """Corners of which nobody knows where they go are not moved."""
    triangle = drawn(Geometry.POLYGON, "car", [(0, 0), (10, 0), (0, 10)], track="a", frame=0)
    square = drawn(Geometry.POLYGON, "car", [(0, 0), (20, 0), (20, 20), (0, 20)], track="a", frame=2)
    found = of_all([triangle, square])
    assert found[1] == [replace(triangle, frame=1, keyframe=False)]


def test_attributes_stay_until_the_next_key_frame():
    """As they were last said."""
    found = of_all([box(0, 0.0, attributes={"lit": True}), box(2, 2.0, attributes={"lit": False})])
    assert [found[frame][0].attributes["lit"] for frame in range(3)] == [True, True, False]


def test_links_lead_to_the_same_object_in_every_frame():
    """Between key frames a link goes on to the other track's shape, by the id it has there, while it is there."""
    held = box(0, 0.0, id="a0", links=(Link("holds", "b0"),))
    shapes = [
        held, box(4, 40.0, id="a4"),
        box(0, 100.0, track="b", id="b0"), box(1, 100.0, track="b", id="b1"), box(2, 100.0, track="b", id="b2"),
    ]  # fmt: skip
    found = of_all(shapes)
    links = {frame: [one.links for one in found[frame] if one.track == "a"] for frame in range(4)}
    assert links == {
        0: [(Link("holds", "b0"),)], 1: [(Link("holds", "b1"),)], 2: [(Link("holds", "b2"),)], 3: [()],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ([replace(box(0, 0.0), frame=None)], "shape 0 names no frame"),
        ([box(FRAMES, 0.0)], f"frame {FRAMES}, which the task does not have"),
        ([box(3, 0.0), box(3, 5.0)], "shape 1 is in frame 3 of the track 'a', as shape 0 is"),
        ([box(0, 0.0), replace(box(1, 0.0), label="van")], "whose shape 0 is a 'car'"),
        (
            [box(0, 0.0), drawn(Geometry.POINT, "car", [(0, 0)], track="a", frame=1)],
            "is a 'car' (point) and of the track 'a'",
        ),
        ([replace(box(0, 0.0), track="", keyframe=False)], "is no key frame, and has no track"),
        ([replace(box(0, 0.0), track="", outside=True)], "is outside, and has no track"),
        ([box(0, 0.0, keyframe=False)], "has no key frame"),
        ([box(0, 0.0, track=f"t{number}") for number in range(1001)], "1,001 tracks"),
    ],
)
def test_what_is_no_track_is_refused(shapes, says):
    """With the number of the shape, as it was sent."""
    with pytest.raises(BadShape) as refused:
        expanded(shapes, EVEN)
    assert says in refused.value.detail
    assert refused.value.hint


def test_an_answer_that_would_fill_the_database_is_refused():
    """Few key frames may stand for very many shapes."""
    long = {frame: float(frame) for frame in range(1000)}
    shapes = [box(frame, 0.0, track=f"t{number}") for number in range(101) for frame in (0, 999)]
    with pytest.raises(BadShape, match="101,000 shapes"):
        expanded(shapes, long)
