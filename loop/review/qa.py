"""What becomes of an answer: it is the ground truth at once, or waits for a person who looks at it, or for its lot."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loop.domain.events import task_created, told_of
from loop.domain.policy.workflow import Qa, Workflow, drawn_for_qa
from loop.domain.ports import Clock, Event, Store, Transaction
from loop.domain.project import Project
from loop.domain.quality.attributes import attributes_of
from loop.domain.quality.likeness import reach_of
from loop.domain.quality.sameness import alike
from loop.domain.review import qa
from loop.domain.review import tasks as review
from loop.domain.review.lot import LotState
from loop.domain.review.qa import AnswerStanding, HeldAnswer
from loop.domain.review.queueing import awaited_like, placed, quality_task
from loop.domain.review.tasks import QA_SEAT, Outcome, Submission, Task
from loop.domain.stage import Stage
from loop.domain.truth import GroundTruth, Shape
from loop.review.proposals import labels_proposed
from loop.review.subjects import add_truth

_LAPSED_AT_ONCE = 100  # tasks of a transaction


def standing_of(tx: Transaction, task: Task, workflow: Workflow, secret: bytes) -> AnswerStanding:
    """Of the answer to the work of `task`, which closed it. A lot goes by its own rules, whatever the policy is now."""
    if task.stage is Stage.QA:
        return AnswerStanding.SETTLED
    if task.returns:
        return AnswerStanding.IN_QA
    if task.lot_id is not None:
        by_verdict = {LotState.ACCEPTED: AnswerStanding.SETTLED, LotState.REJECTED: AnswerStanding.IN_QA}
        return by_verdict.get(tx.lots.state(task.lot_id), AnswerStanding.WAITING)
    marked = workflow.qa is Qa.ALL or (workflow.qa is Qa.SHARE and drawn_for_qa(secret, task.work_id, workflow.share))
    return AnswerStanding.IN_QA if marked else AnswerStanding.SETTLED


def keep(
    tx: Transaction,
    project: Project,
    task: Task,
    answers: Sequence[Submission],
    shapes: Sequence[Shape],
    standing: AnswerStanding,
    now: datetime,
) -> None:
    """Keep what a work came to, where it does not simply become the truth; call QA where it is to look at it.

    task: that which closed the work. answers: those that `shapes` were made of, first that whose author is to hear of
    it.
    """
    if standing is AnswerStanding.SETTLED and task.lot_id is None:
        return
    author = answers[0]
    held = HeldAnswer(
        work_id=task.work_id,
        project_id=task.project_id,
        item_digest=task.item_digest,
        lot_id=task.lot_id,
        round=task.round,
        task_id=author.task_id,
        author=author.reviewer,
        submission_id=author.id,
        submission_ids=tuple(one.id for one in answers),
        shapes=tuple(shapes),
        standing=standing,
        created_at=now,
    )
    tx.held_answers.save(held)
    if standing is AnswerStanding.IN_QA:
        call(tx, project, tx.tasks.work_for_update(task.work_id), held, now)


def call(tx: Transaction, project: Project, work: Sequence[Task], held: HeldAnswer, now: datetime) -> None:
    """Have somebody look at a held answer; who did so in an earlier round gets it first."""
    rules = project.policy.queue
    labels = labels_proposed(tx, work[0])
    answered = next(task for task in work if task.id == held.task_id)
    earlier = next((task for task in work if task.seat == QA_SEAT), None)
    tx.held_answers.stand(held.work_id, AnswerStanding.IN_QA)
    if earlier is None:
        task = quality_task(answered, rules, labels, now=now)
        tx.tasks.add(task)
    elif earlier.finished:
        before = earlier.owner if answered.returns else ""
        again = awaited_like(placed(review.called(earlier), rules, labels, begins=now), answered, now)
        task = replace(again, meant_for=before or "")
        tx.tasks.reopen(task)
    else:
        return
    tx.events.announce([task_created(task, "service")])


def shown(tx: Transaction, task: Task) -> Submission:
    """The one answer that a QA task is about, as it was given; of a golden item without its note, as most are."""
    if task.stage is Stage.GOLDEN:
        return replace(tx.golden.answered(judged_of(tx, task.id)).submission, note="")
    held = tx.held_answers.get(task.work_id)
    return replace(_given(tx, held), shapes=held.shapes)


def shapes_shown(tx: Transaction, task: Task) -> tuple[Shape, ...]:
    """Of `shown`."""
    if task.stage is Stage.GOLDEN:
        return shown(tx, task).shapes
    return tx.held_answers.get(task.work_id).shapes


def judged_of(tx: Transaction, task_id: str) -> str:
    """The answer to a golden item that a task has somebody judge."""
    judged = tx.golden.seat(task_id).judged_id
    if judged is None:
        raise ValueError(f"task {task_id} judges nothing")
    return judged


def _given(tx: Transaction, held: HeldAnswer) -> Submission:
    """The answer that it was made of, and whose author is to hear of it."""
    return next(one for one in tx.submissions.of_work(held.work_id) if one.id == held.submission_id)


def objection(tx: Transaction, task: Task) -> Submission | None:
    """Why QA returned the answer to this task in the round before; None where it did not, or the task judges itself."""
    if task.returns == 0 or task.stage is Stage.QA:
        return None
    said = tx.submissions.of_work(task.work_id)
    return next(one for one in said if one.outcome is Outcome.RETURNED and one.round == task.round - 1)


def judged(tx: Transaction, project: Project, submission: Submission) -> tuple[str, ...]:
    """QA accepted or corrected an answer: it is settled, and its lot knows whether it had defects. Gives the
    submissions that stand with it: none where it is corrected."""
    held = tx.held_answers.get(submission.work_id)
    accepted = submission.outcome is Outcome.ACCEPTED
    right = accepted or _same(tx, project, held, submission)
    tx.held_answers.stand(held.work_id, AnswerStanding.SETTLED)
    if held.lot_id is not None:
        tx.lots.inspected(held.work_id, defect=not right)
    return held.submission_ids if accepted else ()


def _same(tx: Transaction, project: Project, held: HeldAnswer, corrected: Submission) -> bool:
    """A correction that is no more than a matter of taste finds no defect."""
    item = tx.items.get(held.project_id, held.item_digest)
    return alike(
        project.recipe.translated(held.shapes),
        project.recipe.translated(corrected.shapes),
        iou=project.policy.failure_iou,
        attributes=attributes_of(project.recipe),
        reach=reach_of(item.width, item.height),
    )


def returned(tx: Transaction, project: Project, work: Sequence[Task], closed: Task, now: datetime) -> str:
    """QA sends an answer back: the work goes on in its next round. Gives the author."""
    held = tx.held_answers.get(closed.work_id)
    again = qa.returned(
        work,
        closed,
        held,
        project.policy.queue,
        labels_proposed(tx, closed),
        now=now,
        patience_seconds=project.policy.workflow.rework_patience_seconds,
    )
    for task in again:
        tx.tasks.reopen(task)
    tx.held_answers.drop(held.work_id)
    if held.lot_id is not None:
        tx.lots.inspected(held.work_id, defect=True)
    return held.author


def ended(tx: Transaction, task: Task) -> None:
    """The work of `task` ended without an answer."""
    tx.held_answers.drop(task.work_id)
    if task.lot_id is not None:
        tx.lots.set_void(task.work_id, void=True)


def reopened(tx: Transaction, task: Task) -> None:
    """The work of `task` is asked for again."""
    tx.held_answers.drop(task.work_id)
    if task.lot_id is not None:
        tx.lots.set_void(task.work_id, void=False)


def next_truth(
    tx: Transaction,
    project_id: str,
    item_digest: str,
    shapes: Sequence[Shape],
    submission_ids: Sequence[str],
    now: datetime,
) -> GroundTruth:
    """The next version of the item's truth, in the present words of the recipe."""
    # Read only now: a change of the recipe that went on meanwhile has ended, or waits for this transaction.
    recipe = tx.projects.get(project_id).recipe
    current = tx.truths.current(project_id, item_digest)
    return GroundTruth(
        project_id=project_id,
        item_digest=item_digest,
        version=current.version + 1 if current else 1,
        shapes=recipe.translated(shapes),
        submission_ids=tuple(submission_ids),
        origin="review",
        created_at=now,
    )


def settle(tx: Transaction, held: HeldAnswer, now: datetime) -> None:
    """What waited for its lot becomes the ground truth, unless it is already, by an earlier verdict. The caller has
    locked its work."""
    tx.submissions.settle(held.submission_id, settles=True)
    tx.held_answers.stand(held.work_id, AnswerStanding.SETTLED)
    present = tx.truths.current(held.project_id, held.item_digest)
    if present is not None and tuple(present.submission_ids) == held.submission_ids:
        return
    task = tx.tasks.get(held.task_id)
    truth = next_truth(tx, held.project_id, held.item_digest, held.shapes, held.submission_ids, now)
    add_truth(tx, task, truth)
    tx.events.add(
        Event(
            kind="task.settled",
            project_id=held.project_id,
            actor=held.author,
            body=told_of(_given(tx, held), task, lot_id=held.lot_id),
            at=now,
        )
    )


def free_lapsed(tx: Transaction, now: datetime, project: Project | None = None) -> int:
    """What its author did not do in time, or cannot do any more, is anybody's; how much that was."""
    lapsed = tx.tasks.lapsed(now, project_id=None if project is None else project.id, limit=_LAPSED_AT_ONCE)
    for task in lapsed:
        rules = (project or tx.projects.get(task.project_id)).policy.queue
        tx.tasks.save(qa.fallen(task, rules, labels_proposed(tx, task)))
    return len(lapsed)


@dataclass(frozen=True, slots=True)
class Rework:
    """The background loop's side."""

    store: Store
    clock: Clock

    def free_lapsed(self) -> int:
        """In all projects; how much that was."""
        total = 0
        while True:
            with self.store.begin() as tx:
                found = free_lapsed(tx, self.clock())
            total += found
            if found < _LAPSED_AT_ONCE:
                return total
