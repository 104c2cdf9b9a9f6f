"""What each kind of error costs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.domain.corrections import ErrorType
from training.evaluate import Found, Truth
from training.tide import error_costs

BOX = (10.0, 10.0, 50.0, 50.0)
BESIDE = (30.0, 10.0, 70.0, 50.0)  # IoU with BOX is 1/3
FAR = (200.0, 200.0, 240.0, 240.0)


def found(*detections: tuple[tuple[float, ...], float, int]) -> Found:
    return Found(
        np.array([box for box, _, _ in detections], dtype=float).reshape(-1, 4),
        np.array([score for _, score, _ in detections]),
        np.array([label for _, _, label in detections], dtype=int),
    )


ONE = Truth(np.array([BOX]), np.array([0]))


def costs(one: Found, truth: Truth = ONE) -> dict[ErrorType, tuple[int, float]]:
    """With a second image where all is right, so that class 1 has boxes too."""
    fine = Truth(np.array([BOX, FAR]), np.array([0, 1]))
    right = found((BOX, 0.9, 0), (FAR, 0.9, 1))
    told = error_costs([one, right], [truth, fine], n_classes=2)
    return {kind: (cost.count, round(cost.gain, 3)) for kind, cost in told.items() if cost.count}


@pytest.mark.parametrize(
    ("detections", "kind"),
    [
        ([(BOX, 0.95, 1)], ErrorType.CLASSIFICATION),
        ([(BESIDE, 0.95, 0)], ErrorType.LOCALISATION),
        ([(BESIDE, 0.95, 1)], ErrorType.BOTH),
        ([(FAR, 0.95, 0)], ErrorType.BACKGROUND),
    ],
)
def test_each_error_has_its_kind_and_costs_something(detections, kind):
    told = costs(found(*detections))
    assert told[kind][0] == 1 and told[kind][1] > 0


def test_a_second_detection_of_an_object_is_a_duplicate():
    told = costs(found((BOX, 0.95, 0), (BOX, 0.92, 0)))
    assert told == {ErrorType.DUPLICATE: (1, pytest.approx(told[ErrorType.DUPLICATE][1]))}


def test_an_object_that_nothing_points_at_is_missed():
    """Mending misses gives all of what they cost; a misplaced detection accounts for its object."""
    told = costs(found())
    assert set(told) == {ErrorType.MISSED} and told[ErrorType.MISSED][1] > 0.1
    assert ErrorType.MISSED not in costs(found((BESIDE, 0.9, 0)))


def test_perfect_detections_have_no_errors():
    assert costs(found((BOX, 0.9, 0))) == {}


boxes = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(8, 40), st.integers(8, 40)).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)


@settings(max_examples=60, deadline=None)
@given(
    detections=st.lists(st.tuples(boxes, st.floats(0.05, 1.0), st.integers(0, 1)), max_size=6),
    shapes=st.lists(st.tuples(boxes, st.integers(0, 1)), max_size=5),
)
def test_every_detection_is_right_or_one_kind_of_error(detections, shapes):
    """Counts add up, and nothing that is mended makes AP fall."""
    truth = Truth(
        np.array([box for box, _ in shapes], dtype=float).reshape(-1, 4), np.array([c for _, c in shapes], dtype=int)
    )
    told = error_costs([found(*detections)], [truth], n_classes=2)
    wrong = sum(cost.count for kind, cost in told.items() if kind is not ErrorType.MISSED)
    assert wrong <= len(detections) and told[ErrorType.MISSED].count <= len(shapes)
    assert all(0.0 <= cost.gain <= 1.0 for cost in told.values())
