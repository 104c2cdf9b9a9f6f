"""What the model proposed for a task."""

from loop.domain.ports import Transaction
from loop.domain.review import Task


def labels_proposed(tx: Transaction, task: Task) -> frozenset[str]:
    """Of its prediction's detections; none where it has no prediction."""
    if task.prediction_id is None:
        return frozenset()
    return frozenset(d.label for d in tx.predictions.get(task.project_id, task.prediction_id).detections)
