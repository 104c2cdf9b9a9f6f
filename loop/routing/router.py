"""From one inference to a durable, explained decision: signals → risk → decision → one transaction."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from loop.domain.events import task_created
from loop.domain.guarantee.thresholds import Thresholds, bar_of
from loop.domain.identity import new_id
from loop.domain.item import Item
from loop.domain.model import ModelVersion
from loop.domain.policy.gate import Review
from loop.domain.ports import Blobs, Clock, Entropy, Event, Staged, Store, Transaction
from loop.domain.prediction import Inference, Prediction, detections_of
from loop.domain.project import Project
from loop.domain.review.queueing import seats
from loop.domain.review.tasks import Task
from loop.domain.routing import Decision, asks_several, audit_lottery, ordering_risk, retains, route
from loop.review.lots import add_members, in_lots
from loop.routing.gate import hurried
from selection.scores import Signals, signals

# p-value of an embedding against the training set of a model version, in (0, 1].
AnomalyTest = Callable[[ModelVersion, NDArray[np.float32]], float]
# Probability that a person would have to correct a prediction of this version, in [0, 1].
RiskOf = Callable[[ModelVersion, Signals], float]
# Of what was learned that this risk comes from; None: the heuristic.
RiskKeyOf = Callable[[ModelVersion, Signals], str | None]
# How rare each of its labels is among what is labelled, (C,) in [0, 1].
RarityOf = Callable[[ModelVersion], NDArray[np.float64]]
# Seconds that people usually need for a task of a project.
UsualSeconds = Callable[[str], float]


def _unknown(project_id: str) -> float:
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedImage:
    """An image as a caller sent it, already checked: `digest` is the SHA-256 of `content`."""

    content: bytes
    digest: str
    media_type: str
    width: int
    height: int
    source: str = ""
    group: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked, and under which Idempotency-Key, if any."""

    token_id: str
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """All that routing one image needs. `model` is the version that made `inference`; `staged` its image's bytes, where
    it was known before that they are kept. review: what its caller asks for. answer_by: until when that one waits for a
    person, should one be needed; None: not at all. thresholds: the newest of the model and the policy, by each of its
    risks; without a promise none. lot_id: the upload that the image is of. asked_before: it asked people for the image,
    or somebody else had, and asks no more."""

    prediction_id: str
    project: Project
    model: ModelVersion
    image: ReceivedImage
    inference: Inference
    caller: Caller
    staged: Staged | None = None
    review: Review = Review.AUTO
    answer_by: datetime | None = None
    thresholds: Sequence[Thresholds] = ()
    lot_id: str | None = None
    asked_before: bool = False


@dataclass(frozen=True, slots=True)
class Routed:
    """task: the first of those that people get; tasks: all of them. retained: the image is kept; always where a person
    is to look at it. objects: embeddings of its first detections; None where the model gives none, or there is nothing
    to give them of."""

    prediction: Prediction
    tasks: tuple[Task, ...]
    item: Item
    retained: bool
    objects: NDArray[np.float16] | None = None

    @property
    def task(self) -> Task | None:
        return self.tasks[0] if self.tasks else None


@dataclass(frozen=True, slots=True)
class Router:
    store: Store
    blobs: Blobs
    secret: bytes
    anomaly_p: AnomalyTest
    risk: RiskOf
    clock: Clock
    entropy: Entropy
    rarity: RarityOf | None = None
    usual_seconds: UsualSeconds = _unknown
    risk_key: RiskKeyOf = lambda _model, _signals: None

    def new_prediction_id(self) -> str:
        return new_id("pred", self.clock(), self.entropy(10))

    def will_retain(self, project: Project, prediction_id: str) -> bool:
        """Whether the image is kept whoever looks at it."""
        return retains(self.secret, prediction_id, project.policy)

    def decide(self, inferred: Inferred) -> Routed:
        """Who looks at this inference, and what of it is kept. Writes nothing."""
        prediction = self._predicted(inferred)
        item = _item_of(inferred.image, prediction)
        tasks = self._tasks_of(prediction, inferred, item)
        retained = bool(tasks) or self.will_retain(inferred.project, prediction.id)
        return Routed(prediction, tasks, item, retained, _objects_of(inferred.inference, prediction))

    def keep(
        self, decided: Sequence[tuple[Inferred, Routed]], also: Callable[[Transaction], None] = lambda _: None
    ) -> None:
        """When this returns, images, predictions and tasks survive a crash. An image is written before the row that
        names it. Raises what the store and the blobs raise; then nothing of `decided` was written but images.

        also: writes more in the same transaction.
        """
        for inferred, routed in decided:
            if routed.retained:
                (inferred.staged or self.blobs.stage(inferred.image.content)).keep()
            elif inferred.staged is not None:
                inferred.staged.drop()
        with self.store.begin() as tx:
            tx.items.add_all([routed.item for _, routed in decided])
            tx.predictions.add_all([routed.prediction for _, routed in decided])
            tx.objects.add_all([(one.prediction, one.objects) for _, one in decided if one.objects is not None])
            self._add_tasks(tx, decided)
            for inferred, routed in decided:
                if routed.task is not None:
                    tx.events.add(_routed_event(routed.prediction, routed.task))
                    tx.events.announce(task_created(task, routed.prediction.created_by) for task in routed.tasks)
                _finish_key(tx, inferred.caller, routed.prediction.id)
            also(tx)

    def _add_tasks(self, tx: Transaction, decided: Sequence[tuple[Inferred, Routed]]) -> None:
        projects = {inferred.project.id: inferred.project for inferred, routed in decided if routed.tasks}
        for project_id in sorted(projects):
            tasks = [task for one, routed in decided for task in routed.tasks if one.project.id == project_id]
            tasks = in_lots(tx, projects[project_id], tasks, self.clock(), self.entropy)
            tx.tasks.add_all(tasks)
            add_members(tx, tasks)

    def _predicted(self, inferred: Inferred) -> Prediction:
        prediction_id, model, image, inference = (
            inferred.prediction_id, inferred.model, inferred.image, inferred.inference
        )  # fmt: skip
        now = self.clock()
        policy = inferred.project.policy
        measured = signals(
            inference,
            threshold=policy.score_threshold,
            width=image.width,
            height=image.height,
            anomaly_p=self.anomaly_p(model, inference.embedding),
            rarity=None if self.rarity is None else self.rarity(model),
        )
        detections = detections_of(inference, model.head.labels, policy.score_threshold)
        return Prediction(
            id=prediction_id,
            project_id=inferred.project.id,
            item_digest=image.digest,
            model_id=model.id,
            detections=detections,
            embedding=inference.embedding,
            signals=measured.as_dict(),
            decision=self._decided(inferred, measured, {one.label for one in detections}),
            created_at=now,
            created_by=inferred.caller.token_id,
            source=image.source,
        )

    def _decided(self, inferred: Inferred, measured: Signals, shown: Collection[str]) -> Decision:
        policy, source = inferred.project.policy, inferred.image.source
        labels = inferred.project.recipe.named(shown)
        risk = self.risk(inferred.model, measured)
        known = None
        if inferred.thresholds:
            key = self.risk_key(inferred.model, measured)
            known = next((one for one in inferred.thresholds if one.risk_key == key), None)
        rate = policy.audit_rates.of(policy.audit_rate, source=source, labels=labels, risk=risk)
        return route(
            risk=risk,
            policy=policy,
            audit_drawn=audit_lottery(self.secret, inferred.prediction_id, rate),
            audit_rate=rate,
            bar=bar_of(policy, known, source=source, labels=labels),
            review=inferred.review,
            asked_before=inferred.asked_before,
        )

    def _tasks_of(self, prediction: Prediction, inferred: Inferred, item: Item) -> tuple[Task, ...]:
        decision, project, answer_by = prediction.decision, inferred.project, inferred.answer_by
        if decision.stage is None:
            return ()
        first = Task(
            id=new_id("task", prediction.created_at, self.entropy(10)),
            project_id=project.id,
            item_digest=prediction.item_digest,
            prediction_id=prediction.id,
            stage=decision.stage,
            priority=ordering_risk(self.secret, prediction.id, decision),
            policy_version=decision.policy_version,
            recipe_version=project.recipe.version,
            created_at=prediction.created_at,
            source=item.source,
            lot_id=inferred.lot_id,
        )
        several = asks_several(self.secret, prediction.id, project.policy)
        labels = (detection.label for detection in prediction.detections)
        tasks = seats(first, project.policy.queue, labels, several=several)
        if answer_by is None or not decision.needs_person:
            return tasks
        usual = self.usual_seconds(project.id)
        return tuple(hurried(task, project, answer_by, usual, prediction.created_at) for task in tasks)


def _objects_of(inference: Inference, prediction: Prediction) -> NDArray[np.float16] | None:
    """Detections are the candidates that score highest, in the same order."""
    if inference.objects is None or not prediction.detections:
        return None
    return inference.objects[: len(prediction.detections)]


def _item_of(image: ReceivedImage, prediction: Prediction) -> Item:
    return Item(
        project_id=prediction.project_id,
        digest=image.digest,
        media_type=image.media_type,
        width=image.width,
        height=image.height,
        created_at=prediction.created_at,
        source=image.source,
        group=image.group,
        meta=image.meta,
    )


def _routed_event(prediction: Prediction, task: Task) -> Event:
    return Event(
        kind="prediction.routed",
        project_id=prediction.project_id,
        actor=prediction.created_by,
        body={
            "prediction_id": prediction.id,
            "task_id": task.id,
            "risk": prediction.decision.risk,
            "reasons": [reason.code for reason in prediction.decision.reasons],
        },
        at=prediction.created_at,
    )


def _finish_key(tx: Transaction, caller: Caller, prediction_id: str) -> None:
    if caller.key is not None:
        tx.keys.finish(caller.token_id, caller.key, prediction_id)
