"""When two runtimes answer alike."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from loop.domain.prediction import Inference
from serving.backends.parity import ParityLimits, ParityVerdict, compared, is_unsure

LIMITS = ParityLimits()
CLASSES = 3


def inference(seed: int, *, count: int = 10, low: float = 0.3, high: float = 0.9) -> Inference:
    """`count` boxes that do not overlap, with scores between `low` and `high`."""
    rng = np.random.default_rng(seed)
    corners = np.stack([np.arange(count) * 100.0, rng.uniform(0, 50, count)], axis=1)
    classes = rng.integers(0, CLASSES, count)
    scores = np.sort(rng.uniform(low, high, count).astype(np.float32))[::-1]
    class_scores = np.zeros((count, CLASSES), dtype=np.float32)
    class_scores[np.arange(count), classes] = scores
    embedding = rng.normal(size=16)
    return Inference(
        boxes=np.concatenate([corners, corners + rng.uniform(40, 80, (count, 2))], axis=1).astype(np.float32),
        scores=scores.copy(),
        classes=classes,
        class_scores=class_scores,
        embedding=(embedding / np.linalg.norm(embedding)).astype(np.float32),
    )


def answers(**scores: float) -> list[Inference]:
    return [inference(seed, **scores) for seed in range(LIMITS.images)]


def moved(one: Inference, share: float) -> Inference:
    """Each box moved by a share of its width."""
    boxes = one.boxes.copy()
    boxes[:, [0, 2]] += share * (boxes[:, 2:3] - boxes[:, 0:1])
    return replace(one, boxes=boxes)


def without(one: Inference, index: int) -> Inference:
    kept = np.arange(len(one.scores)) != index
    return replace(
        one,
        boxes=one.boxes[kept],
        scores=one.scores[kept],
        classes=one.classes[kept],
        class_scores=one.class_scores[kept],
    )


def turned(one: Inference, cosine: float) -> Inference:
    """The embedding turned by an angle with that cosine."""
    across = np.random.default_rng(0).normal(size=one.embedding.shape)
    across -= (across @ one.embedding) * one.embedding
    embedding = cosine * one.embedding + np.sqrt(1 - cosine**2) * across / np.linalg.norm(across)
    return replace(one, embedding=embedding.astype(np.float32))


def first_changed(one: list[Inference], other: Inference) -> list[Inference]:
    return [other, *one[1:]]


def refused(verdict: ParityVerdict, reason: str) -> bool:
    return not verdict.passed and any(reason in one for one in verdict.reasons)


def test_equal_answers_pass() -> None:
    verdict = compared(answers(), answers(), LIMITS)
    assert verdict.passed and not verdict.reasons and not verdict.unsure
    assert (verdict.matched, verdict.score_difference) == (1.0, 0.0)
    assert verdict.cosine == pytest.approx(1.0)
    assert (verdict.images, verdict.compared) == (20, 400)  # each detection, in both directions


def test_boxes_may_lie_a_little_apart_but_not_more() -> None:
    """A box of width w moved by 2 % of it overlaps by 0.96, moved by 3 % by 0.94."""
    assert compared(answers(), [moved(one, 0.02) for one in answers()], LIMITS).passed
    assert refused(compared(answers(), [moved(one, 0.03) for one in answers()], LIMITS), "have a partner")


def test_one_in_a_hundred_may_have_no_partner_but_not_more() -> None:
    few = [without(one, 0) if index < 2 else one for index, one in enumerate(answers())]
    verdict = compared(answers(), few, LIMITS)
    assert verdict.passed and verdict.matched == pytest.approx(1 - 2 / 398)
    many = [without(one, 0) if index < 5 else one for index, one in enumerate(answers())]
    assert refused(compared(answers(), many, LIMITS), "have a partner")


def test_what_only_the_candidate_finds_counts_like_what_only_the_reference_finds() -> None:
    fewer = [without(one, 0) for one in answers()]
    assert refused(compared(fewer, answers(), LIMITS), "have a partner")
    assert refused(compared(answers(), fewer, LIMITS), "have a partner")


def test_a_partner_is_of_the_same_class() -> None:
    others = [replace(one, classes=(one.classes + 1) % CLASSES) for one in answers()]
    assert refused(compared(answers(), others, LIMITS), "have a partner")


@pytest.mark.parametrize(("shift", "passes"), [(0.019, True), (0.021, False)])
def test_scores_of_partners_differ_by_at_most_the_limit(shift: float, passes: bool) -> None:
    one = answers()
    other = first_changed(one, replace(one[0], scores=one[0].scores + np.float32(shift)))
    verdict = compared(one, other, LIMITS)
    assert verdict.passed is passes
    assert verdict.score_difference == pytest.approx(shift, abs=1e-5)
    assert passes or refused(verdict, "scores differ")


@pytest.mark.parametrize(("cosine", "passes"), [(0.9995, True), (0.998, False)])
def test_the_embedding_of_each_single_image_must_be_alike(cosine: float, passes: bool) -> None:
    one = answers()
    verdict = compared(one, first_changed(one, turned(one[0], cosine)), LIMITS)
    assert verdict.passed is passes
    assert passes or refused(verdict, "cosine")


def test_an_embedding_that_is_not_a_number_is_not_alike() -> None:
    one = answers()
    nothing: NDArray[np.float32] = np.full_like(one[0].embedding, np.nan)
    assert not compared(one, first_changed(one, replace(one[0], embedding=nothing)), LIMITS).passed


def test_a_detection_that_fell_just_below_the_score_is_still_a_partner() -> None:
    one = [inference(seed, low=0.251, high=0.26) for seed in range(20)]
    other = [replace(single, scores=single.scores - np.float32(0.012)) for single in one]
    assert compared(one, other, LIMITS).passed


def seen(one: Inference, seed: int = 0, apart: float = 0.0) -> Inference:
    """With an embedding of each object, `apart` from what it would be without."""
    rng = np.random.default_rng(seed)
    objects = rng.normal(size=(len(one.scores), 8))
    objects += apart * np.random.default_rng(seed + 1).normal(size=objects.shape)
    return replace(one, objects=(objects / np.linalg.norm(objects, axis=1, keepdims=True)).astype(np.float16))


def test_embeddings_of_objects_must_be_alike_for_the_share_that_must_match() -> None:
    """One object in a hundred may look another way, as one in a hundred may be missed; more may not."""
    one = [seen(single, seed) for seed, single in enumerate(answers())]
    assert compared(one, one, LIMITS).objects_cosine == 1.0
    slightly = [seen(single, seed, 0.01) for seed, single in enumerate(answers())]
    verdict = compared(one, slightly, LIMITS)
    assert verdict.passed and 0.999 < verdict.objects_cosine < 1.0
    few = replace(one[0], objects=np.roll(one[0].objects, 1, axis=1))
    few.objects[1:] = one[0].objects[1:]
    assert compared(one, first_changed(one, few), LIMITS).passed
    assert refused(compared(one, first_changed(one, seen(answers()[0], 77)), LIMITS), "embeddings of objects")


def test_objects_without_an_embedding_are_not_compared() -> None:
    """Those beyond the most certain, and all where the runtime was not asked."""
    one = [seen(single, seed) for seed, single in enumerate(answers())]
    fewer = [replace(single, objects=single.objects[:3]) for single in one]
    assert compared(one, fewer, LIMITS).passed
    assert compared(one, answers(), LIMITS).passed
    dark = [replace(single, objects=np.zeros_like(single.objects)) for single in one]
    assert compared(dark, dark, LIMITS).passed
    assert not compared(one, dark, LIMITS).passed


@pytest.mark.parametrize("limit", ["matched", "iou", "score_difference", "cosine", "images"])
def test_each_limit_is_a_setting(limit: str) -> None:
    """With a laxer limit the same answers pass."""
    one = answers()
    other, lax = {
        "matched": ([without(single, 0) for single in one], 0.8),
        "iou": ([moved(single, 0.1) for single in one], 0.7),
        "score_difference": ([replace(single, scores=single.scores - np.float32(0.04)) for single in one], 0.1),
        "cosine": ([turned(single, 0.9) for single in one], 0.5),
        "images": (one, 20.0),
    }[limit]
    strict = replace(LIMITS, images=21) if limit == "images" else LIMITS
    assert not compared(one, other, strict).passed
    assert compared(one, other, replace(strict, **{limit: lax})).passed


def test_too_few_images_prove_nothing() -> None:
    assert refused(compared(answers()[:19], answers()[:19], LIMITS), "too few")


def test_a_model_that_is_sure_of_nothing_is_judged_by_its_highest_scores() -> None:
    """It does not pass for want of detections above the score: a damaged runtime is refused all the same."""
    one = answers(low=0.001, high=0.1)
    assert is_unsure(one, LIMITS) and not is_unsure(answers(), LIMITS)
    verdict = compared(one, one, LIMITS)
    assert verdict.passed and verdict.unsure and verdict.compared >= 2 * 3 * 20
    assert "sure of nothing" in str(verdict)
    assert refused(compared(one, [moved(single, 0.2) for single in one], LIMITS), "have a partner")


def test_answers_without_any_candidate_prove_nothing() -> None:
    empty = [inference(seed, count=0) for seed in range(20)]
    assert refused(compared(empty, empty, LIMITS), "nothing was detected")
    assert not compared(answers(), empty, LIMITS).passed
