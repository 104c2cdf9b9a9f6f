"""Which models stay loaded, as the store says it. Each test is run on SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from loop.domain.model import PromotionKind, PromotionState
from loop.domain.ports import Transaction
from loop.domain.rollouts.rollout import Rollout, RolloutKind, RolloutLimits, RolloutState
from loop.models.loaded import needed, serving
from loop.store.database import SqlStore
from tests.contract.records import NOW, PROJECT, a_model, a_promotion, furnish, later

STANDBY = timedelta(seconds=300)


@pytest.fixture
def furnished(store: SqlStore) -> SqlStore:
    """Four models; the second is the champion, since NOW, instead of the first."""
    furnish(store, models=4)
    with store.begin() as tx:
        tx.projects.move_champion(PROJECT, expected=None, to=a_model(0).id)
        promoted(tx, 0, model=1, previous=0)
    return store


def promoted(tx: Transaction, number: int, *, model: int, previous: int, at: datetime = NOW) -> None:
    asked = replace(a_promotion(number, model=model, at=at), previous_id=a_model(previous).id)
    tx.promotions.add(asked)
    tx.projects.move_champion(PROJECT, expected=a_model(previous).id, to=a_model(model).id)
    tx.promotions.save(replace(asked, state=PromotionState.ACTIVE, finished_at=at))


def beside(kind: RolloutKind, model: int, state: RolloutState) -> Rollout:
    limits = RolloutLimits(min_requests=50, max_error_rate=0.1, max_latency_ratio=1.5, confidence=0.999, window_s=1.0)
    return Rollout(
        id=f"rollout_{kind}_{model}", project_id=PROJECT, kind=kind, model_id=a_model(model).id,
        champion_id=a_model(1).id, share=0.5, state=state, actor="ada", reason="", limits=limits, created_at=NOW,
    )  # fmt: skip


def loaded(store: SqlStore, seconds: float) -> set[str]:
    with store.read() as tx:
        return {model.id for model in needed(tx, later(seconds), STANDBY)}


def ids(*numbers: int) -> set[str]:
    return {a_model(number).id for number in numbers}


def test_the_champion_before_stays_for_a_while(furnished: SqlStore) -> None:
    """A rollback finds it running; later its memory is free again."""
    assert loaded(furnished, 0) == ids(0, 1)
    assert loaded(furnished, 299) == ids(0, 1)
    assert loaded(furnished, 301) == ids(1)


def test_each_project_has_its_own_time(furnished: SqlStore) -> None:
    """The clock starts anew with each promotion."""
    with furnished.begin() as tx:
        promoted(tx, 1, model=2, previous=1, at=later(200))
    assert loaded(furnished, 250) == ids(0, 1, 2)
    assert loaded(furnished, 400) == ids(1, 2)


def test_no_time_is_no_standby(furnished: SqlStore) -> None:
    """Not even in the moment of the promotion: for a service without it, and where something has to be started."""
    with furnished.read() as tx:
        assert {model.id for model in needed(tx, NOW, timedelta(0))} == ids(1)


def test_a_failed_promotion_leaves_nothing_loaded(furnished: SqlStore) -> None:
    """It replaced nobody."""
    asked = replace(a_promotion(1, model=2), previous_id=a_model(3).id)
    with furnished.begin() as tx:
        tx.promotions.add(asked)
        tx.promotions.save(replace(asked, state=PromotionState.FAILED, error="broken", finished_at=NOW))
    assert loaded(furnished, 1) == ids(0, 1)


def test_what_waits_is_wanted_with_the_options_that_it_will_have(furnished: SqlStore) -> None:
    """Other options are another application: it must not be stopped before it has served."""
    asked = replace(a_promotion(1, model=1), kind=PromotionKind.RECONFIGURE, serving={"detector_replicas": 2})
    with furnished.begin() as tx:
        tx.promotions.add(asked)
    with furnished.read() as tx:
        found = needed(tx, later(301), STANDBY)
    assert [dict(model.serving) for model in found] == [{}, {"detector_replicas": 2}]


def test_canaries_and_shadows_serve_once_they_are_active(furnished: SqlStore) -> None:
    """Before that they are waited for, after it they are nobody's."""
    canary = beside(RolloutKind.CANARY, 2, RolloutState.QUEUED)
    with furnished.begin() as tx:
        tx.rollouts.add(canary)
    with furnished.read() as tx:
        assert {model.id for model in serving(tx)} == ids(1)
    assert loaded(furnished, 301) == ids(1, 2)
    with furnished.begin() as tx:
        tx.rollouts.save(replace(canary, state=RolloutState.ACTIVE), expected=RolloutState.QUEUED)
    with furnished.read() as tx:
        assert {model.id for model in serving(tx)} == ids(1, 2)
    with furnished.begin() as tx:
        ended = replace(canary, state=RolloutState.ENDED, finished_at=later(1))
        tx.rollouts.save(ended, expected=RolloutState.ACTIVE)
    assert loaded(furnished, 301) == ids(1)
