"""What reviewers do: lease, heartbeat, submit, skip, release. Each is one transaction."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loop.domain import review
from loop.domain.access import Permission, Token, require
from loop.domain.corrections import corrections
from loop.domain.errors import AlreadySubmitted
from loop.domain.identity import digest_of, new_id
from loop.domain.item import Item
from loop.domain.ports import Clock, Entropy, Event, Store, Transaction
from loop.domain.prediction import Detection
from loop.domain.review import Outcome, Submission, Task, TaskState
from loop.domain.routing import Stage
from loop.domain.truth import GroundTruth, Shape, checked_shapes


@dataclass(frozen=True, slots=True)
class Assignment:
    """A task in a reviewer's hands with what is needed to work on it."""

    task: Task
    item: Item
    proposal: tuple[Detection, ...]
    lease_seconds: int


@dataclass(frozen=True, slots=True)
class Desk:
    """The reviewers' side of the queue."""

    store: Store
    clock: Clock
    entropy: Entropy

    def lease(self, token: Token, project_id: str, count: int) -> tuple[list[Assignment], int]:
        """Up to `count` tasks for this reviewer, most urgent first, and how many nobody holds.

        Tasks that the reviewer holds already come first, under their present epoch, so that a reloaded page
        goes on where it was.
        """
        now = self.clock()
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            seconds = project.policy.lease_seconds
            tasks = tx.tasks.held_by(project_id, token.id, now)[:count]
            if len(tasks) < count:
                free = tx.tasks.take_leasable(project_id, stages=tuple(Stage), now=now, limit=count - len(tasks))
                taken = [review.leased(task, owner=token.id, now=now, seconds=seconds) for task in free]
                for task in taken:
                    tx.tasks.save(task)
                tasks += taken
            open_tasks = tx.tasks.counts(project_id, now).get(TaskState.OPEN, 0)
            return [_assignment(tx, task, seconds) for task in tasks], open_tasks

    def heartbeat(self, token: Token, task_id: str, epoch: int) -> Task:
        now = self.clock()
        with self.store.begin() as tx:
            task = self._mine(tx, token, task_id)
            seconds = tx.projects.get(task.project_id).policy.lease_seconds
            task = review.renewed(task, owner=token.id, epoch=epoch, now=now, seconds=seconds)
            tx.tasks.save(task)
            return task

    def release(self, token: Token, task_id: str, epoch: int) -> None:
        now = self.clock()
        with self.store.begin() as tx:
            task = self._mine(tx, token, task_id)
            tx.tasks.save(review.released(task, owner=token.id, epoch=epoch, now=now))

    def submit(self, token: Token, task_id: str, epoch: int, shapes: Sequence[Shape], note: str) -> Submission:
        """The answer becomes ground truth. Sending the same answer again gives the same submission back."""
        return self._close(token, task_id, epoch, Outcome.SUBMITTED, tuple(shapes), note)

    def skip(self, token: Token, task_id: str, epoch: int, reason: str) -> Submission:
        """The reviewer cannot say; the reason is kept."""
        return self._close(token, task_id, epoch, Outcome.SKIPPED, (), reason)

    def _close(
        self, token: Token, task_id: str, epoch: int, outcome: Outcome, shapes: tuple[Shape, ...], note: str
    ) -> Submission:
        content = _content_digest(outcome, shapes, note)
        with self.store.begin() as tx:
            task = self._mine(tx, token, task_id)
            if (earlier := tx.submissions.of_task(task_id)) is not None:
                return _same_or_conflict(earlier, token, epoch, content)
            now = self.clock()
            closed = review.closed(task, owner=token.id, epoch=epoch, now=now, outcome=outcome)
            project = tx.projects.get(task.project_id)
            item = tx.items.get(task.project_id, task.item_digest)
            if outcome is Outcome.SUBMITTED:
                shapes = checked_shapes(shapes, labels=project.recipe.label_names, width=item.width, height=item.height)
            submission = Submission(
                id=new_id("sub", now, self.entropy(10)),
                task_id=task.id,
                project_id=task.project_id,
                item_digest=task.item_digest,
                reviewer=token.id,
                epoch=epoch,
                outcome=outcome,
                shapes=shapes,
                note=note,
                content_digest=content,
                corrections=_corrected(tx, task, shapes, outcome, project.policy.failure_iou),
                seconds=(now - (task.leased_at or now)).total_seconds(),
                created_at=now,
            )
            tx.submissions.add(submission)
            tx.tasks.save(closed)
            if outcome is Outcome.SUBMITTED:
                tx.truths.add(_truth_from(tx, submission))
            tx.events.add(_closed_event(submission, task))
            return submission

    def _mine(self, tx: Transaction, token: Token, task_id: str) -> Task:
        task = tx.tasks.for_update(task_id)
        require(token, Permission.REVIEW, task.project_id)
        return task


def _assignment(tx: Transaction, task: Task, lease_seconds: int) -> Assignment:
    proposal: tuple[Detection, ...] = ()
    if task.prediction_id is not None:
        proposal = tx.predictions.get(task.project_id, task.prediction_id).detections
    return Assignment(task, tx.items.get(task.project_id, task.item_digest), proposal, lease_seconds)


def _content_digest(outcome: Outcome, shapes: tuple[Shape, ...], note: str) -> str:
    content = [outcome, [[shape.label, *shape.box] for shape in shapes], note]
    return digest_of(json.dumps(content).encode())


def _same_or_conflict(earlier: Submission, token: Token, epoch: int, content: str) -> Submission:
    if (earlier.reviewer, earlier.epoch, earlier.content_digest) == (token.id, epoch, content):
        return earlier
    raise AlreadySubmitted(
        f"task {earlier.task_id} was answered by submission {earlier.id}.",
        hint="Answers are never overwritten; lease the next task.",
        task=earlier.task_id,
        submission=earlier.id,
    )


def _corrected(
    tx: Transaction, task: Task, shapes: tuple[Shape, ...], outcome: Outcome, iou: float
) -> Mapping[str, int]:
    if task.prediction_id is None or outcome is Outcome.SKIPPED:
        return {}
    prediction = tx.predictions.get(task.project_id, task.prediction_id)
    return {error.value: n for error, n in corrections(prediction.detections, shapes, iou=iou).items()}


def _truth_from(tx: Transaction, submission: Submission) -> GroundTruth:
    current = tx.truths.current(submission.project_id, submission.item_digest)
    return GroundTruth(
        project_id=submission.project_id,
        item_digest=submission.item_digest,
        version=current.version + 1 if current else 1,
        shapes=submission.shapes,
        submission_ids=(submission.id,),
        origin="review",
        created_at=submission.created_at,
    )


def _closed_event(submission: Submission, task: Task) -> Event:
    return Event(
        kind=f"task.{submission.outcome}",
        project_id=submission.project_id,
        actor=submission.reviewer,
        body={
            "task_id": submission.task_id,
            "submission_id": submission.id,
            "item_digest": submission.item_digest,
            "prediction_id": task.prediction_id,
            "corrected": any(submission.corrections.values()),
            "corrections": dict(submission.corrections),
        },
        at=submission.created_at,
    )
