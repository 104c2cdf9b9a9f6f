"""Who works, who is warned, who pauses, and what is done anew."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import Invalid
from loop.domain.policy.quality_rules import QualityRules, Standing
from loop.domain.quality.reviewer_quality import GoldenScore
from loop.domain.quality.standing import Check, StandingDecision, queued_again, standing_after
from tests.people import LABELS, score

RULES = QualityRules(bar=0.8, confidence=0.9, min_items=10, window=50)
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def checks(*scores: GoldenScore, start: int = 1) -> list[Check]:
    """One an hour."""
    return [Check(BEGAN + timedelta(hours=at), one) for at, one in enumerate(scores, start=start)]


def decided(current: Standing, scores: list[GoldenScore], rules: QualityRules = RULES) -> StandingDecision:
    return standing_after(current, checks(*scores), since=BEGAN, rules=rules)


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
    long = QualityRules(bar=0.8, confidence=0.9, min_items=10, window=500)
    item = score(5, missed=1)
    found = decided(Standing.NEW, [item] * 10, long)
    assert found.standing is Standing.NEW and found.more is not None and found.more > 0
    assert decided(Standing.NEW, [item] * (10 + found.more), long).standing is Standing.QUALIFIED
    assert decided(Standing.NEW, [item] * (10 + found.more - 1), long).standing is Standing.NEW


def test_more_than_the_window_is_never_asked_for() -> None:
    """Where as many golden items as count would not be enough, going on like this does not qualify."""
    short = QualityRules(bar=0.8, confidence=0.9, min_items=10, window=12)
    assert decided(Standing.NEW, [score(5, missed=1)] * 12, short).more is None
    assert decided(Standing.NEW, [score(5, missed=1)] * 11, short).more is None


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


def test_an_empty_answer_to_an_empty_image_vouches_for_nothing() -> None:
    seen = [Check(hour(1), score(9)), Check(hour(3), score(0))]
    assert queued_again({"one": hour(2)}, seen, paused_at=hour(5), rules=RULES) == ("one",)


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
