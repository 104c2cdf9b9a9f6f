"""What every step of a cycle reads and writes of it: what it goes by, and how it goes on, waits or ends."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loop.cycle.record import Record
from loop.cycle.work import Progress, Workshop
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.errors import BadDataset, Conflict, CycleFailed
from loop.domain.model import ModelVersion
from loop.domain.outgoing.notes import Note
from loop.domain.ports import Blobs, Clock, Event, Store, Transaction
from loop.domain.project import Project
from loop.domain.rollouts.rollout import RolloutState
from loop.models.rollouts import finish_rollout
from training.snapshot import Snapshot

log = logging.getLogger("askance.cycle")

_LOOK_SECONDS = 3.0  # from one look whether a cycle was cancelled to the next


class Cancelled(Conflict):
    """Somebody ended the cycle while a step of it was under way."""


@dataclass(frozen=True, slots=True)
class Books:
    """workshop: has the scratch files of a cycle, which go when it ends."""

    store: Store
    blobs: Blobs
    workshop: Workshop
    clock: Clock

    # --- what a cycle goes by ------------------------------------------------------------------------

    def stored(self, cycle: Cycle) -> Cycle:
        """As it is now: somebody may have cancelled it."""
        with self.store.read() as tx:
            return tx.cycles.get(cycle.project_id, cycle.id)

    def project(self, cycle: Cycle) -> Project:
        with self.store.read() as tx:
            return tx.projects.get(cycle.project_id)

    def snapshot(self, cycle: Cycle) -> Snapshot:
        """Raises BadDataset where none was frozen."""
        if cycle.snapshot_digest is None:
            raise BadDataset("the cycle has no snapshot.", hint="Start the cycle again.")
        return Snapshot.read(cycle.snapshot_digest, self.blobs.get)

    def dropped(self, cycle: Cycle) -> frozenset[str]:
        """Items of its project whose images are gone."""
        with self.store.read() as tx:
            return tx.items.dropped(cycle.project_id)

    def model(self, cycle: Cycle, model_id: str | None) -> ModelVersion | None:
        if model_id is None:
            return None
        with self.store.read() as tx:
            return tx.models.get(cycle.project_id, model_id)

    def candidate(self, cycle: Cycle) -> ModelVersion:
        """Raises CycleFailed where none was trained."""
        model = self.model(cycle, cycle.candidate_id)
        if model is None:
            raise CycleFailed("the cycle has no candidate.", hint="Start the cycle again.")
        return model

    def start(self, cycle: Cycle) -> ModelVersion | None:
        """Whose weights the training starts from: the champion's; before there is one, those of the newest version that
        was added for that; None where there is none either, or the cycle is to begin from scratch."""
        if cycle.recipe.get("start") == "scratch":
            return None
        if cycle.champion_id is not None:
            return self.model(cycle, cycle.champion_id)
        with self.store.read() as tx:
            models = tx.models.all(cycle.project_id)
        return next((model for model in models if model.is_base), None)

    # --- how it goes on ------------------------------------------------------------------------------

    def record(self) -> Record:
        """What MLflow is to be told of it, as of now."""
        return Record(self.blobs.put, self.clock())

    def save(self, cycle: Cycle, notes: Sequence[Note] = ()) -> Cycle:
        """notes: what MLflow is to be told of it."""
        cycle = replace(cycle, updated_at=self.clock())
        with self.store.begin() as tx:
            tx.cycles.save(cycle)
            for note in notes:
                tx.notes.add(note)
        return cycle

    def reporter(self, cycle: Cycle) -> Progress:
        """For what takes long: keeps how far it is, and raises Cancelled once somebody has ended the cycle."""
        shown, looked_at = 0.0, time.monotonic()

        def report(share: float, figures: Mapping[str, float]) -> None:
            nonlocal shown, looked_at
            if time.monotonic() - looked_at > _LOOK_SECONDS:
                looked_at = time.monotonic()
                if self.stored(cycle).state.finished:
                    raise Cancelled("the cycle was cancelled.")
            if figures or share - shown >= 0.02 or share >= 1.0:
                shown = share
                notes = self.record().trained_on(cycle, share, figures)
                self.save(replace(cycle, progress=min(share, 1.0)), notes)

        return report

    def waiting(self, cycle: Cycle, why: str) -> Cycle:
        """It stays at its step, which says why it does not go on; said once."""
        cycle = self.stored(cycle)
        if cycle.state.finished:
            return self.put_away(cycle)
        if not cycle.error:
            log.warning("%s waits in step %s: %s", cycle.id, cycle.step, why)
        return self.save(replace(cycle, error=why))

    # --- how it ends ---------------------------------------------------------------------------------

    def finished(self, cycle: Cycle, state: CycleState, error: str = "", notes: Sequence[Note] = ()) -> Cycle:
        """error: why, unless it was promoted. notes: as in `save`."""
        now = self.clock()
        cycle = replace(cycle, state=state, error=error, finished_at=now, updated_at=now)
        if state is not CycleState.FAILED:
            cycle = replace(cycle, step=Step.DONE)
        with self.store.begin() as tx:
            for note in notes:
                tx.notes.add(note)
            self.end(tx, cycle, cycle.actor, now)
        return self.put_away(cycle)

    def failed(self, cycle: Cycle, error: str) -> Cycle:
        return self.finished(self.stored(cycle), CycleState.FAILED, error)

    def end(self, tx: Transaction, cycle: Cycle, actor: str, now: datetime) -> None:
        """cycle: as it has ended. With its canary, and all who are told of it."""
        tx.cycles.save(cycle)
        _end_canary(tx, cycle, actor, now)
        tx.events.add(_finished_event(cycle, actor, now))
        for note in Record(self.blobs.put, now).ended(cycle):
            tx.notes.add(note)

    def put_away(self, cycle: Cycle) -> Cycle:
        """What a cycle leaves outside the database, when it has ended."""
        cycle = self.stored(cycle)
        self.workshop.clean(cycle.id)
        return cycle


def _end_canary(tx: Transaction, cycle: Cycle, actor: str, now: datetime) -> None:
    """The one that the cycle has started, if it still runs."""
    for rollout in tx.rollouts.unfinished():
        if rollout.cycle_id == cycle.id:
            why = cycle.error or f"its cycle was {cycle.state}"
            finish_rollout(tx, rollout, RolloutState.ENDED, why, actor, now)


def _finished_event(cycle: Cycle, actor: str, now: datetime) -> Event:
    body = {
        "cycle_id": cycle.id, "state": cycle.state, "candidate_id": cycle.candidate_id, "error": cycle.error
    }  # fmt: skip
    return Event("cycle.finished", cycle.project_id, actor, body, now)
