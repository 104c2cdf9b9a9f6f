"""Reviewers' work: lease, heartbeat, draft, submit, skip, release; the queue, for operators."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from loop.domain.access import Permission, Token
from loop.domain.review.listing import TaskQuery
from loop.domain.review.tasks import TaskState
from loop.domain.stage import Stage
from loop.review.listing import ListedTask
from serving.api.auth import Anyone, Operator, SomeOperator, Wired, needs
from serving.api.presenters import file_of, shapes_in, submission_out, task_out
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
from serving.api.schemas.tasks import ListedTaskOut, TakeBackIn, TaskPage
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


# --- for operators ---------------------------------------------------------------------------------------


@router.get("/projects/{project_id}/tasks")
def list_tasks(
    project_id: str,
    token: Operator,
    wired: Wired,
    state: Annotated[TaskState | None, Query(description="none: to be done, held or not")] = None,
    stage: Stage | None = None,
    holder: Annotated[str | None, Query(description="name or token id of who holds them, or did them")] = None,
    overdue: Annotated[bool, Query(description="their due time has passed; also the escalated")] = False,
    escalated: bool = False,
    group: Annotated[str | None, Query(description="one that may do them")] = None,
    skill: Annotated[str | None, Query(description="one that they need")] = None,
    nobody: Annotated[bool, Query(description="who may review here has the groups and skills for them")] = False,
    after: Annotated[str | None, Query(max_length=300, description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> TaskPage:
    """What is to be done in the order in which people get it, and, as `done` or `skipped`, what somebody had of it, the
    last handed out first. Of these a page may have fewer than `limit` and not be the last. Golden items are listed once
    somebody has them."""
    query = TaskQuery(
        state=state,
        stage=stage,
        holder=holder,
        overdue=overdue,
        escalated=escalated,
        group=group,
        skill=skill,
        nobody=nobody,
    )
    page = wired.listing.page(token, project_id, query, after=after, limit=limit)
    return TaskPage(tasks=[_listed_out(one) for one in page.tasks], next=page.next)


@router.get("/tasks/{task_id}")
def get_task(task_id: str, token: SomeOperator, wired: Wired) -> ListedTaskOut:
    return _listed_out(wired.listing.get(token, task_id))


@router.post("/tasks/{task_id}/take-back")
def take_back(task_id: str, body: TakeBackIn, token: SomeOperator, wired: Wired) -> ListedTaskOut:
    """Take the lease of whoever holds the task: others get it, and what the holder sends late is a conflict."""
    wired.oversight.take_back(token, task_id, epoch=body.epoch)
    return _listed_out(wired.listing.get(token, task_id))


def _listed_out(one: ListedTask) -> ListedTaskOut:
    task = one.task
    return ListedTaskOut(
        id=task.id,
        project_id=task.project_id,
        item_digest=task.item_digest,
        file="" if one.item is None else file_of(one.item),
        stage=task.stage,
        state=one.state,
        priority=task.priority,
        rank=task.rank,
        source=task.source,
        groups=list(one.lane.groups),
        skills=list(one.lane.skills),
        kept_for=one.kept_for,
        nobody=one.nobody,
        created_at=task.created_at,
        due_at=task.due_at,
        urgency=task.urgency,
        answer_by=task.answer_by,
        holder=one.holder,
        epoch=task.epoch,
        leased_at=task.leased_at,
        expires_at=task.expires_at if one.state is TaskState.LEASED else None,
        skips=one.skips,
        round=task.round,
        prediction_id=task.prediction_id,
        work_id=task.work_id,
        lot_id=task.lot_id,
    )
