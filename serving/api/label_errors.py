"""Ground truth that is probably wrong, and asking people for it again."""

from typing import Annotated

from fastapi import APIRouter, Query

from loop.cycle.label_errors import Doubt
from serving.api.auth import Operator, Wired
from serving.api.item_names import items_named
from serving.api.options import LAST_VERSION
from serving.api.presenters import left_out, shapes_out
from serving.api.schemas.item_data import AskedOut
from serving.api.schemas.label_errors import AskAgainIn, DoubtfulItemOut, DoubtOut, LabelErrorsOut
from serving.api.schemas.predictions import DetectionOut

router = APIRouter(prefix="/v1/projects/{project_id}/label-errors", tags=["items"])


@router.get("")
def label_errors(
    project_id: str,
    token: Operator,
    wired: Wired,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    most: Annotated[
        int | None,
        Query(ge=1, le=LAST_VERSION, description="look at so many items only, as good as drawn; left out: at all"),
    ] = None,
) -> LabelErrorsOut:
    """Items whose ground truth a model doubts that was not trained on it. Takes some seconds for ten thousand."""
    report = wired.label_errors.report(token, project_id, limit=limit, most=most)
    return LabelErrorsOut(
        total=report.total,
        compared=report.compared,
        unseen=report.unseen,
        more=report.more,
        items=[
            DoubtfulItemOut(
                item_digest=one.item_digest,
                score=one.score,
                truth_version=one.truth_version,
                split=one.split,
                model_id=one.model_id,
                prediction_id=one.prediction_id,
                doubts=[_doubt(doubt) for doubt in one.doubts],
            )
            for one in report.items
        ],
    )


@router.post("/review")
def ask_again(project_id: str, body: AskAgainIn, token: Operator, wired: Wired) -> AskedOut:
    """People look at these items once more. Their ground truth stays until they have answered."""
    named = items_named(wired, token, project_id, body.items)
    asked = wired.asking.ask(token, project_id, named, reason="its ground truth is doubted")
    return AskedOut(items=list(asked.items), left=left_out(asked.left))


def _doubt(doubt: Doubt) -> DoubtOut:
    found = doubt.detection
    return DoubtOut(
        score=doubt.score,
        flaw=doubt.flaw,
        shape=None if doubt.shape is None else shapes_out([doubt.shape])[0],
        detection=None if found is None else DetectionOut(label=found.label, score=found.score, box=list(found.box)),
    )
