"""Callers who wait for people: how long a task must be handed out before its deadline, and what becomes of it after."""

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from loop.domain.ports import Clock, Store
from loop.domain.project import Project
from loop.domain.review.efforts import worked
from loop.domain.review.queueing import awaited
from loop.domain.review.tasks import Task, is_leasable

_AT_ONCE = 200  # tasks of a transaction, so that reviewers do not wait for it
_LOOKED_AT = 200  # answers whose times tell what is usual
_OF_LATE = timedelta(days=30)
_STALE_SECONDS = 60.0
_FEWEST = 5  # answers before anything is usual


class ReviewTimes:
    """How long people take in a project, a minute old. Safe for several threads."""

    def __init__(self, store: Store, clock: Clock, now: Callable[[], float] = time.monotonic) -> None:
        """now: seconds of a clock that only goes forward."""
        self._store = store
        self._clock = clock
        self._now = now
        self._known: dict[str, tuple[float, float]] = {}  # by project: seconds, and when they are stale
        self._lock = threading.Lock()

    def usual(self, project_id: str) -> float:
        """Median seconds of the newest answers; 0 where there are too few."""
        with self._lock:
            seconds, stale_at = self._known.get(project_id, (0.0, 0.0))
            if self._now() >= stale_at:
                seconds = self._measured(project_id)
                self._known[project_id] = (seconds, self._now() + _STALE_SECONDS)
            return seconds

    def _measured(self, project_id: str) -> float:
        now = self._clock()
        with self._store.read() as tx:
            efforts = tx.efforts.newest(project_id, now - _OF_LATE, now, _LOOKED_AT)
        took = [seconds for effort, seconds in worked(efforts) if effort.answered]
        return statistics.median(took) if len(took) >= _FEWEST else 0.0


def start_by(project: Project, answer_by: datetime, usual_seconds: float) -> datetime:
    """After that moment nobody is expected to finish by `answer_by`."""
    return answer_by - timedelta(seconds=max(project.policy.gate.min_review_seconds, usual_seconds))


def hurried(task: Task, project: Project, answer_by: datetime, usual_seconds: float, now: datetime) -> Task:
    """The task before all others, where there is time enough for somebody to do it, or somebody is at it already."""
    latest = start_by(project, answer_by, usual_seconds)
    in_time = latest > now or not is_leasable(task, now)
    return awaited(task, answer_by=answer_by, start_by=latest) if in_time else task


@dataclass(frozen=True, slots=True)
class Gates:
    store: Store
    times: ReviewTimes
    clock: Clock

    def wait_again(self, project: Project, prediction_id: str, answer_by: datetime) -> None:
        """Somebody waits for a prediction that was made before: what is left of its work is in a hurry until then. An
        earlier `answer_by` changes nothing."""
        usual = self.times.usual(project.id)
        with self.store.begin() as tx:
            works = {task.work_id for task in tx.tasks.of_prediction(prediction_id) if not task.finished}
            for work_id in sorted(works):
                for task in tx.tasks.work_for_update(work_id):
                    if not task.finished and (task.answer_by is None or task.answer_by < answer_by):
                        tx.tasks.save(hurried(task, project, answer_by, usual, self.clock()))

    def put_back(self) -> int:
        """Tasks whose callers' deadline has passed, in all projects; how many there were."""
        total = 0
        while True:
            now = self.clock()
            with self.store.read() as tx:
                if not tx.gates.has_passed(now):
                    return total
            with self.store.begin() as tx:
                found = tx.gates.put_back(now, limit=_AT_ONCE)
            total += found
            if found < _AT_ONCE:
                return total

    def set_closing(self, *, closing: bool) -> None:
        """Whether calls are to wait no more, since the service ends; in all its processes."""
        with self.store.begin() as tx:
            tx.gates.set_closing(closing=closing)
