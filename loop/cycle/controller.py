"""The retrain cycle, one committed step after the other: snapshot → train → evaluate → gate → promote.

`advance` does the next step of a cycle and commits what came of it together with the name of the step after it;
a process that dies in between does that step again and nothing else.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from loop.cycle.judging import HeldOut, Judgement, held_out, judged, left_out_of
from loop.cycle.latency import latency_told, seconds_of
from loop.cycle.record import Record
from loop.cycle.references import References
from loop.cycle.slicing import Slicing
from loop.cycle.work import (
    EVALUATION_FLOOR,
    Progress,
    Subject,
    Timing,
    TrainedWeights,
    TrainingJob,
    Workshop,
)
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.errors import AskanceError, BadDataset, Conflict, CycleFailed, NoPlace, Overloaded
from loop.domain.identity import digest_of, new_id
from loop.domain.model import ModelVersion, PromotionState
from loop.domain.outgoing.notes import Note, aliases_note, why_untold
from loop.domain.policy.slice_rules import SliceKind
from loop.domain.ports import Blobs, Clock, Entropy, Event, Store, Transaction
from loop.domain.prediction import Inference
from loop.domain.project import Project
from loop.domain.recipes.recipe import Recipe
from loop.domain.rollouts.canary import CanaryRules, OnPass
from loop.domain.rollouts.rollout import RolloutKind, RolloutLimits, RolloutState
from loop.models.loaded import newest_images
from loop.models.rollouts import Rollouts, finish_rollout
from loop.models.versions import Models
from selection.duplicates import NO_CLUSTERS, Clusters
from selection.seen import seen_in_evaluation
from training.coco_findings import CocoFindings
from training.evaluate import Evaluation, or_none
from training.gate_clauses import Beside, Circumstances, GateMode, GateSettings
from training.promotion import decide
from training.provenance import Provenance
from training.slices import Slices
from training.snapshot import Entries, Entry, Snapshot, detectable, freeze
from training.snapshot_leaks import Hashes, without_leaks

log = logging.getLogger("askance.cycle")

_LOOK_SECONDS = 3.0  # from one look whether a cycle was cancelled to the next
_WAIT = timedelta(seconds=30)  # from one try of a cycle that waits to the next


@dataclass(frozen=True, slots=True)
class CanaryPlan:
    """What passes the gate takes this share of the traffic first. wanted: where a cycle does not say otherwise."""

    wanted: bool
    share: float
    limits: RolloutLimits
    rules: CanaryRules


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
            self._end(tx, cycle, actor, now)
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
        if self.settings.mlflow_required and (untold := self._untold(cycle)) is not None:
            return self._waiting(cycle, f"MLflow is not told yet. {untold}") if untold else cycle
        try:
            return steps[cycle.step](replace(cycle, error=""))  # what it waited for is not said once it goes on
        except Cancelled:
            return self._put_away(cycle)
        except NoPlace as error:
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
            clusters, hashes = self._clusters(cycle), self._hashes(cycle)
        except Overloaded:
            log.info("%s waits: near-duplicates are being looked for", cycle.id)
            return cycle
        with self.store.read() as tx:
            project = tx.projects.get(cycle.project_id)
            rows = detectable(tx.truths.all_current(cycle.project_id))
            snapshot = freeze(rows, labels=project.recipe.detected, val_share=self.settings.val_share)
        snapshot = without_leaks(snapshot, clusters.items, clusters.group, hashes)
        snapshot, label_check = self.check_labels(cycle, snapshot)
        # Both raise where a cycle could not end well, before anything is trained.
        log.info("snapshot: %d to train on, %d to judge by", *map(len, _sides(snapshot)))
        for why, images in snapshot.left_out.items():
            log.info("snapshot: %d images are left out of training, %s", images, why)
        slices = self.slicing.frozen(cycle.project_id, snapshot)
        key = snapshot.keep(self.blobs.put)
        cycle = replace(
            cycle,
            state=CycleState.RUNNING,
            step=Step.TRAIN,
            snapshot_digest=key,
            champion_id=project.champion_id,
            evaluation={"slices": self.blobs.put(slices.to_bytes()), **label_check},
        )
        champion, start = self._model(cycle, cycle.champion_id), self._start(cycle)
        return self._save(cycle, self._record().begun(cycle, champion, start, self.made_with()))

    def _clusters(self, cycle: Cycle) -> Clusters:
        """Of what the champion has seen; without one of nothing."""
        champion = self._model(cycle, self._project(cycle).champion_id)
        if champion is None or self.near_duplicates is None:
            return NO_CLUSTERS
        return self.near_duplicates(champion)

    def _hashes(self, cycle: Cycle) -> Hashes | None:
        return None if self.image_hashes is None else self.image_hashes(cycle.project_id)

    def _train(self, cycle: Cycle) -> Cycle:
        project, snapshot = self._project(cycle), self._frozen(cycle)
        start = self._start(cycle)
        job = TrainingJob(
            cycle_id=cycle.id,
            start_key=start.digest if start else None,
            labels=snapshot.labels,
            recipe=cycle.recipe,
            train=self._training_entries(cycle, snapshot),
            renamed=_renamed(start, snapshot.labels, project.recipe) if start else {},
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
            for note in Record(self.blobs.put, now).candidate(cycle, model, trained) if known is None else ():
                tx.notes.add(note)
            tx.notes.add(aliases_note(cycle.project_id, now))
        return cycle

    def _version_of(self, cycle: Cycle, trained: TrainedWeights, digest: str) -> ModelVersion:
        return ModelVersion(
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
                "device": trained.device,
            },
        )

    def _evaluate(self, cycle: Cycle) -> Cycle:
        """Both models on the same images, and the references of the candidate's anomaly test."""
        snapshot, recipe = self._frozen(cycle), self._project(cycle).recipe
        held, labels = self._held_out(cycle, snapshot, self._dropped(cycle)), snapshot.labels
        report = self._reporter(cycle)
        candidate, champion = self._required(cycle, cycle.candidate_id), self._model(cycle, cycle.champion_id)
        wanted, timing = self.references.wanted(candidate, snapshot), self._timing(cycle, held)
        # All in one process: each takes seconds to start.
        subjects = [Subject(candidate, [*wanted, *held.digests])]
        if champion is not None:
            subjects.append(Subject(champion, held.digests))
        examined = self.workshop.examine(subjects, timing, lambda share, _figures: report(share, {}))
        said = examined.inferences[0]
        if wanted:
            self.references.keep(candidate, said[: len(wanted)])
        said = said[len(wanted) :]
        self._keep_drift_reference(candidate, held.judged, said[: len(held.judged)])
        evaluation: dict[str, object] = {
            **cycle.evaluation,
            "images": len(held.judged),
            "beside": len(held.beside),
            "set": digest_of("".join(held.judged.digests).encode()),
            "split": str(snapshot.evaluation_split),
            "without": list(held.without),
        }
        evaluation |= self._kept("candidate", judged(candidate, said, held, labels, recipe))
        if champion is not None:
            evaluation |= self._kept("champion", judged(champion, examined.inferences[1], held, labels, recipe))
        parts = ("candidate", "champion")[: len(subjects)]
        evaluation["latency"] = latency_told(parts, timing, examined)
        return self._save(replace(cycle, step=Step.GATE, evaluation=evaluation, progress=0.0))

    def _held_out(self, cycle: Cycle, snapshot: Snapshot, dropped: Collection[str]) -> HeldOut:
        key = cycle.evaluation.get("slices")
        if key:
            return held_out(snapshot, Slices.read(self.blobs.get(str(key))), dropped)
        # Frozen by an earlier version: without images that only slices look at, which its evaluation does not have.
        return held_out(snapshot, self.slicing.frozen(cycle.project_id, snapshot, beside=False), dropped)

    def _kept(self, part: str, judgement: Judgement) -> dict[str, object]:
        """By the names under which a cycle keeps what it found of one model."""
        kept = {
            part: judgement.evaluation.to_bytes(),
            f"{part}_beside": judgement.beside.to_bytes(),
            f"{part}_coco": judgement.coco.to_bytes(),
            f"{part}_told": judgement.told,
        }
        return {name: self.blobs.put(content) for name, content in kept.items()}

    @property
    def slicing(self) -> Slicing:
        return Slicing(self.store, self.clock, self.settings.slice_images)

    def _timing(self, cycle: Cycle, held: HeldOut) -> Timing | None:
        images = self.settings.latency_images
        if not images:
            return None
        choose_by = newest_images(self.store, self.blobs, cycle.project_id, self.settings.runtime_images)
        return Timing(list(held.judged.digests[:images]), choose_by)

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
        held, labels = self._held_out(cycle, snapshot, left_out_of(cycle)), snapshot.labels
        champion, candidate = self._evaluation(cycle, "champion"), self._evaluation(cycle, "candidate")
        if candidate is None:
            raise CycleFailed("the candidate was not evaluated.", hint="Start the cycle again.")
        decision = decide(
            champion,
            candidate,
            labels=labels,
            settings=replace(self.settings.gate, mode=GateMode(str(cycle.recipe["mode"]))),
            groups=np.array(held.judged.blocks),
            rng=np.random.default_rng(self.settings.gate_seed),
            known=self._circumstances(cycle, held),
        )
        found = {part: self._coco(cycle, part) for part in ("champion", "candidate")}
        after = _figures(candidate, found["candidate"])
        notes = self._record().decided(cycle, after, decision.to_json(), found["candidate"])
        evaluation = {**cycle.evaluation, "before": _figures(champion, found["champion"]), "after": after}
        cycle = replace(cycle, evaluation=evaluation, decision=decision.to_json(), progress=0.0)
        if decision.promoted:
            return self._save(replace(cycle, step=Step.PROMOTE), notes)
        return self._finished(cycle, CycleState.REFUSED, notes=notes)

    def _circumstances(self, cycle: Cycle, held: HeldOut) -> Circumstances:
        """Which slices the images make, which of them failed before, and how often they have decided."""
        with self.store.read() as tx:
            judged_before = tx.cycles.count_judged(cycle.project_id, str(cycle.evaluation.get("set", "")))
        total = len(held.judged) + len(held.beside)
        gated = [one for one in held.slices.slices if one.kind.gated]
        past = [one.among(total) for one in held.slices.slices if one.kind is SliceKind.FAILURES]
        latency = cycle.evaluation.get("latency")
        latency = latency if isinstance(latency, Mapping) else {}
        return Circumstances(
            beside=self._beside(cycle, held),
            slices={one.title: one.among(total) for one in gated},
            margins={one.title: one.margin for one in gated if one.margin is not None},
            said={one.title: one.note for one in gated if one.kind.named},
            mended=past[0] if past else None,
            seconds=seconds_of(latency),
            unmeasured=str(latency.get("unmeasured", "")),
            uses=judged_before + 1,
        )

    def _beside(self, cycle: Cycle, held: HeldOut) -> Beside | None:
        champion, candidate = (self._evaluation(cycle, f"{part}_beside") for part in ("champion", "candidate"))
        if candidate is None or not len(held.beside):
            return None
        before = candidate.without_detections() if champion is None else champion
        return Beside(before, candidate, np.array(held.beside.blocks))

    def _evaluation(self, cycle: Cycle, name: str) -> Evaluation | None:
        key = cycle.evaluation.get(name)
        return Evaluation.read(self.blobs.get(str(key))) if key else None

    def _coco(self, cycle: Cycle, part: str) -> CocoFindings | None:
        """None where an earlier version evaluated, or there was no champion."""
        key = cycle.evaluation.get(f"{part}_coco")
        return CocoFindings.read(self.blobs.get(str(key))) if key else None

    def _promote(self, cycle: Cycle) -> Cycle:
        """Ask for the promotion once, then follow it; the serving process deploys, warms and flips. Where it is wanted,
        the candidate has been a canary before."""
        if cycle.promotion_id is None:
            plan = self.settings.canary
            if plan is not None and cycle.champion_id is not None and cycle.recipe.get("canary"):
                return self._by_canary(cycle, plan)
            return self._asked_to_serve(cycle)
        with self.store.read() as tx:
            promotion = tx.promotions.get(cycle.promotion_id)
        if promotion.state is PromotionState.FAILED:
            raise CycleFailed(f"the candidate could not be served: {promotion.error}", hint="The champion stays.")
        if promotion.state is PromotionState.ACTIVE:
            return self._finished(cycle, CycleState.PROMOTED)
        return cycle

    def _asked_to_serve(self, cycle: Cycle) -> Cycle:
        promotion = self.models.promote_candidate(
            cycle.project_id, str(cycle.candidate_id), cycle.id, judged_against=cycle.champion_id
        )
        return self._save(replace(cycle, promotion_id=promotion.id))

    def _by_canary(self, cycle: Cycle, plan: CanaryPlan) -> Cycle:
        """Start it once, then follow it: what was taken back or ended is refused, what passed is promoted, by the cycle
        or by a person."""
        with self.store.read() as tx:
            champion_id = tx.projects.get(cycle.project_id).champion_id
            canary = next((one for one in tx.rollouts.of_project(cycle.project_id) if one.cycle_id == cycle.id), None)
            promoted = next((p for p in tx.promotions.of_project(cycle.project_id) if p.model_id == champion_id), None)
        if champion_id == cycle.candidate_id and promoted is not None:
            return self._save(replace(cycle, promotion_id=promoted.id, error=""))
        if canary is None:
            return self._start_canary(cycle, plan) if champion_id == cycle.champion_id else self._asked_to_serve(cycle)
        if canary.state is RolloutState.FAILED:
            raise CycleFailed(f"the candidate could not be served: {canary.error}", hint="The champion stays.")
        if canary.state.finished:
            return self._finished(cycle, CycleState.REFUSED, f"its canary has ended: {canary.error}")
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
            return self._waiting(cycle, str(taken))
        return self._save(replace(cycle, error=""))

    def _reporter(self, cycle: Cycle) -> Progress:
        shown, looked_at = 0.0, time.monotonic()

        def report(share: float, figures: Mapping[str, float]) -> None:
            nonlocal shown, looked_at
            if time.monotonic() - looked_at > _LOOK_SECONDS:
                looked_at = time.monotonic()
                if self._stored(cycle).state.finished:
                    raise Cancelled("the cycle was cancelled.")
            if figures or share - shown >= 0.02 or share >= 1.0:
                shown = share
                notes = self._record().trained_on(cycle, share, figures)
                self._save(replace(cycle, progress=min(share, 1.0)), notes)

        return report

    def _record(self) -> Record:
        return Record(self.blobs.put, self.clock())

    def _untold(self, cycle: Cycle) -> str | None:
        """Why MLflow does not know of all that the cycle has done, "" where it is just being told; None where it
        does."""
        with self.store.read() as tx:
            if cycle.id not in tx.notes.untold(cycle.project_id):
                return None
            return why_untold(tx.notes.heads(), cycle.id)

    def _save(self, cycle: Cycle, notes: Sequence[Note] = ()) -> Cycle:
        """notes: what MLflow is to be told of it."""
        cycle = replace(cycle, updated_at=self.clock())
        with self.store.begin() as tx:
            tx.cycles.save(cycle)
            for note in notes:
                tx.notes.add(note)
        return cycle

    def _finished(self, cycle: Cycle, state: CycleState, error: str = "", notes: Sequence[Note] = ()) -> Cycle:
        now = self.clock()
        cycle = replace(cycle, state=state, error=error, finished_at=now, updated_at=now)
        if state is not CycleState.FAILED:
            cycle = replace(cycle, step=Step.DONE)
        with self.store.begin() as tx:
            for note in notes:
                tx.notes.add(note)
            self._end(tx, cycle, cycle.actor, now)
        return self._put_away(cycle)

    def _end(self, tx: Transaction, cycle: Cycle, actor: str, now: datetime) -> None:
        tx.cycles.save(cycle)
        _end_canary(tx, cycle, actor, now)
        tx.events.add(_finished_event(cycle, actor, now))
        for note in Record(self.blobs.put, now).ended(cycle):
            tx.notes.add(note)

    def _put_away(self, cycle: Cycle) -> Cycle:
        """What a cycle leaves outside the database, when it has ended."""
        cycle = self._stored(cycle)
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

    def _start(self, cycle: Cycle) -> ModelVersion | None:
        """Whose weights the training starts from: the champion's; before there is one, those of the newest version that
        was added for that; None where there is none either, or the cycle is to begin from scratch."""
        if cycle.recipe.get("start") == "scratch":
            return None
        if cycle.champion_id is not None:
            return self._model(cycle, cycle.champion_id)
        with self.store.read() as tx:
            models = tx.models.all(cycle.project_id)
        return next((model for model in models if model.is_base), None)

    def _required(self, cycle: Cycle, model_id: str | None) -> ModelVersion:
        model = self._model(cycle, model_id)
        if model is None:
            raise CycleFailed("the cycle has no candidate.", hint="Start the cycle again.")
        return model


def _sides(snapshot: Snapshot) -> tuple[Entries, Entries]:
    return snapshot.training_entries, snapshot.evaluation_entries


def _end_canary(tx: Transaction, cycle: Cycle, actor: str, now: datetime) -> None:
    """The one that the cycle has started, if it still runs."""
    for rollout in tx.rollouts.unfinished():
        if rollout.cycle_id == cycle.id:
            why = cycle.error or f"its cycle was {cycle.state}"
            finish_rollout(tx, rollout, RolloutState.ENDED, why, actor, now)


class Cancelled(Conflict):
    """Somebody ended the cycle while a step of it was under way."""


def _finished_event(cycle: Cycle, actor: str, now: datetime) -> Event:
    body = {
        "cycle_id": cycle.id, "state": cycle.state, "candidate_id": cycle.candidate_id, "error": cycle.error
    }  # fmt: skip
    return Event("cycle.finished", cycle.project_id, actor, body, now)


def _figures(evaluation: Evaluation | None, coco: CocoFindings | None) -> dict[str, float | None]:
    """COCO's beside those that the gate decides on. None where there is no box to judge by, and of a champion where
    there was none: a 0 would be taken for a model's."""
    if evaluation is None:
        return {"map50": None, "map50_95": None}
    own = {"map50": or_none(evaluation.map50), "map50_95": or_none(evaluation.map50_95)}
    return own if coco is None else {**coco.whole.to_json(), **own}


def _renamed(champion: ModelVersion, labels: tuple[str, ...], recipe: Recipe) -> dict[str, str]:
    """From names that the champion has learned to those among `labels` that stand for the same now."""
    named = {label: recipe.detected_as(label) for label in champion.head.labels if label not in labels}
    return {label: name for label, name in named.items() if name in labels}
