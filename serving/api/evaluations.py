"""What a cycle measured of both models, and the saved views that are slices of it."""

from fastapi import APIRouter

from loop.domain.policy.slice_rules import SliceRule
from serving.api.auth import Operator, Wired
from serving.api.schemas.evaluations import EvaluationOut, SliceOut, SlicesIn, SlicesOut

router = APIRouter(prefix="/v1/projects/{project_id}", tags=["models and cycles"])


@router.get("/cycles/{cycle_id}/evaluation")
def evaluation(project_id: str, cycle_id: str, token: Operator, wired: Wired) -> EvaluationOut:
    """COCO's figures of champion and candidate: of all images, by label, source, time, saved view, audits and past
    failures; and how long an image takes."""
    return EvaluationOut.model_validate(wired.cycle_reports.figures(project_id, cycle_id))


@router.get("/slices")
def slices(project_id: str, token: Operator, wired: Wired) -> SlicesOut:
    """Which saved views a candidate may not get worse on."""
    found = [
        SliceOut(view=rule.view, margin=rule.margin, query=None if view is None else view.query)
        for rule, view in wired.controller.slicing.rules(project_id)
    ]
    return SlicesOut(slices=found, margin=wired.settings.gate.slice_margin)


@router.put("/slices")
def put_slices(project_id: str, body: SlicesIn, token: Operator, wired: Wired) -> SlicesOut:
    """In place of those that there are; from the next cycle on. Their images are found when its snapshot is made."""
    rules = [SliceRule(one.view, one.margin) for one in body.slices]
    wired.controller.slicing.change(token, project_id, rules)
    return slices(project_id, token, wired)
