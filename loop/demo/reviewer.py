"""A scripted reviewer: somebody who is always right.

It holds a reviewer's token and uses nothing but the HTTP calls of the review page: lease, submit, release. What it
answers comes from the known truth of the scenes, found by the digest of the leased item.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from loop.domain.truth import Shape
from serving.api.schemas.review import LeaseOut
from serving.api.schemas.shapes import ShapeIO

# The truth of the scenes that were sent, by the SHA-256 of their bytes. It grows while reviewers read it.
Truths = Mapping[str, tuple[Shape, ...]]


class Desk(Protocol):
    """What a reviewer does with the service; `askance.client.Client` is one."""

    def lease(self, project: str, count: int = 1) -> LeaseOut: ...
    def submit(self, task_id: str, epoch: int, shapes: Sequence[ShapeIO], note: str = "") -> object: ...
    def release(self, task_id: str, epoch: int) -> None: ...


@dataclass(slots=True)
class ScriptedReviewer:
    """prefetch: tasks leased at once (1 to 20). idle_s: before an empty queue is asked again.
    answered: tasks so far; written by the thread that works, read by those who watch."""

    desk: Desk
    project: str
    truths: Truths
    prefetch: int = 5
    idle_s: float = 0.3
    answered: int = 0

    def work(self, finish: threading.Event) -> None:
        """Answer tasks until `finish` is set and none is left that this reviewer can answer."""
        while True:
            # Read before leasing: a task made before `finish` was set is still answered.
            last = finish.is_set()
            if self.answer_batch():
                continue
            if last:
                return
            finish.wait(self.idle_s)

    def answer_batch(self) -> int:
        """Lease some tasks and answer them; returns how many were answered. Items of unknown truth (a
        visitor's own images) go back to the queue, for people."""
        before = self.answered
        for task in self.desk.lease(self.project, self.prefetch).tasks:
            shapes = self.truths.get(task.item_digest)
            if shapes is None:
                self.desk.release(task.id, task.epoch)
            else:
                self.desk.submit(task.id, task.epoch, [ShapeIO(label=s.label, box=list(s.box)) for s in shapes])
                self.answered += 1
        return self.answered - before
