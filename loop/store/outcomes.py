"""How predictions turned out, as callers report it."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, func, select

from loop.domain.production.outcomes import ReportedOutcome, TurnedOut
from loop.store.schema import outcomes
from loop.store.statements import columns, first, replaced


class SqlOutcomes:
    """Implements `loop.domain.ports.Outcomes`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, prediction_id: str, reported_by: str) -> ReportedOutcome | None:
        row = first(self._connection, outcomes, prediction_id=prediction_id, reported_by=reported_by)
        return None if row is None else ReportedOutcome(**row._mapping)

    def save(self, outcome: ReportedOutcome) -> None:
        replaced(self._connection, outcomes, columns(outcome))

    def of_prediction(self, prediction_id: str) -> list[ReportedOutcome]:
        wanted = select(outcomes).where(outcomes.c.prediction_id == prediction_id)
        rows = self._connection.execute(wanted.order_by(outcomes.c.created_at, outcomes.c.reported_by))
        return [ReportedOutcome(**row._mapping) for row in rows]

    def count(self, project_id: str, model_id: str, *, since: datetime, until: datetime) -> Mapping[TurnedOut, int]:
        wrong = func.max(outcomes.c.outcome)  # "wrong" comes behind "right"
        of_each = (
            select(wrong.label("outcome"))
            .where(
                outcomes.c.project_id == project_id,
                outcomes.c.model_id == model_id,
                outcomes.c.predicted_at >= since,
                outcomes.c.predicted_at < until,
            )
            .group_by(outcomes.c.prediction_id)
            .subquery()
        )
        counted = select(of_each.c.outcome, func.count()).group_by(of_each.c.outcome)
        found = {TurnedOut(outcome): int(count) for outcome, count in self._connection.execute(counted)}
        return {turned: found.get(turned, 0) for turned in TurnedOut}
