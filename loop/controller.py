"""The retrain cycle, one committed step after the other: snapshot → train → evaluate → gate → promote.

`advance` does the next step of a cycle and commits what came of it together with the name of the step after it;
a process that dies in between does that step again and nothing else.
"""

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, Protocol

import numpy as np

from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.errors import AskanceError, BadDataset, BadWeights, Conflict, CycleFailed
from loop.domain.identity import new_id
from loop.domain.item import Split
from loop.domain.model import BACKENDS, ModelHead, ModelVersion, Promotion, PromotionKind, PromotionState
from loop.domain.ports import Blobs, Clock, Entropy, Event, Store, Transaction
from loop.domain.prediction import Inference
from loop.domain.project import Project
from loop.domain.recipe import Recipe
from loop.domain.rollout import Rollout, RolloutState, ended_by_champion
from loop.projects import Administration, finish_rollout, require_known_labels, rollout_event
from selection.embeddings import write_embeddings
from selection.seen import seen_in_evaluation
from training.evaluate import Evaluation, Found, Truth, evaluate
from training.promotion import GateMode, GateSettings, decide
from training.snapshot import Entry, Snapshot, detectable, freeze

log = logging.getLogger("askance.cycle")

# What a long step calls as it goes: share done in [0, 1], and the figures of the moment.
Progress = Callable[[float, Mapping[str, float]], None]

# Starts the application of a model with its serving options and waits until it has answered; raises where it cannot.
Deploy = Callable[[ModelVersion], None]

# Candidates of a detector that are kept for evaluation: low enough that average precision sees the whole curve.
EVALUATION_FLOOR = 0.01

# The order in which what waits for the serving process is taken up: first what takes a bad model away.
_URGENCY = {PromotionKind.ROLLBACK: 0, PromotionKind.RECONFIGURE: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """start_key: blob of the weights to start from, None for fresh weights of the configured architecture. renamed:
    what labels of these are called now, where it is something else."""

    cycle_id: str
    start_key: str | None
    labels: tuple[str, ...]
    recipe: Mapping[str, object]
    train: tuple[Entry, ...]
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    content: bytes
    head: ModelHead
    metrics: Mapping[str, float]


class Workshop(Protocol):
    """Where the heavy work runs: Ray tasks, on a GPU where there is one."""

    def train(self, job: TrainingJob, progress: Progress) -> TrainedWeights: ...

    def infer(self, weights_key: str, image_keys: Sequence[str], progress: Progress) -> list[Inference]:
        """One inference per image, in their order, with the candidates above EVALUATION_FLOOR."""
        ...

    def clean(self, cycle_id: str) -> None:
        """The cycle is over: its scratch files may go."""
        ...


class RunRegistry(Protocol):
    """Runs and model versions as MLflow keeps them; the database decides, this mirrors."""

    def open(self) -> None:
        """May be called ahead of the first use, which is slow."""
        ...

    def start(self, cycle: Cycle, params: Mapping[str, object]) -> str: ...
    def metrics(self, run_id: str, figures: Mapping[str, float], step: int) -> None: ...
    def artifact(self, run_id: str, name: str, content: bytes) -> None: ...
    def register(self, run_id: str, model: ModelVersion, content: bytes) -> str: ...
    def alias(self, model: ModelVersion, name: Literal["champion", "candidate"]) -> None: ...
    def finish(self, run_id: str, succeeded: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class CycleSettings:
    """What a cycle takes from the configuration. training: default recipe, kept in the cycle once frozen."""

    training: Mapping[str, object]
    gate: GateSettings
    gate_seed: int
    val_share: float
    replay_limit: int
    reference_limit: int
    drift_reference: int


@dataclass(frozen=True, slots=True)
class Controller:
    store: Store
    blobs: Blobs
    administration: Administration
    workshop: Workshop
    registry: RunRegistry
    settings: CycleSettings
    clock: Clock
    entropy: Entropy

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
        try:
            return steps[cycle.step](cycle)
        except Exception as error:
            if stopping():
                return cycle
            if isinstance(error, AskanceError):
                return self._failed(cycle, str(error))
            log.exception("cycle %s failed in step %s", cycle.id, cycle.step)
            return self._failed(cycle, f"{type(error).__name__}: {error}")

    def _snapshot(self, cycle: Cycle) -> Cycle:
        with self.store.read() as tx:
            project = tx.projects.get(cycle.project_id)
            rows = list(tx.truths.all_current(cycle.project_id))
        snapshot = freeze(detectable(rows), labels=project.recipe.detected, val_share=self.settings.val_share)
        # Both raise where a cycle could not end well, before anything is trained.
        log.info("snapshot: %d to train on, %d to judge by", *map(len, _sides(snapshot)))
        key = self.blobs.put(snapshot.manifest())
        return self._save(
            replace(
                cycle,
                state=CycleState.RUNNING,
                step=Step.TRAIN,
                snapshot_digest=key,
                champion_id=project.champion_id,
            )
        )

    def _train(self, cycle: Cycle) -> Cycle:
        project, snapshot = self._project(cycle), self._frozen(cycle)
        champion = self._model(cycle, cycle.champion_id)
        if cycle.mlflow_run_id is None:
            params = {
                **cycle.recipe,
                "snapshot": cycle.snapshot_digest,
                "champion": champion.digest if champion else "",
            }
            cycle = self._save(replace(cycle, mlflow_run_id=self.registry.start(cycle, params)))
            self.registry.artifact(str(cycle.mlflow_run_id), "snapshot.json", snapshot.manifest())
        job = TrainingJob(
            cycle_id=cycle.id,
            start_key=champion.digest if champion else None,
            labels=snapshot.labels,
            recipe=cycle.recipe,
            train=self._training_entries(snapshot),
            renamed=_renamed(champion, snapshot.labels, project.recipe) if champion else {},
        )
        trained = self.workshop.train(job, self._reporter(cycle))
        model = self._register(cycle, trained)
        return self._save(replace(cycle, step=Step.EVALUATE, candidate_id=model.id, progress=0.0))

    def _training_entries(self, snapshot: Snapshot) -> tuple[Entry, ...]:
        """All that people corrected, and as much replay of imported truth as the limit leaves room for,
        chosen by digest, so that the same snapshot trains on the same images."""
        corrected = [entry for entry in snapshot.training_entries if entry.submission_ids]
        replay = [entry for entry in snapshot.training_entries if not entry.submission_ids]
        room = max(self.settings.replay_limit - len(corrected), 0)
        return tuple(sorted(corrected + replay[:room], key=lambda entry: entry.digest))

    def _register(self, cycle: Cycle, trained: TrainedWeights) -> ModelVersion:
        digest = self.blobs.put(trained.content)
        with self.store.read() as tx:
            known = tx.models.by_digest(cycle.project_id, digest)
        if known is not None:
            return known
        model = ModelVersion(
            id=new_id("model", self.clock(), self.entropy(10)),
            project_id=cycle.project_id,
            digest=digest,
            head=trained.head,
            origin="cycle",
            cycle_id=cycle.id,
            reference_key=None,
            created_at=self.clock(),
            notes={"metrics": dict(trained.metrics), "snapshot": cycle.snapshot_digest},
        )
        version = self.registry.register(str(cycle.mlflow_run_id), model, trained.content)
        model = replace(model, mlflow_version=version)
        with self.store.begin() as tx:
            tx.models.add(model)
        self.registry.alias(model, "candidate")
        return model

    def _evaluate(self, cycle: Cycle) -> Cycle:
        """Both models on the same images, and the references of the candidate's anomaly test."""
        snapshot, recipe = self._frozen(cycle), self._project(cycle).recipe
        entries, labels = snapshot.evaluation_entries, snapshot.labels
        report = self._reporter(cycle)
        candidate = self._required(cycle, cycle.candidate_id)
        self.embed_references(candidate, lambda share, _: report(share / 3, {}), snapshot)
        inferences = self._inferred(candidate, entries, lambda share, _: report((1 + share) / 3, {}))
        self._keep_drift_reference(candidate, entries, inferences)
        judged = _judged(candidate, inferences, entries, labels, recipe)
        evaluation: dict[str, object] = {
            "images": len(entries),
            "split": str(entries[0].split),
            "candidate": self.blobs.put(judged.to_bytes()),
        }
        if (champion := self._model(cycle, cycle.champion_id)) is not None:
            inferences = self._inferred(champion, entries, lambda share, _: report((2 + share) / 3, {}))
            before = _judged(champion, inferences, entries, labels, recipe)
            evaluation["champion"] = self.blobs.put(before.to_bytes())
        return self._save(replace(cycle, step=Step.GATE, evaluation=evaluation, progress=0.0))

    def _inferred(self, model: ModelVersion, entries: Sequence[Entry], progress: Progress) -> list[Inference]:
        return self.workshop.infer(model.digest, [entry.digest for entry in entries], progress)

    def _keep_drift_reference(
        self, model: ModelVersion, entries: Sequence[Entry], inferences: Sequence[Inference]
    ) -> None:
        """What it said of the first images it is judged on (by digest: any). They are held out, as a model looks with
        other eyes at what it has learned from. Of too few nothing is kept, and its first predictions will serve."""
        kept = slice(self.settings.drift_reference)
        blocks = [entry.group or entry.digest for entry in entries[kept]]
        seen = seen_in_evaluation(inferences[kept], blocks, floor=EVALUATION_FLOOR)
        if not seen.enough:
            return
        key = self.blobs.put(seen.to_bytes())
        with self.store.begin() as tx:
            tx.models.refer(model.project_id, model.id, key)

    def _gate(self, cycle: Cycle) -> Cycle:
        snapshot = self._frozen(cycle)
        entries, labels = snapshot.evaluation_entries, snapshot.labels
        candidate = Evaluation.read(self.blobs.get(str(cycle.evaluation["candidate"])))
        key = cycle.evaluation.get("champion")
        champion = Evaluation.read(self.blobs.get(str(key))) if key else None
        decision = decide(
            champion,
            candidate,
            labels=labels,
            settings=replace(self.settings.gate, mode=GateMode(str(cycle.recipe["mode"]))),
            groups=np.array([entry.group or entry.digest for entry in entries]),
            rng=np.random.default_rng(self.settings.gate_seed),
        )
        after = _figures(candidate)
        self._log_decision(cycle, after, decision.to_json())
        evaluation = {**cycle.evaluation, "before": _figures(champion), "after": after}
        cycle = replace(cycle, evaluation=evaluation, decision=decision.to_json(), progress=0.0)
        if decision.promoted:
            return self._save(replace(cycle, step=Step.PROMOTE))
        return self._finished(cycle, CycleState.REFUSED)

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

    # --- promotions and rollouts, worked off by the process that serves -----------------------------------

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
        active = replace(rollout, state=RolloutState.ACTIVE)
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
            model = self.embed_references(model, lambda _share, _figures: None)
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
        found = self.administration.read_head(self.blobs.get(model.digest))
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
                tx.promotions.save(done)
        except Overtaken as error:
            return self._settled(replace(promotion, state=PromotionState.FAILED, error=str(error)))
        if model.mlflow_version is not None:
            self.registry.alias(model, "champion")
        return done

    def _settled(self, promotion: Promotion) -> Promotion:
        done = replace(promotion, finished_at=self.clock())
        with self.store.begin() as tx:
            tx.promotions.save(done)
        return done

    def embed_references(
        self, model: ModelVersion, progress: Progress, snapshot: Snapshot | None = None
    ) -> ModelVersion:
        """The training images in this model's embedding space: what its anomaly test compares with.

        snapshot: whose training images; None: of a snapshot of the present truth. A version without any truth in its
        project keeps no reference set.
        """
        if model.reference_key is not None:
            return model
        snapshot = snapshot or self._present(model.project_id)
        keys = [entry.digest for entry in snapshot.of_split(Split.TRAIN)[: self.settings.reference_limit]]
        if not keys:
            return model
        inferences = self.workshop.infer(model.digest, keys, progress)
        embeddings = np.stack([inference.embedding for inference in inferences])
        model = replace(model, reference_key=self.blobs.put(write_embeddings(embeddings)))
        with self.store.begin() as tx:
            tx.models.save(model)
        return model

    def _present(self, project_id: str) -> Snapshot:
        with self.store.read() as tx:
            labels = tx.projects.get(project_id).recipe.detected
            rows = list(tx.truths.all_current(project_id))
        return freeze(detectable(rows), labels=labels, val_share=self.settings.val_share)

    # --- small pieces ------------------------------------------------------------------------------------

    def _log_decision(self, cycle: Cycle, figures: Mapping[str, float], decision: Mapping[str, object]) -> None:
        run_id = str(cycle.mlflow_run_id)
        self.registry.metrics(run_id, {f"golden/{name}": value for name, value in figures.items()}, step=0)
        self.registry.artifact(run_id, "decision.json", json.dumps(decision, indent=1).encode())

    def _reporter(self, cycle: Cycle) -> Progress:
        shown = 0.0

        def report(share: float, figures: Mapping[str, float]) -> None:
            nonlocal shown
            if figures and cycle.mlflow_run_id is not None:
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
            body = {"cycle_id": cycle.id, "state": state, "candidate_id": cycle.candidate_id, "error": error}
            tx.events.add(Event("cycle.finished", cycle.project_id, cycle.actor, body, now))
        if cycle.mlflow_run_id is not None:
            self.registry.finish(cycle.mlflow_run_id, state is not CycleState.FAILED)
        self.workshop.clean(cycle.id)
        return cycle

    def _failed(self, cycle: Cycle, error: str) -> Cycle:
        with self.store.read() as tx:
            cycle = tx.cycles.get(cycle.project_id, cycle.id)
        return self._finished(cycle, CycleState.FAILED, error)

    def _project(self, cycle: Cycle) -> Project:
        with self.store.read() as tx:
            return tx.projects.get(cycle.project_id)

    def _frozen(self, cycle: Cycle) -> Snapshot:
        if cycle.snapshot_digest is None:
            raise BadDataset("the cycle has no snapshot.", hint="Start the cycle again.")
        return Snapshot.read(self.blobs.get(cycle.snapshot_digest))

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


def _sides(snapshot: Snapshot) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    return snapshot.training_entries, snapshot.evaluation_entries


def _figures(evaluation: Evaluation | None) -> dict[str, float]:
    """A project without a champion is judged against a detector that finds nothing."""
    if evaluation is None:
        return {"map50": 0.0, "map50_95": 0.0}
    return {"map50": evaluation.map50, "map50_95": evaluation.map50_95}


def _judged(
    model: ModelVersion,
    inferences: Sequence[Inference],
    entries: Sequence[Entry],
    labels: tuple[str, ...],
    recipe: Recipe,
) -> Evaluation:
    found = [_found_by(model, one, labels, recipe) for one in inferences]
    return evaluate(found, [_truth_of(entry, labels) for entry in entries], n_classes=len(labels))


def _found_by(model: ModelVersion, inference: Inference, labels: tuple[str, ...], recipe: Recipe) -> Found:
    """Class indices of the model become indices into `labels`. What it predicts of a label that is not among them,
    since the recipe has removed it, is left out."""
    named = [label if label in labels else recipe.detected_as(label) for label in model.head.labels]
    index = np.array([labels.index(name) if name in labels else -1 for name in named], dtype=np.int64)
    classes = index[inference.classes]
    kept = classes >= 0
    return Found(inference.boxes[kept], inference.scores[kept], classes[kept])


def _renamed(champion: ModelVersion, labels: tuple[str, ...], recipe: Recipe) -> dict[str, str]:
    """From names that the champion has learned to those among `labels` that stand for the same now."""
    named = {label: recipe.detected_as(label) for label in champion.head.labels if label not in labels}
    return {label: name for label, name in named.items() if name in labels}


def _truth_of(entry: Entry, labels: tuple[str, ...]) -> Truth:
    index = {label: i for i, label in enumerate(labels)}
    return Truth(
        boxes=np.array([shape.box for shape in entry.shapes], dtype=np.float64).reshape(-1, 4),
        classes=np.array([index[shape.label] for shape in entry.shapes], dtype=np.int64),
    )
