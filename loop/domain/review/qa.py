"""Quality assurance of one answer: who looks at it, what they can say, and what becomes of its work then.

The answer to a work waits while QA looks at it, or while its lot is judged. QA accepts it, corrects it with an answer
of its own, or returns it to its author, for whom the work goes on in its next round.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from loop.domain.errors import Conflict, Invalid
from loop.domain.policy.queue_rules import Lane, QueueRules
from loop.domain.recipes.rules import MOST_FINDINGS, Issue, Severity
from loop.domain.review.queueing import awaited_like, placed
from loop.domain.review.tasks import Outcome, Submission, Task, ended_early, open_anew
from loop.domain.stage import Stage
from loop.domain.truth import Shape

QA_RULE = "qa"


class AnswerStanding(StrEnum):
    """Where an answer is on its way to the ground truth."""

    WAITING = "waiting"  # for the verdict on its lot
    IN_QA = "in_qa"  # a person is to look at it
    RECALLED = "recalled"  # from QA, since its lot was accepted; unless somebody is looking at it
    SETTLED = "settled"  # it became the ground truth


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAnswer:
    """What a work came to in its present round. submission_id: whose shapes these are, by `author`, for the task
    `task_id`; submission_ids: all that it was made of."""

    work_id: str
    project_id: str
    item_digest: str
    lot_id: str | None
    round: int
    task_id: str
    author: str
    submission_id: str
    submission_ids: tuple[str, ...]
    shapes: tuple[Shape, ...]
    standing: AnswerStanding
    created_at: datetime


def require_qa(task: Task, outcome: Outcome) -> None:
    """Raises Conflict where the task has no answer to be accepted or returned."""
    if not task.judges:
        raise Conflict(
            f"task {task.id} asks for an answer; there is none to be {outcome}.",
            hint="Submit the shapes that are there, or skip the task.",
            task=task.id,
        )


def require_returnable(task: Task, max_returns: int) -> None:
    """Raises Conflict where the answer came back often enough."""
    if task.returns >= max_returns:
        raise Conflict(
            f"this answer was returned {task.returns} times, which is as often as the policy allows.",
            hint="Accept it, or submit the shapes as they should be.",
            task=task.id,
            returns=task.returns,
        )


def require_other(task: Task, said: Sequence[Submission], person: str) -> None:
    """Raises Conflict where the person gave one of the answers since the work was opened."""
    if task.stage is Stage.QA and any(
        one.reviewer == person and one.outcome is Outcome.SUBMITTED and one.round >= task.begun for one in said
    ):
        raise Conflict(
            "you gave an answer to this item, and cannot judge it.",
            hint="Release this task: another person must do it.",
            task=task.id,
        )


def checked_issues(
    issues: Sequence[tuple[str, Sequence[str]]], note: str, shapes: Sequence[Shape]
) -> tuple[Issue, ...]:
    """What is wrong with an answer, as messages with the shapes concerned: ids, or "#3" for the fourth. Raises Invalid
    where nothing is said, or of shapes that the answer does not have."""
    if not (issues or note.strip()):
        raise Invalid("nothing is said about what is wrong.", hint="Give at least one issue, or a note.")
    if len(issues) > MOST_FINDINGS:
        raise Invalid(f"there are {len(issues)} issues.", hint=f"Give at most {MOST_FINDINGS}.")
    known = {f"#{index}" for index in range(len(shapes))} | {shape.id for shape in shapes if shape.id}
    for _, concerned in issues:
        if unknown := sorted(set(concerned) - known):
            raise Invalid(
                f"the answer has no shape {unknown[0][:80]!r}.",
                hint=f"Name ids of its shapes, or #0 to #{len(shapes) - 1}." if shapes else "It has no shapes.",
                shape=unknown[0][:80],
            )
    return tuple(Issue(QA_RULE, Severity.ERROR, message, tuple(concerned)) for message, concerned in issues)


def returned(
    work: Sequence[Task],
    judged: Task,
    held: HeldAnswer,
    rules: QueueRules,
    labels: Iterable[str],
    *,
    now: datetime,
    patience_seconds: float,
) -> list[Task]:
    """All tasks of the work in its next round: that of the answer is open again, for its author alone while the
    patience lasts; the others stay as they are, under new epochs. judged: the QA task as it is closed."""
    others = [judged if task.id == judged.id else task for task in work if task.id != held.task_id]
    again = next(task for task in work if task.id == held.task_id)
    again = awaited_like(placed(open_anew(again), rules, labels, begins=now), judged, now)
    again = replace(
        again,
        round=again.round + 1,
        lane=Lane(again.stage, person=held.author).key,
        meant_for=held.author,
        reserved_until=now + timedelta(seconds=patience_seconds),
    )
    return [again, *(replace(task, round=task.round + 1, epoch=task.epoch + 1) for task in others)]


def fallen(task: Task, rules: QueueRules, labels: Iterable[str]) -> Task:
    """What its author did not do in time is anybody's who may do its like; its place in the queue stays."""
    lane = placed(task, rules, labels, begins=task.created_at).lane
    return replace(task, lane=lane, reserved_until=None)


def recalled(judging: Task) -> Task:
    """The QA task of an answer that needs none any more, under a new epoch."""
    return ended_early(replace(judging, epoch=judging.epoch + 1))
