"""When a project retrains by itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.cycle import CycleState
from loop.domain.errors import Invalid
from loop.domain.policy.schedule import Schedule
from loop.domain.policy.triggers import (
    Situation,
    TriggerRules,
    checked_rules,
    looked_at,
    rules_from_json,
    rules_to_json,
    rules_version,
    verdict,
)

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


FAILS_OR_DRIFTS = {"any": [{"all": ["corrected", "failure_rate"]}, "drift"]}


def combined(when: object, **rules: object) -> TriggerRules:
    given = {"corrected": 200, "failure_rate": 0.05, "drift": True, **rules, "when": when}
    return checked_rules(rules_from_json(given))


@pytest.mark.parametrize(
    ("corrected", "rate", "drift", "asks"),
    [
        (200, 0.06, False, True),
        (199, 0.06, False, False),
        (200, 0.05, False, False),
        (200, None, False, False),
        (0, None, True, True),
        (200, 0.06, True, True),
        (0, 0.0, False, False),
    ],
)
def test_conditions_hold_together_as_they_are_combined(corrected, rate, drift, asks):
    """At least 200 corrections and a failure rate surely above 5 %, or drift."""
    known = replace(CALM, corrected=corrected, failure_rate=rate, drift=drift)
    assert bool(verdict(combined(FAILS_OR_DRIFTS), NOW, known).reasons) is asks


def test_a_cycle_keeps_the_state_of_each_condition():
    found = verdict(combined(FAILS_OR_DRIFTS), NOW, replace(CALM, corrected=220, failure_rate=0.061))
    assert found.reason == (
        "220 items were corrected since the last cycle; at least 0.061 of the predictions fail, more than 0.05"
        " (not so: no drift alarm is on)"
    )
    assert [(state.name, state.holds) for state in found.states] == [
        ("corrected", True), ("failure_rate", True), ("drift", False),
    ]  # fmt: skip


def test_what_holds_alone_but_not_together_is_told_with_what_is_missing():
    found = verdict(combined(FAILS_OR_DRIFTS), NOW, replace(CALM, corrected=220))
    assert found.reasons == ()
    assert found.waiting == (
        "a cycle is asked for when (corrected and failure_rate) or drift; not so yet: failure_rate, drift."
    )


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("drift", "when is no combination"),
        ({}, "when says nothing"),
        ({"none": ["drift"]}, "when says 'none'; it says either any or all"),
        ({"any": ["drift"], "all": ["corrected"]}, "when says 'any', 'all'"),
        ({"any": []}, "when.any is no list"),
        ({"any": "drift"}, "when.any is no list"),
        ({"any": ["drift", "corected"]}, r"when.any\[1\]: there is no condition 'corected'"),
        ({"any": [{"all": ["drift", 3]}]}, r"when.any\[0\].all\[1\]: there is no condition 3"),
        ({"any": ["drift", "drift"]}, "when.any names a condition twice"),
        ({"any": ["drift", "corrected", "failure_rate", "reviewed"]}, "when names reviewed, which is not set"),
        ({"any": ["drift", "corrected"]}, "failure_rate is set, but when does not name it"),
        ({"any": [{"any": [{"any": [{"any": [{"any": ["drift"]}]}]}]}]}, "more than 4 combinations"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(when, said):
    with pytest.raises(Invalid, match=said):
        combined(when)


def test_rules_come_back_as_they_were_kept():
    """Also those of versions that knew no combination."""
    rules = combined(FAILS_OR_DRIFTS)
    assert rules_to_json(rules)["when"] == FAILS_OR_DRIFTS
    assert rules_from_json(rules_to_json(rules)) == rules
    assert rules_from_json({"reviewed": 3}) == TriggerRules(reviewed=3)


@pytest.mark.parametrize(
    "changes",
    [{"reviewed": 5}, {"drift": False}, {"when": None}, {"least_new": 21}, {"schedule": None},
     {"schedule": Schedule(at="02:30", days=("mon",))}],
)  # fmt: skip
def test_rules_have_another_version_where_anything_else_is_set(changes):
    rules = replace(combined(FAILS_OR_DRIFTS), schedule=Schedule(at="02:30"))
    assert rules_version(replace(rules, **changes)) != rules_version(rules)
    assert rules_version(rules_from_json(rules_to_json(rules))) == rules_version(rules)


def test_a_schedule_that_goes_on_leaves_the_version():
    """What nobody has changed is no reason to look again."""
    rules = TriggerRules(schedule=Schedule(at="02:30", since=NOW - timedelta(days=2)))
    after = looked_at(rules, NOW)
    assert after != rules and rules_version(after) == rules_version(rules)


@given(st.integers(0, 300), st.none() | st.floats(0, 1), st.booleans())
def test_without_a_combination_any_asks(corrected, rate, drift):
    """As a combination of any of all that are set."""
    known = replace(CALM, corrected=corrected, failure_rate=rate, drift=drift)
    any_of = combined({"any": ["corrected", "failure_rate", "drift"]})
    assert verdict(any_of, NOW, known).reasons == verdict(combined(None), NOW, known).reasons
