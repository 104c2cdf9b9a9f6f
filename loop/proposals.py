"""What the model proposed for a task."""

from loop.domain.ports import Transaction
from loop.domain.review import Task
from loop.domain.stage import Stage


def prediction_shown(tx: Transaction, task: Task) -> str | None:
    """Whose detections a reviewer begins with. That of a golden item is no prediction that the task would review."""
    return tx.golden.seat(task.id).prediction_id if task.stage is Stage.GOLDEN else task.prediction_id


def labels_proposed(tx: Transaction, task: Task) -> frozenset[str]:
    """Of its prediction's detections; none where it has no prediction."""
    if task.prediction_id is None:
        return frozenset()
    return frozenset(d.label for d in tx.predictions.get(task.project_id, task.prediction_id).detections)
