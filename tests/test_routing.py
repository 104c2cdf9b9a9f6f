"""Who looks at a prediction."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from loop.domain.routing import Action, Policy, Stage, audit_lottery, ordering_risk, route

unit = st.floats(0.0, 1.0, allow_nan=False)


def policy(threshold: float = 0.5, audit_rate: float = 0.1) -> Policy:
    return Policy(
        version=3, threshold=threshold, audit_rate=audit_rate, score_threshold=0.25, failure_iou=0.5, lease_seconds=60
    )


@given(risk=unit, threshold=unit, rate=unit, drawn=st.booleans())
def test_a_person_looks_exactly_where_risk_or_lot_says_so(risk, threshold, rate, drawn):
    """Review iff risk >= threshold or drawn; each cause is named; the probability is 1 for what risk sends."""
    decision = route(risk=risk, policy=policy(threshold, rate), audit_drawn=drawn)
    risky = risk >= threshold
    assert (decision.action is Action.REVIEW) == (risky or drawn)
    codes = {reason.code for reason in decision.reasons}
    assert ("risk-above-threshold" in codes) == risky
    assert ("audit-lot" in codes) == drawn
    assert ("risk-below-threshold" in codes) == (not risky and not drawn)
    assert decision.inclusion_probability == (1.0 if risky else rate)
    assert (decision.threshold, decision.policy_version, decision.audit_rate) == (threshold, 3, rate)


@given(risk=unit)
def test_the_audit_lot_is_a_random_sample_of_all_predictions(risk):
    """What is drawn has the stage AUDIT whether or not it is risky, so that the lot is not thinned by risk."""
    assert route(risk=risk, policy=policy(), audit_drawn=True).stage is Stage.AUDIT


@given(risk=unit, name=st.text(min_size=1), threshold=unit)
def test_audits_are_ordered_among_the_riskiest(risk, name, threshold):
    """Whatever their own risk; other work by its own."""
    routed, audit = (route(risk=risk, policy=policy(threshold), audit_drawn=drawn) for drawn in (False, True))
    assert ordering_risk(b"secret", name, routed) == risk
    assert max(0.8, risk) <= ordering_risk(b"secret", name, audit) <= 1.0


def test_the_order_of_audits_tells_them_from_nothing():
    """Within the riskiest fifth each place is as probable as any other, and hangs on nothing else that is drawn."""
    audit = route(risk=0.0, policy=policy(), audit_drawn=True)
    drawn = [audit_lottery(b"k", f"pred_{i}", 0.5) for i in range(4000)]
    places = np.array([(ordering_risk(b"k", f"pred_{i}", audit) - 0.8) / 0.2 for i in range(4000)])
    assert kstest(places, "uniform").pvalue > 0.001
    assert abs(places[drawn].mean() - 0.5) < 4 * (1 / 12 / sum(drawn)) ** 0.5


@given(key=st.binary(min_size=16, max_size=32), name=st.text(min_size=1))
def test_the_draw_is_fixed_by_the_id(key, name):
    """The same id under the same secret draws the same; rate 0 never draws and rate 1 always does."""
    assert audit_lottery(key, name, 0.3) == audit_lottery(key, name, 0.3)
    assert not audit_lottery(key, name, 0.0)
    assert audit_lottery(key, name, 1.0)


@given(low=unit, high=unit, name=st.text(min_size=1))
def test_a_higher_rate_draws_a_superset(low, high, name):
    """Raising the rate adds items to the lot and takes none out."""
    low, high = sorted((low, high))
    assert audit_lottery(b"secret", name, high) or not audit_lottery(b"secret", name, low)


def test_the_lottery_keeps_its_rate():
    """Of 20,000 ids a share of the rate is drawn, within 4 standard errors."""
    drawn = sum(audit_lottery(b"k", f"pred_{i}", 0.1) for i in range(20_000))
    assert abs(drawn / 20_000 - 0.1) < 4 * (0.1 * 0.9 / 20_000) ** 0.5


def test_another_secret_draws_others():
    """Without the installation's secret nobody can foresee the draw."""
    first = {i for i in range(2000) if audit_lottery(b"one", str(i), 0.5)}
    second = {i for i in range(2000) if audit_lottery(b"two", str(i), 0.5)}
    assert 700 < len(first ^ second) < 1300
