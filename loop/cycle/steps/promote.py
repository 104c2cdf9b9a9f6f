"""Step 5: the candidate comes to serve, where it is wanted as a canary first."""

from dataclasses import dataclass, replace

from loop.cycle.books import Books
from loop.domain.cycle import Cycle, CycleState
from loop.domain.errors import Conflict, CycleFailed
from loop.domain.model import PromotionState
from loop.domain.rollouts.canary import CanaryRules, OnPass
from loop.domain.rollouts.rollout import RolloutKind, RolloutLimits, RolloutState
from loop.models.rollouts import Rollouts
from loop.models.versions import Models


@dataclass(frozen=True, slots=True)
class CanaryPlan:
    """What passes the gate takes this share of the traffic first. wanted: where a cycle does not say otherwise."""

    wanted: bool
    share: float
    limits: RolloutLimits
    rules: CanaryRules


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteStep:
    """plan: None: there are no canaries."""

    books: Books
    models: Models
    rollouts: Rollouts
    plan: CanaryPlan | None

    def take(self, cycle: Cycle) -> Cycle:
        """Ask for the promotion once, then follow it; the serving process deploys, warms and flips. Where it is wanted,
        the candidate has been a canary before."""
        if cycle.promotion_id is None:
            if self.plan is not None and cycle.champion_id is not None and cycle.recipe.get("canary"):
                return self._by_canary(cycle, self.plan)
            return self._asked_to_serve(cycle)
        with self.books.store.read() as tx:
            promotion = tx.promotions.get(cycle.promotion_id)
        if promotion.state is PromotionState.FAILED:
            raise CycleFailed(f"the candidate could not be served: {promotion.error}", hint="The champion stays.")
        if promotion.state is PromotionState.ACTIVE:
            return self.books.finished(cycle, CycleState.PROMOTED)
        return cycle

    def _asked_to_serve(self, cycle: Cycle) -> Cycle:
        promotion = self.models.promote_candidate(
            cycle.project_id, str(cycle.candidate_id), cycle.id, judged_against=cycle.champion_id
        )
        return self.books.save(replace(cycle, promotion_id=promotion.id))

    def _by_canary(self, cycle: Cycle, plan: CanaryPlan) -> Cycle:
        """Start it once, then follow it: what was taken back or ended is refused, what passed is promoted, by the cycle
        or by a person."""
        with self.books.store.read() as tx:
            champion_id = tx.projects.get(cycle.project_id).champion_id
            canary = next((one for one in tx.rollouts.of_project(cycle.project_id) if one.cycle_id == cycle.id), None)
            promoted = next((p for p in tx.promotions.of_project(cycle.project_id) if p.model_id == champion_id), None)
        if champion_id == cycle.candidate_id and promoted is not None:
            return self.books.save(replace(cycle, promotion_id=promoted.id, error=""))
        if canary is None:
            return self._start_canary(cycle, plan) if champion_id == cycle.champion_id else self._asked_to_serve(cycle)
        if canary.state is RolloutState.FAILED:
            raise CycleFailed(f"the candidate could not be served: {canary.error}", hint="The champion stays.")
        if canary.state.finished:
            return self.books.finished(cycle, CycleState.REFUSED, f"its canary has ended: {canary.error}")
        passed = canary.standing is not None and canary.standing.passed_at is not None
        if passed and canary.judging is not None and canary.judging.on_pass is OnPass.PROMOTE:
            return self._asked_to_serve(cycle)
        return cycle

    def _start_canary(self, cycle: Cycle, plan: CanaryPlan) -> Cycle:
        try:
            self.rollouts.start(
                cycle.project_id,
                str(cycle.candidate_id),
                kind=RolloutKind.CANARY,
                share=plan.share,
                limits=plan.limits,
                actor=cycle.actor,
                reason=f"{cycle.id} passed the gate",
                judging=plan.rules,
                cycle_id=cycle.id,
            )
        except Conflict as taken:  # by another canary
            return self.books.waiting(cycle, str(taken))
        return self.books.save(replace(cycle, error=""))
