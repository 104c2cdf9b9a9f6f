"""From domain records to the shapes of the API."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Literal

from loop.domain.access import Permission, Token, may
from loop.domain.corrections import corrections
from loop.domain.cycle import Cycle
from loop.domain.item import Item
from loop.domain.items.clips import FrameView
from loop.domain.model import ModelVersion
from loop.domain.policy.gate import Ending
from loop.domain.prediction import Detection, Prediction
from loop.domain.production.outcomes import ReportedOutcome
from loop.domain.project import Project
from loop.domain.quality.settling import Merged
from loop.domain.recipes.recipe import Recipe, recipe_to_json
from loop.domain.review.tasks import Outcome, Submission, Task
from loop.domain.rollouts.rollout import ShadowAnswer
from loop.domain.stage import Stage
from loop.domain.truth import GroundTruth, Shape, shape_to_json
from loop.review.assignments import Assignment
from loop.review.golden import TrainedSubmission
from serving.api.schemas.items import SubmissionDetailOut
from serving.api.schemas.models import CycleOut, ModelOut, ShadowAnswerOut
from serving.api.schemas.predictions import DetectionOut, PredictionOut, ReviewedPredictionOut
from serving.api.schemas.projects import ProjectOut
from serving.api.schemas.quality import FeedbackOut, MergedOut
from serving.api.schemas.recipes import RecipeOut
from serving.api.schemas.review import AnswerOut, DraftOut, ReturnedOut, SubmissionOut, TaskFrameOut, TaskOut
from serving.api.schemas.shapes import IssueOut, ShapeIO, TruthOut
from serving.api.schemas.work import LeftOut

_CAPTURED_AT = "captured_at"  # in an item's meta

_SUBMISSION = [name for name in SubmissionOut.model_fields if name != "golden"]


def project_out(project: Project) -> ProjectOut:
    return ProjectOut.model_validate(asdict(project) | {"recipe": recipe_to_json(project.recipe)})


def left_out(left: Mapping[str, str]) -> list[LeftOut]:
    """left: by the digest of an item, why it was."""
    return [LeftOut(item_digest=digest, why=why) for digest, why in left.items()]


def recipe_out(recipe: Recipe) -> RecipeOut:
    return RecipeOut.model_validate(recipe_to_json(recipe))


def prediction_out(
    prediction: Prediction,
    model: ModelVersion,
    width: int,
    height: int,
    task_id: str | None,
    ending: Ending | None = None,
) -> PredictionOut:
    """ending: of the work of people on it; None where it goes on, or there is none."""
    return PredictionOut.model_validate(_prediction_fields(prediction, model, width, height, task_id, ending))


def reviewed_out(
    prediction: Prediction,
    model: ModelVersion,
    item: Item,
    task: Task | None,
    submission: Submission | None,
    truth: GroundTruth | None,
    ending: Ending | None,
    outcomes: Sequence[ReportedOutcome] = (),
    *,
    unsettled: bool = False,
) -> ReviewedPredictionOut:
    """ending: as of `prediction_out`. unsettled: somebody has answered, whether it counts or not."""
    fields = _prediction_fields(prediction, model, item.width, item.height, task.id if task else None, ending)
    fields["task_state"] = task.state if task else None
    fields["corrections"] = dict(submission.corrections) if submission else None
    fields["truth"] = truth_out(truth) if truth else None
    fields["outcomes"] = outcomes
    fields["provisional_because"] = (
        _open_because(ending, unsettled=unsettled) if fields["status"] == "provisional" else None
    )
    return ReviewedPredictionOut.model_validate(fields)


def _open_because(ending: Ending | None, *, unsettled: bool) -> str:
    if ending is Ending.SKIPPED:
        return "skipped"
    return "unsettled" if unsettled else "unanswered"


def _prediction_fields(
    prediction: Prediction, model: ModelVersion, width: int, height: int, task_id: str | None, ending: Ending | None
) -> dict[str, object]:
    final = ending is Ending.SETTLED or not prediction.decision.needs_person
    return {
        "id": prediction.id,
        "project_id": prediction.project_id,
        "item_digest": prediction.item_digest,
        "width": width,
        "height": height,
        "model_id": model.id,
        "model_digest": model.digest,
        "detections": [
            {"label": d.label, "score": d.score, "box": d.box, "margin": d.margin} for d in prediction.detections
        ],
        "signals": prediction.signals,
        "decision": prediction.decision,
        "task_id": task_id,
        "status": "final" if final else "provisional",
        "withheld": False,
        "created_at": prediction.created_at,
    }


def shadow_answer_out(answer: ShadowAnswer, prediction: Prediction, iou: float) -> ShadowAnswerOut:
    answered = [Shape(detection.label, detection.box) for detection in prediction.detections]
    return ShadowAnswerOut.model_validate(
        {
            "prediction_id": answer.prediction_id,
            "detections": answer.detections,
            "seconds": answer.seconds,
            "error": answer.error,
            "differences": {} if answer.error else corrections(answer.detections, answered, iou=iou),
        }
    )


def task_out(assignment: Assignment, tracks: Sequence[Shape] | None = None) -> TaskOut:
    """tracks: the proposal for a task of a clip."""
    task, item = assignment.task, assignment.item
    if task.expires_at is None:
        raise ValueError(f"task {task.id} is in nobody's hands")
    return TaskOut(
        id=task.id,
        project_id=task.project_id,
        item_digest=task.item_digest,
        width=item.width,
        height=item.height,
        image_url=image_url(task.project_id, task.item_digest),
        file=file_of(item),
        recipe_version=task.recipe_version,
        epoch=task.epoch,
        expires_at=task.expires_at,
        lease_seconds=assignment.lease_seconds,
        detections=_detections_out(assignment.proposal),
        reason=task.reason,
        stage=_stage_out(task),
        answers=[AnswerOut(shapes=shapes_out(answer.shapes), note=answer.note) for answer in assignment.answers],
        merged=None if assignment.merged is None else merged_out(assignment.merged),
        draft=None if assignment.draft is None else DraftOut.model_validate(assignment.draft),
        returned=None if assignment.returned is None else _returned_out(assignment.returned),
        created_at=task.created_at,
        answer_by=task.answer_by,
        frames=None if assignment.frames is None else [_frame_out(view) for view in assignment.frames],
        tracks=None if tracks is None else shapes_out(tracks),
    )


def _stage_out(task: Task) -> Literal["review", "adjudicate", "qa"]:
    """All else must not be told apart; what looks like QA is told as QA."""
    if task.judges:
        return "qa"
    return "adjudicate" if task.stage is Stage.ADJUDICATE else "review"


def file_of(item: Item) -> str:
    """Without its folders, which would tell those who made a folder of golden items."""
    return PurePosixPath(item.meta.get("path", "").replace("\\", "/")).name


def _detections_out(detections: Sequence[Detection]) -> list[DetectionOut]:
    return [DetectionOut(label=one.label, score=one.score, box=list(one.box)) for one in detections]


def _frame_out(view: FrameView) -> TaskFrameOut:
    item = view.item
    return TaskFrameOut(
        digest=item.digest,
        index=view.frame.index,
        time=view.frame.seconds,
        width=item.width,
        height=item.height,
        image_url=image_url(item.project_id, item.digest),
        detections=_detections_out(view.detections),
    )


def _returned_out(objection: Submission) -> ReturnedOut:
    issues = [IssueOut.model_validate(issue) for issue in objection.issues]
    return ReturnedOut(shapes=shapes_out(objection.shapes), issues=issues, note=objection.note)


def image_url(project_id: str, digest: str) -> str:
    return f"/v1/projects/{project_id}/items/{digest}/image"


def is_blind(token: Token) -> bool:
    """Whether golden items must look like any other to this caller."""
    return may(token, Permission.REVIEW) and not may(token, Permission.OPERATE)


def item_fields(item: Item, *, blind: bool = False) -> dict[str, object]:
    """blind: for reviewers, who could tell by an imported item's split that its truth is known, and by when it came,
    or was taken, that a task is not of now."""
    fields = asdict(item)
    fields.pop("project_id")
    if blind:
        meta = {name: value for name, value in item.meta.items() if name != _CAPTURED_AT}
        fields |= {"split": None, "created_at": None, "meta": meta}
    return fields | {"image_url": image_url(item.project_id, item.digest)}


def truth_out(truth: GroundTruth) -> TruthOut:
    return TruthOut(
        version=truth.version,
        shapes=shapes_out(truth.shapes),
        origin=truth.origin,
        submission_ids=list(truth.submission_ids),
        created_at=truth.created_at,
    )


def lineage_out(submission: Submission) -> SubmissionDetailOut:
    plain = asdict(submission) | {"shapes": shapes_out(submission.shapes)}
    return SubmissionDetailOut.model_validate(plain)


def shapes_out(shapes: Sequence[Shape]) -> list[ShapeIO]:
    return [ShapeIO.model_validate(shape_to_json(shape)) for shape in shapes]


def merged_out(merged: Merged) -> MergedOut:
    return MergedOut(shapes=shapes_out(merged.shapes), disputed=list(merged.disputed))


def submission_out(submission: Submission) -> SubmissionOut:
    """For who sent it: compared with what was shown, so that a prediction that was hidden looks like one of nothing;
    with the trusted answer where the author is to see it."""
    told = SubmissionOut.model_validate({name: getattr(submission, name) for name in _SUBMISSION})
    if submission.proposal_shown is False and submission.outcome is Outcome.SUBMITTED:
        told.corrections = {error.value: n for error, n in corrections([], submission.shapes, iou=1.0).items()}
    if isinstance(submission, TrainedSubmission):
        feedback = submission.golden
        told.golden = FeedbackOut(
            shapes=shapes_out(feedback.shapes),
            precision=feedback.precision,
            recall=feedback.recall,
            right=feedback.right,
        )
    return told


def shapes_in(shapes: list[ShapeIO]) -> list[Shape]:
    return [shape.shape() for shape in shapes]


def model_out(model: ModelVersion, champion_id: str | None) -> ModelOut:
    return ModelOut(
        id=model.id,
        digest=model.digest,
        backend=model.head.backend,
        labels=list(model.head.labels),
        image_size=model.head.image_size,
        origin="base" if model.is_base else model.origin,
        cycle_id=model.cycle_id,
        mlflow_version=model.mlflow_version,
        champion=model.id == champion_id,
        serving=dict(model.serving),
        created_at=model.created_at,
    )


def cycle_out(cycle: Cycle) -> CycleOut:
    return CycleOut.model_validate(asdict(cycle))
