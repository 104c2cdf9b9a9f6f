"""Pairs of detectors that are a known number of points apart, from what heads really found."""

import numpy as np
import pytest

from benchmarks.learning.rivals import _apart, _chosen
from benchmarks.simulated_detectors import Skill, detect, difficulties, scenes
from training.evaluate import Evaluation, evaluate


def heads(*skills: Skill, images: int = 300) -> list[Evaluation]:
    """On the same images."""
    rng = np.random.default_rng(0)
    truths, ease = scenes(rng, images, n_classes=3, objects=3), difficulties(rng, images)
    return [evaluate(detect(rng, truths, ease, skill, n_classes=3), truths, n_classes=3) for skill in skills]


def test_two_heads_are_brought_to_the_points_that_are_wanted() -> None:
    """The better one takes over answers of the other, and nothing else: each image is answered by one of the two."""
    better, worse = heads(Skill(recall=0.85), Skill(recall=0.6))
    assert better.map50_95 - worse.map50_95 > 0.06
    pair = _apart(better, worse, 0.03)
    first, second = pair.pair(np.arange(300), np.zeros(300, dtype=int))
    assert first.map50_95 - second.map50_95 == pytest.approx(0.03, abs=0.001) and -pair.difference > 0
    assert np.array_equal(second.score, worse.score)
    for image in range(300):
        given = sorted(first.score[first.image == image])
        assert given in [sorted(one.score[one.image == image]) for one in (better, worse)]


def test_the_pair_that_differs_least_is_chosen_among_those_that_differ_enough() -> None:
    found = heads(Skill(recall=0.85), Skill(recall=0.8), Skill(recall=0.6), Skill(recall=0.3))
    better, worse = _chosen(found, 0.04)
    gaps = [one.map50_95 - other.map50_95 for one in found for other in found]
    assert better.map50_95 - worse.map50_95 == min(gap for gap in gaps if gap >= 0.04)


def test_a_head_that_is_much_worse_in_one_class_is_no_candidate() -> None:
    """The gate would be right to refuse it, however good it is otherwise."""
    better, worse = heads(Skill(recall=0.9), Skill(recall=0.3))
    seeing = better.label != 0
    blind = Evaluation(
        better.image[seeing],
        better.label[seeing],
        better.score[seeing],
        better.hits[seeing],
        better.boxes,
        better.failed,
    )
    assert blind.map50_95 - worse.map50_95 > 0.05
    with pytest.raises(ValueError, match="no two of 2 heads"):
        _chosen([blind, worse], 0.05)
