"""What golden items tell of a reviewer, and what follows from it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from loop.domain.answers import Answer
from loop.domain.consensus import UNKNOWN_RATE, UNKNOWN_SPREAD
from loop.domain.errors import Invalid
from loop.domain.reviewer_quality import (
    PRIOR_SHAPES,
    Check,
    GoldenScore,
    QualityRules,
    Standing,
    StandingDecision,
    golden_score,
    quality_of,
    queued_again,
    reliability_of,
    standing_after,
)
from tests.people import LABELS, SQUARE, answer, answers, moved

RULES = QualityRules(bar=0.8, confidence=0.9, min_items=10, window=50)
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
NOWHERE = (80.0, 80.0, 90.0, 90.0)


def score(right: int, missed: int = 0, invented: int = 0, misnamed: int = 0) -> GoldenScore:
    """Of cells; `misnamed` of them were called platelets."""
    table = np.array([[right, misnamed, missed], [0, 0, 0], [invented, 0, 0]], dtype=float)
    return GoldenScore(LABELS, table, np.full(right + misnamed, 0.8), np.zeros(4 * (right + misnamed)))


def checks(*scores: GoldenScore, start: int = 1) -> list[Check]:
    """One an hour."""
    return [Check(BEGAN + timedelta(hours=at), one) for at, one in enumerate(scores, start=start)]


def decided(current: Standing, scores: list[GoldenScore], rules: QualityRules = RULES) -> StandingDecision:
    return standing_after(current, checks(*scores), since=BEGAN, rules=rules)


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
    """18 of 20, in fewer than five items: Beta(18.5, 2.5)."""
    recall = quality_of([score(9, missed=1), score(9, missed=1)]).overall.recall
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
    recall = quality_of([score(12)]).overall.recall
    assert recall.high == 1.0 and 0.7 < recall.low < 1.0


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
    ],
)
def test_golden_intervals_hold_the_truth(items: int, each: float, alike: float) -> None:
    """At least 93 of 100 intervals of 95 %, for reviewers of any quality."""
    assert covered([0.6, 0.75, 0.85, 0.92, 0.97], items, each, alike, runs=120) >= 0.93


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


# --- standing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("current", "each", "after"),
    [
        pytest.param(Standing.NEW, score(9), Standing.QUALIFIED, id="a good new one works"),
        pytest.param(Standing.NEW, score(4, missed=1), Standing.NEW, id="at the bar is not surely at it"),
        pytest.param(Standing.NEW, score(5, missed=5), Standing.NEW, id="a bad new one stays new"),
        pytest.param(Standing.QUALIFIED, score(9), Standing.QUALIFIED, id="good stays good"),
        pytest.param(Standing.QUALIFIED, score(4, invented=1), Standing.QUALIFIED, id="near the bar nothing changes"),
        pytest.param(Standing.QUALIFIED, score(6, missed=4), Standing.WARNED, id="bad recall is warned of"),
        pytest.param(Standing.QUALIFIED, score(6, invented=4), Standing.WARNED, id="bad precision too"),
        pytest.param(Standing.QUALIFIED, score(6, misnamed=4), Standing.WARNED, id="and wrong labels"),
        pytest.param(Standing.WARNED, score(9), Standing.QUALIFIED, id="who mends is warned no more"),
        pytest.param(Standing.WARNED, score(4, missed=1), Standing.WARNED, id="near the bar the warning stays"),
        pytest.param(Standing.WARNED, score(6, missed=4), Standing.PAUSED, id="who does not mend pauses"),
        pytest.param(Standing.PAUSED, score(6, missed=4), Standing.PAUSED, id="a pause stays"),
        pytest.param(Standing.PAUSED, score(9), Standing.QUALIFIED, id="and ends by qualifying again"),
    ],
)
def test_what_golden_items_do_to_a_standing(current: Standing, each: GoldenScore, after: Standing) -> None:
    found = decided(current, [each] * 10)
    assert found.standing is after and found.items == 10 and found.reasons


@pytest.mark.parametrize("current", list(Standing))
def test_too_few_golden_items_decide_nothing(current: Standing) -> None:
    found = decided(current, [score(0, missed=9)] * 9)
    assert found.standing is current and found.items == 9
    assert found.more == (1 if current in (Standing.NEW, Standing.PAUSED) else 0)
    assert found.reasons[0].code == "too-few-golden"


def test_how_many_more_are_needed_is_enough_and_no_more() -> None:
    """If the new one goes on as until now."""
    item = score(5, missed=1)
    found = decided(Standing.NEW, [item] * 10)
    long = QualityRules(bar=RULES.bar, confidence=RULES.confidence, min_items=10, window=500)
    assert found.standing is Standing.NEW and found.more is not None and found.more > 0
    assert decided(Standing.NEW, [item] * (10 + found.more), long).standing is Standing.QUALIFIED
    assert decided(Standing.NEW, [item] * (10 + found.more - 1), long).standing is Standing.NEW


def test_who_is_below_the_bar_does_not_qualify_by_going_on() -> None:
    assert decided(Standing.NEW, [score(7, missed=3)] * 20).more is None


def test_only_golden_items_of_the_present_standing_count() -> None:
    """What a warned person did before the warning does not pause them, nor does it keep a paused one paused."""
    before, after = checks(*[score(1, missed=9)] * 30, start=-40), checks(*[score(9)] * 12)
    found = standing_after(Standing.PAUSED, [*after, *before], since=BEGAN, rules=RULES)
    assert (found.standing, found.items) == (Standing.QUALIFIED, 12)


def test_only_the_last_golden_items_count() -> None:
    found = decided(Standing.QUALIFIED, [score(1, missed=9)] * 100 + [score(9)] * 50)
    assert (found.standing, found.items) == (Standing.QUALIFIED, 50)


def test_a_label_that_somebody_does_not_know_is_named() -> None:
    """Good overall, but never right with platelets."""
    table = np.array([[18.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    item = GoldenScore(LABELS, table, np.full(19, 0.8), np.zeros(76))
    found = decided(Standing.NEW, [item] * 10)
    assert found.standing is Standing.QUALIFIED and found.weak == ("platelet",)


def career(rate: float, seed: int, items: int = 150) -> list[Standing]:
    """Standing after each golden item of four shapes, of a qualified reviewer who gets this share right."""
    rng = np.random.default_rng(seed)
    scores = [score(int(right), missed=int(4 - right)) for right in rng.binomial(4, rate, items)]
    standing, since, seen, history = Standing.QUALIFIED, BEGAN, list[Check](), list[Standing]()
    for check in checks(*scores):
        seen.append(check)
        after = standing_after(standing, seen, since=since, rules=RULES).standing
        if after is not standing:
            standing, since = after, check.at
        history.append(standing)
    return history


def test_good_reviewers_are_let_be_and_bad_ones_pause() -> None:
    """None of twenty who are right in 93 of 100 shapes ever pauses in 150 golden items; nearly all who are right in 60
    of 100 do, within thirty."""
    good = [career(0.93, seed) for seed in range(20)]
    bad = [career(0.6, seed, items=30) for seed in range(20)]
    assert sum(Standing.PAUSED in one for one in good) == 0
    assert sum(Standing.PAUSED in one for one in bad) >= 18


def test_who_is_near_the_bar_does_not_go_to_and_fro() -> None:
    """Hysteresis: fewer than one change in thirty golden items for a reviewer exactly at the bar."""
    changes = [sum(a is not b for a, b in pairwise(one)) for one in (career(0.8, seed) for seed in range(10))]
    assert np.mean(changes) < 150 / 30


@pytest.mark.parametrize("rules", [{"bar": 1.0}, {"confidence": 0.5}, {"min_items": 0}, {"min_items": 51}])
def test_rules_out_of_range_are_refused(rules: dict[str, float]) -> None:
    with pytest.raises(Invalid):
        QualityRules(**rules)  # type: ignore[arg-type]


# --- what is done anew ---------------------------------------------------------------------------------------


def hour(number: float) -> datetime:
    return BEGAN + timedelta(hours=number)


def test_work_since_the_last_good_golden_item_is_queued_again() -> None:
    """In its order; what came before was vouched for, and what is after the pause is not theirs to take back."""
    seen = [Check(hour(1), score(9)), Check(hour(3), score(9)), Check(hour(5), score(2, missed=8))]
    work = {"late": hour(4.5), "early": hour(2), "middle": hour(3.5), "after": hour(7)}
    assert queued_again(work, seen, paused_at=hour(5), rules=RULES) == ("middle", "late")


def test_without_a_good_golden_item_all_is_queued_again() -> None:
    work = {"one": hour(1), "two": hour(2)}
    assert queued_again(work, checks(score(1, missed=9)), paused_at=hour(3), rules=RULES) == ("one", "two")


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=10), st.lists(st.integers(0, 20), max_size=10))
def test_nothing_before_a_good_golden_item_is_queued_again(seen: list[tuple[int, bool]], work: list[int]) -> None:
    given_checks = [Check(hour(at), score(9) if good else score(0, missed=9)) for at, good in seen]
    submissions = {f"s{number}": hour(at) for number, at in enumerate(work)}
    again = queued_again(submissions, given_checks, paused_at=hour(20), rules=RULES)
    last_good = max((at for at, good in seen if good), default=-1)
    assert {submissions[name] for name in again} == {hour(at) for at in work if at > last_good}
