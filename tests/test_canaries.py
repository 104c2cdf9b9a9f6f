"""Canaries and what people answer, over a real database and real routing: inferences are drawn, all behind them is
real."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loop.cycle.canaries import Canaries
from loop.domain.errors import Invalid
from loop.domain.model import PromotionKind, PromotionState
from loop.domain.prediction import Prediction
from loop.domain.production.figures import ProductionFigures
from loop.domain.rollouts.canary import CanaryRules, CanaryStanding, CanaryVerdict, OnPass, OnUndecided
from loop.domain.rollouts.rollout import Rollout, RolloutKind, RolloutState, takes
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from tests.promising import PROJECT, Plant
from tests.test_settling import HEAD, LIMITS, file_of

RULES = CanaryRules(
    margin=0.1, confidence=0.95, max_hours=48.0, max_answers=5000, patience_hours=24.0, on_pass=OnPass.TELL,
    on_undecided=OnUndecided.ROLL_BACK,
)  # fmt: skip


@dataclass
class Site(Plant):
    """A champion and, beside it, a canary. fails: probability of each to be wrong, by its model."""

    fails: dict[str, float] = field(default_factory=dict)
    fallback: bool = False  # the champion answers for the canary

    def __post_init__(self) -> None:
        super().__post_init__()
        self.projects.change_policy(PROJECT, "bob", audit_rate=0.5)
        self.champion = self.model
        with self.store.begin() as tx:
            for promotion in tx.promotions.queued():  # the champion serves already
                tx.promotions.save(replace(promotion, state=PromotionState.ACTIVE, finished_at=self.clock()))
        self.other, _ = self.models.register(PROJECT, file_of(HEAD, 7), "ada")
        self.canaries = Canaries(self.store, self.models, self.clock, lambda: self.now)

    def start(self, share: float = 0.3, **rules: Any) -> Rollout:
        """Active from now on."""
        rollout = self.rollouts.start(
            PROJECT, self.other.id, kind=RolloutKind.CANARY, share=share, limits=LIMITS, actor="ada", reason="try it",
            judging=replace(RULES, **rules),
        )  # fmt: skip
        self.now += 1.0
        active = replace(rollout, state=RolloutState.ACTIVE, active_at=self.clock())
        with self.store.begin() as tx:
            assert tx.rollouts.save(active, expected=RolloutState.QUEUED)
        return active

    @property
    def rollout(self) -> Rollout:
        with self.store.read() as tx:
            return tx.rollouts.of_project(PROJECT)[0]

    def traffic(self, count: int) -> list[Prediction]:
        """So many, as a gateway answers them."""
        rollout, project, secret = self.rollout, self.project, self.store.secret()
        decided = []
        for _ in range(count):
            self.now += 1.0
            score = float(self.rng.uniform(0.3, 1.0))
            inferred = self._inferred(project, self.champion, (), score, "", 0)
            if takes(rollout, secret, inferred.prediction_id) and not self.fallback:
                inferred = replace(inferred, model=self.other)
            decided.append((inferred, self.router.decide(inferred)))
        self.router.keep(decided)
        for inferred, routed in decided:
            wrong = bool(self.rng.random() < self.fails[inferred.model.id])
            self.truly[routed.prediction.item_digest] = wrong
            self.waiting += [(task, routed.prediction) for task in routed.tasks]
        return [routed.prediction for _, routed in decided]

    def look(self) -> CanaryStanding | None:
        self.now += 1.0
        return next(iter(self.canaries.look()), None)


@pytest.fixture
def site(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(SqlStore, "secret", lambda _: b"s" * 32)  # the same lots in every run
    path = tmp_path / "askance.db"
    shutil.copy(sqlite_template, path)
    store = SqlStore.open(f"sqlite:///{path}")
    made = Site(store, FsspecBlobs.open(str(tmp_path / "blobs")))
    made.fails = {made.champion.id: 0.1, made.other.id: 0.1}
    yield made
    store.close()


def worse(site: Site, rate: float = 0.5) -> None:
    site.fails[site.other.id] = rate


def test_a_canary_that_people_find_worse_is_taken_back(site):
    """With what was found as the reason, in the rollout, in its event, and for other programs."""
    site.start()
    worse(site)
    site.traffic(400)
    site.answer()
    standing = site.look()
    assert standing.verdict is CanaryVerdict.WORSE
    rollout = site.rollout
    assert (rollout.state, rollout.error, rollout.standing) == (RolloutState.ROLLED_BACK, standing.words, standing)
    (event,) = site.events("rollout.rolled_back")
    assert event.body["why"] == standing.words
    assert site.look() is None
    assert site.model.id == site.champion.id


def test_a_canary_that_is_not_worse_is_told_of_once(site):
    """It goes on, and may be promoted; later looks say so too, and tell nobody again."""
    site.start(share=0.5, margin=0.15)
    site.traffic(600)
    site.answer()
    standing = site.look()
    assert standing.verdict is CanaryVerdict.NOT_WORSE
    (event,) = site.events("rollout.passed")
    assert (event.body["promotes"], event.body["why"]) == (False, standing.words)
    again = site.look()
    assert again.passed_at == standing.passed_at
    assert len(site.events("rollout.passed")) == 1
    assert site.rollout.state is RolloutState.ACTIVE
    with site.store.read() as tx:
        assert site.other.id not in [one.model_id for one in tx.promotions.of_project(PROJECT)]


def test_a_canary_that_has_passed_is_promoted_where_it_was_asked_for(site):
    """Once, in the name of who started it, with the numbers as the reason."""
    site.start(share=0.5, margin=0.15, on_pass=OnPass.PROMOTE)
    site.traffic(600)
    site.answer()
    site.look()
    site.look()
    with site.store.read() as tx:
        asked = [one for one in tx.promotions.of_project(PROJECT) if one.model_id == site.other.id]
    (promotion,) = asked
    assert (promotion.kind, promotion.actor) == (PromotionKind.OVERRIDE, "ada")
    assert "of its answers failed" in promotion.reason
    assert site.events("rollout.passed")[0].body["promotes"]


@pytest.mark.parametrize("rule", OnUndecided)
def test_a_canary_whose_time_is_over_comes_to_what_its_rules_say(site, rule):
    """Taken back or let pass, by whoever looks first after that."""
    site.start(on_undecided=rule)
    site.traffic(20)
    site.answer()
    assert site.look().verdict is CanaryVerdict.GOING_ON
    site.wait(2.0)
    assert site.look().verdict is CanaryVerdict.UNDECIDED
    taken_back = rule is OnUndecided.ROLL_BACK
    assert site.rollout.state is (RolloutState.ROLLED_BACK if taken_back else RolloutState.ACTIVE)
    assert len(site.events("rollout.passed")) == (0 if taken_back else 1)
    if taken_back:
        assert "undecided" in site.rollout.error


def test_nothing_newer_counts_than_the_oldest_that_waits(site):
    """What is answered first may be what is easy: the window ends there, until people have been waited for long enough;
    then it counts as unanswered."""
    site.start()
    first = site.traffic(50)
    later = site.traffic(50)
    waits = next(task for task, _ in site.waiting)
    kept = [one for one in site.waiting if one[0].prediction_id == waits.prediction_id]
    site.waiting = [one for one in site.waiting if one not in kept]
    site.answer()
    cut = site.look()
    assert cut.until == next(one.created_at for one in first if one.id == waits.prediction_id)
    assert cut.waiting == 1
    site.wait(1.1)
    whole = site.look()
    assert whole.until > later[-1].created_at
    assert (whole.unanswered, whole.predictions) == (1, 100)


def test_whoever_answers_for_the_canary_is_of_its_share(site):
    """Where the champion answered in its place, callers of that share got these answers: chance alone says who is
    compared."""
    rollout = site.start()
    site.fallback = True
    made = site.traffic(100)
    site.answer()
    standing = site.look()
    secret = site.store.secret()
    came = [one for one in made if one.decision.stage is not None]
    assert standing.canary.answers == sum(takes(rollout, secret, one.id) for one in came) > 0
    assert standing.canary.answers + standing.champion.answers == len(came)


def test_predictions_from_before_do_not_count(site):
    """Nor do those of a canary that ran before it."""
    site.start()
    worse(site, 1.0)
    site.traffic(12)
    site.rollouts.end(PROJECT, site.rollout.id, "ada", "another try")
    site.answer()
    site.fails[site.other.id] = 0.1
    site.now += 1.0
    site.start()
    site.traffic(100)
    site.answer()
    standing = site.look()
    assert standing.predictions == 100
    assert standing.verdict is CanaryVerdict.GOING_ON


def test_without_audits_it_says_what_is_missing(site):
    """Of what passes nobody knows anything."""
    site.projects.change_policy(PROJECT, "bob", audit_rate=0.0)
    site.start()
    site.traffic(100)
    site.answer()
    assert "audit_rate" in site.look().words


def test_what_is_known_of_the_champion_is_expected_of_its_canary(site):
    """From before it begins; a guess from the settings where nothing is known."""
    assert site.start().judging.expected == RULES.expected
    site.rollouts.end(PROJECT, site.rollout.id, "ada", "another try")
    figures = ProductionFigures(
        project_id=PROJECT, model_id=site.champion.id, computed_at=site.clock(), audits=100, failure_rate=0.31, low=0.2,
        high=0.4,
    )  # fmt: skip
    with site.store.begin() as tx:
        tx.production_figures.save(figures)
    assert site.start().judging.expected == 0.31


def test_a_canary_without_anything_beside_it_cannot_be_judged(site):
    """Of all predictions, nor can a shadow, whose answers nobody gets; a canary without rules just runs."""
    with pytest.raises(Invalid, match="leaves none"):
        site.start(share=1.0)
    with pytest.raises(Invalid, match="shadow"):
        site.rollouts.start(
            PROJECT, site.other.id, kind=RolloutKind.SHADOW, share=0.1, limits=LIMITS, actor="ada", reason="try it",
            judging=RULES,
        )  # fmt: skip
    rollout = site.start()
    with site.store.begin() as tx:
        tx.rollouts.save(replace(rollout, state=RolloutState.ENDED, finished_at=site.clock()), expected=rollout.state)
    assert site.look() is None


def test_looks_cost_a_twentieth_of_the_time(site):
    """However much there is to read."""
    site.start()
    site.traffic(5)
    site.answer()
    ticks = iter(np.arange(0.0, 1e6, 2.0))  # each look takes two seconds
    slow = Canaries(site.store, site.models, site.clock, lambda: float(next(ticks)))
    looks = sum(bool(slow.look()) for _ in range(100))
    assert 2 <= looks <= 10
