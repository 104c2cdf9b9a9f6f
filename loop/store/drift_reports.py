"""What was found when production was compared with what the champion was judged on."""

from sqlalchemy import Connection, insert, select

from loop.domain.production.drift import DriftReport
from loop.store.schema import SCHEDULED_LOOK, drift_reports
from loop.store.statements import columns, newest_first


class SqlDriftReports:
    """Implements `loop.domain.ports.DriftReports`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, report: DriftReport) -> None:
        self._connection.execute(insert(drift_reports), columns(report))

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[DriftReport]:
        rows = newest_first(
            self._connection, drift_reports, key=drift_reports.c.id, project_id=project_id, after=after, limit=limit
        )
        return [DriftReport(**row._mapping) for row in rows]

    def scheduled(self, project_id: str, *, limit: int) -> list[DriftReport]:
        rows = self._connection.execute(
            select(drift_reports)
            .where(drift_reports.c.project_id == project_id, SCHEDULED_LOOK)
            .order_by(drift_reports.c.created_at.desc(), drift_reports.c.id.desc())
            .limit(limit)
        )
        return [DriftReport(**row._mapping) for row in rows]
