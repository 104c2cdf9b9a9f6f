"""Tasks, leases and submissions: which transition is allowed when.

    open ──lease──► leased ──submit──► done
     ▲                │ ├────skip────► skipped
     └──release/expiry┘ └─heartbeat─┐
                      ▲─────────────┘

Every lease raises the task's epoch (a fencing token, Kleppmann 2016): whoever acts with an older epoch, or
after the expiry, is refused, however late the message comes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from loop.domain.errors import AlreadySubmitted, StaleLease
from loop.domain.routing import Stage
from loop.domain.rules import Issue
from loop.domain.truth import Shape


class TaskState(StrEnum):
    OPEN = "open"
    LEASED = "leased"
    DONE = "done"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A unit of human work on an item. `priority` in [0, 1], larger first. `epoch` counts leases. `reason`: why it was
    selected, for the reviewer; routed work and audits have none, so that nothing tells them apart."""

    id: str
    project_id: str
    item_digest: str
    prediction_id: str | None
    stage: Stage
    priority: float
    policy_version: int
    recipe_version: int
    created_at: datetime
    reason: str = ""
    state: TaskState = TaskState.OPEN
    epoch: int = 0
    owner: str | None = None  # token id of the reviewer
    leased_at: datetime | None = None  # when the present or last lease began
    expires_at: datetime | None = None


class Outcome(StrEnum):
    SUBMITTED = "submitted"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What one person answered; append-only. `corrections` counts, by error type, how the prediction
    differed from the answer; `seconds` is the time the reviewer held the task; `issues` are the warnings that the
    answer was taken with."""

    id: str
    task_id: str
    project_id: str
    item_digest: str
    reviewer: str
    epoch: int
    outcome: Outcome
    shapes: tuple[Shape, ...]
    note: str
    content_digest: str
    corrections: Mapping[str, int]
    seconds: float
    created_at: datetime
    issues: tuple[Issue, ...] = ()


def is_leasable(task: Task, now: datetime) -> bool:
    """Open, or leased by someone whose lease has run out."""
    return task.state is TaskState.OPEN or (task.state is TaskState.LEASED and not _live(task, now))


def leased(task: Task, *, owner: str, now: datetime, seconds: int) -> Task:
    """The task in the hands of `owner` under a new epoch. Raises StaleLease where somebody holds it."""
    if not is_leasable(task, now):
        raise StaleLease(f"task {task.id} is not free.", hint="Lease the next task instead.", task=task.id)
    return replace(
        task,
        state=TaskState.LEASED,
        owner=owner,
        epoch=task.epoch + 1,
        leased_at=now,
        expires_at=now + timedelta(seconds=seconds),
    )


def renewed(task: Task, *, owner: str, epoch: int, now: datetime, seconds: int) -> Task:
    """The same lease with a later expiry."""
    _require_live(task, owner, epoch, now)
    return replace(task, expires_at=now + timedelta(seconds=seconds))


def released(task: Task, *, owner: str, epoch: int, now: datetime) -> Task:
    """Back in the queue, unchanged."""
    _require_live(task, owner, epoch, now)
    return replace(task, state=TaskState.OPEN, owner=None, expires_at=None)


def closed(task: Task, *, owner: str, epoch: int, now: datetime, outcome: Outcome) -> Task:
    """Answered or skipped by the holder of the lease."""
    _require_live(task, owner, epoch, now)
    state = TaskState.DONE if outcome is Outcome.SUBMITTED else TaskState.SKIPPED
    return replace(task, state=state, expires_at=None)


def _live(task: Task, now: datetime) -> bool:
    return task.expires_at is not None and now < task.expires_at


def _require_live(task: Task, owner: str, epoch: int, now: datetime) -> None:
    if task.state in (TaskState.DONE, TaskState.SKIPPED):
        raise AlreadySubmitted(f"task {task.id} is {task.state}.", hint="Lease the next task.", task=task.id)
    if task.state is not TaskState.LEASED or task.epoch != epoch or task.owner != owner or not _live(task, now):
        raise StaleLease(
            f"the lease on task {task.id} with epoch {epoch} is not live (the task's epoch is {task.epoch}).",
            hint="Lease the task again; a draft kept by the page can be sent with the new epoch.",
            task=task.id,
            epoch=epoch,
            current_epoch=task.epoch,
        )
