"""What the model proposed for a task, in the words of its recipe, and who is therefore asked."""

from dataclasses import replace

from loop.domain.ports import Transaction
from loop.domain.prediction import Detection
from loop.domain.project import Project
from loop.domain.recipes.recipe import Recipe
from loop.domain.review.queueing import seats
from loop.domain.review.tasks import Task
from loop.domain.stage import Stage


def prediction_shown(tx: Transaction, task: Task) -> str | None:
    """Whose detections a reviewer begins with. That of a golden item is no prediction that the task would review."""
    return tx.golden.seat(task.id).prediction_id if task.stage is Stage.GOLDEN else task.prediction_id


def labels_proposed(tx: Transaction, task: Task) -> frozenset[str]:
    """Of its prediction's detections; none where it has no prediction."""
    if task.prediction_id is None:
        return frozenset()
    return frozenset(d.label for d in tx.predictions.detections(task.project_id, task.prediction_id))


def seats_of(tx: Transaction, task: Task, project: Project, *, several: bool) -> tuple[Task, ...]:
    """All tasks of a work on an item that is there already, of which `task` is the first."""
    source = tx.items.get(project.id, task.item_digest).source
    labels = labels_proposed(tx, task) if any(rule.label for rule in project.policy.queue.skills) else frozenset()
    return seats(replace(task, source=source), project.policy.queue, labels, several=several)


def proposal_of(tx: Transaction, task: Task, recipe: Recipe) -> tuple[Detection, ...]:
    """What the model said, in the words of a recipe."""
    prediction_id = prediction_shown(tx, task)
    if prediction_id is None:
        return ()
    return recipe.proposed(tx.predictions.detections(task.project_id, prediction_id))


def recipe_of(tx: Transaction, project: Project, task: Task) -> Recipe:
    """Read only where it is an older one."""
    if task.recipe_version == project.recipe.version:
        return project.recipe
    return tx.projects.recipe(task.project_id, task.recipe_version)
