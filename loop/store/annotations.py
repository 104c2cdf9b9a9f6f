"""Annotation jobs, and the answer of each of their images."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select, update

from loop.domain.errors import Conflict
from loop.domain.items.annotation import AnnotationJob, AnnotationResult
from loop.store.configuration import raise_revision
from loop.store.schema import BAD_RESULT, UNFINISHED_ANNOTATION, annotation_jobs, annotation_results
from loop.store.statements import columns, inserted, inserted_of, newest_first, not_found, one

# What a job is from its first row on.
_FIXED = frozenset(
    {"id", "project_id", "model_id", "source", "any_folder", "review", "actor", "created_by", "created_at"}
)


class SqlAnnotations:
    """Implements `loop.domain.ports.Annotations`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, job: AnnotationJob) -> None:
        """Raises Conflict where the id is taken."""
        raise_revision(self._connection)
        if not inserted(self._connection, annotation_jobs, columns(job)):
            raise Conflict(f"there is an annotation {job.id} already.", hint="Send it again.", annotation=job.id)

    def get(self, project_id: str, job_id: str) -> AnnotationJob:
        """Raises NotFound."""
        return _job(one(self._connection, annotation_jobs, "annotation", project_id=project_id, id=job_id))

    def for_update(self, project_id: str, job_id: str) -> AnnotationJob:
        row = self._connection.execute(
            select(annotation_jobs)
            .where(annotation_jobs.c.project_id == project_id, annotation_jobs.c.id == job_id)
            .with_for_update()
        ).first()
        if row is None:
            raise not_found("annotation", project_id=project_id, id=job_id)
        return _job(row)

    def unfinished(self) -> list[AnnotationJob]:
        rows = self._connection.execute(
            select(annotation_jobs)
            .where(UNFINISHED_ANNOTATION)
            .order_by(annotation_jobs.c.created_at, annotation_jobs.c.id)
        )
        return [_job(row) for row in rows]

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[AnnotationJob]:
        rows = newest_first(
            self._connection,
            annotation_jobs,
            key=annotation_jobs.c.id,
            project_id=project_id,
            after=after,
            limit=limit,
        )
        return [_job(row) for row in rows]

    def save(self, job: AnnotationJob) -> None:
        """Write how far an unfinished job is. Raises Conflict where it has ended, NotFound."""
        progress = {name: value for name, value in columns(job).items() if name not in _FIXED}
        done = self._connection.execute(
            update(annotation_jobs)
            .where(
                annotation_jobs.c.project_id == job.project_id, annotation_jobs.c.id == job.id, UNFINISHED_ANNOTATION
            )
            .values(**progress)
        )
        if done.rowcount == 0:
            stored = self.get(job.project_id, job.id)
            raise Conflict(f"annotation {stored.id} is {stored.state}.", hint="Start another.", annotation=stored.id)

    def record(self, results: Sequence[AnnotationResult]) -> None:
        """In the transaction that adds the predictions, so that an image is answered with it or not at all."""
        if not results:
            return
        written = inserted_of(self._connection, annotation_results, [columns(result) for result in results])
        if written < len(results):
            raise Conflict(
                f"{len(results) - written} images of annotation {results[0].job_id} have their answer already.",
                hint="Another process works on this job; let one go on.",
                annotation=results[0].job_id,
            )

    def answered(self, job_id: str) -> frozenset[int]:
        rows = self._connection.execute(
            select(annotation_results.c.position).where(annotation_results.c.job_id == job_id)
        )
        return frozenset(rows.scalars())

    def results(self, job_id: str, *, after: int, limit: int) -> list[AnnotationResult]:
        rows = self._connection.execute(
            select(annotation_results)
            .where(annotation_results.c.job_id == job_id, annotation_results.c.position > after)
            .order_by(annotation_results.c.position)
            .limit(limit)
        )
        return [AnnotationResult(**row._mapping) for row in rows]

    def bad(self, job_id: str, *, limit: int) -> list[AnnotationResult]:
        rows = self._connection.execute(
            select(annotation_results)
            .where(annotation_results.c.job_id == job_id, BAD_RESULT)
            .order_by(annotation_results.c.position)
            .limit(limit)
        )
        return [AnnotationResult(**row._mapping) for row in rows]


def _job(row: Row[Any]) -> AnnotationJob:
    return AnnotationJob(**row._mapping)
