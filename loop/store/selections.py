"""Selections and what they picked."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from loop.domain.selection import PickedItem, Selection
from loop.store.schema import selection_picks, selections
from loop.store.statements import columns, newest_first, one


class SqlSelections:
    """Implements `loop.domain.ports.Selections`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, selection: Selection, picks: Sequence[PickedItem]) -> None:
        self._connection.execute(insert(selections), columns(selection))
        if picks:
            self._connection.execute(insert(selection_picks), [columns(pick) for pick in picks])

    def get(self, project_id: str, selection_id: str) -> Selection:
        """Raises NotFound."""
        row = one(self._connection, selections, "selection", project_id=project_id, id=selection_id)
        return Selection(**row._mapping)

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Selection]:
        rows = newest_first(
            self._connection, selections, key=selections.c.id, project_id=project_id, after=after, limit=limit
        )
        return [Selection(**row._mapping) for row in rows]

    def picks(self, selection_id: str) -> list[PickedItem]:
        rows = self._connection.execute(
            select(selection_picks)
            .where(selection_picks.c.selection_id == selection_id)
            .order_by(selection_picks.c.rank)
        )
        return [PickedItem(**row._mapping) for row in rows]
