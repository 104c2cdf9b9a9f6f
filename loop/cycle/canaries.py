"""Canaries judged by what people answer: taken back where they fail more often than the champion, else promoted, or
told of."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from loop.domain.corrections import counted
from loop.domain.errors import AskanceError
from loop.domain.ports import Clock, Store, Transaction
from loop.domain.production.sampled import Answering, Drawn, Sampled
from loop.domain.project import Project
from loop.domain.rollouts.canary import (
    CanaryRules,
    CanaryStanding,
    Found,
    OnPass,
    is_taken_back,
    judge,
)
from loop.domain.rollouts.rollout import Rollout, RolloutState, takes
from loop.models.rollouts import finish_rollout, rollout_event
from loop.models.versions import Models

log = logging.getLogger("askance.canary")

# Of each of the two models, that came to people; later ones do not count.
MOST_READ = 20_000
_TIMES_ITS_COST = 20.0  # a look takes a twentieth of the time at most, however much there is to read
_SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Canaries:
    """For the process that serves: `look` now and then."""

    store: Store
    models: Models
    clock: Clock
    monotonic: Callable[[], float] = time.monotonic  # seconds of a clock that only goes forward
    _rests_until: dict[str, float] = field(default_factory=dict)  # by rollout

    def look(self) -> list[CanaryStanding]:
        """At each canary that is judged; what was found."""
        with self.store.read() as tx:
            unfinished = tx.rollouts.unfinished()
        found = []
        for rollout in unfinished:
            rules, began = rollout.judging, rollout.active_at
            if rules is None or began is None or rollout.state is not RolloutState.ACTIVE:
                continue
            begun = self.monotonic()
            if begun < self._rests_until.get(rollout.id, begun):
                continue
            try:
                found.append(self._look(rollout, rules, began))
            except AskanceError as error:
                log.warning("the canary %s of %s cannot be judged: %s", rollout.model_id, rollout.project_id, error)
            ended = self.monotonic()
            self._rests_until[rollout.id] = ended + _TIMES_ITS_COST * (ended - begun)
        return found

    def _look(self, rollout: Rollout, rules: CanaryRules, began: datetime) -> CanaryStanding:
        now = self.clock()
        with self.store.read() as tx:
            evidence = _found(tx, rollout, rules, began, self.store.secret(), now)
        standing = judge(rules, evidence, began=began, before=rollout.standing, now=now)
        self._keep(rollout, rules, standing)
        if not is_taken_back(rules, standing.verdict):
            self._promote(rollout, rules, standing)
        return standing

    def _keep(self, rollout: Rollout, rules: CanaryRules, standing: CanaryStanding) -> None:
        """With what it comes to, in one commit."""
        passed_before = rollout.standing is not None and rollout.standing.passed_at is not None
        with self.store.begin() as tx:
            tx.rollouts.stands(rollout.id, standing)
            if is_taken_back(rules, standing.verdict):
                finish_rollout(tx, rollout, RolloutState.ROLLED_BACK, standing.words, _SERVICE, standing.looked_at)
                log.warning(
                    "the canary %s of %s is taken back: %s", rollout.model_id, rollout.project_id, standing.words
                )
            elif standing.passed_at is not None and not passed_before:
                event = rollout_event(
                    "rollout.passed", rollout, _SERVICE, standing.looked_at,
                    why=standing.words, verdict=standing.verdict, promotes=rules.on_pass is OnPass.PROMOTE,
                )  # fmt: skip
                tx.events.add(event)

    def _promote(self, rollout: Rollout, rules: CanaryRules, standing: CanaryStanding) -> None:
        """What has passed, once, in the name of who started it. A cycle promotes its own winner."""
        if rules.on_pass is not OnPass.PROMOTE or rollout.cycle_id is not None or standing.passed_at is None:
            return
        with self.store.read() as tx:
            asked = any(
                one.model_id == rollout.model_id and one.created_at >= standing.passed_at
                for one in tx.promotions.of_project(rollout.project_id)
            )
        if not asked:
            reason = f"its canary passed, as {rollout.actor} asked: {standing.words}"
            self.models.override(rollout.project_id, rollout.model_id, rollout.actor, reason)


def _found(
    tx: Transaction, rollout: Rollout, rules: CanaryRules, since: datetime, secret: bytes, now: datetime
) -> Found:
    """Of the predictions since then, up to the oldest that waits for people: what is answered first may be what is
    easy. Who was of its share is known by the lot that drew it, whoever answered at last."""
    project = tx.projects.get(rollout.project_id)
    models = rollout.model_id, rollout.champion_id
    drawn = [tx.sampled.first_drawn(project.id, one, since=since, limit=MOST_READ + 1) for one in models]
    end = min((some[MOST_READ].created_at for some in drawn if len(some) > MOST_READ), default=now)
    came = sorted((one for some in drawn for one in some if one.created_at < end), key=_in_time)
    sampled = {one.prediction_id: one for one in tx.sampled.named(project.id, [one.prediction_id for one in came])}
    waiting = [one for one in came if sampled[one.prediction_id].answering is Answering.WAITING]
    patient = now - timedelta(hours=rules.patience_hours)
    end = min((one.created_at for one in waiting if one.created_at > patient), default=end)
    seen = [one for one in came if one.created_at < end]
    reaches = [tx.sampled.reach(project.id, one, since=since, until=end) for one in models]
    return Found(
        until=end,
        canary=[takes(rollout, secret, one.prediction_id) for one in seen],
        inclusion=[one.inclusion for one in seen],
        failed=_failures(project, [sampled[one.prediction_id] for one in seen]),
        share=rollout.share,
        least=min(least for _, least in reaches),
        predictions=sum(count for count, _ in reaches),
        waiting=len(waiting),
    )


def _in_time(one: Drawn) -> tuple[datetime, str]:
    return one.created_at, one.prediction_id


def _failures(project: Project, sampled: Sequence[Sampled]) -> list[bool | None]:
    """Whether people had something to correct; None where they have not said."""
    recipe, iou = project.recipe, project.policy.failure_iou
    found: list[bool | None] = []
    for one in sampled:
        if one.answering is not Answering.SETTLED:
            found.append(None)
            continue
        by_label = counted(recipe.proposed(one.detections), recipe.translated(one.truth or ()), iou=iou)
        found.append(any(count.false_alarms or count.missed for count in by_label.values()))
    return found
