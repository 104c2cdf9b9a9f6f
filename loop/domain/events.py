"""Events that several use cases record."""

from loop.domain.ports import Event
from loop.domain.review import Task


def task_created(task: Task, actor: str, selection_id: str | None = None) -> Event:
    """selection_id: None for what was routed."""
    body = {
        "task_id": task.id,
        "item_digest": task.item_digest,
        "prediction_id": task.prediction_id,
        "selection_id": selection_id,
    }
    return Event("task.created", task.project_id, actor, body, task.created_at)
