"""Callers who wait for people: what came of the tasks, and their way back to the ordinary order."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, literal, or_, select, update

from loop.domain.policy.gate import LONGEST_WAIT, Ending
from loop.domain.review.tasks import Outcome, TaskState
from loop.store.schema import AWAITED_TASK, meta, submissions, tasks
from loop.store.statements import in_parts, inserted

_CLOSING = "gates-closing"

# A work that was skipped to its end has the skip that ended it under the task's last epoch; one that was re-opened
# since has a later one.
_ENDED = (
    select(tasks.c.prediction_id, submissions.c.settles)
    .join(submissions, submissions.c.task_id == tasks.c.id)
    .where(
        tasks.c.prediction_id.in_(bindparam("ids", expanding=True)),
        or_(
            submissions.c.settles,
            and_(
                submissions.c.outcome == Outcome.SKIPPED,
                tasks.c.state == TaskState.SKIPPED,
                submissions.c.epoch == tasks.c.epoch,
            ),
        ),
    )
)
# A deadline that is further away is of a clock that was ahead; those of gateways may differ by an hour.
_NO_DEADLINE = timedelta(seconds=LONGEST_WAIT) + timedelta(hours=1)
_IS_CLOSING = select(literal(1)).where(meta.c.name == _CLOSING)


class SqlGates:
    """Implements `loop.domain.ports.Gates`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def endings(self, prediction_ids: Sequence[str]) -> Mapping[str, Ending]:
        found: dict[str, Ending] = {}
        for part in in_parts(prediction_ids):
            for prediction_id, settles in self._connection.execute(_ENDED, {"ids": list(part)}):
                if settles or prediction_id not in found:
                    found[prediction_id] = Ending.SETTLED if settles else Ending.SKIPPED
        return found

    def has_passed(self, now: datetime) -> bool:
        passed = select(literal(1)).where(AWAITED_TASK, _passed(now))
        return self._connection.execute(passed.limit(1)).first() is not None

    def put_back(self, now: datetime, *, limit: int) -> int:
        passed = (
            select(tasks.c.id)
            .where(AWAITED_TASK, _passed(now))
            .order_by(tasks.c.answer_by)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        ids = self._connection.scalars(passed).all()
        for part in in_parts(ids):
            self._connection.execute(
                update(tasks)
                .where(tasks.c.id.in_(part))
                .values(rank=tasks.c.usual_rank, usual_rank=None, answer_by=None, start_by=None)
            )
        return len(ids)

    def is_closing(self) -> bool:
        return self._connection.execute(_IS_CLOSING).first() is not None

    def set_closing(self, *, closing: bool) -> None:
        if closing:
            inserted(self._connection, meta, {"name": _CLOSING, "value": b"1"})
        else:
            self._connection.execute(delete(meta).where(meta.c.name == _CLOSING))


def _passed(now: datetime) -> ColumnElement[bool]:
    return or_(tasks.c.answer_by <= now, tasks.c.answer_by > now + _NO_DEADLINE)
