"""Detections become tracks, and tracks are thinned to the key frames that they need."""

import csv
import xml.etree.ElementTree as ET
from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.items.linking import LinkingRules, Track, key_frames, linked, proposal
from loop.domain.items.tracks import expanded
from loop.domain.prediction import Detection
from loop.domain.truth import Shape
from tests.requirements import require_data

RULES = LinkingRules(iou=0.3, max_gap=2, tolerance=0.1)


def seen(x: float, label: str = "car", score: float = 0.9) -> Detection:
    return Detection(label, score, (x, 0.0, x + 20.0, 20.0))


def test_an_object_that_moves_is_one_track():
    """It overlaps itself from frame to frame; another far away is another."""
    tracks = linked({frame: [seen(3.0 * frame), seen(500.0)] for frame in range(5)}, RULES)
    assert [track.frames for track in tracks] == [[0, 1, 2, 3, 4]] * 2
    assert {track.boxes[-1][0] for track in tracks} == {12.0, 500.0}


def test_labels_are_never_mixed():
    """What is called otherwise is another object, however well it overlaps."""
    tracks = linked({0: [seen(0.0)], 1: [seen(0.0, "van")]}, RULES)
    assert [(track.label, track.frames) for track in tracks] == [("car", [0]), ("van", [1])]


def test_a_track_survives_gaps_up_to_the_limit():
    """Missed in max_gap frames it goes on, in one more it has ended."""
    assert [track.frames for track in linked({0: [seen(0.0)], 3: [seen(0.0)]}, RULES)] == [[0, 3]]
    assert [track.frames for track in linked({0: [seen(0.0)], 4: [seen(0.0)]}, RULES)] == [[0], [4]]


def test_two_that_cross_stay_two():
    """All matches of a frame are made together: the best for both, not the best for the first."""
    tracks = linked({0: [seen(0.0), seen(10.0)], 1: [seen(4.0), seen(13.0)]}, RULES)
    assert sorted(tuple(box[0] for box in track.boxes) for track in tracks) == [(0.0, 4.0), (10.0, 13.0)]


def test_a_straight_way_needs_two_key_frames():
    """And a bend one more, where it is."""
    at = {frame: float(frame) for frame in range(9)}
    straight = Track("car", list(range(9)), [seen(5.0 * frame).box for frame in range(9)])
    bent = Track("car", list(range(9)), [seen(5.0 * abs(frame - 4)).box for frame in range(9)])
    assert key_frames(straight, at, 0.01) == [0, 8]
    assert key_frames(bent, at, 0.01) == [0, 4, 8]


def test_a_bend_within_the_tolerance_needs_no_key_frame():
    """In sides of the box: three pixels of twenty are 0.15."""
    boxes = [(x, 0.0, x + 20.0, 20.0) for x in (0.0, 13.0, 20.0)]
    track, at = Track("car", [0, 1, 2], boxes), {0: 0.0, 1: 1.0, 2: 2.0}
    assert key_frames(track, at, 0.16) == [0, 2]
    assert key_frames(track, at, 0.14) == [0, 1, 2]


walks = st.lists(
    st.tuples(st.floats(0, 300), st.floats(0, 300), st.floats(5, 80), st.floats(5, 80)), min_size=1, max_size=30
)


@given(walks, st.floats(0.0, 0.5))
def test_what_is_left_out_is_reproduced_within_the_tolerance(walk, tolerance):
    """No edge of any detection is further from the interpolated box than the tolerance, in sides of the detection."""
    frames = list(range(len(walk)))
    boxes = [(x, y, x + w, y + h) for x, y, w, h in walk]
    track, at = Track("car", frames, boxes), {frame: 0.5 * frame for frame in frames}
    keys = key_frames(track, at, tolerance)
    assert keys[0] == 0
    assert keys[-1] == frames[-1]
    shapes = [Shape("car", boxes[frame], track="t", frame=frame) for frame in keys]
    for frame, (placed,) in expanded(shapes, at).items():
        x1, y1, x2, y2 = boxes[frame]
        off = np.abs(np.subtract(placed.shape.box, boxes[frame])) / [x2 - x1, y2 - y1, x2 - x1, y2 - y1]
        assert off.max() <= tolerance + 1e-9


@given(st.lists(st.lists(st.floats(0, 200), max_size=4), max_size=8))
def test_a_proposal_is_an_answer(places):
    """It has one shape for each track and frame and one label for each track, and every detection is in a track."""
    detections = {frame: [seen(x) for x in row] for frame, row in enumerate(places)}
    at = {frame: float(frame) for frame in detections}
    assert sum(len(track.frames) for track in linked(detections, RULES)) == sum(map(len, places))
    expanded(proposal(detections, at, RULES), at)


def test_real_sequences_need_fewer_key_frames_than_boxes():
    """Of airport pavement filmed in passing, of which each eighth frame is there, so that objects jump: a fifth of the
    boxes and more need not be drawn."""
    root = require_data("fod_a")
    sequences = defaultdict(list)
    with (root / "manifest.csv").open() as rows:
        for row in csv.DictReader(rows):
            sequences[row["sequence"]].append(row)
    boxes = keys = 0
    for name in sorted(sequences):
        rows = sorted(sequences[name], key=lambda row: int(row["position"]))
        detections = {index: _boxes_of(root, row) for index, row in enumerate(rows)}
        at = {index: float(index) for index in detections}
        boxes += sum(map(len, detections.values()))
        keys += len(proposal(detections, at, LinkingRules()))
    assert keys < 0.8 * boxes


def _boxes_of(root, row) -> list[Detection]:
    tree = ET.parse(root / "Annotations" / (row["file"].replace(".jpg", ".xml")))
    return [
        Detection(
            one.findtext("name") or "", 1.0, tuple(float(one.findtext(f"bndbox/{side}") or 0)
            for side in ("xmin", "ymin", "xmax", "ymax")),
        )
        for one in tree.iter("object")
    ]  # fmt: skip
