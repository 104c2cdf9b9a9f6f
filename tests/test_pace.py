"""How long work takes, what took unusually long, and whether people correct less when they are shown an answer."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import Invalid, TooFewImages
from loop.domain.review.pace import TaskTime, ambiguity, automation_bias, pace_of, timed

TASK = TaskTime(task_id="task_1", reviewer="ada", shapes=3, seconds=20.0)


def tasks(*seconds: float, **what: object) -> list[TaskTime]:
    return [replace(TASK, task_id=f"task_{n}", seconds=float(s), **what) for n, s in enumerate(seconds)]  # type: ignore[arg-type]


def work(rng: np.random.Generator, count: int, **what: object) -> list[TaskTime]:
    """Twenty seconds and ten more for each shape, give or take a quarter."""
    shapes = rng.integers(1, 12, count)
    seconds = (20.0 + 10.0 * shapes) * np.exp(rng.normal(0.0, 0.25, count))
    made = tasks(*seconds, **what)
    return [replace(task, shapes=int(n)) for task, n in zip(made, shapes, strict=True)]


# --- paces -----------------------------------------------------------------------------------------------


def test_a_pace_by_hand() -> None:
    """Of 10, 20, 40 the median is 20, and the others are each a factor of two away."""
    found = pace_of([10, 20, 40])
    assert (found.tasks, found.median) == (3, pytest.approx(20.0))
    assert found.high / found.median == pytest.approx(2**1.4826)
    assert found.median / found.low == pytest.approx(2**1.4826)


def test_a_night_at_the_open_page_changes_little() -> None:
    """One task of ten lasted from evening to morning: the mean is that of the others, not an hour."""
    usual = [18, 19, 20, 20, 21, 22, 20, 19, 21]
    with_night, without = pace_of([*usual, 50_000]), pace_of(usual)
    assert with_night.median == pytest.approx(without.median, rel=0.05)
    assert with_night.mean < 1.1 * without.mean
    assert with_night.usual_most < 40


@given(st.lists(st.floats(0.1, 1e5), min_size=1, max_size=30), st.floats(0.1, 10.0))
def test_paces_grow_with_the_clock_and_not_with_the_order(seconds: list[float], factor: float) -> None:
    found, slower = pace_of(seconds), pace_of([factor * s for s in seconds])
    assert slower.median == pytest.approx(factor * found.median) and slower.mean == pytest.approx(factor * found.mean)
    assert found.low < found.median < found.high <= found.usual_most
    assert pace_of(sorted(seconds)).median == pytest.approx(found.median)


def test_without_tasks_there_is_no_pace() -> None:
    with pytest.raises(Invalid):
        pace_of([])
    assert timed([]) == ()


@pytest.mark.parametrize("what", [{"seconds": 0.0}, {"seconds": float("nan")}, {"shapes": -1}])
def test_times_that_cannot_be_are_refused(what: dict[str, float]) -> None:
    with pytest.raises(Invalid):
        replace(TASK, **what)  # type: ignore[arg-type]


# --- what took unusually long ------------------------------------------------------------------------------


def test_a_long_task_is_found_and_a_crowded_one_is_not() -> None:
    """Five times as long as such an image takes is unusual; a crowded image takes longer anyway."""
    rng = np.random.default_rng(1)
    crowded = replace(TASK, task_id="crowded", shapes=40, seconds=420.0)
    stuck = replace(TASK, task_id="stuck", shapes=2, seconds=220.0)
    found = {one.task.task_id: one for one in timed([*work(rng, 200), crowded, stuck])}
    assert found["stuck"].unusual and not found["crowded"].unusual
    assert sum(one.unusual for one in found.values()) <= 5


def test_a_slow_person_is_not_always_unusual() -> None:
    """Each is compared with their own pace, once that is known."""
    rng = np.random.default_rng(2)
    slow = [replace(task, reviewer="bob", seconds=3.0 * task.seconds) for task in work(rng, 60)]
    found = timed([*work(rng, 120), *slow])
    assert sum(one.unusual for one in found) <= 4
    assert np.median([one.expected for one in found[120:]]) > 2.0 * np.median([one.expected for one in found[:120]])


@given(st.permutations(range(12)), st.integers(0, 2**31))
def test_the_order_of_tasks_does_not_matter(order: list[int], seed: int) -> None:
    given_tasks = work(np.random.default_rng(seed), 12)
    before, after = timed(given_tasks), timed([given_tasks[at] for at in order])
    assert [one.deviation for one in after] == pytest.approx([before[at].deviation for at in order])


def test_an_even_worker_is_not_unusual_by_a_second() -> None:
    """Where all times are equal, a tenth more is not three deviations."""
    assert not any(one.unusual for one in timed(tasks(*[20.0] * 20, 22.0)))


# --- ambiguity ---------------------------------------------------------------------------------------------


def test_ambiguity_by_hand() -> None:
    """Disagreement alone; a time of two deviations, which counts a quarter; and both."""
    assert ambiguity(agreement=0.6, deviations=[-10.0]) == pytest.approx(0.4)
    assert ambiguity(agreement=None, deviations=[2.0]) == pytest.approx(0.25)
    assert ambiguity(agreement=0.6, deviations=[2.0]) == pytest.approx(1 - 0.6 * 0.75)
    assert ambiguity(agreement=None, deviations=[]) == 0.0


share = st.floats(0.0, 1.0)
deviation = st.floats(-50.0, 50.0)


@given(share, share, deviation, deviation)
def test_ambiguity_grows_with_disagreement_and_with_time(f1: float, other: float, z: float, later: float) -> None:
    low, high = sorted((f1, other))
    early, late = sorted((z, later))
    assert 0.0 <= ambiguity(agreement=high, deviations=[early]) <= ambiguity(agreement=low, deviations=[late]) <= 1.0


def test_one_break_does_not_make_an_image_ambiguous() -> None:
    assert ambiguity(agreement=1.0, deviations=[0.0, 30.0, 0.2]) < 0.05


def test_an_agreement_out_of_range_is_refused() -> None:
    with pytest.raises(Invalid):
        ambiguity(agreement=1.2, deviations=[])


# --- automation bias ---------------------------------------------------------------------------------------


def test_bias_by_hand() -> None:
    """Means 2 and 1, each with a variance of 10 / 9 over ten tasks: Welch's interval has 18 degrees of freedom."""
    found = automation_bias(hidden=[1.0, 3.0] * 5, shown=[0.0, 2.0] * 5)
    half = 2.1009 * np.sqrt(2 * (10 / 9) / 10)
    assert (found.hidden, found.shown, found.difference) == (2.0, 1.0, 1.0)
    assert (found.low, found.high) == pytest.approx((1 - half, 1 + half), abs=1e-3)
    assert found.found


@pytest.mark.parametrize("effect", [0.0, 0.5])
def test_intervals_of_the_bias_hold_the_truth(effect: float) -> None:
    """At least 93 of 100, for counts of corrections as they come: mostly none, sometimes many, few tasks hidden."""
    rng, held = np.random.default_rng(4), 0
    for _ in range(400):
        shown = rng.poisson(rng.gamma(1.0, 1.0, 400))
        hidden = rng.poisson(rng.gamma(1.0, 1.0 + effect, 60))
        found = automation_bias(hidden=hidden.tolist(), shown=shown.tolist())
        held += found.low <= effect <= found.high
    assert held / 400 >= 0.93


def test_without_any_spread_there_is_no_doubt() -> None:
    found = automation_bias(hidden=[1.0] * 10, shown=[1.0] * 10)
    assert (found.low, found.difference, found.high, found.found) == (0.0, 0.0, 0.0, False)


def test_too_few_hidden_tasks_say_nothing() -> None:
    with pytest.raises(TooFewImages, match="9 tasks without"):
        automation_bias(hidden=[1.0] * 9, shown=[1.0] * 100)
