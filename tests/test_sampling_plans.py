"""Lots: how many tasks are looked at again, what that promises, and that the promise is kept."""

from math import comb

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from loop.domain.errors import Invalid
from loop.domain.policy.sampling_plans import (
    FixedShare,
    LotVerdict,
    Plan,
    Risks,
    Sequential,
    Single,
    curve_of,
    judged,
    numbers_of,
    single_sample,
)

USUAL = Risks(aql=0.02, ltpd=0.1, alpha=0.05, beta=0.1)
PLANS: list[Plan] = [FixedShare(0.1, 0.05), Single(USUAL), Sequential(USUAL)]

risks = st.builds(
    lambda aql, apart, alpha, beta: Risks(aql, min(aql + apart, 1.0), alpha, beta),
    st.floats(0.0, 0.3), st.floats(0.01, 0.6), st.sampled_from([0.01, 0.05, 0.2]), st.sampled_from([0.05, 0.1, 0.3]),
)  # fmt: skip


def accepts(lot: int, bad: int, n: int, c: int) -> float:
    """By counting: the share of the samples of n with at most c of the bad ones."""
    ways = sum(comb(bad, d) * comb(lot - bad, n - d) for d in range(min(c, n, bad) + 1) if n - d <= lot - bad)
    return ways / comb(lot, n)


def followed(plan: Plan, lot: list[bool]) -> tuple[LotVerdict, int]:
    """Through `judged`, one task after the other; and how many were looked at."""
    inspected = 0
    while True:
        found = judged(plan, lot=len(lot), inspected=inspected, defects=sum(lot[:inspected]))
        if found.verdict is not LotVerdict.CONTINUE:
            return found.verdict, inspected
        inspected += 1


# --- single samples ----------------------------------------------------------------------------------


@settings(max_examples=60)
@given(risks, st.integers(1, 30))
def test_no_smaller_sample_keeps_both_risks(wanted: Risks, lot: int) -> None:
    """Against all (n, c) there are."""
    good, bad = wanted.defects(lot)

    def keeps(n: int, c: int) -> bool:
        producer, consumer = accepts(lot, good, n, c), accepts(lot, bad, n, c)
        return producer >= 1 - wanted.alpha - 1e-9 and consumer <= wanted.beta + 1e-9

    n, c = single_sample(wanted, lot)
    assert keeps(n, c)
    assert not any(keeps(fewer, other) for fewer in range(n) for other in range(fewer + 1))
    assert not any(keeps(n, other) for other in range(c))


def test_a_known_plan() -> None:
    """Large lots, 1 % against 5 %, both risks 5 %: the binomial plan is 181 and 4, by its table."""
    n, c = single_sample(Risks(0.01, 0.05, 0.05, 0.05), 1_000_000)
    assert c == 4
    smallest = next(n for n in range(1, 400) if stats.binom.cdf(4, n, 0.05) <= 0.05)
    assert n == pytest.approx(smallest, abs=1)


def test_a_sample_that_may_not_be_so_large_says_what_to_change() -> None:
    """And the number that it names is enough."""
    with pytest.raises(Invalid) as refused:
        numbers_of(Single(USUAL, most=20), 500)
    assert "ltpd" in refused.value.hint and refused.value.ids["smallest"] == single_sample(USUAL, 500)[0]
    assert numbers_of(Single(USUAL, most=int(str(refused.value.ids["smallest"]))), 500).lot == 500


@pytest.mark.parametrize(
    "numbers", [(0.1, 0.1, 0.05, 0.1), (0.2, 0.1, 0.05, 0.1), (0.01, 1.1, 0.05, 0.1), (0.01, 0.1, 0.0, 0.1),
                (0.01, 0.1, 0.05, 0.6), (float("nan"), 0.1, 0.05, 0.1)],
)  # fmt: skip
def test_risks_that_no_plan_keeps_are_refused(numbers: tuple[float, float, float, float]) -> None:
    with pytest.raises(Invalid) as refused:
        Risks(*numbers)
    assert refused.value.hint


@pytest.mark.parametrize(("share", "threshold"), [(0.0, 0.1), (1.1, 0.1), (0.1, 1.0), (0.1, -0.1)])
def test_a_share_out_of_range_is_refused(share: float, threshold: float) -> None:
    with pytest.raises(Invalid):
        FixedShare(share, threshold)


# --- what a plan promises ------------------------------------------------------------------------------


@settings(max_examples=40)
@given(risks, st.integers(1, 120), st.booleans())
def test_both_risks_are_kept(wanted: Risks, lot: int, sequential: bool) -> None:
    """A good lot is rejected at most with alpha, a bad one accepted at most with beta, for all that are as good or as
    bad: exactly, whatever the size of the lot."""
    plan = Sequential(wanted) if sequential else Single(wanted)
    good, bad = wanted.defects(lot)
    curve = curve_of(plan, lot, range(lot + 1))
    assert (curve.accepts[: good + 1] >= 1 - wanted.alpha - 1e-8).all()
    assert (curve.accepts[bad:] <= wanted.beta + 1e-8).all()


@settings(max_examples=40)
@given(risks, st.integers(1, 80), st.booleans())
def test_more_defects_never_help_a_lot(wanted: Risks, lot: int, sequential: bool) -> None:
    curve = curve_of(Sequential(wanted) if sequential else Single(wanted), lot, range(lot + 1))
    assert (np.diff(curve.accepts) <= 1e-9).all()
    assert ((curve.inspects >= 0) & (curve.inspects <= lot + 1e-9)).all()


@given(st.integers(1, 60), st.floats(0.01, 1.0), st.floats(0.0, 0.9), st.data())
def test_the_curve_of_a_fixed_share_is_the_hypergeometric(
    lot: int, share: float, threshold: float, data: st.DataObject
) -> None:
    """Stopping early changes how much is looked at, not what is decided."""
    n = int(np.ceil(share * lot - 1e-9))
    bad = data.draw(st.integers(0, lot))
    c = int(np.floor(threshold * n + 1e-9))
    curve = curve_of(FixedShare(share, threshold), lot, [bad])
    assert curve.accepts[0] == pytest.approx(accepts(lot, bad, n, c), abs=1e-9)
    assert curve.inspects[0] <= n + 1e-9


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("bad", [0, 2, 3, 5])
def test_curves_are_what_happens_over_all_orders_of_drawing(plan: Plan, bad: int) -> None:
    """A lot of ten, every order followed through `judged`: probability and mean number, exactly."""
    orders = [[at in where for at in range(10)] for where in _subsets(10, bad)]
    ends = [followed(plan, order) for order in orders]
    curve = curve_of(plan, 10, [bad])
    assert curve.accepts[0] == pytest.approx(np.mean([verdict is LotVerdict.ACCEPT for verdict, _ in ends]))
    assert curve.inspects[0] == pytest.approx(np.mean([looked for _, looked in ends]))


def _subsets(of: int, size: int) -> list[set[int]]:
    return [where for code in range(2**of) if len(where := {at for at in range(of) if code >> at & 1}) == size]


@pytest.mark.parametrize("plan", [Single(USUAL), Sequential(USUAL)])
@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
def test_simulated_lots_are_accepted_at_the_planned_rate(plan: Plan, share: float) -> None:
    """400 lots of 300 in any order: within the binomial error (3.3 standard errors) of the curve, and so is the mean
    number looked at."""
    rng, lot, runs = np.random.default_rng(11), 300, 400
    bad = round(share * lot)
    ends = [followed(plan, (rng.permutation(lot) < bad).tolist()) for _ in range(runs)]
    curve = curve_of(plan, lot, [bad])
    expected = float(curve.accepts[0])
    found = np.mean([verdict is LotVerdict.ACCEPT for verdict, _ in ends])
    assert abs(found - expected) <= 3.3 * np.sqrt(max(expected * (1 - expected), 1e-4) / runs)
    looked = np.array([count for _, count in ends])
    assert abs(looked.mean() - curve.inspects[0]) <= 3.3 * looked.std() / np.sqrt(runs) + 1e-9


# --- sequential ----------------------------------------------------------------------------------------


def test_in_large_lots_the_sequential_plan_is_walds() -> None:
    """1 % against 5 %, both risks 5 %: 72 clean tasks accept; two defects within the first 8 reject, or three within
    48."""
    numbers = numbers_of(Sequential(Risks(0.01, 0.05, 0.05, 0.05)), 20_000)
    assert int(np.argmax(numbers.accept >= 0)) == pytest.approx(72, abs=1)
    assert int(np.flatnonzero(numbers.reject <= 2).max()) == 8
    assert int(np.flatnonzero(numbers.reject <= 3).max()) == 48


@pytest.mark.parametrize("lot", [200, 1000])
def test_the_sequential_plan_looks_at_fewer(lot: int) -> None:
    """Than the single sample of the same risks, for good lots and for bad ones."""
    defects = USUAL.defects(lot)
    single, sequential = (curve_of(plan, lot, defects) for plan in (Single(USUAL), Sequential(USUAL)))
    assert (sequential.inspects < 0.8 * single.inspects).any() and (sequential.inspects < single.inspects).all()
    n, _ = single_sample(USUAL, lot)
    assert (sequential.inspects < 0.75 * n).all()


@settings(max_examples=40)
@given(risks, st.integers(1, 60), st.randoms(use_true_random=False), st.data())
def test_every_plan_ends_before_the_lot_does(wanted: Risks, lot: int, random: object, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, lot))
    tasks = [number < bad for number in range(lot)]
    random.shuffle(tasks)  # type: ignore[attr-defined]
    for plan in (Single(wanted), Sequential(wanted), FixedShare(0.3, 0.1)):
        _, looked = followed(plan, tasks)
        assert looked <= numbers_of(plan, lot).most <= lot


# --- judging ---------------------------------------------------------------------------------------------


def test_the_judgement_says_which_numbers_decided() -> None:
    """A tenth of 100, at most 5 % of them: none of ten may have defects."""
    plan = FixedShare(0.1, 0.05)
    waiting = judged(plan, lot=100, inspected=4, defects=0)
    assert (waiting.verdict, waiting.accept_at, waiting.reject_at, waiting.left) == (LotVerdict.CONTINUE, -1, 1, 6)
    assert waiting.reason == "0 of 4 inspected have defects: 1 would reject; at most 6 more to look at"
    accepted = judged(plan, lot=100, inspected=10, defects=0)
    assert (accepted.verdict, accepted.left) == (LotVerdict.ACCEPT, 0)
    assert accepted.reason == "0 of 10 inspected have defects: accepted with at most 0"
    rejected = judged(plan, lot=100, inspected=2, defects=1)
    assert rejected.verdict is LotVerdict.REJECT and "rejected with 1" in rejected.reason


@given(st.sampled_from(PLANS), st.integers(2, 80), st.data())
def test_one_more_defect_is_never_better(plan: Plan, lot: int, data: st.DataObject) -> None:
    order = [LotVerdict.ACCEPT, LotVerdict.CONTINUE, LotVerdict.REJECT]
    inspected = data.draw(st.integers(0, numbers_of(plan, lot).most))
    assume(inspected > 0)
    verdicts = [judged(plan, lot=lot, inspected=inspected, defects=d).verdict for d in range(inspected + 1)]
    assert [order.index(one) for one in verdicts] == sorted(order.index(one) for one in verdicts)


@pytest.mark.parametrize(
    ("lot", "inspected", "defects"),
    [(0, 0, 0), (100, 5, 6), (100, -1, 0), (100, 5, -1), (100, 11, 0), (10, 11, 0)],
)
def test_counts_that_cannot_be_are_refused(lot: int, inspected: int, defects: int) -> None:
    with pytest.raises(Invalid) as refused:
        judged(FixedShare(0.1, 0.05), lot=lot, inspected=inspected, defects=defects)
    assert refused.value.hint


def test_a_curve_beyond_the_lot_is_refused() -> None:
    with pytest.raises(Invalid):
        curve_of(FixedShare(0.1, 0.05), 100, [101])
