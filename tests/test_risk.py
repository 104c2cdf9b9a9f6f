"""Risk that was learned: probabilities, better than the signals it learns from, and readable."""

import json
from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import Invalid
from selection.risk import FittedRisk, pieces_of
from selection.risk_fitting import Reviews, fit_risk, report_of

RNG = np.random.default_rng(11)


def reviews_of(n: int, seed: int = 0, *, probability: np.ndarray | None = None) -> Reviews:
    """Failures come from a bend in one signal and a little of another; a third says nothing, a fourth is constant."""
    rng = np.random.default_rng(seed)
    signals = {
        "bent": rng.uniform(size=n),
        "slight": rng.normal(size=n),
        "noise": rng.normal(size=n),
        "constant": np.ones(n),
    }
    logit = 8.0 * np.abs(signals["bent"] - 0.5) - 3.0 + 0.7 * signals["slight"]
    failed = rng.uniform(size=n) < 1.0 / (1.0 + np.exp(-logit))
    return Reviews(signals=signals, failed=failed, probability=np.ones(n) if probability is None else probability)


def truth_of(reviews: Reviews) -> np.ndarray:
    logit = 8.0 * np.abs(reviews.signals["bent"] - 0.5) - 3.0 + 0.7 * reviews.signals["slight"]
    return 1.0 / (1.0 + np.exp(-logit))


def drawn_from(everything: Reviews, probability: np.ndarray) -> Reviews:
    """Those that came to a person, each with its probability."""
    drawn = np.random.default_rng(4).uniform(size=len(everything)) < probability
    return Reviews(
        signals={name: values[drawn] for name, values in everything.signals.items()},
        failed=everything.failed[drawn],
        probability=probability[drawn],
    )


def test_it_is_close_to_the_probability_of_failing() -> None:
    """On reviews it has not seen, and better than any signal alone."""
    fitted, held_out = fit_risk(reviews_of(3000), seed=0)
    report = report_of(held_out, reviews_of(3000))
    fresh = reviews_of(3000, seed=1)
    risks = fitted.of_all(fresh.signals)
    assert np.abs(risks - truth_of(fresh)).mean() < 0.05
    unseen = report_of(risks, fresh)
    assert unseen.auroc > max(report_of(fresh.signals[name], fresh).auroc for name in ("bent", "slight", "noise")) + 0.1
    assert report.auroc == pytest.approx(unseen.auroc, abs=0.03)
    assert report.brier == pytest.approx(unseen.brier, abs=0.015)
    assert report.brier < report.base
    assert all(abs(mean - share) < 0.12 for mean, share, _ in report.reliability)
    assert sum(weight for _, _, weight in report.reliability) == pytest.approx(1.0)


def test_with_few_reviews_it_claims_little() -> None:
    """Sixty reviews in which signals say nothing: what it says of itself is that it knows nothing."""
    rng = np.random.default_rng(3)
    reports = []
    for seed in range(20):
        reviews = Reviews(
            signals={"noise": rng.normal(size=60)}, failed=rng.permutation(60) < 30, probability=np.ones(60)
        )
        reports.append(report_of(fit_risk(reviews, seed=seed)[1], reviews))
    assert np.mean([report.auroc for report in reports]) < 0.58
    assert np.mean([report.brier - report.base for report in reports]) > -0.005


def test_routing_does_not_bias_it() -> None:
    """Risky predictions are all reviewed, others with 5 %: the rate it learns is that of all predictions."""
    everything = reviews_of(20_000)
    probability = np.where(everything.signals["slight"] > 0.5, 1.0, 0.05)
    reviewed = drawn_from(everything, probability)
    fitted, held_out = fit_risk(reviewed, seed=0)
    report = report_of(held_out, reviewed)
    rate = everything.failed.mean()
    assert fitted.of_all(everything.signals).mean() == pytest.approx(rate, abs=0.02)
    assert report.failure_rate == pytest.approx(rate, abs=0.03)
    assert reviewed.failed.mean() > rate + 0.03  # which the plain share of failures is not


def test_the_report_stands_for_all_predictions_however_few_are_audited() -> None:
    """Four in ten are risky and reviewed; of the others one in five hundred."""
    everything = reviews_of(60_000)
    probability = np.where(everything.signals["slight"] > 0.25, 1.0, 0.002)
    reviewed = drawn_from(everything, probability)
    report = report_of(np.full(len(reviewed), 0.5), reviewed)
    assert report.failure_rate == pytest.approx(everything.failed.mean(), abs=0.06)
    assert reviewed.failed.mean() > everything.failed.mean() + 0.1


def test_those_it_takes_for_alike_keep_their_order() -> None:
    """Calibration says the same of many; the riskiest are not drawn from them by lot."""
    fitted, _ = fit_risk(reviews_of(300), seed=0)
    fresh = reviews_of(2000, seed=1)
    risks = fitted.of_all(fresh.signals)
    steps = replace(fitted, calibrated=fitted.raw).of_all(fresh.signals)  # as the regression has them
    assert len(np.unique(risks)) == len(np.unique(steps)) > 1900
    assert np.array_equal(np.argsort(risks), np.argsort(steps))
    alike = np.interp(steps, fitted.raw, fitted.calibrated)
    assert len(np.unique(alike)) < 500 and np.abs(risks - alike).max() <= 0.001


def test_it_survives_being_written_down() -> None:
    fitted, _ = fit_risk(reviews_of(200), seed=0)
    assert FittedRisk.from_fields(json.loads(json.dumps(asdict(fitted)))) == fitted


def test_the_same_reviews_give_the_same_risk() -> None:
    (one, held_out), (other, again) = (fit_risk(reviews_of(120), seed=5) for _ in range(2))
    assert one == other
    assert np.array_equal(held_out, again)


@given(
    values=st.fixed_dictionaries({name: st.floats(-1e300, 1e300) for name in ("bent", "slight", "noise", "constant")})
)
def test_whatever_the_signals_it_is_between_0_and_1(values: dict[str, float]) -> None:
    """Never one of them: what never failed in n reviews may fail in the next."""
    risk = FITTED.of(values)
    assert 0.0 < risk < 1.0
    assert risk == pytest.approx(FITTED.of_all({name: np.array([value]) for name, value in values.items()})[0])


FITTED = fit_risk(reviews_of(300), seed=0)[0]


@given(values=st.lists(st.floats(-3.0, 3.0), min_size=2, max_size=2))
def test_each_piece_is_how_far_its_signal_is_through_its_interval(values: list[float]) -> None:
    """Whatever the others are, and however many intervals each has."""
    knots = ((0.0, 1.0), (-1.0, 0.0, 0.5, 2.0))
    expected = [
        min(max((value - low) / (high - low), 0.0), 1.0)
        for value, own in zip(values, knots, strict=True)
        for low, high in pairwise(own)
    ]
    assert pieces_of([np.array([value]) for value in values], knots)[0].tolist() == pytest.approx(expected)


def test_a_signal_that_is_measured_later_changes_nothing() -> None:
    """What was learned without it goes on as it is."""
    fitted, _ = fit_risk(reviews_of(200), seed=0)
    measured = {"bent": 0.9, "slight": 0.1, "noise": 0.3}
    assert fitted.of(measured | {"sum_margin": 7.0}) == fitted.of(measured)


def test_a_missing_signal_is_named() -> None:
    with pytest.raises(Invalid, match="'bent'"):
        FITTED.of({"slight": 0.0, "noise": 0.0})


@pytest.mark.parametrize(("n", "failures"), [(49, 20), (100, 9), (100, 91), (100, 0), (0, 0)])
def test_too_few_reviews_are_refused(n: int, failures: int) -> None:
    reviews = replace(reviews_of(n), failed=np.arange(n) < failures)
    with pytest.raises(Invalid, match="too few to learn risk from"):
        fit_risk(reviews, seed=0)


def test_signals_that_never_change_teach_nothing() -> None:
    reviews = replace(reviews_of(100), signals={"constant": np.ones(100)}, failed=np.arange(100) < 50)
    with pytest.raises(Invalid, match="all signals are the same"):
        fit_risk(reviews, seed=0)
