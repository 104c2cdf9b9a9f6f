"""The retrain cycle, one committed step after the other: snapshot → train → evaluate → gate → promote.

`advance` does the next step of a cycle (a module of loop/cycle/steps), which commits what came of it together with the
name of the step after it; a process that dies in between does that step again and nothing else.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from loop.cycle.books import Books, Cancelled
from loop.cycle.references import References
from loop.cycle.slicing import Slicing
from loop.cycle.steps.evaluate import EvaluateStep
from loop.cycle.steps.gate import GateStep
from loop.cycle.steps.promote import CanaryPlan, PromoteStep
from loop.cycle.steps.snapshot import SnapshotStep
from loop.cycle.steps.train import TrainStep
from loop.cycle.work import Workshop
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.errors import AskanceError, Conflict, NoPlace
from loop.domain.identity import new_id
from loop.domain.model import ModelVersion
from loop.domain.outgoing.notes import why_untold
from loop.domain.ports import Blobs, Clock, Entropy, Event, Store
from loop.models.rollouts import Rollouts
from loop.models.versions import Models
from selection.duplicates import Clusters
from training.gate_clauses import GateSettings
from training.provenance import Provenance
from training.snapshot import Snapshot
from training.snapshot_leaks import Hashes

__all__ = ["CanaryPlan", "Controller", "CycleSettings"]

log = logging.getLogger("askance.cycle")

_WAIT = timedelta(seconds=30)  # from one try of a cycle that waits to the next


@dataclass(frozen=True, slots=True)
class CycleSettings:
    """What a cycle takes from the configuration. training: default recipe, kept in the cycle once frozen. canary: None:
    there are none. slice_images: beside the judged ones, of one slice. latency_images: that are timed. runtime_images:
    that runtimes are chosen by. mlflow_required: whether a step waits until MLflow knows of those before it."""

    training: Mapping[str, object]
    gate: GateSettings
    gate_seed: int
    val_share: float
    replay_limit: int
    drift_reference: int
    canary: CanaryPlan | None = None
    slice_images: int = 500
    latency_images: int = 0
    runtime_images: int = 100
    mlflow_required: bool = False


@dataclass(frozen=True, slots=True)
class Controller:
    store: Store
    blobs: Blobs
    models: Models
    rollouts: Rollouts
    references: References
    workshop: Workshop
    settings: CycleSettings
    clock: Clock
    entropy: Entropy
    # Clusters among what a version has seen; None: nobody looks. Raises Overloaded where it has to be asked later.
    near_duplicates: Callable[[ModelVersion], Clusters] | None = None
    # Of a project's images; None: nobody looks. Raises Overloaded likewise.
    image_hashes: Callable[[str], Hashes] | None = None
    made_with: Callable[[], Provenance] = Provenance
    # `loop.cycle.label_check.LabelChecks.before_training`; unless it is given nobody looks.
    check_labels: Callable[[Cycle, Snapshot], tuple[Snapshot, dict[str, object]]] = lambda _, snapshot: (snapshot, {})

    # --- asking for a cycle -------------------------------------------------------------------------

    def request(self, project_id: str, actor: str, reason: str, overrides: Mapping[str, object]) -> Cycle:
        """Queue a cycle with the configured recipe and `overrides`. Raises CycleRunning."""
        now = self.clock()
        canary = self.settings.canary is not None and self.settings.canary.wanted
        recipe = {**self.settings.training, "mode": self.settings.gate.mode, "canary": canary, **overrides}
        cycle = Cycle(
            id=new_id("cycle", now, self.entropy(10)),
            project_id=project_id,
            state=CycleState.QUEUED,
            step=Step.SNAPSHOT,
            actor=actor,
            reason=reason,
            recipe=recipe,
            created_at=now,
            updated_at=now,
        )
        with self.store.begin() as tx:
            tx.projects.get(project_id)
            tx.cycles.add(cycle)
            tx.events.add(Event("cycle.queued", project_id, actor, {"cycle_id": cycle.id, "reason": reason}, now))
        return cycle

    def cancel(self, project_id: str, cycle_id: str, actor: str, reason: str) -> Cycle:
        """The cycle ends as failed, with who ended it and why; what works on it stops within seconds, and its canary
        ends. A promotion that was asked for goes on. Raises NotFound, and Conflict where it has ended."""
        now = self.clock()
        with self.store.begin() as tx:
            cycle = tx.cycles.get(project_id, cycle_id)
            if cycle.state.finished:
                raise Conflict(f"{cycle_id} was {cycle.state} already.", hint="Nothing to do.", cycle=cycle_id)
            cycle = replace(
                cycle, state=CycleState.FAILED, error=f"cancelled by {actor}: {reason}", finished_at=now, updated_at=now
            )
            self.books.end(tx, cycle, actor, now)
        return cycle

    # --- working it off ------------------------------------------------------------------------------

    def advance(self, cycle: Cycle, stopping: Callable[[], bool] = lambda: False) -> Cycle:
        """Do the next step of an unfinished cycle; what goes wrong ends the cycle with its reason.

        stopping: whether the process is being ended. Then nothing is the cycle's fault: it stays where it is, and
        the next start goes on.
        """
        if cycle.error and self.clock() - cycle.updated_at < _WAIT:
            return cycle
        if self.settings.mlflow_required and (untold := self._untold(cycle)) is not None:
            return self.books.waiting(cycle, f"MLflow is not told yet. {untold}") if untold else cycle
        try:
            return self._steps()[cycle.step](replace(cycle, error=""))  # what it waited for is not said once it goes on
        except Cancelled:
            return self.books.put_away(cycle)
        except NoPlace as error:
            return self.books.waiting(cycle, str(error))
        except Exception as error:
            if stopping():
                return cycle
            if (ended := self.books.stored(cycle)).state.finished:  # while the step went wrong, or because of it
                return self.books.put_away(ended)
            if isinstance(error, AskanceError):
                return self.books.failed(cycle, str(error))
            log.exception("cycle %s failed in step %s", cycle.id, cycle.step)
            return self.books.failed(cycle, f"{type(error).__name__}: {error}")

    def tidy(self) -> None:
        """Put away cycles that have ended while nobody worked on them: the process was killed just then, or somebody
        cancelled one between two steps. What works on cycles calls this between them."""
        if left := self.workshop.left():
            with self.store.read() as tx:
                ended = tx.cycles.ended(left)
            for cycle in ended:
                self.books.put_away(cycle)

    def _steps(self) -> Mapping[Step, Callable[[Cycle], Cycle]]:
        books, slicing, settings = self.books, self.slicing, self.settings
        snapshot = SnapshotStep(
            books=books,
            slicing=slicing,
            val_share=settings.val_share,
            near_duplicates=self.near_duplicates,
            image_hashes=self.image_hashes,
            check_labels=self.check_labels,
            made_with=self.made_with,
        )
        train = TrainStep(books=books, workshop=self.workshop, entropy=self.entropy, replay_limit=settings.replay_limit)
        evaluate = EvaluateStep(
            books=books,
            workshop=self.workshop,
            references=self.references,
            slicing=slicing,
            drift_reference=settings.drift_reference,
            latency_images=settings.latency_images,
            runtime_images=settings.runtime_images,
        )
        gate = GateStep(books=books, slicing=slicing, settings=settings.gate, seed=settings.gate_seed)
        promote = PromoteStep(books=books, models=self.models, rollouts=self.rollouts, plan=settings.canary)
        return {
            Step.SNAPSHOT: snapshot.take,
            Step.TRAIN: train.take,
            Step.EVALUATE: evaluate.take,
            Step.GATE: gate.take,
            Step.PROMOTE: promote.take,
        }

    @property
    def books(self) -> Books:
        return Books(self.store, self.blobs, self.workshop, self.clock)

    @property
    def slicing(self) -> Slicing:
        return Slicing(self.store, self.clock, self.settings.slice_images)

    def _untold(self, cycle: Cycle) -> str | None:
        """Why MLflow does not know of all that the cycle has done, "" where it is just being told; None where it
        does."""
        with self.store.read() as tx:
            if cycle.id not in tx.notes.untold(cycle.project_id):
                return None
            return why_untold(tx.notes.heads(), cycle.id)
