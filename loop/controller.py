"""The retrain cycle, one committed step after the other: snapshot → train → evaluate → gate → promote.

`advance` does the next step of a cycle and commits what came of it together with the name of the step after it;
a process that dies in between does that step again and nothing else.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from loop.cycle_work import EVALUATION_FLOOR, Progress, RegistryAway, RunRegistry, TrainedWeights, TrainingJob, Workshop
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.errors import AskanceError, BadDataset, Conflict, CycleFailed, Overloaded
from loop.domain.identity import digest_of, new_id
from loop.domain.model import ModelVersion, PromotionState
from loop.domain.ports import Blobs, Clock, Entropy, Event, Store
from loop.domain.prediction import Inference
from loop.domain.project import Project
from loop.domain.recipe import Recipe
from loop.judging import judged, judged_by, left_out_of
from loop.projects import Administration
from loop.references import References
from selection.duplicates import Clusters
from selection.seen import seen_in_evaluation
from training.evaluate import Evaluation
from training.gate_clauses import Circumstances, GateMode, GateSettings
from training.promotion import decide
from training.snapshot import Entries, Entry, Snapshot, detectable, freeze
from training.snapshot_leaks import without_leaks

log = logging.getLogger("askance.cycle")

_LOOK_SECONDS = 3.0  # from one look whether a cycle was cancelled to the next
_WAIT = timedelta(seconds=30)  # from one try of a cycle that waits to the next


@dataclass(frozen=True, slots=True)
class CycleSettings:
    """What a cycle takes from the configuration. training: default recipe, kept in the cycle once frozen."""

    training: Mapping[str, object]
    gate: GateSettings
    gate_seed: int
    val_share: float
    replay_limit: int
    drift_reference: int


@dataclass(frozen=True, slots=True)
class Controller:
    store: Store
    blobs: Blobs
    administration: Administration
    references: References
    workshop: Workshop
    registry: RunRegistry
    settings: CycleSettings
    clock: Clock
    entropy: Entropy
    # Clusters among what a version has seen; None: nobody looks. Raises Overloaded where it has to be asked later.
    near_duplicates: Callable[[ModelVersion], Clusters] | None = None

    # --- asking for a cycle -------------------------------------------------------------------------

    def request(self, project_id: str, actor: str, reason: str, overrides: Mapping[str, object]) -> Cycle:
        """Queue a cycle with the configured recipe and `overrides`. Raises CycleRunning."""
        now = self.clock()
        recipe = {**self.settings.training, "mode": self.settings.gate.mode, **overrides}
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
        """The cycle ends as failed, with who ended it and why; what works on it stops within seconds. A promotion that
        was asked for goes on. Raises NotFound, and Conflict where it has ended."""
        now = self.clock()
        with self.store.begin() as tx:
            cycle = tx.cycles.get(project_id, cycle_id)
            if cycle.state.finished:
                raise Conflict(f"{cycle_id} was {cycle.state} already.", hint="Nothing to do.", cycle=cycle_id)
            cycle = replace(
                cycle, state=CycleState.FAILED, error=f"cancelled by {actor}: {reason}", finished_at=now, updated_at=now
            )
            tx.cycles.save(cycle)
            tx.events.add(_finished_event(cycle, actor, now))
        return cycle

    # --- working it off ------------------------------------------------------------------------------

    def advance(self, cycle: Cycle, stopping: Callable[[], bool] = lambda: False) -> Cycle:
        """Do the next step of an unfinished cycle; what goes wrong ends the cycle with its reason.

        stopping: whether the process is being ended. Then nothing is the cycle's fault: it stays where it is, and
        the next start goes on.
        """
        steps = {
            Step.SNAPSHOT: self._snapshot,
            Step.TRAIN: self._train,
            Step.EVALUATE: self._evaluate,
            Step.GATE: self._gate,
            Step.PROMOTE: self._promote,
        }
        if cycle.error and self.clock() - cycle.updated_at < _WAIT:
            return cycle
        try:
            return steps[cycle.step](cycle)
        except Cancelled:
            return self._put_away(cycle)
        except RegistryAway as error:
            return self._waiting(cycle, str(error))
        except Exception as error:
            if stopping():
                return cycle
            if (ended := self._stored(cycle)).state.finished:  # while the step went wrong, or because of it
                return self._put_away(ended)
            if isinstance(error, AskanceError):
                return self._failed(cycle, str(error))
            log.exception("cycle %s failed in step %s", cycle.id, cycle.step)
            return self._failed(cycle, f"{type(error).__name__}: {error}")

    def tidy(self) -> None:
        """Put away cycles that have ended while nobody worked on them: the process was killed just then, or somebody
        cancelled one between two steps. What works on cycles calls this between them."""
        if left := self.workshop.left():
            with self.store.read() as tx:
                ended = tx.cycles.ended(left)
            for cycle in ended:
                self._put_away(cycle)

    def _snapshot(self, cycle: Cycle) -> Cycle:
        try:
            clusters = self._clusters(cycle)
        except Overloaded:
            log.info("%s waits: near-duplicates are being looked for", cycle.id)
            return cycle
        with self.store.read() as tx:
            project = tx.projects.get(cycle.project_id)
            rows = detectable(tx.truths.all_current(cycle.project_id))
            snapshot = freeze(rows, labels=project.recipe.detected, val_share=self.settings.val_share)
        if clusters is not None:
            snapshot = without_leaks(snapshot, clusters.items, clusters.group)
        # Both raise where a cycle could not end well, before anything is trained.
        log.info("snapshot: %d to train on, %d to judge by", *map(len, _sides(snapshot)))
        for why, images in snapshot.left_out.items():
            log.info("snapshot: %d images are left out of training, %s", images, why)
        key = snapshot.keep(self.blobs.put)
        return self._save(
            replace(
                cycle,
                state=CycleState.RUNNING,
                step=Step.TRAIN,
                snapshot_digest=key,
                champion_id=project.champion_id,
            )
        )

    def _clusters(self, cycle: Cycle) -> Clusters | None:
        """Only what the champion has seen can be compared; without one nothing is."""
        champion = self._model(cycle, self._project(cycle).champion_id)
        if champion is None or self.near_duplicates is None:
            return None
        return self.near_duplicates(champion)

    def _train(self, cycle: Cycle) -> Cycle:
        project, snapshot = self._project(cycle), self._frozen(cycle)
        champion = self._model(cycle, cycle.champion_id)
        if cycle.mlflow_run_id is None:
            params = {
                **cycle.recipe,
                "snapshot": cycle.snapshot_digest,
                "champion": champion.digest if champion else "",
            }
            cycle = self._save(replace(cycle, mlflow_run_id=self.registry.start(cycle, params), error=""))
            self.registry.artifact(cycle.mlflow_run_id, "snapshot.json", self.blobs.get(snapshot.kept_as))
        job = TrainingJob(
            cycle_id=cycle.id,
            start_key=champion.digest if champion else None,
            labels=snapshot.labels,
            recipe=cycle.recipe,
            train=self._training_entries(cycle, snapshot),
            renamed=_renamed(champion, snapshot.labels, project.recipe) if champion else {},
        )
        trained = self.workshop.train(job, self._reporter(cycle))
        return self._register(cycle, trained)

    def _training_entries(self, cycle: Cycle, snapshot: Snapshot) -> tuple[Entry, ...]:
        """All that people corrected, and as much replay of imported truth as the limit leaves room for; none whose
        image was dropped since the snapshot was made."""
        left = snapshot.training_entries.without(self._dropped(cycle))
        if not left:
            raise BadDataset("all images to train on were dropped since.", hint="Start another cycle.")
        return tuple(left.most(self.settings.replay_limit))

    def _dropped(self, cycle: Cycle) -> frozenset[str]:
        with self.store.read() as tx:
            return tx.items.dropped(cycle.project_id)

    def _register(self, cycle: Cycle, trained: TrainedWeights) -> Cycle:
        """The candidate, and that it is the cycle's, in one commit: a training that is done again may end in other
        weights, and those of a cycle are one version."""
        digest = self.blobs.put(trained.content)
        with self.store.read() as tx:
            known = tx.models.by_digest(cycle.project_id, digest)
        model = known or self._version_of(cycle, trained, digest)
        now = self.clock()
        cycle = replace(cycle, step=Step.EVALUATE, candidate_id=model.id, progress=0.0, error="", updated_at=now)
        with self.store.begin() as tx:
            if known is None:
                tx.models.add(model)
            tx.cycles.save(cycle)
        return cycle

    def _version_of(self, cycle: Cycle, trained: TrainedWeights, digest: str) -> ModelVersion:
        model = ModelVersion(
            id=new_id("model", self.clock(), self.entropy(10)),
            project_id=cycle.project_id,
            digest=digest,
            head=trained.head,
            origin="cycle",
            cycle_id=cycle.id,
            reference_key=None,
            created_at=self.clock(),
            notes={
                "metrics": dict(trained.metrics),
                "snapshot": cycle.snapshot_digest,
                "curves": [dict(epoch) for epoch in trained.curves],
                "batch": trained.batch or cycle.recipe.get("batch"),
            },
        )
        return replace(model, mlflow_version=self.registry.register(cycle.mlflow_run_id, model, trained.content))

    def _evaluate(self, cycle: Cycle) -> Cycle:
        """Both models on the same images, and the references of the candidate's anomaly test."""
        snapshot, recipe = self._frozen(cycle), self._project(cycle).recipe
        without = sorted(self._dropped(cycle).intersection(snapshot.evaluation_entries.digests))
        entries, labels = judged_by(snapshot, without), snapshot.labels
        report = self._reporter(cycle)
        candidate = self._required(cycle, cycle.candidate_id)
        self.registry.alias(candidate, "candidate")  # in a step that is done again where a kill comes before it
        # Both in one go, since what infers takes seconds to start.
        wanted = self.references.wanted(candidate, snapshot)
        said = self._inferred(candidate, [*wanted, *entries.digests], lambda share, _: report(2 * share / 3, {}))
        if wanted:
            self.references.keep(candidate, said[: len(wanted)])
        inferences = said[len(wanted) :]
        self._keep_drift_reference(candidate, entries, inferences)
        judgement = judged(candidate, inferences, entries, labels, recipe)
        evaluation: dict[str, object] = {
            "images": len(entries),
            "set": digest_of("".join(entries.digests).encode()),
            "split": str(snapshot.evaluation_split),
            "without": without,
            "candidate": self.blobs.put(judgement.evaluation.to_bytes()),
            "candidate_told": self.blobs.put(judgement.told),
        }
        if (champion := self._model(cycle, cycle.champion_id)) is not None:
            inferences = self._inferred(champion, entries.digests, lambda share, _: report((2 + share) / 3, {}))
            before = judged(champion, inferences, entries, labels, recipe)
            evaluation["champion"] = self.blobs.put(before.evaluation.to_bytes())
            evaluation["champion_told"] = self.blobs.put(before.told)
        return self._save(replace(cycle, step=Step.GATE, evaluation=evaluation, progress=0.0))

    def _inferred(self, model: ModelVersion, digests: Sequence[str], progress: Progress) -> list[Inference]:
        return self.workshop.infer(model.digest, digests, progress)

    def _keep_drift_reference(self, model: ModelVersion, entries: Entries, inferences: Sequence[Inference]) -> None:
        """What it said of the first images it is judged on (by digest: any). They are held out, as a model looks with
        other eyes at what it has learned from. Of too few nothing is kept, and its first predictions will serve."""
        kept = slice(self.settings.drift_reference)
        seen = seen_in_evaluation(inferences[kept], entries[kept].blocks, floor=EVALUATION_FLOOR)
        if not seen.enough:
            return
        key = self.blobs.put(seen.to_bytes())
        with self.store.begin() as tx:
            tx.models.refer(model.project_id, model.id, key)

    def _gate(self, cycle: Cycle) -> Cycle:
        snapshot = self._frozen(cycle)
        entries, labels = judged_by(snapshot, left_out_of(cycle)), snapshot.labels
        candidate = Evaluation.read(self.blobs.get(str(cycle.evaluation["candidate"])))
        key = cycle.evaluation.get("champion")
        champion = Evaluation.read(self.blobs.get(str(key))) if key else None
        decision = decide(
            champion,
            candidate,
            labels=labels,
            settings=replace(self.settings.gate, mode=GateMode(str(cycle.recipe["mode"]))),
            groups=np.array(entries.blocks),
            rng=np.random.default_rng(self.settings.gate_seed),
            known=self._circumstances(cycle, entries),
        )
        after = _figures(candidate)
        self._log_decision(cycle, after, decision.to_json())
        evaluation = {**cycle.evaluation, "before": _figures(champion), "after": after}
        cycle = replace(cycle, evaluation=evaluation, decision=decision.to_json(), progress=0.0)
        if decision.promoted:
            return self._save(replace(cycle, step=Step.PROMOTE))
        return self._finished(cycle, CycleState.REFUSED)

    def _circumstances(self, cycle: Cycle, entries: Entries) -> Circumstances:
        """Where the images come from, which of them failed before, and how often they have decided."""
        digests = entries.digests
        with self.store.read() as tx:
            sources = tx.items.sources(cycle.project_id, digests)
            failed = tx.submissions.failed_items(cycle.project_id, digests)
            judged_before = tx.cycles.count_judged(cycle.project_id, str(cycle.evaluation.get("set", "")))
        of = np.array([sources.get(digest, "") for digest in digests])
        return Circumstances(
            slices={f"source {source}": of == source for source in sorted(set(of.tolist()) - {""})},
            mended=np.array([digest in failed for digest in digests]),
            uses=judged_before + 1,
        )

    def _promote(self, cycle: Cycle) -> Cycle:
        """Ask for the promotion once, then follow it; the serving process deploys, warms and flips."""
        if cycle.promotion_id is None:
            promotion = self.administration.promote_candidate(
                cycle.project_id, str(cycle.candidate_id), cycle.id, judged_against=cycle.champion_id
            )
            return self._save(replace(cycle, promotion_id=promotion.id))
        with self.store.read() as tx:
            promotion = tx.promotions.get(cycle.promotion_id)
        if promotion.state is PromotionState.FAILED:
            raise CycleFailed(f"the candidate could not be served: {promotion.error}", hint="The champion stays.")
        if promotion.state is PromotionState.ACTIVE:
            return self._finished(cycle, CycleState.PROMOTED)
        return cycle

    def _log_decision(self, cycle: Cycle, figures: Mapping[str, float], decision: Mapping[str, object]) -> None:
        run_id = cycle.mlflow_run_id
        self.registry.metrics(run_id, {f"golden/{name}": value for name, value in figures.items()}, step=0)
        self.registry.artifact(run_id, "decision.json", json.dumps(decision, indent=1).encode())

    def _reporter(self, cycle: Cycle) -> Progress:
        shown, looked_at = 0.0, time.monotonic()

        def report(share: float, figures: Mapping[str, float]) -> None:
            nonlocal shown, looked_at
            if time.monotonic() - looked_at > _LOOK_SECONDS:
                looked_at = time.monotonic()
                if self._stored(cycle).state.finished:
                    raise Cancelled("the cycle was cancelled.")
            if figures:
                self.registry.metrics(cycle.mlflow_run_id, figures, step=round(share * 1000))
            if share - shown >= 0.02 or share >= 1.0:
                shown = share
                self._save(replace(cycle, progress=min(share, 1.0)))

        return report

    def _save(self, cycle: Cycle) -> Cycle:
        cycle = replace(cycle, updated_at=self.clock())
        with self.store.begin() as tx:
            tx.cycles.save(cycle)
        return cycle

    def _finished(self, cycle: Cycle, state: CycleState, error: str = "") -> Cycle:
        now = self.clock()
        cycle = replace(cycle, state=state, error=error, finished_at=now, updated_at=now)
        if state is not CycleState.FAILED:
            cycle = replace(cycle, step=Step.DONE)
        with self.store.begin() as tx:
            tx.cycles.save(cycle)
            tx.events.add(_finished_event(cycle, cycle.actor, now))
        return self._put_away(cycle)

    def _put_away(self, cycle: Cycle) -> Cycle:
        """What a cycle leaves outside the database, when it has ended."""
        cycle = self._stored(cycle)
        self.registry.finish(cycle.mlflow_run_id, cycle.state is not CycleState.FAILED)
        self.workshop.clean(cycle.id)
        return cycle

    def _waiting(self, cycle: Cycle, why: str) -> Cycle:
        """It stays at its step, which says why it does not go on; said once."""
        cycle = self._stored(cycle)
        if cycle.state.finished:
            return self._put_away(cycle)
        if not cycle.error:
            log.warning("%s waits in step %s: %s", cycle.id, cycle.step, why)
        return self._save(replace(cycle, error=why))

    def _stored(self, cycle: Cycle) -> Cycle:
        with self.store.read() as tx:
            return tx.cycles.get(cycle.project_id, cycle.id)

    def _failed(self, cycle: Cycle, error: str) -> Cycle:
        return self._finished(self._stored(cycle), CycleState.FAILED, error)

    def _project(self, cycle: Cycle) -> Project:
        with self.store.read() as tx:
            return tx.projects.get(cycle.project_id)

    def _frozen(self, cycle: Cycle) -> Snapshot:
        if cycle.snapshot_digest is None:
            raise BadDataset("the cycle has no snapshot.", hint="Start the cycle again.")
        return Snapshot.read(cycle.snapshot_digest, self.blobs.get)

    def _model(self, cycle: Cycle, model_id: str | None) -> ModelVersion | None:
        if model_id is None:
            return None
        with self.store.read() as tx:
            return tx.models.get(cycle.project_id, model_id)

    def _required(self, cycle: Cycle, model_id: str | None) -> ModelVersion:
        model = self._model(cycle, model_id)
        if model is None:
            raise CycleFailed("the cycle has no candidate.", hint="Start the cycle again.")
        return model


def _sides(snapshot: Snapshot) -> tuple[Entries, Entries]:
    return snapshot.training_entries, snapshot.evaluation_entries


class Cancelled(Conflict):
    """Somebody ended the cycle while a step of it was under way."""


def _finished_event(cycle: Cycle, actor: str, now: datetime) -> Event:
    body = {
        "cycle_id": cycle.id, "state": cycle.state, "candidate_id": cycle.candidate_id, "error": cycle.error
    }  # fmt: skip
    return Event("cycle.finished", cycle.project_id, actor, body, now)


def _figures(evaluation: Evaluation | None) -> dict[str, float]:
    """A project without a champion is judged against a detector that finds nothing."""
    if evaluation is None:
        return {"map50": 0.0, "map50_95": 0.0}
    return {"map50": evaluation.map50, "map50_95": evaluation.map50_95}


def _renamed(champion: ModelVersion, labels: tuple[str, ...], recipe: Recipe) -> dict[str, str]:
    """From names that the champion has learned to those among `labels` that stand for the same now."""
    named = {label: recipe.detected_as(label) for label in champion.head.labels if label not in labels}
    return {label: name for label, name in named.items() if name in labels}
