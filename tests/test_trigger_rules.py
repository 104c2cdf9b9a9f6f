"""When a project retrains by itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.cycle import CycleState
from loop.domain.errors import Invalid
from loop.domain.triggers import Situation, TriggerRules, checked_rules, verdict

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CALM = Situation(
    running=None, ended_at=NOW - timedelta(hours=48), ended_as=CycleState.PROMOTED, reviewed=50, corrected=10,
    failure_rate=0.04, drift=False,
)  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "known", "said"),
    [
        (TriggerRules(reviewed=50), CALM, "50 items were reviewed"),
        (TriggerRules(corrected=10), CALM, "10 items were corrected"),
        (TriggerRules(failure_rate=0.03), CALM, "0.040"),
        (TriggerRules(drift=True), replace(CALM, drift=True), "drifts"),
        (TriggerRules(every_hours=48), CALM, "48 hours"),
        (TriggerRules(every_hours=48), replace(CALM, ended_at=None, ended_as=None), "48 hours"),
    ],
)
def test_each_trigger_asks_with_its_reason(rules, known, said):
    (reason,) = verdict(rules, NOW, known).reasons
    assert said in reason


@pytest.mark.parametrize(
    "rules",
    [
        TriggerRules(),
        TriggerRules(reviewed=51),
        TriggerRules(corrected=11),
        TriggerRules(failure_rate=0.04),
        TriggerRules(drift=True),
        TriggerRules(every_hours=48.1),
    ],
)
def test_below_its_bound_it_does_not(rules):
    assert verdict(rules, NOW, CALM).reasons == ()


def test_all_reasons_are_told():
    """Whoever looks at the cycle later sees everything that spoke for it."""
    found = verdict(TriggerRules(reviewed=1, corrected=1, every_hours=1), NOW, CALM)
    assert len(found.reasons) == 3


def test_an_unknown_failure_rate_asks_for_nothing():
    assert verdict(TriggerRules(failure_rate=0.01), NOW, replace(CALM, failure_rate=None)).reasons == ()


def test_from_nothing_new_nothing_is_learned():
    """Whatever asks: a cycle on the same data would only wear out the images that it is judged by."""
    found = verdict(TriggerRules(drift=True, every_hours=1), NOW, replace(CALM, drift=True, reviewed=19))
    assert found.reasons == () and "19 items" in found.waiting


def test_one_cycle_at_a_time():
    found = verdict(TriggerRules(reviewed=1), NOW, replace(CALM, running="cycle_7"))
    assert found.reasons == () and "cycle_7" in found.waiting


def test_it_is_quiet_after_a_cycle_and_longer_after_one_that_failed():
    rules = TriggerRules(reviewed=1, quiet_hours=2, failed_hours=10)
    recent = replace(CALM, ended_at=NOW - timedelta(hours=3))
    assert verdict(rules, NOW, recent).reasons
    failed = verdict(rules, NOW, replace(recent, ended_as=CycleState.FAILED))
    assert failed.reasons == () and "2026-05-01 19:00" in failed.waiting and "failed" in failed.waiting


@pytest.mark.parametrize(
    ("name", "value"),
    [("reviewed", 0), ("corrected", -1), ("failure_rate", 1.0), ("failure_rate", 0.0), ("every_hours", 0.0),
     ("least_new", 0), ("quiet_hours", -1.0), ("failed_hours", 1e9)],
)  # fmt: skip
def test_rules_that_make_no_sense_are_refused(name, value):
    with pytest.raises(Invalid, match=name):
        checked_rules(replace(TriggerRules(), **{name: value}))


@given(
    rules=st.builds(
        TriggerRules, reviewed=st.none() | st.integers(1, 99), corrected=st.none() | st.integers(1, 99),
        failure_rate=st.none() | st.floats(0.01, 0.99), drift=st.booleans(), every_hours=st.none() | st.floats(0.1, 99),
    ),
    reviewed=st.integers(0, 99), corrected=st.integers(0, 99), rate=st.none() | st.floats(0, 1), drift=st.booleans(),
)  # fmt: skip
def test_it_asks_or_says_why_not(rules, reviewed, corrected, rate, drift):
    known = replace(CALM, reviewed=reviewed, corrected=corrected, failure_rate=rate, drift=drift)
    found = verdict(rules, NOW, known)
    assert bool(found.reasons) != bool(found.waiting)
