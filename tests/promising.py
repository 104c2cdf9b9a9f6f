"""A project that promises, without a network: its inferences are drawn, all behind them is real."""

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from loop.domain.access import Role
from loop.domain.guarantee.thresholds import Thresholds
from loop.domain.model import ModelVersion
from loop.domain.policy.gate import Review
from loop.domain.policy.promises import guarantee_of
from loop.domain.ports import Transaction
from loop.domain.prediction import Inference, Prediction
from loop.domain.project import Project
from loop.domain.review.cost import Rates
from loop.domain.review.efforts import effort_of
from loop.domain.review.tasks import Outcome, Submission, Task, TaskState
from loop.domain.truth import GroundTruth, Shape
from loop.models.rollouts import Rollouts
from loop.models.versions import Models
from loop.production.guarantee import Guarantee
from loop.production.promises import Promises
from loop.projects import Projects
from loop.routing.risks import Risks
from loop.routing.router import Caller, Inferred, ReceivedImage, Router
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from loop.tokens import Tokens
from tests.test_settling import HEAD, LABELS, POLICY, file_of
from training.head import read_head

PROJECT = "shapes"
BOX = (1.0, 1.0, 9.0, 9.0)


class Nowhere:
    """Blobs of images that nobody looks at: writing each to the disk takes longer than all else."""

    def stage(self, content: bytes) -> "Nowhere":
        return self

    def keep(self) -> None: ...


@dataclass
class Plant:
    """now: seconds since the beginning. ahead: days that the machine's clock is ahead of it. worse: the least
    probability that a prediction is wrong; else its score says how probable that is."""

    store: SqlStore
    blobs: FsspecBlobs
    learn: bool = False
    now: float = 0.0
    ahead: float = 0.0
    worse: float = 0.0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(3))
    truly: dict[str, bool] = field(default_factory=dict)
    waiting: list[tuple[Task, Prediction]] = field(default_factory=list)
    made: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        # It decides which predictions are audited. A database draws its own; here it is the same in every run.
        secret = self.rng.bytes(32)
        self.store.secret = lambda: secret  # type: ignore[method-assign]
        self.projects = Projects(self.store, POLICY, self.clock)
        self.tokens = Tokens(self.store, self.clock, self.entropy)
        self.models = Models(self.store, self.blobs, read_head, self.clock, self.entropy)
        self.rollouts = Rollouts(self.store, self.clock, self.entropy)
        self.projects.create(PROJECT, LABELS)
        self.add_champion(0)
        self.reviewer, _ = self.tokens.create("ada", Role.REVIEWER, None)
        self.operator, _ = self.tokens.create("bob", Role.OPERATOR, None)
        self.risks = Risks(
            self.store, self.blobs, self.clock, learn=self.learn, beside=lambda model: self.guarantee.with_risk(model)
        )
        rates = Rates(currency="EUR", per_hour=36.0)
        self.guarantee = Guarantee(self.store, self.risks, rates, self.clock, lambda: self.now)
        self.promises = Promises(self.store, self.risks, rates, self.clock)
        self.router = Router(
            self.store, Nowhere(),  # type: ignore[arg-type]
            self.store.secret(), lambda _model, _embedding: 1.0, self.risks.of, self.clock,
            self.entropy, risk_key=self.risks.key_of,
        )  # fmt: skip

    began = datetime.fromtimestamp(1_767_225_600, UTC)

    def clock(self) -> datetime:
        return self.began + timedelta(seconds=self.now, days=self.ahead)

    def entropy(self, count: int) -> bytes:
        return next(self.made).to_bytes(count, "big")

    def add_champion(self, salt: int) -> ModelVersion:
        model, _ = self.models.register(PROJECT, file_of(HEAD, salt), "ada")
        with self.store.begin() as tx:
            tx.projects.move_champion(PROJECT, expected=tx.projects.get(PROJECT).champion_id, to=model.id)
        return model

    @property
    def project(self) -> Project:
        with self.store.read() as tx:
            return tx.projects.get(PROJECT)

    @property
    def model(self) -> ModelVersion:
        with self.store.read() as tx:
            return tx.models.get(PROJECT, str(tx.projects.get(PROJECT).champion_id))

    def promise(self, *promises: dict[str, Any], audit_rate: float = 0.2, **rules: Any) -> None:
        changes = {"promises": list(promises) or [{"alpha": 0.1}], **rules}
        guarantee_of(changes)
        self.projects.change_policy(
            PROJECT, "bob", guarantee_changes=changes, audit_rate=audit_rate
        )  # fmt: skip

    def predict(
        self, count: int, *, source: str = "", label: int = 0, apart: float = 1.0, review: Review = Review.AUTO
    ) -> list[Prediction]:
        """So many, `apart` seconds, by what the gateway would know; whether each is wrong is drawn by its score."""
        with self.store.read() as tx:
            project, model = self.project, self.model
            thresholds = tx.thresholds.of(project, model)
        made, routed = [], []
        for _ in range(count):
            self.now += apart
            score = float(self.rng.uniform(0.3, 1.0))
            made.append(replace(self._inferred(project, model, thresholds, score, source, label), review=review))
            routed.append(self.router.decide(made[-1]))
        self.router.keep(list(zip(made, routed, strict=True)))
        for inferred, one in zip(made, routed, strict=True):
            score = float(inferred.inference.scores[0])
            wrong = self.rng.random() < max((1.0 - score) ** 2, self.worse)
            self.truly[one.prediction.item_digest] = bool(wrong)
            self.waiting += [(task, one.prediction) for task in one.tasks]
        return [one.prediction for one in routed]

    def _inferred(
        self, project: Project, model: ModelVersion, thresholds: Any, score: float, source: str, label: int
    ) -> Inferred:
        number = next(self.made)
        inference = Inference(
            boxes=np.array([BOX], np.float32),
            scores=np.array([score], np.float32),
            classes=np.array([label]),
            class_scores=np.zeros((1, 3), np.float32),
            embedding=np.eye(1, 4, dtype=np.float32)[0],
        )
        image = ReceivedImage(
            content=b"%d" % number, digest=f"{number:064x}", media_type="image/png", width=64, height=64, source=source
        )
        return Inferred(
            prediction_id=self.router.new_prediction_id(), project=project, model=model, image=image,
            inference=inference, caller=Caller("token"), thresholds=thresholds,
        )  # fmt: skip

    def answer(self, most: int = 10_000, *, skip: bool = False, newest: bool = False) -> int:
        """People answer so many of the tasks that wait, the oldest first; how many that was. In one transaction, as if
        the desk had taken all of it, which would take a hundred times as long."""
        self.now += 1.0
        waiting = self.waiting[::-1] if newest else self.waiting
        done, left = waiting[:most], waiting[most:]
        self.waiting = left[::-1] if newest else left
        with self.store.begin() as tx:
            for task, prediction in done:
                self._answer(tx, task, prediction, skip)
        return len(done)

    def _answer(self, tx: Transaction, task: Task, prediction: Prediction, skip: bool) -> None:
        state = TaskState.SKIPPED if skip else TaskState.DONE
        tx.tasks.save(replace(task, state=state, owner=self.reviewer.id, epoch=1))
        shapes = [Shape(found.label, found.box) for found in prediction.detections]
        if wrong := self.truly[task.item_digest]:
            shapes.append(Shape("bar", (20.0, 20.0, 40.0, 40.0)))
        number = next(self.made)
        said = Submission(
            id=f"sub_{number:08}", task_id=task.id, project_id=PROJECT, item_digest=task.item_digest,
            reviewer=self.reviewer.id, epoch=1, outcome=Outcome.SKIPPED if skip else Outcome.SUBMITTED,
            shapes=() if skip else tuple(shapes), note="", content_digest=f"{number:064x}",
            corrections={"missed": 1} if wrong and not skip else {}, seconds=20.0, active_seconds=20.0,
            created_at=self.clock(), settles=not skip,
        )  # fmt: skip
        tx.submissions.add(said)
        tx.efforts.add(effort_of(said, task))
        if not skip:
            tx.truths.add(
                GroundTruth(
                    project_id=PROJECT,
                    item_digest=task.item_digest,
                    version=1,
                    shapes=tuple(shapes),
                    submission_ids=(said.id,),
                    origin="review",
                    created_at=self.clock(),
                )
            )

    def keep(self) -> Thresholds | None:
        """One look, a second later; what was made."""
        self.now += 1.0
        made = self.guarantee.look_due()
        return made[-1] if made else None

    def wait(self, days: float) -> None:
        self.now += timedelta(days=days).total_seconds()

    def events(self, kind: str) -> list[Any]:
        with self.store.read() as tx:
            return tx.events.newest(PROJECT, kind, limit=100)
