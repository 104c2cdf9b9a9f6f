"""Quality assurance: reviewers accept and return answers; operators look at lots and decide."""

from dataclasses import asdict
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query

from loop.domain.policy.sampling_plans import curve_of, numbers_of
from loop.domain.policy.workflow import LARGEST_LOT, LotRules, PlanKind, lot_rules_of
from loop.domain.review.lot import Lot
from loop.domain.review.qa import AnswerStanding
from loop.review.lots import LotFigures
from serving.api.auth import Anyone, Operator, Producer, Wired
from serving.api.schemas.lots import (
    AcceptIn,
    CurveOut,
    CurvePoint,
    DecisionIn,
    LotDetailOut,
    LotItemOut,
    LotOut,
    LotPage,
    ReturnIn,
    UploadIn,
)
from serving.api.schemas.review import SubmissionOut
from serving.api.schemas.workflow import LotRulesOut

router = APIRouter(prefix="/v1", tags=["quality assurance"])

_POINTS = 101
Number = Annotated[float | None, Query(ge=0, le=1)]


@router.post("/tasks/{task_id}/accept")
def accept_answer(task_id: str, body: AcceptIn, token: Anyone, wired: Wired) -> SubmissionOut:
    """The answer that I looked at stands, and becomes the truth."""
    return SubmissionOut.model_validate(wired.desk.accept(token, task_id, body.epoch, body.note))


@router.post("/tasks/{task_id}/return")
def return_answer(task_id: str, body: ReturnIn, token: Anyone, wired: Wired) -> SubmissionOut:
    """The answer goes back to its author, with what is wrong."""
    issues = [(issue.message, issue.shapes) for issue in body.issues]
    return SubmissionOut.model_validate(wired.desk.give_back(token, task_id, body.epoch, issues, body.note))


@router.get("/projects/{project_id}/lots")
def list_lots(
    project_id: str,
    token: Operator,
    wired: Wired,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> LotPage:
    """Newest first."""
    page = wired.lots.page(project_id, after=after, limit=limit)
    return LotPage(lots=[_lot_out(one) for one in page], next=page[-1].lot.id if len(page) == limit else None)


@router.post("/projects/{project_id}/lots", status_code=201)
def open_upload(project_id: str, body: UploadIn, token: Producer, wired: Wired) -> LotOut:
    """Open a lot for what you send with its id as `lot`, and for nothing else, whatever the policy's size of lots; for
    projects with lots. It closes by age too (workflow.lots.close_after_seconds)."""
    return _told(wired, wired.uploads.open(token, project_id, body.source))


@router.post("/projects/{project_id}/lots/{lot_id}/close")
def close_upload(project_id: str, lot_id: str, token: Producer, wired: Wired) -> LotOut:
    """All of the upload was sent: what is looked at of it is drawn. Again, it changes nothing."""
    return _told(wired, wired.uploads.close(token, project_id, lot_id))


@router.get("/projects/{project_id}/lots/curve")
def curve(
    project_id: str,
    token: Operator,
    wired: Wired,
    size: Annotated[int | None, Query(ge=1, le=LARGEST_LOT)] = None,
    plan: PlanKind | None = None,
    share: Number = None,
    threshold: Number = None,
    aql: Number = None,
    ltpd: Number = None,
    alpha: Number = None,
    beta: Number = None,
) -> CurveOut:
    """What a plan does with lots of so many defects: how probably it accepts them, how many items it looks at. What is
    left out is as the project's policy has it."""
    with wired.store.read() as tx:
        rules = tx.projects.get(project_id).policy.workflow.lots
    asked = {"size": size, "plan": plan, "share": share, "threshold": threshold}
    asked |= {"aql": aql, "ltpd": ltpd, "alpha": alpha, "beta": beta}
    return _curve_out(lot_rules_of(asdict(rules) | {name: value for name, value in asked.items() if value is not None}))


@router.get("/projects/{project_id}/lots/{lot_id}")
def get_lot(project_id: str, lot_id: str, token: Operator, wired: Wired) -> LotDetailOut:
    """With its tasks, in the order of inspection."""
    return _detail_out(wired, project_id, lot_id)


@router.post("/projects/{project_id}/lots/{lot_id}/accept")
def accept_lot(project_id: str, lot_id: str, body: DecisionIn, token: Operator, wired: Wired) -> LotDetailOut:
    """By hand: its answers become the truth."""
    wired.lots.accept(token, project_id, lot_id, body.reason, version=body.version)
    return _detail_out(wired, project_id, lot_id)


@router.post("/projects/{project_id}/lots/{lot_id}/reopen")
def reopen_lot(project_id: str, lot_id: str, body: DecisionIn, token: Operator, wired: Wired) -> LotDetailOut:
    """By hand: people look at each answer that nobody has looked at."""
    wired.lots.reopen(token, project_id, lot_id, body.reason, version=body.version)
    return _detail_out(wired, project_id, lot_id)


def _detail_out(wired: Wired, project_id: str, lot_id: str) -> LotDetailOut:
    figures, members = wired.lots.get(project_id, lot_id)
    tasks = [LotItemOut.model_validate(asdict(member) | {"task_id": member.work_id}) for member in members]
    return LotDetailOut.model_validate(_fields(figures) | {"tasks": tasks})


def _told(wired: Wired, lot: Lot) -> LotOut:
    figures, _ = wired.lots.get(lot.project_id, lot.id)
    return _lot_out(figures)


def _lot_out(figures: LotFigures) -> LotOut:
    return LotOut.model_validate(_fields(figures))


def _fields(figures: LotFigures) -> dict[str, object]:
    lot: Lot = figures.lot
    answers = figures.answers
    return asdict(lot) | {
        "unanswered": figures.unanswered,
        "waiting": answers[AnswerStanding.WAITING] + answers[AnswerStanding.RECALLED],
        "in_qa": answers[AnswerStanding.IN_QA],
        "settled": answers[AnswerStanding.SETTLED],
        "void": figures.void,
    }


def _curve_out(rules: LotRules) -> CurveOut:
    plan = rules.as_plan()
    defects = np.unique(np.linspace(0, rules.size, _POINTS).round().astype(np.intp))
    found = curve_of(plan, rules.size, defects)
    points = [
        CurvePoint(defects=int(d), share=d / rules.size, accepts=float(accepts), inspects=float(inspects))
        for d, accepts, inspects in zip(defects, found.accepts, found.inspects, strict=True)
    ]
    most = numbers_of(plan, rules.size).most
    return CurveOut(rules=LotRulesOut.model_validate(rules), size=rules.size, most=most, points=points)
