"""How a prediction differs from the truth, by error type."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.corrections import Counted, ErrorType, corrections, counted
from loop.domain.prediction import Detection
from loop.domain.truth import Shape

SQUARE = (10.0, 10.0, 30.0, 30.0)
SHIFTED = (20.0, 10.0, 40.0, 30.0)  # IoU with SQUARE is 1/3
FAR = (100.0, 100.0, 120.0, 120.0)


def seen(label: str, box=SQUARE, score: float = 0.9) -> Detection:
    return Detection(label, score, box)


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        ([seen("cat")], {}),
        ([], {ErrorType.MISSED: 1}),
        ([seen("dog")], {ErrorType.CLASSIFICATION: 1}),
        ([seen("cat", SHIFTED)], {ErrorType.LOCALISATION: 1}),
        ([seen("dog", SHIFTED)], {ErrorType.BOTH: 1}),
        ([seen("cat"), seen("cat", SQUARE, 0.5)], {ErrorType.DUPLICATE: 1}),
        ([seen("cat"), seen("cat", FAR)], {ErrorType.BACKGROUND: 1}),
        ([seen("cat", FAR)], {ErrorType.BACKGROUND: 1, ErrorType.MISSED: 1}),
    ],
    ids=["right", "missed", "classification", "localisation", "both", "duplicate", "background", "background+missed"],
)
def test_each_error_has_its_name(detections, expected):
    """One cat is in the image; TIDE's error types (IoU 0.5 and 0.1) name what each detection got wrong."""
    assert corrections(detections, [Shape("cat", SQUARE)], iou=0.5) == expected


boxes = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 30), st.integers(1, 30)).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)
detections_lists = st.lists(st.builds(Detection, st.sampled_from("ab"), st.floats(0.25, 1.0), boxes), max_size=6)
shapes_lists = st.lists(st.builds(Shape, st.sampled_from("ab"), boxes), max_size=6)


@given(detections=detections_lists, shapes=shapes_lists, seed=st.integers())
def test_order_does_not_matter(detections, shapes, seed):
    """Shuffling the detections changes nothing."""
    shuffled = random.Random(seed).sample(detections, len(detections))
    assert corrections(shuffled, shapes, iou=0.5) == corrections(detections, shapes, iou=0.5)


@given(shapes=shapes_lists)
def test_the_truth_itself_needs_no_correction(shapes):
    """Predicting exactly the shapes gives no error, even where shapes overlap."""
    detections = [Detection(s.label, 0.9, s.box) for s in shapes]
    assert corrections(detections, shapes, iou=0.5) == {}


@given(detections=detections_lists, shapes=shapes_lists)
def test_nothing_is_counted_twice(detections, shapes):
    """Errors of detections are at most the detections; missed shapes at most the shapes."""
    counts = corrections(detections, shapes, iou=0.5)
    missed = counts.pop(ErrorType.MISSED, 0)
    assert missed <= len(shapes)
    assert sum(counts.values()) <= len(detections)


@given(detections=detections_lists, shapes=shapes_lists)
def test_by_label_every_detection_and_every_shape_is_counted_once(detections, shapes):
    """Right ones and false alarms are all detections, right ones and missed all shapes; nothing wrong where there is
    nothing to correct."""
    found = counted(detections, shapes, iou=0.5)
    for label in "ab":
        one = found.get(label, Counted())
        assert one.right + one.false_alarms == sum(d.label == label for d in detections)
        assert one.right + one.missed == sum(s.label == label for s in shapes)
    wrong = sum(one.false_alarms + one.missed for one in found.values())
    assert (wrong == 0) == (not corrections(detections, shapes, iou=0.5))


def test_by_label_a_wrong_name_is_a_false_alarm_of_one_and_a_miss_of_the_other():
    assert counted([seen("dog")], [Shape("cat", SQUARE)], iou=0.5) == {
        "cat": Counted(missed=1),
        "dog": Counted(false_alarms=1),
    }
