"""What an answer does: judged by its recipe, kept, and what becomes of its task and of the work that it is of."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loop.domain.access import Token
from loop.domain.corrections import corrections
from loop.domain.errors import AlreadySubmitted, Conflict
from loop.domain.events import task_created, told_of
from loop.domain.identity import digest_of
from loop.domain.policy.queue_rules import QueueRules
from loop.domain.ports import Event, Transaction
from loop.domain.project import Project
from loop.domain.recipes.rules import Issue, require_no_errors
from loop.domain.review import tasks as review
from loop.domain.review.qa import AnswerStanding, checked_issues, require_qa, require_returnable
from loop.domain.review.queueing import adjudication, awaited_like, placed
from loop.domain.review.tasks import ADJUDICATION_SEAT, Outcome, Submission, Task
from loop.domain.stage import Stage
from loop.domain.truth import Shape, shape_to_json
from loop.review import qa
from loop.review.proposals import labels_proposed, prediction_shown, proposal_of, recipe_of
from loop.review.settling import settle
from loop.review.subjects import add_truth, subject_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a person says of a task under an epoch, and with it closes it. found: by the recipe's Python functions in
    the shapes. objections: what QA says of the answer that it returns. active_seconds, held_by: as of `submit`."""

    task_id: str
    epoch: int
    outcome: Outcome
    shapes: tuple[Shape, ...] = ()
    note: str = ""
    found: tuple[Issue, ...] = ()
    objections: Sequence[tuple[str, Sequence[str]]] = ()
    active_seconds: float | None = None
    held_by: str | None = None


def in_hand(task: Task, token: Token, said: Said, now: datetime) -> Task:
    """As whoever answers holds it; where another token leased it for them, it is theirs from now on."""
    if said.held_by is None:
        return task
    return review.handed_over(
        task, holder=said.held_by, owner=token.id, epoch=said.epoch, now=now, seconds=said.active_seconds
    )


def judged(tx: Transaction, project: Project, task: Task, said: Said) -> tuple[tuple[Shape, ...], tuple[Issue, ...]]:
    """What is kept of an answer, and what was found in it; of QA that which it accepts or returns, as it was shown, and
    its objections. Raises RulesBroken, Conflict where QA may not, Invalid where it says nothing."""
    if said.outcome is Outcome.SKIPPED:
        return (), ()
    recipe = recipe_of(tx, project, task)
    if said.outcome is Outcome.SUBMITTED:
        answer = subject_of(tx, task).judged(recipe, said.shapes)
        issues = (*answer.issues(recipe), *said.found)
        require_no_errors(issues)
        return answer.kept, issues
    require_qa(task, said.outcome)
    if said.outcome is Outcome.RETURNED:
        require_returnable(task, project.policy.workflow.max_returns)
    shapes = recipe.translated(qa.shapes_shown(tx, task))
    return shapes, checked_issues(said.objections, said.note, shapes) if said.outcome is Outcome.RETURNED else ()


def content_digest(said: Said) -> str:
    """By which the same answer, sent again, is known."""
    content: list[object] = [said.outcome, [_content(shape) for shape in said.shapes], said.note]
    if said.objections:
        content.append([[message, list(concerned)] for message, concerned in said.objections])
    return digest_of(json.dumps(content).encode())


def _content(shape: Shape) -> object:
    """A plain labelled box as answers were digested when there was nothing else."""
    document = shape_to_json(shape)
    return [shape.label, *shape.box] if set(document) == {"label", "box"} else document


def same_or_conflict(earlier: Submission, token: Token, epoch: int, content: str) -> Submission:
    """The answer that a task has under an epoch, where this one is the same. Raises AlreadySubmitted."""
    if (earlier.reviewer, earlier.epoch, earlier.content_digest) == (token.id, epoch, content):
        return earlier
    raise AlreadySubmitted(
        f"task {earlier.task_id} was answered by submission {earlier.id}.",
        hint="Answers are never overwritten; lease the next task.",
        task=earlier.task_id,
        submission=earlier.id,
    )


def require_new(earlier: Sequence[Submission], submission: Submission) -> None:
    """One person has one say on a work, even where it holds two of its tasks."""
    mine = [one for one in earlier if one.reviewer == submission.reviewer]
    if mine:
        raise Conflict(
            f"you have had your say on this item with submission {mine[0].id}.",
            hint="Release this task: another person must do it.",
            task=submission.task_id,
            submission=mine[0].id,
        )


def given(submissions: Sequence[Submission]) -> list[Submission]:
    return [one for one in submissions if one.outcome is Outcome.SUBMITTED]


def is_last(task: Task, earlier: Sequence[Submission]) -> bool:
    """Whether an answer to the task is the last that its work waits for. earlier: all that was said in its round."""
    return _decides_alone(task) or len(given(earlier)) + 1 >= task.people


def _decides_alone(task: Task) -> bool:
    return task.decides_alone or task.people == 1


def submitted(
    tx: Transaction,
    submission: Submission,
    work: Sequence[Task],
    closed: Task,
    earlier: Sequence[Submission],
    project: Project,
    secret: bytes,
    *,
    last: bool,
) -> Submission:
    """An answer, or a verdict of QA that lets one stand, with all that follows; as it is kept. last: whether the work
    waits for no answer more."""
    alone = _decides_alone(closed)
    answers = [submission] if alone else [*given(earlier), submission]
    settlement = None if alone or not last else settle(tx, project, closed, answers)
    shapes = submission.shapes if alone else settlement.shapes if settlement else None
    standing = AnswerStanding.WAITING if shapes is None else qa.standing_of(tx, closed, project.policy.workflow, secret)
    settled = standing is AnswerStanding.SETTLED
    submission = replace(submission, settles=settled)
    tx.submissions.add(submission)
    tx.tasks.save(closed)
    tx.drafts.drop(closed.id, None)
    if shapes is not None:
        made_of = [one.id for one in answers]
        if closed.stage is Stage.QA:
            made_of = [*qa.judged(tx, project, submission), *made_of]
        else:
            qa.keep(tx, project, closed, answers, shapes, standing, submission.created_at)
        if settled:
            item, now = submission.item_digest, submission.created_at
            add_truth(tx, closed, qa.next_truth(tx, submission.project_id, item, shapes, made_of, now))
    elif settlement is not None:
        _call_adjudicator(tx, work, closed, project.policy.queue, submission.created_at)
    tx.events.add(_closed_event(submission, closed, settles=settled))
    return submission


def returned(
    tx: Transaction, submission: Submission, work: Sequence[Task], closed: Task, project: Project
) -> Submission:
    """QA wants it done again: its author gets it back."""
    tx.submissions.add(submission)
    tx.tasks.save(closed)
    tx.drafts.drop(closed.id, None)
    author = qa.returned(tx, project, work, closed, submission.created_at)
    tx.events.add(_closed_event(submission, closed, author=author, settles=False))
    return submission


def skipped(
    tx: Transaction,
    submission: Submission,
    work: Sequence[Task],
    task: Task,
    earlier: Sequence[Submission],
    rules: QueueRules,
) -> Submission:
    """Others get the task, experts at last; after too many skips the work ends."""
    tx.submissions.add(submission)
    skips = sum(one.outcome is Outcome.SKIPPED for one in earlier) + 1
    changed = review.after_skip(work, task, skips=skips, rules=rules)
    for one in changed:
        tx.tasks.save(one)
        if one.finished:
            tx.drafts.drop(one.id, None)
    tx.drafts.drop(task.id, submission.reviewer)
    closed = any(one.finished for one in changed)
    if closed:
        qa.ended(tx, task)
    tx.events.add(_closed_event(submission, task, closed=closed, with_experts=any(t.with_experts for t in changed)))
    return submission


def _call_adjudicator(tx: Transaction, work: Sequence[Task], task: Task, rules: QueueRules, now: datetime) -> None:
    """The answers differ: one task, for somebody who gave none of them."""
    labels = labels_proposed(tx, task)
    earlier = [one for one in work if one.seat == ADJUDICATION_SEAT]
    if earlier:
        called = awaited_like(placed(review.called(earlier[0]), rules, labels, begins=now), task, now)
        tx.tasks.reopen(called)
    else:
        called = adjudication(task, rules, labels, now=now)
        tx.tasks.add(called)
    tx.events.announce([task_created(called, "service")])


def corrected(
    tx: Transaction, task: Task, project: Project, shapes: tuple[Shape, ...], outcome: Outcome
) -> Mapping[str, int]:
    """By the newest recipe: a label that is gone counts neither as found nor as missed."""
    if outcome in (Outcome.SKIPPED, Outcome.RETURNED) or prediction_shown(tx, task) is None:
        return {}
    detections, truth = proposal_of(tx, task, project.recipe), project.recipe.translated(shapes)
    return {error.value: n for error, n in corrections(detections, truth, iou=project.policy.failure_iou).items()}


def _closed_event(submission: Submission, task: Task, **more: object) -> Event:
    return Event(
        kind=f"task.{submission.outcome}",
        project_id=submission.project_id,
        actor=submission.reviewer,
        body=told_of(submission, task, **more),
        at=submission.created_at,
    )
