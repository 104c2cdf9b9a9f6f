"""A cycle whose winner is a canary before it serves."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loop.cycle.controller import CanaryPlan
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.model import PromotionKind
from loop.domain.rollouts.canary import Arm, CanaryRules, CanaryStanding, CanaryVerdict, OnPass, OnUndecided
from loop.domain.rollouts.rollout import Rollout, RolloutKind, RolloutState
from tests.cycle_worker import LABELS, PROJECT, Service, furnished
from tests.test_settling import LIMITS, refuse
from tests.tiny_models import tiny_weights

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RULES = CanaryRules(
    margin=0.05, confidence=0.95, max_hours=72.0, max_answers=2000, patience_hours=24.0, on_pass=OnPass.PROMOTE,
    on_undecided=OnUndecided.ROLL_BACK,
)  # fmt: skip
PASSED = CanaryStanding(
    verdict=CanaryVerdict.NOT_WORSE, looked_at=NOW, until=NOW, canary=Arm(9, 0, 0.0), champion=Arm(9, 1, 0.1),
    predictions=99, waiting=0, unanswered=0, low=-0.2, high=0.01, needed=0, passed_at=NOW, words="it is not worse",
)  # fmt: skip


@pytest.fixture
def service(tmp_path: Path, sqlite_template: Path) -> Iterator[Service]:
    """A champion, images with ground truth, and a canary between the gate and the promotion."""
    database = tmp_path / "askance.db"
    database.write_bytes(sqlite_template.read_bytes())
    made = furnished(f"sqlite:///{database}", tmp_path, tiny_weights(LABELS))
    yield planned(made)
    made.store.close()


def planned(made: Service, *, wanted: bool = True, rules: CanaryRules = RULES) -> Service:
    plan = CanaryPlan(wanted, 0.2, LIMITS, rules)
    settings = replace(made.controller.settings, canary=plan)
    return replace(made, controller=replace(made.controller, settings=settings))


def gated(service: Service, **overrides: object) -> Cycle:
    """A cycle that has passed the gate, and has done the step after it."""
    cycle = service.controller.request(PROJECT, "ada", "try", {"mode": "non_inferior", **overrides})
    while cycle.step is not Step.PROMOTE:
        cycle = service.controller.advance(cycle)
        assert not cycle.state.finished, cycle.error
    return service.controller.advance(cycle)


def canary_of(service: Service, cycle: Cycle) -> Rollout | None:
    with service.store.read() as tx:
        return next((one for one in tx.rollouts.of_project(PROJECT) if one.cycle_id == cycle.id), None)


def running(service: Service, cycle: Cycle) -> Rollout:
    """Its canary, deployed."""
    queued = canary_of(service, cycle)
    assert queued is not None
    return service.succession.settle_rollout(queued, service.deploy)


def passes(service: Service, canary: Rollout) -> None:
    with service.store.begin() as tx:
        tx.rollouts.stands(canary.id, PASSED)


def champion(service: Service) -> str | None:
    with service.store.read() as tx:
        return tx.projects.get(PROJECT).champion_id


def test_what_passed_the_gate_takes_a_share_before_it_serves(service):
    """A canary with the plan's share and rules, in the cycle's name; the cycle goes on once it passed, and its model
    then serves as any that passed the gate."""
    cycle = gated(service)
    canary = running(service, cycle)
    assert (canary.kind, canary.share, canary.judging, canary.actor) == (RolloutKind.CANARY, 0.2, RULES, "ada")
    assert canary.model_id == cycle.candidate_id
    assert service.controller.advance(cycle) == cycle
    assert champion(service) == cycle.champion_id
    passes(service, canary)
    while not cycle.state.finished:
        for asked in service.succession.due(()):
            service.succession.settle(asked, service.deploy)
        cycle = service.controller.advance(cycle)
    assert (cycle.state, champion(service)) == (CycleState.PROMOTED, cycle.candidate_id)
    with service.store.read() as tx:
        newest = tx.promotions.of_project(PROJECT)[0]
    assert (newest.kind, newest.actor) == (PromotionKind.GATE, cycle.id)
    assert canary_of(service, cycle).state is RolloutState.ENDED


def test_a_canary_that_was_taken_back_refuses_the_candidate(service):
    """With the reason; the champion stays."""
    cycle = gated(service)
    canary = running(service, cycle)
    service.rollouts.roll_back(PROJECT, canary.id, "it fails more often than the champion")
    ended = service.controller.advance(cycle)
    assert ended.state is CycleState.REFUSED
    assert "it fails more often than the champion" in ended.error
    assert champion(service) == cycle.champion_id


def test_a_canary_that_cannot_be_served_fails_the_cycle(service):
    cycle = gated(service)
    service.succession.settle_rollout(canary_of(service, cycle), refuse)
    ended = service.controller.advance(cycle)
    assert ended.state is CycleState.FAILED
    assert "answers NaN" in ended.error


def test_a_cycle_waits_for_a_person_where_a_canary_only_tells(service):
    """Who promotes it by hand ends the cycle as promoted."""
    telling = planned(service, rules=replace(RULES, on_pass=OnPass.TELL))
    cycle = gated(telling)
    passes(telling, running(telling, cycle))
    assert telling.controller.advance(cycle) == cycle
    asked = telling.models.override(PROJECT, str(cycle.candidate_id), "bob", "it is fine")
    telling.succession.settle(asked, telling.deploy)
    while not cycle.state.finished:
        cycle = telling.controller.advance(cycle)
    assert (cycle.state, cycle.promotion_id) == (CycleState.PROMOTED, asked.id)


def test_a_cycle_waits_while_another_canary_runs(service):
    """It says for what, and starts its own when that has ended."""
    other = service.models.register(PROJECT, tiny_weights(LABELS, seed=5), "ada")[0]
    first = service.rollouts.start(
        PROJECT, other.id, kind=RolloutKind.CANARY, share=0.1, limits=LIMITS, actor="ada", reason="try it"
    )
    cycle = gated(service)
    assert "canary already" in cycle.error
    assert (cycle.state, canary_of(service, cycle)) == (CycleState.RUNNING, None)
    service.rollouts.end(PROJECT, first.id, "ada", "seen enough")
    cycle = service.controller.advance(replace(cycle, updated_at=NOW))
    assert (cycle.error, canary_of(service, cycle).state) == ("", RolloutState.QUEUED)


def test_a_cancelled_cycle_ends_its_canary(service):
    """Nobody would promote it any more."""
    cycle = gated(service)
    canary = running(service, cycle)
    service.controller.cancel(PROJECT, cycle.id, "ada", "not today")
    ended = canary_of(service, cycle)
    assert (ended.id, ended.state) == (canary.id, RolloutState.ENDED)
    assert "not today" in ended.error


@pytest.mark.parametrize(("wanted", "asked", "first"), [(True, None, True), (False, None, False),
                                                       (True, False, False), (False, True, True)])  # fmt: skip
def test_a_cycle_may_say_otherwise_than_the_settings(service, wanted, asked, first):
    """The settings hold where it does not; what it says is kept with its recipe."""
    here = planned(service, wanted=wanted)
    cycle = gated(here, **({} if asked is None else {"canary": asked}))
    assert (canary_of(here, cycle) is not None) is first
    assert cycle.recipe["canary"] is first
    assert (cycle.promotion_id is None) is first
