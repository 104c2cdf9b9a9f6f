"""Labels that a benchmark makes wrong on purpose, and how well they are found again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.learning.spoiling import Spoiled, finding, spoiled
from loop.domain.geometry import iou_matrix
from training.evaluate import Found, Truth
from training.label_errors import Flaw, LabelScores, Suspicion, score_labels

CLASSES = 3
SIZE = (400, 300)


def scenes(seed: int, images: int = 60) -> list[Truth]:
    rng = np.random.default_rng(seed)
    found = []
    for count in rng.integers(1, 6, images):
        corner = rng.uniform(0, (300, 200), (count, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(10, 100, (count, 2))], axis=1)
        found.append(Truth(boxes, rng.integers(0, CLASSES, count)))
    return found


def made(truth: list[Truth], share: float, seed: int = 0) -> Spoiled:
    rng = np.random.default_rng(seed)
    return spoiled(truth, [SIZE] * len(truth), share, n_classes=CLASSES, rng=rng)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**31), share=st.floats(0, 1))
def test_the_share_of_boxes_is_made_wrong_and_no_other(seed: int, share: float) -> None:
    """As many boxes as asked for have another class, another place or are gone; all others are as they were."""
    truth = scenes(seed)
    boxes = sum(len(one.classes) for one in truth)
    what = made(truth, share, seed)
    assert what.errors == round(share * boxes)
    for before, after, wrong, dropped in zip(truth, what.truth, what.wrong, what.dropped, strict=True):
        assert len(before.classes) == len(after.classes) + len(dropped)
        kept = [tuple(box) not in {tuple(one) for one in dropped} for box in before.boxes]
        boxes_before, classes_before = before.boxes[kept], before.classes[kept]
        moved = (boxes_before != after.boxes).any(axis=1)
        renamed = classes_before != after.classes
        assert (wrong == (moved | renamed)).all() and not (moved & renamed).any()
        for box, old in zip(after.boxes[moved], boxes_before[moved], strict=True):
            assert (box[:2] >= 0).all() and (box[2:] <= SIZE).all() and (box[:2] < box[2:]).all()
            assert iou_matrix(box[None], old[None])[0, 0] < 0.5


def test_a_third_is_wrong_each_way() -> None:
    truth = scenes(1)
    what = made(truth, 0.3)
    gone = sum(len(lost) for lost in what.dropped)
    assert gone == pytest.approx(what.errors / len(Flaw), abs=1)


def test_who_knows_all_errors_has_a_precision_of_one() -> None:
    """An order that has each wrong box first, and nothing else before them, reaches 1; of images too."""
    truth = scenes(2)
    what = made(truth, 0.2)
    found = [Found(one.boxes, np.full(len(one.classes), 0.9), one.classes) for one in truth]
    suspicions = [
        Suspicion(0.0, Flaw.MISNAMED, image, int(box), None)
        for image, wrong in enumerate(what.wrong)
        for box in np.flatnonzero(wrong)
    ]
    for image, lost in enumerate(what.dropped):
        for box in lost:
            row = int(iou_matrix(box[None], found[image].boxes)[0].argmax())
            suspicions.append(Suspicion(0.0, Flaw.OVERLOOKED, image, None, row))
    told = finding(LabelScores(np.where(what.images, 0.0, 1.0), tuple(suspicions)), what, found)
    assert (told.images, told.boxes) == (pytest.approx(1.0), pytest.approx(1.0))


def test_who_says_nothing_is_as_good_as_chance_or_worse() -> None:
    truth = scenes(3)
    what = made(truth, 0.2)
    nothing = [Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64)) for _ in truth]
    told = finding(LabelScores(np.ones(len(truth)), ()), what, nothing)
    assert told.images == pytest.approx(told.images_by_chance)
    assert told.boxes <= told.boxes_by_chance + 1e-9


def test_a_dropped_box_is_found_once() -> None:
    """Two detections on the same object that has lost its box: the second has found nothing."""
    box = np.array([[10.0, 10.0, 50.0, 50.0]])
    what = Spoiled([Truth(np.zeros((0, 4)), np.zeros(0, dtype=np.int64))], [np.zeros(0, dtype=bool)], [box])
    found = [Found(np.repeat(box, 2, axis=0), np.array([0.9, 0.8]), np.array([0, 0]))]
    twice = tuple(Suspicion(score, Flaw.OVERLOOKED, 0, None, row) for row, score in enumerate((0.1, 0.2)))
    assert finding(LabelScores(np.zeros(1), twice), what, found).boxes == pytest.approx(1.0)
    late = tuple(Suspicion(score, Flaw.OVERLOOKED, 0, None, row) for row, score in ((0, 0.1), (1, 0.2)))
    other = [Found(np.concatenate([box + 200, box]), np.array([0.9, 0.8]), np.array([0, 0]))]
    assert finding(LabelScores(np.zeros(1), late), what, other).boxes == pytest.approx(0.5)


def test_a_good_detector_finds_more_than_chance() -> None:
    """What the project says of labels (training/label_errors.py) is read as it is meant."""
    truth = scenes(4, 200)
    what = made(truth, 0.05)
    found = [Found(one.boxes, np.full(len(one.classes), 0.9), one.classes) for one in truth]
    told = finding(score_labels(found, what.truth, n_classes=CLASSES, limit=1.0), what, found)
    assert told.boxes > 3 * told.boxes_by_chance and told.images > 3 * told.images_by_chance
