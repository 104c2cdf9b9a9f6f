"""What reviewers do: lease, heartbeat, submit, skip, release. Each is one transaction."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loop.domain import review
from loop.domain.access import Permission, Token, require
from loop.domain.corrections import corrections
from loop.domain.errors import AlreadySubmitted
from loop.domain.identity import digest_of, new_id
from loop.domain.item import Item
from loop.domain.ports import Clock, Entropy, Event, Store, Transaction
from loop.domain.prediction import Detection
from loop.domain.project import Project
from loop.domain.recipe import Recipe
from loop.domain.review import Outcome, Submission, Task, TaskState
from loop.domain.routing import Stage
from loop.domain.rules import Issue, require_no_errors
from loop.domain.truth import GroundTruth, Shape, shape_to_json


@dataclass(frozen=True, slots=True)
class Assignment:
    """A task in a reviewer's hands with what is needed to work on it."""

    task: Task
    item: Item
    proposal: tuple[Detection, ...]
    lease_seconds: int


# What the Python functions of a task's recipe find in an answer; `loop.checking.Checking.function_issues`.
FunctionIssues = Callable[[Token, str, Sequence[Shape]], tuple[Issue, ...]]


def _no_functions(token: Token, task_id: str, shapes: Sequence[Shape]) -> tuple[Issue, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Desk:
    """The reviewers' side of the queue."""

    store: Store
    clock: Clock
    entropy: Entropy
    function_issues: FunctionIssues = _no_functions

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
        """The answer becomes ground truth. Sending the same answer again gives the same submission back.

        It is judged by the recipe that the task was made with. Raises UnknownLabel, BadShape, RulesBroken.
        """
        found = self.function_issues(token, task_id, shapes)  # before the transaction: they may take their time
        return self._close(token, task_id, epoch, Outcome.SUBMITTED, tuple(shapes), note, found)

    def skip(self, token: Token, task_id: str, epoch: int, reason: str) -> Submission:
        """The reviewer cannot say; the reason is kept."""
        return self._close(token, task_id, epoch, Outcome.SKIPPED, (), reason)

    def _close(
        self,
        token: Token,
        task_id: str,
        epoch: int,
        outcome: Outcome,
        shapes: tuple[Shape, ...],
        note: str,
        issues: tuple[Issue, ...] = (),
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
                recipe = tx.projects.recipe(task.project_id, task.recipe_version)
                shapes = recipe.checked(shapes, item.width, item.height)
                issues = (*recipe.issues(shapes, item.width, item.height), *issues)
                require_no_errors(issues)
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
                corrections=_corrected(tx, task, project, shapes, outcome),
                seconds=(now - (task.leased_at or now)).total_seconds(),
                created_at=now,
                issues=issues,
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
    proposal = _proposal(tx, task, tx.projects.recipe(task.project_id, task.recipe_version))
    return Assignment(task, tx.items.get(task.project_id, task.item_digest), proposal, lease_seconds)


def _proposal(tx: Transaction, task: Task, recipe: Recipe) -> tuple[Detection, ...]:
    """What the model said, in the words of a recipe."""
    if task.prediction_id is None:
        return ()
    return recipe.proposed(tx.predictions.get(task.project_id, task.prediction_id).detections)


def _content_digest(outcome: Outcome, shapes: tuple[Shape, ...], note: str) -> str:
    content = [outcome, [_content(shape) for shape in shapes], note]
    return digest_of(json.dumps(content).encode())


def _content(shape: Shape) -> object:
    """A plain labelled box as answers were digested when there was nothing else."""
    document = shape_to_json(shape)
    return [shape.label, *shape.box] if set(document) == {"label", "box"} else document


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
    tx: Transaction, task: Task, project: Project, shapes: tuple[Shape, ...], outcome: Outcome
) -> Mapping[str, int]:
    """By the newest recipe: a label that is gone counts neither as found nor as missed."""
    if task.prediction_id is None or outcome is Outcome.SKIPPED:
        return {}
    detections, truth = _proposal(tx, task, project.recipe), project.recipe.translated(shapes)
    return {error.value: n for error, n in corrections(detections, truth, iou=project.policy.failure_iou).items()}


def _truth_from(tx: Transaction, submission: Submission) -> GroundTruth:
    # Read only now: a change of the recipe that went on meanwhile has ended, or waits for this transaction.
    recipe = tx.projects.get(submission.project_id).recipe
    current = tx.truths.current(submission.project_id, submission.item_digest)
    return GroundTruth(
        project_id=submission.project_id,
        item_digest=submission.item_digest,
        version=current.version + 1 if current else 1,
        shapes=recipe.translated(submission.shapes),
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
