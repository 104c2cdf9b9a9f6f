"""What a detector says of an image and of its mirror image: a pure comparison, and the detector that looks twice."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.prediction import Inference
from loop.settings import load_settings, serving_of
from selection.consistency import BASE_POINT, consistency, mirrored_back
from serving.backends.load import load_detector
from serving.runtimes import fastest_detector
from serving.second_look import SecondLook
from tests.test_signals import inferences
from tests.tiny_models import tiny_weights

WIDTH = 200


def seen(*objects: tuple[tuple[float, ...], tuple[float, ...]]) -> Inference:
    """(box, class scores) each, the best first."""
    boxes = np.array([box for box, _ in objects], dtype=np.float32).reshape(-1, 4)
    class_scores = np.array([scores for _, scores in objects], dtype=np.float32).reshape(-1, 3)
    return Inference(
        boxes=boxes,
        scores=class_scores.max(axis=1, initial=0.0),
        classes=class_scores.argmax(axis=1) if len(objects) else np.zeros(0, dtype=np.int64),
        class_scores=class_scores,
        embedding=np.ones(4, dtype=np.float32) / 2,
    )


BOX, ELSEWHERE = (10.0, 10.0, 30.0, 30.0), (60.0, 10.0, 80.0, 30.0)


@given(one=inferences(), other=inferences())
def test_it_stays_in_its_range_and_is_the_same_both_ways(one: Inference, other: Inference) -> None:
    """In [0, 1.3], never NaN, for empty passes and for scores of 0 and 1, too."""
    found = consistency(one, other)
    assert 0.0 <= found <= BASE_POINT
    assert consistency(other, one) == pytest.approx(found)


@given(one=inferences(), other=inferences(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_candidates_does_not_matter(one: Inference, other: Inference, seed: int) -> None:
    """Those that overlap another equally could be matched either way; here none is drawn twice."""
    order = np.random.default_rng(seed).permutation(len(one.scores))
    arrays = {name: getattr(one, name)[order] for name in ("boxes", "scores", "classes", "class_scores")}
    shuffled = dataclasses.replace(one, **arrays)
    if len(np.unique(one.boxes, axis=0)) == len(one.boxes) and len(np.unique(other.boxes, axis=0)) == len(other.boxes):
        assert consistency(shuffled, other) == pytest.approx(consistency(one, other))


@given(inference=inferences())
def test_mirroring_twice_changes_nothing(inference: Inference) -> None:
    twice = mirrored_back(mirrored_back(inference, WIDTH), WIDTH)
    np.testing.assert_allclose(twice.boxes, inference.boxes, atol=1e-4)


def test_boxes_are_mirrored_within_the_image() -> None:
    back = mirrored_back(seen((BOX, (0.9, 0.0, 0.0))), WIDTH)
    assert back.boxes.tolist() == [[170.0, 10.0, 190.0, 30.0]]


@pytest.mark.parametrize("score", [0.0, 0.3, 0.6, 1.0])
def test_the_same_answer_twice_is_as_far_from_unsure_as_its_score(score: float) -> None:
    """m = 1 + p: a score of 0.3 is where a label is worth most, certainty is 0.7 away."""
    same = seen((BOX, (score, 0.0, 0.0)))
    assert consistency(same, same) == pytest.approx(abs(1.0 + score - BASE_POINT), abs=1e-6)


def test_another_label_in_the_mirror_counts_by_the_divergence() -> None:
    """Two labels that share nothing diverge by log 2."""
    one, other = seen((BOX, (0.8, 0.0, 0.0))), seen((BOX, (0.0, 0.6, 0.0)))
    assert consistency(one, other) == pytest.approx(abs(1.0 + (1.0 - math.log(2.0)) * 0.7 - BASE_POINT), abs=1e-6)


def test_overlap_counts() -> None:
    """Half of a box beside the other: IoU 1/3."""
    moved = (20.0, 10.0, 40.0, 30.0)
    one, other = seen((BOX, (0.9, 0.0, 0.0))), seen((moved, (0.9, 0.0, 0.0)))
    assert consistency(one, other) == pytest.approx(abs(1 / 3 + 0.9 - BASE_POINT), abs=1e-6)


def test_what_the_mirror_shows_nowhere_agrees_with_nothing() -> None:
    sure, elsewhere = seen((BOX, (1.0, 0.0, 0.0))), seen((ELSEWHERE, (1.0, 0.0, 0.0)))
    assert consistency(sure, elsewhere) == consistency(sure, seen()) == BASE_POINT
    assert consistency(seen(), seen()) == pytest.approx(2.0 - BASE_POINT)


def test_the_least_sure_candidate_decides() -> None:
    one = seen((BOX, (1.0, 0.0, 0.0)), (ELSEWHERE, (0.35, 0.0, 0.0)))
    assert consistency(one, one) == pytest.approx(0.05, abs=1e-6)


# --- the second pass -----------------------------------------------------------------------------


def test_a_second_look_changes_nothing_but_the_consistency() -> None:
    """It is that of the answers to the image and to its mirror image."""
    plain = load_detector(tiny_weights(), threads=1)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (48, width, 3), dtype=np.uint8) for width in (64, 50, 90)]
    twice = SecondLook(plain).predict(images, score_floor=0.0001)
    once = plain.predict(images, score_floor=0.0001)
    for image, one, other in zip(images, twice, once, strict=True):
        (flipped,) = plain.predict([np.ascontiguousarray(image[:, ::-1])], score_floor=0.0001)
        assert one.consistency == pytest.approx(consistency(other, mirrored_back(flipped, image.shape[1])), abs=1e-4)
        assert one.boxes.tobytes() == other.boxes.tobytes() and other.consistency is None


def test_a_mirrored_image_is_as_consistent_as_the_image() -> None:
    """Whichever of the two a caller sends."""
    twice = SecondLook(load_detector(tiny_weights(), threads=1))
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    one, other = twice.predict([image, image[:, ::-1]], score_floor=0.0001)
    assert one.consistency == pytest.approx(other.consistency, abs=1e-4)


def test_who_does_not_ask_pays_nothing(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """By default the detector is the plain one; the setting, or the model's own option, makes it look twice."""
    environ = {
        "ASKANCE_DATA_DIR": str(tmp_path),
        "ASKANCE_SERVING__RUNTIME": "torch",
        "ASKANCE_SERVING__PRECISION": "fp32",
    }
    settings = load_settings(environ=environ)
    assert not settings.serving.consistency and not settings.annotation.consistency
    assert serving_of(settings, {"consistency": "true"}).consistency
    for wanted in (False, True):
        detector = fastest_detector(
            settings, tiny_weights(), device="cpu", max_batch_size=1, consistency=wanted, objects=False
        )
        assert isinstance(detector, SecondLook) == wanted
