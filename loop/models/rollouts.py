"""Models beside the champion: canaries and shadows, asked for and ended."""

from dataclasses import dataclass, replace
from datetime import datetime

from loop.domain.errors import Conflict, Invalid
from loop.domain.identity import new_id
from loop.domain.model import ModelVersion
from loop.domain.ports import Clock, Entropy, Event, Store, Transaction
from loop.domain.project import Project
from loop.domain.rollouts.canary import CanaryRules, checked_canary_rules
from loop.domain.rollouts.rollout import Rollout, RolloutKind, RolloutLimits, RolloutState, checked_share
from loop.models.versions import require_known_labels


@dataclass(frozen=True, slots=True)
class Rollouts:
    store: Store
    clock: Clock
    entropy: Entropy

    def start(
        self,
        project_id: str,
        model_id: str,
        *,
        kind: RolloutKind,
        share: float,
        limits: RolloutLimits,
        actor: str,
        reason: str,
        judging: CanaryRules | None = None,
        cycle_id: str | None = None,
    ) -> Rollout:
        """Ask for a model to take `share` of the predictions, in (0, 1], beside the champion. judging: how a canary is
        judged by what people answer; what is expected of it is what is known of the champion.

        Raises Invalid for the share, the rules or a model with foreign labels, NotFound, and Conflict where the project
        has no champion, the model is the champion, or a rollout of this kind is unfinished.
        """
        now = self.clock()
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            model = tx.models.get(project_id, model_id)
            require_known_labels(project, model.head, tx.projects.recipes(project_id))
            rollout = Rollout(
                id=new_id("rollout", now, self.entropy(10)),
                project_id=project_id,
                kind=kind,
                model_id=model.id,
                champion_id=_champion_beside(project, model, kind),
                share=checked_share(share),
                state=RolloutState.QUEUED,
                actor=actor,
                reason=reason,
                limits=limits,
                created_at=now,
                judging=None if judging is None else _expecting(tx, project, judging, kind, share),
                cycle_id=cycle_id,
            )
            tx.rollouts.add(rollout)
            # Since `add` the champion stays until this transaction ends; before, another may have moved it.
            if tx.projects.get(project_id).champion_id != rollout.champion_id:
                raise Conflict("the champion changed at this moment.", hint="Ask again.", project=project_id)
            tx.events.add(rollout_event("rollout.queued", rollout, actor, now, reason=reason))
        return rollout

    def end(self, project_id: str, rollout_id: str, actor: str, reason: str) -> Rollout:
        """A named person ends a rollout. Raises NotFound, and Conflict where it has ended."""
        with self.store.begin() as tx:
            rollout = tx.rollouts.get(project_id, rollout_id)
            ended = finish_rollout(tx, rollout, RolloutState.ENDED, reason, actor, self.clock())
            if ended is None:
                rollout = tx.rollouts.get(project_id, rollout_id)
                raise Conflict(
                    f"the {rollout.kind} {rollout.id} is {rollout.state.replace('_', ' ')} already.",
                    hint="Nothing to do.",
                    rollout=rollout.id,
                )
            return ended

    def roll_back(self, project_id: str, rollout_id: str, why: str) -> Rollout:
        """Take a rollout back because it broke its limits (loop/domain/rollouts/traffic.py). Of several callers one
        does it; for the others, and for a rollout that has ended otherwise, nothing changes. Gives the rollout as it is
        then.
        """
        with self.store.read() as tx:
            rollout = tx.rollouts.get(project_id, rollout_id)
        if rollout.state.finished:
            return rollout
        with self.store.begin() as tx:
            done = finish_rollout(tx, rollout, RolloutState.ROLLED_BACK, why, "service", self.clock())
            return done or tx.rollouts.get(project_id, rollout_id)


def finish_rollout(
    tx: Transaction, rollout: Rollout, state: RolloutState, why: str, actor: str, now: datetime
) -> Rollout | None:
    """The rollout in its last `state`, with an event; None where it was finished already (nothing is written)."""
    done = replace(rollout, state=state, error=why, finished_at=now)
    unfinished = (known for known in RolloutState if not known.finished)
    if not any(tx.rollouts.save(done, expected=known) for known in unfinished):
        return None
    tx.events.add(rollout_event(f"rollout.{state}", rollout, actor, now, why=why))
    return done


def rollout_event(kind: str, rollout: Rollout, actor: str, now: datetime, **more: object) -> Event:
    body = {"rollout_id": rollout.id, "kind": rollout.kind, "model_id": rollout.model_id, "share": rollout.share}
    return Event(kind, rollout.project_id, actor, {**body, **more}, now)


def _champion_beside(project: Project, model: ModelVersion, kind: RolloutKind) -> str:
    if project.champion_id is None:
        raise Conflict(
            f"{project.id} has no champion that a {kind} could run beside.",
            hint="Promote a model first: askance models promote.",
            project=project.id,
        )
    if project.champion_id == model.id:
        raise Conflict(
            f"{model.id} is the champion: it answers everything already.",
            hint="Name another version (askance models list).",
            model=model.id,
        )
    return project.champion_id


def _expecting(tx: Transaction, project: Project, judging: CanaryRules, kind: RolloutKind, share: float) -> CanaryRules:
    """The rules with the champion's failure rate as it is known by now, which is before the canary has answered."""
    if kind is not RolloutKind.CANARY:
        raise Invalid("a shadow is not judged by answers.", hint="Nobody gets its answers: start a canary for that.")
    if share >= 1.0:
        raise Invalid(
            "a canary that takes all predictions leaves none to compare it with.",
            hint="Give a share below 1, or say that it is not to be judged.",
        )
    rates = (one.failure_rate for one in tx.production_figures.all() if one.project_id == project.id)
    known = next((rate for rate in rates if rate is not None), judging.expected)
    return checked_canary_rules(replace(judging, expected=known))
