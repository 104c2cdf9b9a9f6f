"""Which model serves next: what was asked for is deployed and warmed, then the pointer moves, or nothing does."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from loop.cycle.references import References
from loop.domain.errors import AskanceError, BadWeights, Conflict
from loop.domain.model import BACKENDS, ModelHead, ModelVersion, Promotion, PromotionKind, PromotionState
from loop.domain.outgoing.notes import aliases_note
from loop.domain.ports import Blobs, Clock, Event, Store, Transaction
from loop.domain.project import Project
from loop.domain.rollouts.rollout import Rollout, RolloutState, ended_by_champion
from loop.models.rollouts import finish_rollout, rollout_event
from loop.models.versions import HeadReader, require_known_labels

log = logging.getLogger("askance.cycle")

# Starts the application of a model with its serving options and waits until it has answered; raises where it cannot.
Deploy = Callable[[ModelVersion], None]

# The order in which what waits for the serving process is taken up: first what takes a bad model away.
_URGENCY = {PromotionKind.ROLLBACK: 0, PromotionKind.RECONFIGURE: 1}


@dataclass(frozen=True, slots=True)
class Succession:
    """Promotions and rollouts, worked off by the process that serves."""

    store: Store
    blobs: Blobs
    read_head: HeadReader
    references: References
    clock: Clock

    def due(self, under_way: Collection[str]) -> list[Promotion | Rollout]:
        """What waits to be settled, most urgent first: rollbacks, then other options for a champion, then other
        promotions, then rollouts; each oldest first. `under_way`: ids that somebody settles now, which are left out.

        Each may be settled in a thread of its own. One that embeds the reference set of many images takes minutes:
        rollbacks need a thread that takes nothing else, so that they never wait for another project's.
        """
        with self.store.read() as tx:
            promotions = sorted(tx.promotions.queued(), key=lambda promotion: _URGENCY.get(promotion.kind, 2))
            rollouts = [rollout for rollout in tx.rollouts.unfinished() if rollout.state is RolloutState.QUEUED]
        waiting: list[Promotion | Rollout] = [*promotions, *rollouts]
        return [asked for asked in waiting if asked.id not in under_way]

    def settle(
        self,
        promotion: Promotion,
        deploy: Deploy,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Promotion:
        """Deploy and warm the model, then flip the champion pointer if it is still where it was. For a RECONFIGURE
        the pointer stays, and the model's options become those that were asked for.

        Whatever goes wrong before the flip leaves the champion serving and is kept as the promotion's error, unless
        the process is being ended (`stopping`): then it stays queued for the next start.
        """
        reconfigured = promotion.serving if promotion.kind is PromotionKind.RECONFIGURE else None
        model, error = self._brought_up(promotion, deploy, stopping, serving=reconfigured)
        if error is None:
            return self._flipped(promotion, model)
        if stopping():
            return promotion
        return self._settled(replace(promotion, state=PromotionState.FAILED, error=error))

    def settle_rollout(
        self,
        rollout: Rollout,
        deploy: Deploy,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Rollout:
        """Deploy and warm the model, then let the rollout take its share. What goes wrong before is kept as its
        error, as in `settle`; the champion is not touched. Gives the rollout as it is then: it may have ended while
        its model was deployed.
        """
        model, error = self._brought_up(rollout, deploy, stopping)
        if error is not None and stopping():
            return rollout
        if error is None:
            try:
                return self._activated(rollout, model)
            except Overtaken as conflict:
                error = str(conflict)
        with self.store.begin() as tx:
            failed = finish_rollout(tx, rollout, RolloutState.FAILED, error, "service", self.clock())
            return failed or tx.rollouts.get(rollout.project_id, rollout.id)

    def _activated(self, rollout: Rollout, model: ModelVersion) -> Rollout:
        active = replace(rollout, state=RolloutState.ACTIVE, active_at=self.clock())
        with self.store.begin() as tx:
            if not tx.rollouts.save(active, expected=RolloutState.QUEUED):
                raise Overtaken("it was ended while its model was deployed.")
            _require_options(tx, model)
            tx.events.add(rollout_event("rollout.active", rollout, rollout.actor, self.clock()))
        return active

    def _brought_up(
        self,
        asked: Promotion | Rollout,
        deploy: Deploy,
        stopping: Callable[[], bool],
        *,
        serving: Mapping[str, object] | None = None,
    ) -> tuple[ModelVersion, str | None]:
        """The model as it was deployed (with `serving` in place of its own options), and what went wrong, if so."""
        with self.store.read() as tx:
            project = tx.projects.get(asked.project_id)
            model = tx.models.get(asked.project_id, asked.model_id)
        if serving is not None:
            model = replace(model, serving=serving)
        try:
            self._require_servable(project, model)
            model = self.references.embed(model, lambda _share, _figures: None)
            deploy(model)
        except AskanceError as error:
            return model, str(error)
        except Exception as error:
            if not stopping():
                log.exception("%s could not bring up %s", asked.id, model.id)
            return model, f"{type(error).__name__}: {error}"
        return model, None

    def _require_servable(self, project: Project, model: ModelVersion) -> None:
        """What can be known of a model without running it; loading, warming and a first answer are `deploy`'s part.

        Raises Invalid for foreign labels, BadWeights for a file of another model or an unknown backend, NotFound or
        Unavailable where its bytes are missing or damaged.
        """
        with self.store.read() as tx:
            recipes = tx.projects.recipes(project.id)
        require_known_labels(project, model.head, recipes)
        if model.head.backend not in BACKENDS:
            raise BadWeights(
                f"{model.id} wants the backend {model.head.backend!r}, which is not known here.",
                hint=f"Known backends: {', '.join(BACKENDS)}.",
                backend=model.head.backend,
            )
        found = self.read_head(self.blobs.get(model.digest))
        if found != model.head:
            raise BadWeights(
                f"the file of {model.id} is not what the version says: {_difference(model.head, found)}.",
                hint="Register the file again (askance models add).",
                model=model.id,
            )

    def _flipped(self, promotion: Promotion, model: ModelVersion) -> Promotion:
        now = self.clock()
        done = replace(promotion, state=PromotionState.ACTIVE, finished_at=now)
        body = {"model_id": model.id, "previous_id": promotion.previous_id, "kind": promotion.kind}
        try:
            with self.store.begin() as tx:
                if promotion.kind is PromotionKind.RECONFIGURE:
                    _take_options(tx, model)
                    tx.events.add(Event("model.reconfigured", promotion.project_id, promotion.actor, body, now))
                else:
                    _take_pointer(tx, promotion, model)
                    _end_rollouts(tx, promotion, now)
                    tx.events.add(Event("model.promoted", promotion.project_id, promotion.actor, body, now))
                    tx.notes.add(aliases_note(promotion.project_id, now))
                tx.promotions.save(done)
        except Overtaken as error:
            return self._settled(replace(promotion, state=PromotionState.FAILED, error=str(error)))
        return done

    def _settled(self, promotion: Promotion) -> Promotion:
        done = replace(promotion, finished_at=self.clock())
        with self.store.begin() as tx:
            tx.promotions.save(done)
        return done


class Overtaken(Conflict):
    """What was prepared no longer fits: something was changed while the model was deployed. Nothing is written."""


def _take_pointer(tx: Transaction, promotion: Promotion, model: ModelVersion) -> None:
    if not tx.projects.move_champion(promotion.project_id, expected=promotion.previous_id, to=model.id):
        raise Overtaken("the champion changed in the meantime.", hint="Ask again.")
    _require_options(tx, model)


def _take_options(tx: Transaction, model: ModelVersion) -> None:
    tx.models.configure(model.project_id, model.id, model.serving)
    if tx.projects.get(model.project_id).champion_id != model.id:
        raise Overtaken("the model is not the champion any more.", hint="Configure it again.")


def _require_options(tx: Transaction, model: ModelVersion) -> None:
    """What runs was deployed with the options that gateways will look for. Asked after the first write to what
    gateways follow: from then on they cannot change before this transaction ends."""
    if tx.models.get(model.project_id, model.id).serving != model.serving:
        raise Overtaken("its serving options changed in the meantime.", hint="Ask again.")


def _end_rollouts(tx: Transaction, promotion: Promotion, now: datetime) -> None:
    """Those of the project that have no sense beside the new champion."""
    for rollout in tx.rollouts.unfinished():
        if rollout.project_id == promotion.project_id:
            why = ended_by_champion(rollout, promotion.model_id)
            if why is not None:
                finish_rollout(tx, rollout, RolloutState.ENDED, why, promotion.actor, now)


def _difference(version: ModelHead, file: ModelHead) -> str:
    if version.labels == file.labels:
        return "it is another network"
    missing = [repr(label) for label in version.labels if label not in file.labels]
    foreign = [repr(label) for label in file.labels if label not in version.labels]
    if not missing and not foreign:
        return "its classes stand in another order"
    parts = [f"{word} {', '.join(names[:5])}" for word, names in (("lacks", missing), ("adds", foreign)) if names]
    return f"its classes differ: it {' and '.join(parts)}"
