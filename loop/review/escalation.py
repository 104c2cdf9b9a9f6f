"""Deadlines of tasks that pass. Done at each lease, and in the background where nobody leases."""

from dataclasses import dataclass
from datetime import UTC, datetime

from loop.domain.policy.queue_rules import lane_of
from loop.domain.ports import Clock, Event, Store, Transaction
from loop.domain.project import Project
from loop.domain.review.queueing import alarmed
from loop.domain.review.tasks import Task

_AT_ONCE = 200  # tasks of a transaction, so that reviewers do not wait for it


def sound_alarms(tx: Transaction, project: Project, now: datetime, limit: int) -> int:
    """Change at most `limit` tasks whose deadline has passed, and say so in the history; how many there were."""
    alarming = tx.tasks.alarming(project.id, now, limit)
    for task in alarming:
        changed = alarmed(task, project.policy.queue, now)
        tx.tasks.save(changed)
        if changed.urgency is not task.urgency:
            tx.events.add(_event(changed, now))
    return len(alarming)


def _event(task: Task, now: datetime) -> Event:
    due = task.due_at.astimezone(UTC).isoformat() if task.due_at else None
    body = {
        "task_id": task.id,
        "item_digest": task.item_digest,
        "prediction_id": task.prediction_id,
        "due_at": due,
        "group": ",".join(lane_of(task.lane).groups),
    }
    return Event(f"task.{task.urgency}", task.project_id, "service", body, now)


@dataclass(frozen=True, slots=True)
class Escalation:
    """The background loop's side."""

    store: Store
    clock: Clock

    def sound(self) -> int:
        """In all projects, until no alarm is left; how many there were."""
        with self.store.read() as tx:
            projects = [project.id for project in tx.projects.all()]
        return sum(self._of_project(project_id) for project_id in projects)

    def _of_project(self, project_id: str) -> int:
        total = 0
        now = self.clock()
        while True:
            with self.store.read() as tx:
                if not tx.tasks.has_alarms(project_id, now):
                    return total
            with self.store.begin() as tx:
                found = sound_alarms(tx, tx.projects.get(project_id), now, _AT_ONCE)
            total += found
            if found < _AT_ONCE:
                return total
