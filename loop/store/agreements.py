"""Agreements: how far people agreed on each work that several answered."""

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, select

from loop.domain.quality.settling import WorkAgreement
from loop.store.schema import agreements
from loop.store.statements import columns, first, replaced, sorted_after

_NEWEST = agreements.c.created_at.desc(), agreements.c.work_id.desc()
_VOTES = (
    select(agreements.c.votes)
    .where(agreements.c.project_id == bindparam("project"))
    .order_by(*_NEWEST)
    .limit(bindparam("most"))
)


class SqlAgreements:
    """Implements `loop.domain.ports.Agreements`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, agreement: WorkAgreement) -> None:
        replaced(self._connection, agreements, columns(agreement))

    def get(self, work_id: str, round_: int) -> WorkAgreement | None:
        row = first(self._connection, agreements, work_id=work_id, round=round_)
        return None if row is None else WorkAgreement(**row._mapping)

    def of_item(self, project_id: str, item_digest: str) -> WorkAgreement | None:
        of_it = select(agreements).where(agreements.c.project_id == project_id, agreements.c.item_digest == item_digest)
        newest = sorted_after(self._connection, agreements.c.created_at, agreements.c.work_id, descending=True)
        row = self._connection.execute(of_it.order_by(*newest).limit(1)).first()
        return None if row is None else WorkAgreement(**row._mapping)

    def last(self, project_id: str, *, limit: int) -> list[WorkAgreement]:
        found = select(agreements).where(agreements.c.project_id == project_id).order_by(*_NEWEST).limit(limit)
        return [WorkAgreement(**row._mapping) for row in self._connection.execute(found)]

    def votes(self, project_id: str, *, limit: int) -> list[Mapping[str, str]]:
        works = self._connection.scalars(_VOTES, {"project": project_id, "most": limit})
        return [said for votes in works for said in votes]
