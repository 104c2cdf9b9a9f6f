"""Thresholds that keep promises: records that are only added to."""

import zlib
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, null, select

from loop.domain.errors import NotFound
from loop.domain.guarantee.thresholds import Thresholds
from loop.domain.model import ModelVersion
from loop.domain.project import Project
from loop.store.configuration import raise_revision
from loop.store.schema import thresholds
from loop.store.statements import columns

_RECORD = select(*(thresholds.c[field.name] for field in fields(Thresholds)))


class SqlThresholds:
    """Implements `loop.domain.ports.ThresholdRecords`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, record: Thresholds, evidence: Sequence[str]) -> Thresholds:
        raise_revision(self._connection)  # which also makes writers of versions take turns
        newest = select(func.coalesce(func.max(thresholds.c.version), 0)).where(
            thresholds.c.project_id == record.project_id
        )
        numbered = replace(record, version=self._connection.scalars(newest).one() + 1)
        row = columns(numbered) | {"evidence": zlib.compress("\n".join(evidence).encode())}
        self._connection.execute(insert(thresholds).values(row | ({"alarm": null()} if record.alarm is None else {})))
        return numbered

    def newest(self, project_id: str, model_id: str, policy_version: int, risk_key: str | None) -> Thresholds | None:
        return self._newest(
            project_id,
            thresholds.c.model_id == model_id,
            thresholds.c.policy_version == policy_version,
            thresholds.c.risk_key.is_not_distinct_from(risk_key),
        )

    def of(self, project: Project, model: ModelVersion) -> Sequence[Thresholds]:
        if not project.policy.guarantee.promises:
            return ()
        keys = {model.risk_key, None}
        found = (self.newest(project.id, model.id, project.policy.version, key) for key in keys)
        return tuple(record for record in found if record is not None)

    def latest(self, project_id: str, model_id: str) -> Thresholds | None:
        return self._newest(project_id, thresholds.c.model_id == model_id)

    def _newest(self, project_id: str, *where: ColumnElement[bool]) -> Thresholds | None:
        wanted = _RECORD.where(thresholds.c.project_id == project_id, *where)
        row = self._connection.execute(wanted.order_by(thresholds.c.version.desc()).limit(1)).first()
        return None if row is None else _thresholds(row)

    def get(self, project_id: str, version: int) -> Thresholds:
        row = self._connection.execute(
            _RECORD.where(thresholds.c.project_id == project_id, thresholds.c.version == version)
        ).first()
        if row is None:
            raise NotFound(
                f"{project_id} has no thresholds of version {version}.",
                hint="GET /v1/projects/{project}/guarantee/thresholds lists those that there are.",
                project=project_id,
                version=version,
            )
        return _thresholds(row)

    def evidence(self, project_id: str, version: int) -> list[str]:
        kept = select(thresholds.c.evidence).where(
            thresholds.c.project_id == project_id, thresholds.c.version == version
        )
        packed = self._connection.scalars(kept).first()
        return [] if packed is None else zlib.decompress(packed).decode().split()

    def page(self, project_id: str, *, before: int | None, limit: int) -> list[Thresholds]:
        wanted = _RECORD.where(thresholds.c.project_id == project_id)
        if before is not None:
            wanted = wanted.where(thresholds.c.version < before)
        rows = self._connection.execute(wanted.order_by(thresholds.c.version.desc()).limit(limit))
        return [_thresholds(row) for row in rows]


def _thresholds(row: Row[Any]) -> Thresholds:
    return Thresholds(**row._mapping)
