"""Records for the store's tests, with values that a careless mapping would lose."""

from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone

import numpy as np

from loop.domain.access import Role, Token
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.item import Item, Split
from loop.domain.items.annotation import AnnotationJob, AnnotationState
from loop.domain.model import ModelHead, ModelVersion, Promotion, PromotionKind, PromotionState
from loop.domain.ports import Event, Store
from loop.domain.prediction import Detection, Prediction
from loop.domain.project import Label, Project, Recipe
from loop.domain.review.tasks import Outcome, Submission, Task
from loop.domain.routing import Action, Decision, Policy, Reason, Stage
from loop.domain.truth import GroundTruth, Shape

# Microseconds, and not in UTC: both must survive.
NOW = datetime(2026, 3, 29, 2, 59, 59, 123457, tzinfo=timezone(timedelta(hours=5, minutes=45)))
ODD = "Größe \"x\" 'y' \\ % :z 🦉 \u2028 é\n\t{}[]"
PROJECT = "digits"


def digest(number: int) -> str:
    return f"{number:064x}"


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def a_policy(version: int = 1) -> Policy:
    return Policy(
        version=version,
        threshold=0.1 + 0.2,
        audit_rate=1e-9,
        score_threshold=0.25,
        failure_iou=0.5,
        lease_seconds=300,
    )


def a_recipe(version: int = 1) -> Recipe:
    return Recipe(version=version, labels=(Label(ODD, "#e69f00", "1"), Label("seven", "#56b4e9", "")), guidelines=ODD)


def a_project(project_id: str = PROJECT) -> Project:
    return Project(id=project_id, recipe=a_recipe(), policy=a_policy(), champion_id=None, created_at=NOW)


def an_item(number: int = 0, *, project_id: str = PROJECT, at: datetime = NOW) -> Item:
    return Item(
        project_id=project_id,
        digest=digest(number),
        media_type="image/webp",
        width=1,
        height=30_000,
        created_at=at,
        source=ODD,
        group="clip/7",
        split=Split.GOLDEN,
        meta={"camera": ODD, "": ""},
    )


def a_model(number: int = 0, *, project_id: str = PROJECT, at: datetime = NOW) -> ModelVersion:
    head = ModelHead(
        backend="ultralytics",
        architecture={"nc": 2, "scales": {"n": [0.5, 0.25, 1024]}, "head": [[-1, 1, "Conv", [64, 3, 2, None, True]]]},
        labels=("seven", ODD),
        image_size=640,
        embedding_dim=3,
    )
    return ModelVersion(
        id=f"model_{project_id}_{number}",
        project_id=project_id,
        digest=digest(number),
        head=head,
        origin="registered",
        cycle_id=None,
        reference_key=None,
        created_at=at,
        notes={"why": ODD, "deep": {"list": [1, 2.5, None, False]}},
    )


def a_prediction(
    number: int = 0,
    *,
    item: int = 0,
    model: int = 0,
    project_id: str = PROJECT,
    at: datetime = NOW,
    stage: Stage | None = Stage.AUDIT,
) -> Prediction:
    decision = Decision(
        action=Action.REVIEW if stage else Action.ACCEPT,
        stage=stage,
        risk=1 / 3,
        threshold=0.1 + 0.2,
        policy_version=1,
        audit_rate=1e-9,
        audit_drawn=stage is Stage.AUDIT,
        inclusion_probability=1e-9,
        reasons=(Reason("audit-lot", ODD), Reason("risk-above-threshold", "")),
    )
    return Prediction(
        id=f"pred_{project_id}_{number:05}",
        project_id=project_id,
        item_digest=digest(item),
        model_id=f"model_{project_id}_{model}",
        detections=(
            Detection(ODD, float(np.float32(0.1)), (0.0, 1e-7, 1 / 3, 29_999.999)),
            Detection(ODD, float(np.float32(0.1)), (0.0, 1e-7, 1 / 3, 29_999.999), margin=0.0001),
        ),
        embedding=np.array([1e-45, -0.0, 3.4e38], dtype=np.float32),
        signals={"entropy": 0.1 + 0.2, ODD: -1e-300},
        decision=decision,
        created_at=at,
        created_by="tok_1",
        source=ODD,
    )


def a_task(
    number: int = 0,
    *,
    item: int = 0,
    prediction: int | None = None,
    priority: float = 0.5,
    stage: Stage = Stage.ANNOTATE,
    project_id: str = PROJECT,
    at: datetime = NOW,
) -> Task:
    return Task(
        id=f"task_{project_id}_{number:05}",
        project_id=project_id,
        item_digest=digest(item),
        prediction_id=None if prediction is None else f"pred_{project_id}_{prediction:05}",
        stage=stage,
        priority=priority,
        rank=-priority,
        policy_version=1,
        recipe_version=1,
        created_at=at,
    )


def a_submission(task: Task, number: int = 0, *, at: datetime = NOW) -> Submission:
    return Submission(
        id=f"sub_{number:05}",
        task_id=task.id,
        project_id=task.project_id,
        item_digest=task.item_digest,
        reviewer="tok_1",
        epoch=task.epoch,
        outcome=Outcome.SUBMITTED,
        shapes=(Shape(ODD, (0.1 + 0.2, 0.0, 1.0, 30_000.0)), Shape("seven", (0.0, 0.0, 1 / 3, 1e-12))),
        note=ODD,
        content_digest=digest(number),
        corrections={"missed": 2},
        seconds=0.000001,
        created_at=at,
    )


def a_truth(version: int = 1, *, item: int = 0, project_id: str = PROJECT) -> GroundTruth:
    return GroundTruth(
        project_id=project_id,
        item_digest=digest(item),
        version=version,
        shapes=(Shape(ODD, (0.0, 0.1, 1 / 3, 2.0)),),
        submission_ids=("sub_1", "sub_2"),
        origin="review",
        created_at=NOW,
    )


def a_promotion(number: int = 0, *, model: int = 0, project_id: str = PROJECT, at: datetime = NOW) -> Promotion:
    return Promotion(
        id=f"prom_{number}",
        project_id=project_id,
        model_id=f"model_{project_id}_{model}",
        previous_id=None,
        kind=PromotionKind.OVERRIDE,
        actor=ODD,
        reason=ODD,
        state=PromotionState.QUEUED,
        error="",
        created_at=at,
    )


def a_cycle(number: int = 0, *, project_id: str = PROJECT, at: datetime = NOW) -> Cycle:
    return Cycle(
        id=f"cycle_{number:05}",
        project_id=project_id,
        state=CycleState.QUEUED,
        step=Step.SNAPSHOT,
        actor=ODD,
        reason=ODD,
        recipe={"epochs": 3, "optimizer": {"name": ODD, "lr": 1e-4}},
        created_at=at,
        updated_at=at,
    )


def a_token(number: int = 0, *, project_id: str | None = None) -> Token:
    return Token(
        id=f"tok_{number}",
        name=ODD,
        role=Role.REVIEWER,
        secret_digest=digest(number),
        project_id=project_id,
        created_at=later(number),
    )


def an_event(kind: str = "task.submitted", *, project_id: str = PROJECT) -> Event:
    return Event(kind=kind, project_id=project_id, actor=ODD, body={"text": ODD, "list": [1, None]}, at=NOW)


def furnish(store: Store, *, items: int = 1, models: int = 1, project_id: str = PROJECT) -> None:
    """A project with `items` items and `models` models, numbered from 0."""
    with store.begin() as tx:
        tx.projects.add(a_project(project_id))
        for number in range(items):
            tx.items.add(an_item(number, project_id=project_id))
        for number in range(models):
            tx.models.add(a_model(number, project_id=project_id))


def same(a: Prediction, b: Prediction) -> bool:
    """Equality for a record that holds an array, to the last bit."""
    bits = (a.embedding.tobytes(), a.embedding.dtype) == (b.embedding.tobytes(), b.embedding.dtype)
    names = [field.name for field in fields(Prediction) if field.name != "embedding"]
    return bits and all(getattr(a, name) == getattr(b, name) for name in names)


def a_job(number: int = 0, **changes: object) -> AnnotationJob:
    job = AnnotationJob(
        id=f"ann_{number}",
        project_id=PROJECT,
        model_id=a_model(0).id,
        source=f"/data/{ODD}",
        any_folder=True,
        review=False,
        state=AnnotationState.QUEUED,
        actor=ODD,
        created_by="tok_1",
        created_at=later(number),
        updated_at=later(number),
    )
    return replace(job, **changes)  # type: ignore[arg-type]
