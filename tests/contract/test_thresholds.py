"""Records of thresholds, and what policies promise, on both databases."""

from dataclasses import replace
from datetime import UTC

import pytest

from loop.domain.errors import NotFound
from loop.domain.guarantee.thresholds import Broken, EvidenceBasis, GroupThreshold, Thresholds, Why
from loop.domain.policy.promises import (
    AuditRates,
    ErrorCosts,
    GuaranteeRules,
    Loss,
    OnAlarm,
    Promise,
    PromiseBy,
    Statement,
    WhenShort,
)
from loop.domain.ports import Store
from loop.domain.reason import Reason
from tests.contract.records import NOW, ODD, PROJECT, a_model, a_policy, a_prediction, furnish, same

PROMISES = (
    Promise(
        alpha=0.1 + 0.2, delta=1e-9, loss=Loss.COST, classes=(ODD, "seven"), by=PromiseBy.LABEL, missed_weight=1 / 3
    ),
    Promise(statement=Statement.EXPECTED, by=PromiseBy.SOURCE),
)
UTC_NOW = NOW.astimezone(UTC)
GROUP = GroupThreshold(
    promise=1, group=f"source={ODD}", value=1 / 3, passing=1e-12, bound=0.1 + 0.2, automation=2 / 3, size=10,
    answered=7, audits=3, needed=(0, 12, None), reasons=(Reason("promise-kept", ODD),),
)  # fmt: skip
RECORD = Thresholds(
    project_id=PROJECT, version=0, model_id=a_model(0).id, risk_key=None, policy_version=1, promises=PROMISES,
    created_at=UTC_NOW, why=Why.BROKEN, basis=EvidenceBasis.AUDITS, window_from=UTC_NOW, window_until=UTC_NOW, size=10,
    answered=7, closed=1, overdue=2, groups=(GROUP,), automation=2 / 3, review_share=1 / 3, relaxed=None,
    watched_since=UTC_NOW, not_before=None, reviews=9, alarm=None,
)  # fmt: skip
ALARM = Broken(
    promise=1, group=f"source={ODD}", since=UTC_NOW, found_at=UTC_NOW, seen=84, rate=1 / 3, capital=1e12
)  # fmt: skip


@pytest.fixture
def furnished(store: Store) -> Store:
    furnish(store, models=2)
    return store


def added(store: Store, record: Thresholds = RECORD, evidence: tuple[str, ...] = ()) -> Thresholds:
    with store.begin() as tx:
        return tx.thresholds.add(record, evidence)


def test_a_record_comes_back_as_it_was(furnished: Store) -> None:
    """Numbered from 1; with its evidence in order, and its alarm."""
    evidence = tuple(f"pred_{number:05}" for number in range(2000))
    first = added(furnished, evidence=evidence)
    second = added(
        furnished,
        replace(RECORD, alarm=ALARM, relaxed=0.5, not_before=UTC_NOW, risk_key="key", groups=(), others=(ODD,)),
    )
    assert (first.version, second.version) == (1, 2)
    with furnished.read() as tx:
        assert [tx.thresholds.get(PROJECT, version) for version in (1, 2)] == [first, second]
        assert tx.thresholds.evidence(PROJECT, 1) == list(evidence)
        assert tx.thresholds.evidence(PROJECT, 2) == tx.thresholds.evidence(PROJECT, 9) == []
        with pytest.raises(NotFound, match="no thresholds of version 3"):
            tx.thresholds.get(PROJECT, 3)


def test_the_newest_of_just_this_model_policy_and_risk(furnished: Store) -> None:
    """And the latest of the model, whatever else."""
    with furnished.begin() as tx:
        tx.projects.save_policy(PROJECT, a_policy(2))
    mine = [added(furnished), added(furnished)][-1]
    learned = added(furnished, replace(RECORD, risk_key="key"))
    newer = added(furnished, replace(RECORD, policy_version=2))
    other = added(furnished, replace(RECORD, model_id=a_model(1).id))
    with furnished.read() as tx:
        assert tx.thresholds.newest(PROJECT, a_model(0).id, 1, None) == mine
        assert tx.thresholds.newest(PROJECT, a_model(0).id, 1, "key") == learned
        assert tx.thresholds.newest(PROJECT, a_model(0).id, 2, "key") is None
        assert tx.thresholds.latest(PROJECT, a_model(0).id) == newer
        assert [one.version for one in tx.thresholds.page(PROJECT, before=None, limit=2)] == [other.version, 4]
        assert [one.version for one in tx.thresholds.page(PROJECT, before=4, limit=9)] == [3, 2, 1]


def test_gateways_learn_of_a_record_at_once(furnished: Store) -> None:
    """It raises the revision; what a project routes by is nothing without a promise, else what fits risk or rule."""
    before = furnished.revision()
    rule, learned = added(furnished), added(furnished, replace(RECORD, risk_key="key"))
    assert furnished.revision() > before
    model = replace(a_model(0), risk_key="key")
    with furnished.read() as tx:
        project = tx.projects.get(PROJECT)
        assert tx.thresholds.of(project, model) == ()
        promising = replace(project, policy=replace(project.policy, guarantee=GuaranteeRules(promises=PROMISES)))
        assert {one.version for one in tx.thresholds.of(promising, model)} == {rule.version, learned.version}


def test_what_a_policy_promises_comes_back(furnished: Store) -> None:
    """With all that belongs to it, and audit rates."""
    rules = GuaranteeRules(
        promises=PROMISES, evidence_share=1 / 3, window_audits=500, window_days=7.5, patience_days=0.1,
        on_alarm=OnAlarm.TELL, when_short=WhenShort.BEST_EFFORT, hours_a_day=0.1 + 0.2,
        costs=ErrorCosts(review=None, missed=1 / 3, false_alarm=2.0),
    )  # fmt: skip
    rates = AuditRates(by_source={ODD: 0.5}, by_label={"seven": 1.0}, by_risk=((0.1 + 0.2, 1 / 3),))
    with furnished.begin() as tx:
        tx.projects.save_policy(PROJECT, replace(a_policy(2), guarantee=rules, audit_rates=rates))
    with furnished.read() as tx:
        policy = tx.projects.get(PROJECT).policy
    assert (policy.guarantee, policy.audit_rates) == (rules, rates)


def test_a_decision_keeps_the_version_that_it_was_made_by(furnished: Store) -> None:
    made = a_prediction()
    made = replace(made, decision=replace(made.decision, threshold_version=7))
    with furnished.begin() as tx:
        tx.predictions.add(made)
    with furnished.read() as tx:
        found = tx.predictions.get(PROJECT, made.id)
    assert found.decision.threshold_version == 7
    assert same(replace(found, decision=made.decision), replace(made, created_at=found.created_at))
