"""What each submission took: a narrow copy of what statistics read, without the shapes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, case, func, select

from loop.domain.review.cost import Rates
from loop.domain.review.efforts import Effort, Inspected
from loop.domain.review.tasks import Outcome
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.store.item_facts import Change, ItemChanges
from loop.store.schema import cost_rates, efforts, predictions, submissions, tasks
from loop.store.statements import columns, first, insert_one, replaced

_AT_ONCE = 500
_STREAMED = 10_000
_NAMES = tuple(field.name for field in fields(Effort))
_ORDER = (efforts.c.created_at, efforts.c.submission_id)


class SqlEfforts:
    """Implements `loop.domain.ports.Efforts`."""

    def __init__(self, connection: Connection, changes: ItemChanges) -> None:
        self._connection = connection
        self._changes = changes

    def add(self, effort: Effort) -> None:
        insert_one(self._connection, efforts, columns(effort))
        self._changes.note(effort.project_id, effort.item_digest, Change.ANSWERED)

    def between(self, project_id: str, since: datetime, until: datetime) -> Iterator[Effort]:
        wanted = _between(project_id, since, until).order_by(*_ORDER)
        rows = self._connection.execute(wanted, execution_options={"yield_per": _STREAMED})
        # Half as long as by the rows' own mappings, and there may be a million.
        return (Effort(**dict(zip(_NAMES, row, strict=True))) for row in rows)

    def newest(self, project_id: str, since: datetime, until: datetime, limit: int) -> list[Effort]:
        backwards = (column.desc() for column in _ORDER)
        wanted = _between(project_id, since, until).order_by(*backwards).limit(limit)
        rows = self._connection.execute(wanted).all()
        return [Effort(**dict(zip(_NAMES, row, strict=True))) for row in reversed(rows)]

    def drawn(self, project_id: str, since: datetime, until: datetime) -> list[tuple[bool, int]]:
        wanted = (
            select(efforts.c.proposal_shown, efforts.c.corrections)
            .join(tasks, tasks.c.id == efforts.c.task_id)
            .join(predictions, predictions.c.id == tasks.c.prediction_id)
            .where(
                efforts.c.project_id == project_id,
                efforts.c.created_at >= since,
                efforts.c.created_at < until,
                efforts.c.proposal_shown.is_not(None),
                efforts.c.corrections.is_not(None),
                efforts.c.outcome == Outcome.SUBMITTED,
                efforts.c.stage != Stage.ADJUDICATE,
                func.json_array_length(predictions.c.detections) > 0,
            )
            .order_by(efforts.c.created_at, efforts.c.submission_id)
        )
        return [(shown, corrections) for shown, corrections in self._connection.execute(wanted)]

    def inspected(self, project_id: str, since: datetime, until: datetime) -> Mapping[str, Inspected]:
        alone = (
            select(case((func.count() == 1, func.min(submissions.c.reviewer))))
            .where(
                submissions.c.work_id == efforts.c.work_id,
                submissions.c.round == efforts.c.round,
                submissions.c.outcome == Outcome.SUBMITTED,
                submissions.c.id != efforts.c.submission_id,
            )
            .scalar_subquery()
        )
        looked = (
            _within(select(alone.label("author"), efforts.c.outcome), project_id, since, until)
            .where(efforts.c.stage == Stage.QA, efforts.c.outcome != Outcome.SKIPPED)
            .subquery()
        )
        faulty = func.count().filter(looked.c.outcome != Outcome.ACCEPTED)
        wanted = select(looked.c.author, func.count(), faulty).where(looked.c.author.is_not(None))
        rows = self._connection.execute(wanted.group_by(looked.c.author))
        return {author: Inspected(int(answers), int(wrong)) for author, answers, wrong in rows}

    def shapes_of(self, submission_ids: Sequence[str]) -> Mapping[str, tuple[Shape, ...]]:
        found: dict[str, tuple[Shape, ...]] = {}
        for at in range(0, len(submission_ids), _AT_ONCE):
            wanted = select(submissions.c.id, submissions.c.shapes).where(
                submissions.c.id.in_(submission_ids[at : at + _AT_ONCE])
            )
            found |= {row.id: row.shapes for row in self._connection.execute(wanted)}
        return found

    def count_served(self, project_id: str, since: datetime, until: datetime) -> int:
        counted = select(func.count(predictions.c.item_digest.distinct())).where(
            predictions.c.project_id == project_id,
            predictions.c.created_at >= since,
            predictions.c.created_at < until,
        )
        return int(self._connection.scalars(counted).one())

    def rates(self, project_id: str) -> Rates | None:
        row = first(self._connection, cost_rates, project_id=project_id)
        return None if row is None else Rates(currency=row.currency, per_hour=row.per_hour, people=row.people)

    def save_rates(self, project_id: str, rates: Rates) -> None:
        replaced(self._connection, cost_rates, {"project_id": project_id, **columns(rates)})


def _between(project_id: str, since: datetime, until: datetime) -> Select[Any]:
    return _within(select(*(efforts.c[name] for name in _NAMES)), project_id, since, until)


def _within(wanted: Select[Any], project_id: str, since: datetime, until: datetime) -> Select[Any]:
    return wanted.where(efforts.c.project_id == project_id, efforts.c.created_at >= since, efforts.c.created_at < until)
