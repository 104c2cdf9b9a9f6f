"""What golden items tell of a reviewer, and how sure that is."""

import numpy as np
import pytest
from hypothesis import given
from scipy import stats

from loop.domain.errors import Invalid
from loop.domain.quality.answers import Answer
from loop.domain.quality.consensus import UNKNOWN_RATE, UNKNOWN_SPREAD
from loop.domain.quality.reviewer_quality import PRIOR_SHAPES, GoldenScore, golden_score, quality_of, reliability_of
from tests.people import LABELS, NOWHERE, SQUARE, answer, answers, moved, score

# --- an answer against a golden item -------------------------------------------------------------------


def test_a_score_by_hand() -> None:
    """Of three objects one is found, one misnamed and one missed; one box is of nothing."""
    truth = answer("truth", ("cell", SQUARE), ("cell", moved(40.0)), ("platelet", NOWHERE))
    given_answer = answer("a", ("cell", moved(1.0)), ("platelet", moved(40.0)), ("cell", (0.0, 60.0, 9.0, 70.0)))
    found = golden_score(given_answer, truth, labels=LABELS)
    assert found.table.tolist() == [[1, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert (found.precision, found.recall, found.f1) == (pytest.approx(1 / 3),) * 3
    assert found.mean_iou == pytest.approx((9 / 11 + 1) / 2)
    assert sorted(found.offsets.tolist()) == pytest.approx([0.0] * 6 + [0.1] * 2)


@given(answers(most=1))
def test_the_truth_itself_scores_1(given_answers: list[Answer]) -> None:
    found = golden_score(given_answers[0], given_answers[0], labels=LABELS)
    assert found.precision == found.recall == found.f1 == 1.0
    assert found.mean_iou is None or found.mean_iou == pytest.approx(1.0)


@given(answers(most=2))
def test_a_score_counts_every_shape_once(given_answers: list[Answer]) -> None:
    given_answer, truth = given_answers[0], given_answers[-1]
    table = golden_score(given_answer, truth, labels=LABELS).table
    assert table[:-1].sum() == len(truth) and table[:, :-1].sum() == len(given_answer)


def test_a_label_that_the_project_does_not_have_is_refused() -> None:
    with pytest.raises(Invalid, match="leukocyte"):
        golden_score(answer("a", ("leukocyte", SQUARE)), answer("t"), labels=LABELS)


# --- posteriors ------------------------------------------------------------------------------------------


def test_the_posterior_is_that_of_jeffreys_prior() -> None:
    """18 of 20, each in an item of its own: Beta(18.5, 2.5)."""
    recall = quality_of([score(1)] * 18 + [score(0, missed=1)] * 2).overall.recall
    assert recall.value == 0.9
    assert (recall.low, recall.high) == pytest.approx(stats.beta.ppf([0.025, 0.975], 18.5, 2.5))
    assert recall.at_least(0.8) == pytest.approx(stats.beta.sf(0.8, 18.5, 2.5))


def test_labels_are_judged_apart() -> None:
    """A cell called platelet is a cell that was not recalled, and a platelet that is not precise."""
    found = quality_of([score(6, missed=1, invented=2, misnamed=3)])
    cell, platelet = found.labels["cell"], found.labels["platelet"]
    assert (cell.recall.value, cell.precision.value) == (6 / 10, 6 / 8)
    assert (platelet.recall.value, platelet.precision.value) == (None, 0.0)
    assert (platelet.recall.low, platelet.recall.high) == (0.0, 1.0)
    assert found.mean_iou == pytest.approx(0.8) and found.table[0, 1] == 3


def test_without_an_error_the_interval_reaches_1() -> None:
    recall = quality_of([score(1)] * 12).overall.recall
    assert recall.high == 1.0 and 0.7 < recall.low < 1.0


def test_the_same_in_fewer_items_tells_less() -> None:
    """Shapes of one image fare alike, also where no error has shown how much."""
    widths = [
        recall.high - recall.low
        for recall in (quality_of([score(each)] * (24 // each)).overall.recall for each in (1, 4, 12))
    ]
    assert widths == sorted(widths) and widths[-1] > 2 * widths[0]


def test_items_that_differ_more_tell_less() -> None:
    """As many shapes in as many items, as many of them wrong: apart, or all in two images."""
    apart, together = (
        quality_of(scores).overall.recall
        for scores in ([score(5, missed=1)] * 12, [score(6)] * 10 + [score(0, missed=6)] * 2)
    )
    assert together.value == apart.value
    assert together.high - together.low > 1.3 * (apart.high - apart.low)


def covered(rates: list[float], items: int, each: float, alike: float, runs: int) -> float:
    """How many of the 95 % intervals of recall hold the truth. alike: correlation of the shapes of one item."""
    rng, held = np.random.default_rng([items, int(100 * alike)]), []
    for rate in rates:
        for _ in range(runs):
            there = np.maximum(rng.poisson(each, items), 1)
            usual = (rate * (1 / alike - 1), (1 - rate) * (1 / alike - 1)) if alike else None
            chance = rng.beta(*usual, items) if usual else rate
            found = rng.binomial(there, chance)
            scores = [score(int(right), missed=int(n - right)) for right, n in zip(found, there, strict=True)]
            recall = quality_of(scores).overall.recall
            held.append(recall.low <= rate <= recall.high)
    return float(np.mean(held))


@pytest.mark.parametrize(
    ("items", "each", "alike"),
    [
        pytest.param(4, 3.0, 0.0, id="few items"),
        pytest.param(20, 3.0, 0.0, id="a score of items"),
        pytest.param(60, 5.0, 0.0, id="many items"),
        pytest.param(30, 3.0, 0.1, id="who misses one shape misses others of that image too"),
        pytest.param(60, 5.0, 0.1, id="so in many items"),
        pytest.param(5, 12.0, 0.3, id="few crowded images, in which shapes fare much alike"),
        pytest.param(10, 12.0, 0.3, id="as many as decide on a standing"),
        pytest.param(30, 12.0, 0.3, id="a month of them"),
        pytest.param(60, 12.0, 0.3, id="more than count"),
    ],
)
def test_golden_intervals_hold_the_truth(items: int, each: float, alike: float) -> None:
    """At least 93 of 100 intervals of 95 %, for reviewers of any quality."""
    assert covered([0.6, 0.75, 0.85, 0.92, 0.97], items, each, alike, runs=240) >= 0.93


# --- weights for the consensus ---------------------------------------------------------------------------


def test_reliability_begins_with_an_unknown_reviewers_and_ends_with_what_was_seen() -> None:
    """A mean weighted by how many shapes each is worth; a misnamed shape was found."""
    seen = reliability_of([score(20, missed=10, invented=6, misnamed=2)])
    assert seen.recall["cell"] == pytest.approx((PRIOR_SHAPES * UNKNOWN_RATE + 22) / (PRIOR_SHAPES + 32))
    assert seen.precision["cell"] == pytest.approx((PRIOR_SHAPES * UNKNOWN_RATE + 20) / (PRIOR_SHAPES + 26))
    assert seen.recall["platelet"] == UNKNOWN_RATE
    assert seen.confusion[("cell", "platelet")] == 2
    much = reliability_of([score(20, missed=20)] * 100)
    assert much.recall["cell"] == pytest.approx(0.5, abs=0.01)


def test_the_spread_is_what_edges_lie_off() -> None:
    """A reviewer whose edges are off by a tenth of the side, and one of whom nothing is known."""
    rng = np.random.default_rng(3)
    truth = answer("truth", *[("cell", (100.0 * n, 0.0, 100.0 * n + 50.0, 20.0)) for n in range(400)])
    sides = np.tile(truth.boxes[:, 2:] - truth.boxes[:, :2], (1, 2))
    drawn = Answer("a", truth.labels, truth.boxes + np.clip(rng.normal(0, 0.08, sides.shape), -0.2, 0.2) * sides)
    assert reliability_of([golden_score(drawn, truth, labels=LABELS)]).spread == pytest.approx(0.08, abs=0.01)
    nothing = golden_score(answer("a"), answer("truth"), labels=LABELS)
    assert reliability_of([nothing]).spread == pytest.approx(UNKNOWN_SPREAD)


def test_no_golden_item_says_nothing() -> None:
    with pytest.raises(Invalid):
        quality_of([])
    with pytest.raises(Invalid):
        reliability_of([score(1), GoldenScore(("other",), np.ones((2, 2)), np.zeros(0), np.zeros(0))])
