"""COCO's figures for people: the same AP as the gate's, and what only they say, by size and by how many may count."""

import numpy as np
import pytest

from tests.test_evaluate import C, scene
from training.coco_metrics import AREAS, CocoScores
from training.evaluate import Found, Truth, evaluate

EVERY = np.arange(2)


def one(*boxes: tuple[float, float, float, float], labels: tuple[int, ...] | None = None) -> Truth:
    return Truth(np.array(boxes, dtype=float).reshape(-1, 4), np.array(labels or [0] * len(boxes), dtype=int))


def found(truth: Truth, *scores: float) -> Found:
    return Found(truth.boxes[: len(scores)], np.array(scores), truth.classes[: len(scores)])


@pytest.mark.parametrize(("seed", "images", "junk"), [(0, 40, 6), (1, 5, 2), (3, 3, 400)])
def test_the_gate_and_the_report_mean_the_same_ap(seed: int, images: int, junk: int) -> None:
    """mAP50-95, mAP50 and the AP of every class agree with training/evaluate.py, on all images and on some of them."""
    predictions, truths = scene(seed, images, junk=junk)
    scores, ours = CocoScores(predictions, truths, n_classes=C), evaluate(predictions, truths, n_classes=C)
    for some in (np.arange(images), np.arange(0, images, 2)[::-1]):
        theirs, taken = scores.of(some), ours.take(some)
        assert theirs.whole.ap == pytest.approx(taken.map50_95, abs=1e-6)
        assert theirs.whole.ap50 == pytest.approx(taken.map50, abs=1e-6)
        by_class = [np.nan if figures.ap is None else figures.ap for figures in theirs.classes]
        np.testing.assert_allclose(by_class, taken.class_ap, atol=1e-6)
        assert [figures.boxes for figures in theirs.classes] == taken.class_boxes.tolist()


def test_sizes_are_coco_s() -> None:
    """An object of 31 x 31 pixels is small, one of 95 x 95 medium, one of 97 x 97 large; a size nobody has is None."""
    truth = one((0, 0, 31, 31), (100, 100, 195, 195))
    figures = CocoScores([found(truth, 0.9)], [truth], n_classes=1).of(np.arange(1)).whole
    assert (figures.ap_small, figures.ap_medium, figures.ap_large) == (pytest.approx(1.0), 0.0, None)
    assert (figures.ar_small, figures.ar_medium, figures.ar_large) == (pytest.approx(1.0), 0.0, None)
    large = one((0, 0, 97, 97))
    assert CocoScores([found(large, 0.9)], [large], n_classes=1).of(np.arange(1)).whole.ap_large == pytest.approx(1.0)
    assert list(AREAS) == ["all", "small", "medium", "large"]


def test_recall_is_told_for_the_best_one_ten_and_hundred_detections() -> None:
    """Of twelve objects that are all found, the best detection finds one, and the best ten find ten."""
    truth = one(*[(40.0 * i, 0.0, 40.0 * i + 30, 30.0) for i in range(12)])
    figures = CocoScores([found(truth, *np.linspace(0.9, 0.5, 12))], [truth], n_classes=1).of(np.arange(1)).whole
    assert (figures.ar1, figures.ar10, figures.ar100) == tuple(pytest.approx(k / 12) for k in (1, 10, 12))


def test_ap75_asks_for_a_better_place_than_ap50() -> None:
    """A box with an overlap of 0.6 counts at 0.5, and not at 0.75."""
    truth = one((10.0, 10.0, 50.0, 50.0))
    loose = Found(np.array([[10.0, 10.0, 10 + 40 * 0.6, 50.0]]), np.array([0.9]), np.array([0]))
    figures = CocoScores([loose], [truth], n_classes=1).of(np.arange(1)).whole
    assert (figures.ap50, figures.ap75) == (pytest.approx(1.0), 0.0)


def test_nothing_is_said_without_boxes_and_zero_without_detections() -> None:
    """No image, no box, no detection: never an exception."""
    nothing, empty = found(one()), one()
    assert CocoScores([], [], n_classes=2).of(np.arange(0)).whole.ap is None
    without_boxes = CocoScores([found(one((0, 0, 9, 9)), 0.5)] * 2, [empty] * 2, n_classes=2).of(EVERY)
    assert without_boxes.whole.ap is None and [figures.ap for figures in without_boxes.classes] == [None, None]
    blind = CocoScores([nothing] * 2, [one((0, 0, 9, 9)), empty], n_classes=2).of(EVERY)
    assert (blind.whole.ap, blind.whole.ar100, blind.whole.boxes) == (0.0, 0.0, 1)
    assert [figures.ap for figures in blind.classes] == [0.0, None]
