"""Submissions: what people answered. Append-only."""

from typing import Any

from sqlalchemy import Connection, Select, func, select

from loop.domain.errors import AlreadySubmitted
from loop.domain.ports import Reviewed
from loop.domain.review import Outcome, Submission
from loop.store.schema import predictions, submissions, tasks
from loop.store.statements import columns, first, inserted, newest_first


class SqlSubmissions:
    """Implements `loop.domain.ports.Submissions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, submission: Submission) -> None:
        if not inserted(self._connection, submissions, columns(submission)):
            raise AlreadySubmitted(
                f"task {submission.task_id} has its answer.", hint="Lease the next task.", task=submission.task_id
            )

    def of_task(self, task_id: str) -> Submission | None:
        row = first(self._connection, submissions, task_id=task_id)
        return None if row is None else Submission(**row._mapping)

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Submission]:
        """Newest first; `after` is a submission id."""
        rows = newest_first(
            self._connection,
            submissions,
            key=submissions.c.id,
            project_id=project_id,
            after=after,
            limit=limit,
        )
        return [Submission(**row._mapping) for row in rows]

    def reviewed(self, project_id: str, model_id: str) -> list[Reviewed]:
        rows = self._connection.execute(
            _of_reviewed(
                select(
                    predictions.c.signals,
                    submissions.c.corrections,
                    predictions.c.inclusion_probability,
                    predictions.c.risk,
                    predictions.c.audit_drawn,
                ),
                project_id,
                model_id,
            ).order_by(submissions.c.created_at, submissions.c.id)
        )
        return [
            Reviewed(signals, any(corrections.values()), probability, risk, audit)
            for signals, corrections, probability, risk, audit in rows
        ]

    def count_reviewed(self, project_id: str, model_id: str) -> int:
        counted = _of_reviewed(select(func.count(submissions.c.id)), project_id, model_id)
        return int(self._connection.scalars(counted).one())


def _of_reviewed(statement: Select[Any], project_id: str, model_id: str) -> Select[Any]:
    return (
        statement.select_from(submissions)
        .join(tasks, tasks.c.id == submissions.c.task_id)
        .join(predictions, predictions.c.id == tasks.c.prediction_id)
        .where(
            submissions.c.project_id == project_id,
            submissions.c.outcome == Outcome.SUBMITTED,
            predictions.c.model_id == model_id,
            predictions.c.stage.is_not(None),
        )
    )
