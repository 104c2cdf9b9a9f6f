"""Reviewers' work: lease, heartbeat, draft, submit, skip, release."""

from typing import Annotated

from fastapi import APIRouter, Depends

from loop.domain.access import Permission, Token
from serving.api.auth import Anyone, Wired, needs
from serving.api.presenters import shapes_in, submission_out, task_out
from serving.api.schemas.review import (
    DraftIn,
    DraftSavedOut,
    EpochIn,
    HeartbeatOut,
    LeaseIn,
    LeaseOut,
    SkipIn,
    SubmissionOut,
    SubmitIn,
)
from serving.api.written import Written

router = APIRouter(prefix="/v1", tags=["review"], route_class=Written)

ProjectReviewer = Annotated[Token, Depends(needs(Permission.REVIEW))]
# The project of a task is known only once the task is read; the use case checks the permission there.
TaskReviewer = Anyone


@router.post("/projects/{project_id}/tasks/lease")
def lease(project_id: str, body: LeaseIn, token: ProjectReviewer, wired: Wired) -> LeaseOut:
    """The next tasks for me, most urgent first; those I hold already come before."""
    leased = wired.desk.lease(token, project_id, body.count)
    tasks = [
        task_out(one, None if one.frames is None else wired.clips.proposal(one.frames)) for one in leased.assignments
    ]
    return LeaseOut(tasks=tasks, open=leased.open, why=leased.why)


@router.post("/tasks/{task_id}/heartbeat")
def heartbeat(task_id: str, body: EpochIn, token: TaskReviewer, wired: Wired) -> HeartbeatOut:
    task = wired.desk.heartbeat(token, task_id, body.epoch)
    return HeartbeatOut.model_validate(task)


@router.post("/tasks/{task_id}/draft")
def draft(task_id: str, body: DraftIn, token: TaskReviewer, wired: Wired) -> DraftSavedOut:
    """What I have so far; every later lease of this task by me brings it, on whatever machine."""
    return DraftSavedOut.model_validate(wired.desk.draft(token, task_id, body.epoch, body.content))


@router.post("/tasks/{task_id}/submit")
def submit(task_id: str, body: SubmitIn, token: TaskReviewer, wired: Wired) -> SubmissionOut:
    """My answer: all shapes that are really there. The same answer sent again gives the same submission."""
    submission = wired.desk.submit(
        token, task_id, body.epoch, shapes_in(body.shapes), body.note, active_seconds=body.active_seconds
    )
    return submission_out(submission)


@router.post("/tasks/{task_id}/skip")
def skip(task_id: str, body: SkipIn, token: TaskReviewer, wired: Wired) -> SubmissionOut:
    skipped = wired.desk.skip(token, task_id, body.epoch, body.reason, active_seconds=body.active_seconds)
    return submission_out(skipped)


@router.post("/tasks/{task_id}/release", status_code=204)
def release(task_id: str, body: EpochIn, token: TaskReviewer, wired: Wired) -> None:
    """Give the task back to the queue, unanswered."""
    wired.desk.release(token, task_id, body.epoch)
