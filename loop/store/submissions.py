"""Submissions: what people answered. Append-only."""

from sqlalchemy import Connection

from loop.domain.errors import AlreadySubmitted
from loop.domain.review import Submission
from loop.store.schema import submissions
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
