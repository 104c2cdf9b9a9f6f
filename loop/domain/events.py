"""Events that several use cases record."""

from loop.domain.item import Item
from loop.domain.ports import Event
from loop.domain.review.tasks import Submission, Task


def task_created(task: Task, actor: str, selection_id: str | None = None) -> Event:
    """selection_id: None for what was routed."""
    body = {
        "task_id": task.id,
        "item_digest": task.item_digest,
        "prediction_id": task.prediction_id,
        "selection_id": selection_id,
    }
    return Event("task.created", task.project_id, actor, body, task.created_at)


def item_created(item: Item) -> Event:
    """derived: a function has made it of another (loop/functions/results.py)."""
    body = {"item_digest": item.digest, "derived": "derived_from" in item.meta}
    return Event("item.created", item.project_id, "service", body, item.created_at)


def told_of(submission: Submission, task: Task, **more: object) -> dict[str, object]:
    """What an event about an answer to a task says of it."""
    return {
        "task_id": submission.task_id,
        "submission_id": submission.id,
        "item_digest": submission.item_digest,
        "prediction_id": task.prediction_id,
        "corrected": any(submission.corrections.values()),
        "corrections": dict(submission.corrections),
        **more,
    }
