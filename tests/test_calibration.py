"""Whether scores mean what they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.calibration import calibration_of
from training.evaluate import Evaluation, Found, Truth, evaluate

BOX = np.array([[10.0, 10, 50, 50]])


def scored(*detections: tuple[float, bool]) -> Evaluation:
    """One image for each detection (score, whether it is right)."""
    far = np.array([[200.0, 200, 240, 240]])
    truths = [Truth(BOX, np.array([0]))] * len(detections)
    found = [Found(BOX if right else far, np.array([score]), np.array([0])) for score, right in detections]
    return evaluate(found, truths, n_classes=1)


def test_scores_that_are_the_share_of_right_ones_have_no_error():
    assert calibration_of(scored(*[(0.75, i < 30) for i in range(40)])).error == pytest.approx(0.0)


def test_the_error_is_how_far_score_and_share_are_apart_by_detections():
    """Thirty with 0.95 of which a third is right, ten with 0.15 of which none is: (30 x 0.6167 + 10 x 0.15) / 40."""
    made = scored(*[(0.95, i < 10) for i in range(30)], *[(0.15, False)] * 10)
    assert calibration_of(made).error == pytest.approx((30 * (0.95 - 1 / 3) + 10 * 0.15) / 40)
    assert calibration_of(made).reliability == [
        (pytest.approx(0.15), 0.0, 10),
        (pytest.approx(0.95), pytest.approx(1 / 3), 30),
    ]


def test_what_is_below_the_floor_does_not_count():
    made = scored(*[(0.75, i < 30) for i in range(40)], *[(0.01, False)] * 400)
    assert calibration_of(made).error == pytest.approx(0.0)
    assert np.isnan(calibration_of(scored((0.01, False))).error)


@given(counts=st.lists(st.integers(0, 3), min_size=12, max_size=12), seed=st.integers(0, 1000))
def test_a_resample_is_the_error_of_the_images_drawn(counts, seed):
    """With an image as often as it was drawn."""
    rng = np.random.default_rng(seed)
    made = scored(*[(float(rng.random()), bool(rng.random() < 0.5)) for _ in range(12)])
    drawn = made.take(np.repeat(np.arange(12), counts))
    expected = calibration_of(drawn).error
    assert calibration_of(made).resampled(np.array([counts]))[0] == pytest.approx(expected, nan_ok=True)
