"""Maps of embeddings: one row for each project that was asked for its map."""

from typing import Any

from sqlalchemy import Connection, Row, select

from loop.domain.embedding_map import Drawn, EmbeddingMap, MapState
from loop.store.configuration import raise_revision
from loop.store.schema import maps
from loop.store.statements import columns, replaced

_DRAWN = tuple(Drawn.__dataclass_fields__)


class SqlMaps:
    """Implements `loop.domain.ports.Maps`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, project_id: str) -> EmbeddingMap | None:
        return _map(self._connection.execute(select(maps).where(maps.c.project_id == project_id)).first())

    def for_update(self, project_id: str) -> EmbeddingMap | None:
        """Locked until the transaction ends."""
        locked = select(maps).where(maps.c.project_id == project_id).with_for_update()
        return _map(self._connection.execute(locked).first())

    def all(self) -> list[EmbeddingMap]:
        rows = self._connection.execute(select(maps).order_by(maps.c.updated_at, maps.c.project_id))
        return [found for row in rows if (found := _map(row))]

    def save(self, record: EmbeddingMap) -> None:
        if record.state is MapState.QUEUED:
            raise_revision(self._connection)
        row = columns(record)
        drawn = row.pop("drawn")
        row |= dict.fromkeys(_DRAWN) if drawn is None else columns(drawn)
        replaced(self._connection, maps, row)


def _map(row: Row[Any] | None) -> EmbeddingMap | None:
    if row is None:
        return None
    record = dict(row._mapping)
    drawn = {name: record.pop(name) for name in _DRAWN}
    return EmbeddingMap(drawn=None if drawn["key"] is None else Drawn(**drawn), **record)
