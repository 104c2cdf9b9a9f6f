"""What each submission took: a narrow copy of what statistics read, without the shapes."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from loop.domain.cost import Rates
from loop.domain.efforts import Effort
from loop.domain.review import Outcome
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.store.schema import cost_rates, efforts, predictions, submissions, tasks
from loop.store.statements import columns, first, replaced

_AT_ONCE = 500


class SqlEfforts:
    """Implements `loop.domain.ports.Efforts`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, effort: Effort) -> None:
        self._connection.execute(insert(efforts).values(columns(effort)))

    def between(self, project_id: str, since: datetime, until: datetime) -> list[Effort]:
        wanted = (
            select(efforts)
            .where(efforts.c.project_id == project_id, efforts.c.created_at >= since, efforts.c.created_at < until)
            .order_by(efforts.c.created_at, efforts.c.submission_id)
        )
        return [Effort(**row._mapping) for row in self._connection.execute(wanted)]

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
