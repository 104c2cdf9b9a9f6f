"""Thresholds that keep a promise: pure decisions, on simulated audits."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from loop.domain.errors import Invalid
from loop.domain.guarantee.passing import (
    Evidence,
    Promise,
    Statement,
    audits_needed,
    threshold_for,
    together,
    upper_bound,
)

RATE = 0.02


def audited(rng: np.random.Generator, audits: int, *, routed_from: float = 1.0, wrong: bool = False) -> Evidence:
    """Of a stream whose failures are as probable as their risk says; wrong: of which a part with no risk fails often.
    Audits by a constant rate, and all from `routed_from` on."""
    n = int(audits / RATE)
    risk = rng.beta(0.5, 1.5, n)
    truly = np.where(rng.random(n) < 0.03, 0.6, risk) if wrong else risk
    shown = np.where(truly != risk, 0.01, risk)
    inclusion = np.where(shown >= routed_from, 1.0, RATE)
    seen = rng.random(n) < inclusion
    failed = (rng.random(n) < truly).astype(float)
    return Evidence(risk=shown[seen], loss=failed[seen], inclusion=inclusion[seen], population=shown, least=RATE)


@cache
def _really(wrong: bool) -> tuple[np.ndarray, np.ndarray]:
    """Risks, ascending, and the rate that fails and passes below the next of them: a large sample."""
    rng = np.random.default_rng(99)
    risk = rng.beta(0.5, 1.5, 400_000)
    truly = np.where(rng.random(len(risk)) < 0.03, 0.6, risk) if wrong else risk
    shown = np.where(truly != risk, 0.01, risk)
    order = np.argsort(shown)
    return shown[order], np.append(0.0, np.cumsum(truly[order])) / len(risk)


def passing(threshold: float, *, wrong: bool = False) -> float:
    """How many really fail and pass."""
    shown, rates = _really(wrong)
    return float(rates[np.searchsorted(shown, threshold)])


@pytest.mark.parametrize("wrong", [False, True], ids=["calibrated", "wrong risk"])
@pytest.mark.parametrize("routed_from", [1.0, 0.2], ids=["audits alone", "risky ones are reviewed"])
def test_the_promise_is_broken_at_most_as_often_as_was_said(wrong: bool, routed_from: float) -> None:
    """The rate that passes exceeds alpha in at most a share delta of streams, whether the risk is right or not."""
    rng = np.random.default_rng(7)
    promise = Promise(alpha=0.05, delta=0.1)
    streams = 120
    found = [threshold_for(audited(rng, 400, routed_from=routed_from, wrong=wrong), promise) for _ in range(streams)]
    broken = sum(passing(one.value, wrong=wrong) > promise.alpha for one in found)
    assert broken <= streams * promise.delta + 3 * np.sqrt(streams * promise.delta * (1 - promise.delta))
    assert np.mean([one.automation for one in found]) > 0.3


def test_a_promise_on_average_keeps_the_average() -> None:
    """EXPECTED: over many streams the rate that passes is alpha or less, though single ones exceed it; more passes than
    by the promise of high probability."""
    rng = np.random.default_rng(8)
    evidence = [audited(rng, 400) for _ in range(80)]
    average = [threshold_for(one, Promise(statement=Statement.EXPECTED)) for one in evidence]
    surely = [threshold_for(one, Promise()) for one in evidence]
    rates = [passing(one.value) for one in average]
    assert np.mean(rates) <= 0.05 + 3 * np.std(rates) / np.sqrt(len(rates))
    assert all(a.value >= s.value for a, s in zip(average, surely, strict=True))


def test_with_equal_weights_the_bound_is_that_of_a_poisson_count() -> None:
    """Garwood's, exactly: the smallest mean with which so few events would be rarer than delta."""
    for count in (0, 1, 5, 40):
        exact = chi2.ppf(0.9, 2 * (count + 1)) / 2
        assert upper_bound(count / 500, count / 500**2, 1 / 500, 0.1) == pytest.approx(exact / 500)


def test_without_evidence_everything_is_reviewed() -> None:
    """Threshold 0, nothing passes, and it is told how many audits may do: without a failure, ln(1 / delta) / alpha."""
    nothing = Evidence(risk=np.empty(0), loss=np.empty(0), inclusion=np.empty(0), population=np.empty(0), least=1.0)
    found = threshold_for(nothing, Promise(alpha=0.05, delta=0.1))
    assert (found.value, found.automation, found.passing) == (0.0, 0.0, 0.0)
    assert found.reasons[0].code == "too-few-audits"
    assert "47" in found.reasons[0].detail
    assert audits_needed(nothing, Promise(), 0.5) == 47


def test_where_all_audits_fail_no_more_passes_than_may_fail() -> None:
    """Of all predictions alpha may fail and pass; where all have one risk that is none of them, and no number of
    further audits would help."""
    for risk in (np.linspace(0.1, 0.9, 200), np.full(200, 0.3)):
        evidence = Evidence(
            risk=risk, loss=np.ones(200), inclusion=np.full(200, 0.5), population=np.repeat(risk, 2), least=0.5
        )
        found = threshold_for(evidence, Promise())
        assert found.automation < 0.05
        assert audits_needed(evidence, Promise(), 0.5) is None
    assert (found.value, found.automation) == (0.0, 0.0)
    assert "more failures than promised" in found.reasons[0].detail


def test_where_nothing_fails_and_there_is_enough_evidence_everything_passes() -> None:
    """The threshold is 1."""
    risk = np.linspace(0.0, 0.9, 400)
    evidence = Evidence(
        risk=risk, loss=np.zeros(400), inclusion=np.full(400, 0.5), population=np.repeat(risk, 2), least=0.5
    )
    found = threshold_for(evidence, Promise())
    assert (found.value, found.automation) == (1.0, 1.0)
    assert found.bound <= 0.05


def test_those_of_the_same_risk_pass_together_or_not_at_all() -> None:
    """A threshold never lies between predictions that have the same risk."""
    risk = np.repeat([0.1, 0.5], 300)
    loss = np.repeat([0.0, 1.0], 300)
    evidence = Evidence(risk=risk, loss=loss, inclusion=np.ones(600), population=risk, least=1.0)
    assert threshold_for(evidence, Promise()).value == 0.5


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.sampled_from([0.1, 1.0])), min_size=1, max_size=60),
    st.integers(0, 2**32 - 1),
)
def test_the_order_of_evidence_does_not_matter(seen: list[tuple[float, bool, float]], seed: int) -> None:
    """Nor does how the population is sorted."""
    risk, loss, inclusion = (np.array(column, dtype=float) for column in zip(*seen, strict=True))
    population = np.concatenate([risk, np.linspace(0, 1, 100)])
    shuffled = np.random.default_rng(seed).permutation(len(risk))
    one = threshold_for(
        Evidence(risk=risk, loss=loss, inclusion=inclusion, population=population, least=0.1), Promise()
    )
    other = threshold_for(
        Evidence(
            risk=risk[shuffled], loss=loss[shuffled], inclusion=inclusion[shuffled], population=population[::-1],
            least=0.1,
        ),
        Promise(),
    )  # fmt: skip
    assert one.value == other.value
    assert 0.0 <= one.automation <= 1.0
    assert one.passing <= one.bound <= 0.05 or one.value == 0.0


def test_stricter_promises_let_less_pass() -> None:
    """A smaller alpha or delta never raises the threshold; several promises together are the strictest."""
    evidence = audited(np.random.default_rng(3), 1000)
    by_alpha = [threshold_for(evidence, Promise(alpha=alpha)) for alpha in (0.02, 0.05, 0.1, 0.3)]
    by_delta = [threshold_for(evidence, Promise(delta=delta)) for delta in (0.01, 0.05, 0.1, 0.5)]
    for found in (by_alpha, by_delta):
        assert all(a.value <= b.value for a, b in pairwise(found))
    assert together(by_alpha) == by_alpha[0]
    assert threshold_for(evidence, Promise().shared(5)).value <= threshold_for(evidence, Promise()).value


def test_the_audits_that_are_said_to_be_needed_do() -> None:
    """With as many more of the same kind, the share that was asked for passes, and with clearly fewer it does not."""
    few = audited(np.random.default_rng(5), 150)
    wanted = 0.57
    more = audits_needed(few, Promise(), wanted)
    assert more
    now = threshold_for(few, Promise())
    assert now.automation < wanted

    def repeated(times: float) -> Evidence:
        whole = round(times)
        return Evidence(
            risk=np.tile(few.risk, whole), loss=np.tile(few.loss, whole), inclusion=np.tile(few.inclusion, whole),
            population=np.tile(few.population, whole), least=few.least,
        )  # fmt: skip

    times = 1 + more / few.audits
    assert threshold_for(repeated(np.ceil(times) + 1), Promise()).automation >= wanted
    assert audits_needed(repeated(np.ceil(times) + 1), Promise(), wanted) == 0


@pytest.mark.parametrize("field", ["alpha", "delta"])
@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, float("nan")])
def test_promises_that_cannot_be_are_refused(field: str, value: float) -> None:
    """0 cannot be promised, 1 promises nothing."""
    with pytest.raises(Invalid, match=field):
        Promise(**{field: value})


@pytest.mark.parametrize(
    "wrong",
    [
        {"risk": np.array([1.5])},
        {"loss": np.array([-1.0])},
        {"loss": np.array([0.0, 1.0])},
        {"inclusion": np.array([0.01])},
        {"population": np.empty(0)},
        {"least": 0.0},
        {"risk": np.array([np.nan])},
    ],
)
def test_evidence_that_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    """Rates outside [0, 1], arrays of different lengths, probabilities below the least, fewer predictions than seen."""
    sound: dict[str, object] = {
        "risk": np.array([0.5]), "loss": np.array([1.0]), "inclusion": np.array([0.5]), "population": np.array([0.5]),
        "least": 0.5,
    }  # fmt: skip
    with pytest.raises(Invalid, match="contradicts"):
        Evidence(**{**sound, **wrong})  # type: ignore[arg-type]
