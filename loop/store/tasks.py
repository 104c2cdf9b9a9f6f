"""Tasks: the review queue."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, case, func, insert, literal, or_, select, update
from sqlalchemy.exc import IntegrityError

from loop.domain.errors import AlreadySubmitted, Conflict, StaleLease
from loop.domain.review import Task, TaskState
from loop.domain.routing import Stage
from loop.store.schema import LEASED_TASK, UNFINISHED_TASK, tasks
from loop.store.statements import columns, each_once, inserted, not_found, one

_URGENCY = (tasks.c.priority.desc(), tasks.c.created_at, tasks.c.id)


class SqlTasks:
    """Implements `loop.domain.ports.Tasks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, task: Task) -> None:
        if not inserted(self._connection, tasks, columns(task)):
            raise Conflict(
                f"prediction {task.prediction_id} has its task under policy version {task.policy_version}.",
                hint="Work on that task.",
                task=task.id,
                prediction=task.prediction_id,
            )

    def add_all(self, given: Sequence[Task]) -> None:
        """Raises Conflict where one is there already; the transaction is then spoilt."""
        if not given:
            return
        try:
            self._connection.execute(insert(tasks), [columns(task) for task in given])
        except IntegrityError as error:
            raise Conflict("one of these predictions has its task already.", hint="Keep the first.") from error

    def get(self, task_id: str) -> Task:
        """Raises NotFound."""
        return Task(**one(self._connection, tasks, "task", id=task_id)._mapping)

    def for_update(self, task_id: str) -> Task:
        row = self._connection.execute(select(tasks).where(tasks.c.id == task_id).with_for_update()).first()
        if row is None:
            raise not_found("task", id=task_id)
        return Task(**row._mapping)

    def take_leasable(self, project_id: str, *, stages: Sequence[Stage], now: datetime, limit: int) -> list[Task]:
        """See the port. Rows are only locked, not changed: lease and `save` them in the same transaction."""
        rows = self._connection.execute(
            select(tasks)
            .where(
                tasks.c.project_id == project_id,
                UNFINISHED_TASK,
                tasks.c.stage.in_(stages),
                or_(tasks.c.state == TaskState.OPEN, tasks.c.expires_at <= now),
            )
            .order_by(*_URGENCY)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return [Task(**row._mapping) for row in rows]

    def held_by(self, project_id: str, owner: str, now: datetime) -> list[Task]:
        """Tasks that `owner` has under a live lease, the most urgent first."""
        rows = self._connection.execute(
            select(tasks)
            .where(tasks.c.project_id == project_id, tasks.c.owner == owner, LEASED_TASK, tasks.c.expires_at > now)
            .order_by(*_URGENCY)
        )
        return [Task(**row._mapping) for row in rows]

    def of_prediction(self, prediction_id: str) -> list[Task]:
        """Oldest first."""
        rows = self._connection.execute(
            select(tasks).where(tasks.c.prediction_id == prediction_id).order_by(tasks.c.created_at, tasks.c.id)
        )
        return [Task(**row._mapping) for row in rows]

    def items(self, project_id: str) -> Iterator[str]:
        return each_once(self._connection, tasks.c.item_digest, project_id)

    def save(self, task: Task) -> None:
        """Write state, epoch, owner, priority and the lease's times; the rest of a task never changes.

        Fenced, whatever the caller read: raises StaleLease where the stored epoch is later, AlreadySubmitted
        where the task is answered or skipped, NotFound.
        """
        done = self._connection.execute(
            update(tasks)
            .where(tasks.c.id == task.id, UNFINISHED_TASK, tasks.c.epoch <= task.epoch)
            .values(
                state=task.state,
                epoch=task.epoch,
                owner=task.owner,
                leased_at=task.leased_at,
                expires_at=task.expires_at,
                priority=task.priority,
            )
        )
        if done.rowcount == 0:
            raise _refused(self.get(task.id), task)

    def by_recipe(self, project_id: str) -> Mapping[int, int]:
        rows = self._connection.execute(
            select(tasks.c.recipe_version, func.count())
            .where(tasks.c.project_id == project_id, UNFINISHED_TASK)
            .group_by(tasks.c.recipe_version)
        )
        return {version: count for version, count in rows}  # noqa: C416 - rows are no pairs to a type checker

    def move_to_recipe(self, project_id: str, version: int) -> int:
        moved = self._connection.execute(
            update(tasks)
            .where(tasks.c.project_id == project_id, UNFINISHED_TASK, tasks.c.recipe_version != version)
            .values(recipe_version=version)
        )
        return moved.rowcount

    def counts(self, project_id: str, now: datetime) -> Mapping[TaskState, int]:
        """Has every state as a key."""
        state = case((_ran_out(now), literal(TaskState.OPEN, tasks.c.state.type)), else_=tasks.c.state)
        rows = self._connection.execute(
            select(state, func.count()).where(tasks.c.project_id == project_id).group_by(state)
        )
        return dict.fromkeys(TaskState, 0) | {TaskState(state): count for state, count in rows}


def _ran_out(now: datetime) -> ColumnElement[bool]:
    return and_(tasks.c.state == TaskState.LEASED, tasks.c.expires_at <= now)


def _refused(stored: Task, task: Task) -> AlreadySubmitted | StaleLease:
    if stored.state in (TaskState.DONE, TaskState.SKIPPED):
        return AlreadySubmitted(f"task {task.id} is {stored.state}.", hint="Lease the next task.", task=task.id)
    return StaleLease(
        f"task {task.id} was leased again (epoch {stored.epoch}, not {task.epoch}).",
        hint="Lease the task again; a draft kept by the page can be sent with the new epoch.",
        task=task.id,
        epoch=task.epoch,
        current_epoch=stored.epoch,
    )
