"""Tasks, leases and submissions: which transition is allowed when.

    open ──lease──► leased ──submit──► done ────┐
     ▲                │ ├────skip────► skipped ─┤
     ├─release/expiry─┘ └─heartbeat─┐           │
     ├─skip, for others ◄───────────┘           │
     └───────re-open, or returned by QA──────────┘

Every lease raises the task's epoch (a fencing token, Kleppmann 2016): whoever acts with an older epoch, or
after the expiry, is refused, however late the message comes.

The work on a prediction is one task, or several where the policy asks that several people answer: its seats. One person
answers at most one seat of a work; where the answers differ, another person adjudicates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from loop.domain.errors import AlreadySubmitted, Conflict, StaleLease
from loop.domain.policy.queue_rules import Lane, QueueRules
from loop.domain.recipes.rules import Issue
from loop.domain.stage import Stage
from loop.domain.truth import Shape

ADJUDICATION_SEAT = 0
QA_SEAT = -1


class TaskState(StrEnum):
    OPEN = "open"
    LEASED = "leased"
    DONE = "done"
    SKIPPED = "skipped"


class Urgency(StrEnum):
    """What its deadline did to a task so far."""

    ORDINARY = "ordinary"
    OVERDUE = "overdue"
    ESCALATED = "escalated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A unit of human work on an item. `epoch` counts leases. `reason`: why it was selected, for the reviewer; routed
    work and audits have none, so that nothing tells them apart.

    priority: by which risk it is ordered, in [0, 1]: that which it was made for; of audits see `ordering_risk`
    (loop/domain/routing.py). rank: seconds, the smallest first (loop/domain/review/queueing.py).
    lane: `Lane.key`, who may do it; "" at making: everybody. source: of its item.
    work_id: of the first task of its work; "" at making: its own. seat: from 1, ADJUDICATION_SEAT for an adjudication,
    QA_SEAT for QA. people: how many answer the work. round: how often the work was opened anew, or returned by QA;
    begun: the round in which it was opened last.
    lot_id: of the lot that its work is in; None for none.
    meant_for: who gets it before all else, a token's id; "": whoever. reserved_until: until when its lane is that
    person's alone; None where it is not.
    due_at: None for never. alarm_at: when it becomes overdue, or is escalated; None where nothing is to come.
    with_experts: it went to the expert group, after skips.
    proposal_shown: whether the prediction is before the reviewer, where the lot decided it; None: it is.
    answer_by: until when a caller waits for the answer; None where nobody does. With it, start_by: until when it is
    handed out for that; usual_rank: that which it goes back to.
    """

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
    # A lease is live from here on: should the clock go back, it does not last longer for it than its own length.
    valid_from: datetime | None = None
    expires_at: datetime | None = None
    rank: float = 0.0
    lane: str = ""
    source: str = ""
    work_id: str = ""
    seat: int = 1
    people: int = 1
    round: int = 0
    due_at: datetime | None = None
    alarm_at: datetime | None = None
    urgency: Urgency = Urgency.ORDINARY
    with_experts: bool = False
    proposal_shown: bool | None = None
    begun: int = 0
    lot_id: str | None = None
    meant_for: str = ""
    reserved_until: datetime | None = None
    answer_by: datetime | None = None
    start_by: datetime | None = None
    usual_rank: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "work_id", self.work_id or self.id)
        object.__setattr__(self, "lane", self.lane or Lane(self.stage).key)

    @property
    def is_first_hand(self) -> bool:
        """Of those who answer before anybody judges."""
        return self.seat > 0

    @property
    def judges(self) -> bool:
        """Its person looks at one answer: QA, or what looks like it."""
        return self.seat == QA_SEAT

    @property
    def returns(self) -> int:
        """How often QA returned the answer since the work was opened."""
        return self.round - self.begun

    @property
    def decides_alone(self) -> bool:
        """Its answer is that of the work, whatever others said."""
        return self.stage in (Stage.ADJUDICATE, Stage.QA) or self.returns > 0

    @property
    def finished(self) -> bool:
        return self.state in (TaskState.DONE, TaskState.SKIPPED)


class Outcome(StrEnum):
    """Of QA: an answer was ACCEPTED as it is, or RETURNED to its author; SUBMITTED corrects it."""

    SUBMITTED = "submitted"
    SKIPPED = "skipped"
    ACCEPTED = "accepted"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What one person answered; append-only. `corrections` counts, by error type, how the prediction
    differed from the answer; `seconds` is the time the reviewer held the task; `issues` are the warnings that the
    answer was taken with, or why it was returned. Of QA, `shapes` are those that it looked at, unless it corrects them.

    active_seconds: of `seconds`, those in which the reviewer's tool saw work; None where it does not say.
    proposal_shown: as of the task.
    work_id, round: of the task at that time; "" at making: the task's id. settles: it brought the item its truth."""

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
    work_id: str = ""
    round: int = 0
    settles: bool = True
    active_seconds: float | None = None
    proposal_shown: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "work_id", self.work_id or self.task_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An answer that is not finished, as the reviewer's tool keeps it: `content` is JSON of its own."""

    task_id: str
    reviewer: str
    epoch: int
    content: Mapping[str, Any]
    saved_at: datetime


def is_leasable(task: Task, now: datetime) -> bool:
    """Open, or leased by someone whose lease has run out."""
    return task.state is TaskState.OPEN or (task.state is TaskState.LEASED and not _live(task, now))


def may_be_handed_out(task: Task, now: datetime) -> bool:
    """Leasable, and in time for whoever waits for it."""
    return is_leasable(task, now) and (task.start_by is None or now < task.start_by)


def leased(task: Task, *, owner: str, now: datetime, seconds: int) -> Task:
    """The task in the hands of `owner` under a new epoch. Raises StaleLease where somebody holds it."""
    if not is_leasable(task, now):
        raise StaleLease(f"task {task.id} is not free.", hint="Lease the next task instead.", task=task.id)
    taken = replace(task, state=TaskState.LEASED, owner=owner, epoch=task.epoch + 1, leased_at=now)
    return _lasting(taken, now, seconds)


def renewed(task: Task, *, owner: str, epoch: int, now: datetime, seconds: int) -> Task:
    """The same lease with a later expiry."""
    require_live(task, owner, epoch, now)
    return _lasting(task, now, seconds)


def released(task: Task, *, owner: str, epoch: int, now: datetime) -> Task:
    """Back in the queue, unchanged."""
    require_live(task, owner, epoch, now)
    return _free(task)


def taken_back(task: Task, *, epoch: int | None, now: datetime) -> Task:
    """Open again under a new epoch, whatever its holder sends later. epoch: of the lease that is meant; None: whoever
    has it. What was meant or reserved for the holder is anybody's at the next look.

    Raises AlreadySubmitted where the task is closed, Conflict where nobody holds it, StaleLease where somebody else
    does.
    """
    if task.finished:
        raise AlreadySubmitted(f"task {task.id} is {task.state}.", hint="There is nothing to take back.", task=task.id)
    if is_leasable(task, now):
        raise Conflict(f"nobody holds task {task.id}.", hint="Nothing to do: people get it in its turn.", task=task.id)
    if epoch not in (None, task.epoch):
        raise StaleLease(
            f"task {task.id} was leased again since (epoch {task.epoch}, not {epoch}).",
            hint="Look at who holds it now (askance tasks show) before you take it back.",
            task=task.id,
            epoch=epoch,
            current_epoch=task.epoch,
        )
    lapses = None if task.reserved_until is None else task.leased_at
    return replace(_free(task), epoch=task.epoch + 1, meant_for="", reserved_until=lapses)


def handed_over(task: Task, *, holder: str, owner: str, epoch: int, now: datetime, seconds: float | None) -> Task:
    """The lease of `holder` in the hands of who answers, under the same epoch. seconds: that the work took, by which
    the lease counts as begun; None: it is not known. Raises as `require_live`."""
    require_live(task, holder, epoch, now)
    begun = task.leased_at if seconds is None else now - timedelta(seconds=seconds)
    return replace(task, owner=owner, leased_at=max(begun or now, task.leased_at or now))


def closed(task: Task, *, owner: str, epoch: int, now: datetime, outcome: Outcome) -> Task:
    """Answered or skipped by the holder of the lease."""
    require_live(task, owner, epoch, now)
    return _ended(task, TaskState.SKIPPED if outcome is Outcome.SKIPPED else TaskState.DONE)


def require_live(task: Task, owner: str, epoch: int, now: datetime) -> None:
    """Raises AlreadySubmitted where the task is closed, StaleLease unless `owner` holds it under this epoch."""
    if task.finished:
        raise AlreadySubmitted(f"task {task.id} is {task.state}.", hint="Lease the next task.", task=task.id)
    if task.state is not TaskState.LEASED or task.epoch != epoch or task.owner != owner or not _live(task, now):
        raise StaleLease(
            f"the lease on task {task.id} with epoch {epoch} is not live (the task's epoch is {task.epoch}).",
            hint="Lease the task again; a draft kept by the page can be sent with the new epoch.",
            task=task.id,
            epoch=epoch,
            current_epoch=task.epoch,
        )


def after_skip(work: Sequence[Task], skipped: Task, *, skips: int, rules: QueueRules) -> list[Task]:
    """The tasks of a work that one more skip changes. skips: how many different people skipped it in this round, with
    this one; `skipped`: their task, which they hold.

    Before the limit it goes back, to others; at the limit all that is unfinished goes to the experts. Where there are
    none, or one of them skipped, the work ends unanswered.
    """
    others = [task for task in work if task.id != skipped.id and not task.finished]
    if skips < rules.skips_before_expert and not skipped.with_experts:
        # What was meant for one person is anybody's at the next look (`reserved_until` has passed).
        lapses = None if skipped.reserved_until is None else skipped.leased_at
        return [replace(_free(skipped), reserved_until=lapses)]
    if rules.expert_group and not skipped.with_experts:
        return [for_experts(task, rules.expert_group) for task in (_free(skipped), *others)]
    return [_ended(task, TaskState.SKIPPED) for task in (skipped, *others)]


def reopened(work: Sequence[Task]) -> list[Task]:
    """A work from the beginning: all its seats open, in the next round, under new epochs; an adjudication waits until
    the new answers differ, and QA until there is one. Raises Conflict where nothing of it is closed: somebody else may
    have re-opened it."""
    if not is_closed(work):
        raise Conflict(
            f"task {work[0].work_id} is open already.",
            hint="Nothing to do: people will get it in its turn.",
            task=work[0].work_id,
        )
    return [_anew(replace(task, round=task.round + 1, begun=task.round + 1)) for task in work]


def is_closed(work: Sequence[Task]) -> bool:
    """Whether some of it is answered or skipped, so that it can be asked for again. An adjudication or a QA that nobody
    needs any more ends without either."""
    return any(task.finished for task in work if task.is_first_hand)


def called(judging: Task) -> Task:
    """An adjudication or QA of an earlier round for the answers of this one."""
    return open_anew(judging)


def _anew(task: Task) -> Task:
    if task.is_first_hand:
        return open_anew(task)
    return ended_early(replace(task, epoch=task.epoch + 1))


def open_anew(task: Task) -> Task:
    """Open under a new epoch, for whomever."""
    return replace(
        _free(task),
        epoch=task.epoch + 1,
        with_experts=False,
        urgency=Urgency.ORDINARY,
        meant_for="",
        reserved_until=None,
        answer_by=None,
        start_by=None,
        usual_rank=None,
    )


def ended_early(task: Task) -> Task:
    """Closed, though nobody answered."""
    return _ended(task, TaskState.SKIPPED)


def is_plain(shape: Shape) -> bool:
    """A label and a region in one image, and no more."""
    more = shape.attributes or shape.links or shape.group or shape.track or shape.frame is not None
    return shape.type.is_region and not more


def _lasting(task: Task, now: datetime, seconds: int) -> Task:
    length = timedelta(seconds=seconds)
    return replace(task, valid_from=now - length, expires_at=now + length)


def _free(task: Task) -> Task:
    return replace(task, state=TaskState.OPEN, owner=None, valid_from=None, expires_at=None)


def _ended(task: Task, state: TaskState) -> Task:
    return replace(task, state=state, owner=task.owner or "nobody", valid_from=None, expires_at=None, alarm_at=None)


def for_experts(task: Task, group: str) -> Task:
    """The same task, for that group alone."""
    return replace(task, lane=Lane(task.stage, groups=(group,)).key, with_experts=True, reserved_until=None)


def _live(task: Task, now: datetime) -> bool:
    begun = task.valid_from is None or task.valid_from <= now
    return begun and task.expires_at is not None and now < task.expires_at
