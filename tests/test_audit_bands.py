"""Audit rates by risk: they draw as many as one rate would, and tell more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import Invalid
from loop.domain.guarantee.audit_bands import FEWEST_RISKS, bands_for
from loop.domain.policy.promises import AuditRates
from loop.domain.production.estimate import assisted_rate

RISKS = st.lists(st.floats(0, 1), min_size=FEWEST_RISKS, max_size=400)


@given(risks=RISKS, rate=st.floats(0.001, 1.0))
def test_as_many_are_drawn_and_none_has_no_chance(risks: list[float], rate: float) -> None:
    """Whatever the risks: rates are probabilities above 0 that grow with the risk, and their mean is the rate; less
    where some cannot be drawn more often than always."""
    bands = bands_for(np.array(risks), rate)
    rates = bands.rates(np.array(risks))
    routed = AuditRates(by_risk=bands.by_risk)
    assert rates.tolist() == [routed.of(bands.audit_rate, source="", labels=(), risk=one) for one in risks]
    assert ((rates > 0.0) & (rates <= 1.0)).all()
    assert rates[np.argsort(risks)].tolist() == sorted(rates)
    assert [edge for edge, _ in bands.by_risk] == sorted({edge for edge, _ in bands.by_risk})
    full = (rates == 1.0).any()
    assert rates.mean() <= rate + 2e-5
    assert full or rates.mean() == pytest.approx(rate, abs=2e-5)


def test_alike_risks_are_drawn_alike() -> None:
    """Where there is nothing to choose between, it is one rate, also where nothing ever fails."""
    for risk in (0.0, 0.05, 0.5, 1.0):
        bands = bands_for(np.full(300, risk), 0.02)
        assert (bands.audit_rate, bands.by_risk, bands.worth) == (0.02, (), pytest.approx(1.0))


@pytest.mark.parametrize(("a", "b"), [(0.5, 1.5), (0.25, 4.75)], ids=["one in 4 fails", "one in 20 fails"])
def test_an_interval_is_as_short_as_it_says(a: float, b: float) -> None:
    """As many audits at these rates give an interval shorter by √worth than at one rate, and it holds the truth."""
    rng = np.random.default_rng(0)
    bands = bands_for(rng.beta(a, b, 20_000), 0.02)
    widths, held = [], []
    for _ in range(60):
        risk = rng.beta(a, b, 40_000)
        failed = (rng.random(len(risk)) < risk).astype(float)
        draw = rng.random(len(risk))
        both = []
        for rates in (bands.rates(risk), np.full(len(risk), 0.02)):
            seen = draw < rates
            both.append(assisted_rate(failed[seen], rates[seen], risk[seen], risk))
        widths.append((both[0].high - both[0].low) / (both[1].high - both[1].low))
        held.append(both[0].low <= a / (a + b) <= both[0].high)
    assert bands.worth > 1.1
    assert np.median(widths) == pytest.approx(bands.worth**-0.5, rel=0.08)
    assert np.mean(held) >= 0.85


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1, float("nan")])
def test_what_is_no_rate_is_refused(rate: float) -> None:
    """So are too few predictions."""
    with pytest.raises(Invalid, match="rate of audits"):
        bands_for(np.zeros(300), rate)
    with pytest.raises(Invalid, match="199 predictions"):
        bands_for(np.zeros(199), 0.02)
