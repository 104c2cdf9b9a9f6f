"""Ground truth that is probably wrong, by what a detector says of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluate import Found, Truth
from training.label_errors import Agreement, Flaw, score_image, score_labels

CLASSES = 3


def scene(rng: np.random.Generator, count: int) -> Truth:
    corner = rng.uniform(0, 500, (count, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(30, 120, (count, 2))], axis=1)
    return Truth(boxes, rng.integers(0, CLASSES, count))


def detected(rng: np.random.Generator, truth: Truth, *, finds: float = 0.9, false: float = 0.3) -> Found:
    """By a middling detector: misses some, jitters, is sometimes wrong, and less sure where it is."""
    seen = rng.random(len(truth.classes)) < finds
    boxes = truth.boxes[seen] + rng.normal(0, 3, (seen.sum(), 4))
    classes = truth.classes[seen].copy()
    scores = rng.beta(6, 2, seen.sum())
    if rng.random() < false:
        alarm = scene(rng, 1)
        boxes = np.concatenate([boxes, alarm.boxes])
        classes = np.append(classes, alarm.classes)
        scores = np.append(scores, rng.beta(2, 5))
    return Found(boxes, scores, classes)


def world(seed: int = 0, images: int = 300) -> tuple[list[Truth], list[Found]]:
    rng = np.random.default_rng(seed)
    truth = [scene(rng, rng.integers(1, 6)) for _ in range(images)]
    return truth, [detected(rng, one) for one in truth]


def spoilt(rng: np.random.Generator, truth: Truth, flaw: Flaw) -> tuple[Truth, int | None]:
    """With one box made wrong; which, where it is still there."""
    at = int(rng.integers(len(truth.classes)))
    boxes, classes = truth.boxes.copy(), truth.classes.copy()
    if flaw is Flaw.OVERLOOKED:
        return Truth(np.delete(boxes, at, axis=0), np.delete(classes, at)), None
    if flaw is Flaw.MISNAMED:
        classes[at] = (classes[at] + 1) % CLASSES
    else:
        side = boxes[at, 2:] - boxes[at, :2]
        boxes[at] += np.tile(side * 0.6, 2)
    return Truth(boxes, classes), at


def average_precision(score: np.ndarray, wrong: np.ndarray) -> float:
    order = np.argsort(score, kind="stable")
    hits = wrong[order]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


@pytest.mark.parametrize("flaw", Flaw)
def test_wrong_truth_is_found_far_above_chance(flaw: Flaw) -> None:
    """5 % of the images have one flaw: ranked by score, their average precision is at least 6 times chance."""
    rng = np.random.default_rng(7)
    truth, found = world()
    wrong = rng.random(len(truth)) < 0.05
    spoiled = [spoilt(rng, one, flaw)[0] if bad else one for one, bad in zip(truth, wrong, strict=True)]
    scored = score_labels(found, spoiled, n_classes=CLASSES)
    assert average_precision(scored.images, wrong) > 6 * wrong.mean()


@pytest.mark.parametrize("flaw", Flaw)
def test_a_suspicion_names_the_flaw_and_the_box(flaw: Flaw) -> None:
    """An object that a sure detector sees otherwise than the truth is the first suspicion."""
    truth, _ = world()
    sure = [Found(one.boxes, np.full(len(one.classes), 0.9), one.classes) for one in truth]
    spoiled = list(truth)
    spoiled[17], box = spoilt(np.random.default_rng(1), truth[17], flaw)
    first = score_labels(sure, spoiled, n_classes=CLASSES).suspicions[0]
    assert (first.image, first.flaw, first.box) == (17, flaw, box)
    assert first.score < 0.3


def test_truth_that_the_detector_agrees_with_is_not_suspected() -> None:
    truth, _ = world()
    same = [Found(one.boxes, np.full(len(one.classes), 0.9), one.classes) for one in truth]
    scored = score_labels(same, truth, n_classes=CLASSES)
    assert scored.suspicions == () and scored.images.min() > 0.8


def test_who_finds_nothing_accuses_nobody() -> None:
    """A detector that misses most objects of a class says nothing by missing one more."""
    truth, _ = world()
    blind = [Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=int)) for _ in truth]
    scored = score_labels(blind, truth, n_classes=CLASSES)
    assert scored.suspicions == () and scored.images.min() > 0.9


def test_nothing_to_score_is_fine() -> None:
    empty = Truth(np.zeros((0, 4)), np.zeros(0, dtype=int))
    nothing = Found(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=int))
    assert score_labels([], [], n_classes=CLASSES).images.tolist() == []
    assert score_labels([nothing], [empty], n_classes=CLASSES).images.tolist() == [1.0]
    with pytest.raises(ValueError):
        score_labels([nothing], [], n_classes=CLASSES)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.floats(0.1, 10))
def test_scores_lie_in_one_and_do_not_depend_on_the_unit_of_length(seed: int, factor: float) -> None:
    truth, found = world(seed, 12)
    scored = score_labels(found, truth, n_classes=CLASSES)
    assert ((scored.images >= 0) & (scored.images <= 1)).all()
    assert all(0 <= one.score <= 0.5 for one in scored.suspicions)
    larger = score_labels(
        [one._replace(boxes=one.boxes * factor) for one in found],
        [one._replace(boxes=one.boxes * factor) for one in truth],
        n_classes=CLASSES,
    )
    assert np.allclose(scored.images, larger.images, atol=1e-6)


def test_one_image_after_the_other_gives_the_same_as_all_at_once() -> None:
    """What is gathered does not depend on the order, and is not held as images."""
    truth, found = world(images=40)
    agreement = Agreement(CLASSES)
    for one, other in reversed(list(zip(found, truth, strict=True))):
        agreement.add(one, other)
    trust = agreement.trust()
    whole = score_labels(found, truth, n_classes=CLASSES)
    for number, (one, other) in enumerate(zip(found, truth, strict=True)):
        score, suspicions = score_image(one, other, trust, image=number)
        assert score == whole.images[number]
        assert suspicions == [one for one in whole.suspicions if one.image == number]


def test_a_detection_is_believed_as_others_of_its_score_fared() -> None:
    """Two in three of the sure ones are right, none of the others; nobody is believed more for a lower score."""
    box, away = (10.0, 10.0, 50.0, 50.0), (200.0, 200.0, 240.0, 240.0)
    agreement = Agreement(1)
    for place, score in ((box, 0.9), (box, 0.9), (away, 0.9), (away, 0.2)):
        agreement.add(Found(np.array([place]), np.array([score]), np.array([0])), Truth(np.array([box]), np.array([0])))
    trust = agreement.trust()
    asked = Found(np.array([box] * 4), np.array([1.0, 0.9, 0.5, 0.2]), np.zeros(4, dtype=int))
    assert trust.belief(asked).tolist() == pytest.approx([2.5 / 4, 2.5 / 4, 2.5 / 5, 2.5 / 5])
    assert trust.recall.tolist() == [2.5 / 5]
