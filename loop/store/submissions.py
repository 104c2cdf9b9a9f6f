"""Submissions: what people answered. Append-only."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from loop.domain.errors import AlreadySubmitted
from loop.domain.ports import Reviewed
from loop.domain.review.tasks import Outcome, Submission
from loop.store.item_facts import Change, ItemChanges
from loop.store.ready import Ready
from loop.store.schema import predictions, submissions, tasks, works_answered
from loop.store.statements import columns, in_parts, inserted, newest_first

_OF_WORK = Ready(
    select(submissions)
    .where(submissions.c.work_id == bindparam("work"))
    .order_by(submissions.c.created_at, submissions.c.id)
)


@cache
def _counted(dialect: str) -> Ready:
    """One work more that a person answered, or judged, where this is the first that it said of it but for skips. Who
    answers has locked the work, so that nobody else counts it meanwhile."""
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    before = select(literal(1)).where(
        submissions.c.work_id == bindparam("work"),
        submissions.c.reviewer == bindparam("reviewer"),
        submissions.c.id != bindparam("submission"),
        submissions.c.outcome != Outcome.SKIPPED,
    )
    first = select(bindparam("reviewer", type_=submissions.c.reviewer.type), literal(1)).where(~before.exists())
    new = insert(works_answered).from_select(["reviewer", "works"], first)
    more = {"works": works_answered.c.works + 1}
    return Ready(new.on_conflict_do_update(index_elements=[works_answered.c.reviewer], set_=more))


class SqlSubmissions:
    """Implements `loop.domain.ports.Submissions`."""

    def __init__(self, connection: Connection, changes: ItemChanges) -> None:
        self._connection = connection
        self._changes = changes

    def add(self, submission: Submission) -> None:
        if not inserted(self._connection, submissions, columns(submission)):
            raise AlreadySubmitted(
                f"task {submission.task_id} has its answer.", hint="Lease the next task.", task=submission.task_id
            )
        if submission.outcome is not Outcome.SKIPPED:
            this = {"reviewer": submission.reviewer, "work": submission.work_id, "submission": submission.id}
            _counted(self._connection.dialect.name).done(self._connection, this)
        self._changes.note(submission.project_id, submission.item_digest, Change.ANSWERED)

    def of_work(self, work_id: str) -> list[Submission]:
        return _OF_WORK.records(self._connection, Submission, {"work": work_id})

    def of_item(self, project_id: str, item_digest: str) -> list[Submission]:
        of_it = select(submissions).where(
            submissions.c.project_id == project_id, submissions.c.item_digest == item_digest
        )
        return self._all(of_it.order_by(submissions.c.created_at, submissions.c.id))

    def count_since(self, project_id: str, reviewer: str, moment: datetime) -> int:
        counted = select(func.count()).where(
            submissions.c.project_id == project_id,
            submissions.c.reviewer == reviewer,
            submissions.c.created_at >= moment,
        )
        return int(self._connection.scalars(counted).one())

    def settle(self, submission_id: str, *, settles: bool) -> None:
        settled = update(submissions).where(submissions.c.id == submission_id).values(settles=settles)
        of = settled.returning(submissions.c.project_id, submissions.c.item_digest)
        for project_id, item_digest in self._connection.execute(of).all():
            self._changes.note(project_id, item_digest, Change.ANSWERED)

    def _all(self, statement: Select[Any]) -> list[Submission]:
        return [Submission(**row._mapping) for row in self._connection.execute(statement)]

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
                    predictions.c.id,
                    predictions.c.signals,
                    submissions.c.corrections,
                    predictions.c.inclusion_probability,
                    predictions.c.risk,
                    predictions.c.audit_drawn,
                    predictions.c.audit_rate,
                ),
                project_id,
                model_id,
            ).order_by(submissions.c.created_at, submissions.c.id)
        )
        return [
            Reviewed(prediction_id, signals, any(corrections.values()), probability, risk, audit, audit_rate)
            for prediction_id, signals, corrections, probability, risk, audit, audit_rate in rows
        ]

    def count_reviewed(self, project_id: str, model_id: str) -> int:
        counted = _of_reviewed(select(func.count(submissions.c.id)), project_id, model_id)
        return int(self._connection.scalars(counted).one())

    def count_corrected_since(self, project_id: str, moment: datetime | None) -> int:
        corrected = select(submissions.c.item_digest, submissions.c.corrections).where(
            submissions.c.project_id == project_id, submissions.c.settles
        )
        if moment is not None:
            corrected = corrected.where(submissions.c.created_at > moment)
        rows = self._connection.execute(corrected)
        return len({digest for digest, errors in rows if any(errors.values())})

    def failed_items(self, project_id: str, digests: Sequence[str]) -> frozenset[str]:
        found: set[str] = set()
        for part in in_parts(digests):
            corrected = select(submissions.c.item_digest, submissions.c.corrections).where(
                submissions.c.project_id == project_id, submissions.c.item_digest.in_(part), submissions.c.settles
            )
            found |= {str(digest) for digest, errors in self._connection.execute(corrected) if any(errors.values())}
        return frozenset(found)


def _of_reviewed(statement: Select[Any], project_id: str, model_id: str) -> Select[Any]:
    return (
        statement.select_from(submissions)
        .join(tasks, tasks.c.id == submissions.c.task_id)
        .join(predictions, predictions.c.id == tasks.c.prediction_id)
        .where(
            submissions.c.project_id == project_id,
            submissions.c.settles,
            submissions.c.round == tasks.c.round,
            predictions.c.model_id == model_id,
            predictions.c.stage.is_not(None),
        )
    )
