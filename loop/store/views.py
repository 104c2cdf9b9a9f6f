"""Queries that were given a name."""

from sqlalchemy import Connection, delete, select

from loop.domain.items.queries import View
from loop.store.schema import item_views
from loop.store.statements import columns, not_found, one, replaced


class SqlViews:
    """Implements `loop.domain.ports.Views`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def save(self, view: View) -> None:
        replaced(self._connection, item_views, columns(view))

    def get(self, project_id: str, name: str) -> View:
        return View(**one(self._connection, item_views, "view", project_id=project_id, name=name)._mapping)

    def all(self, project_id: str) -> list[View]:
        wanted = select(item_views).where(item_views.c.project_id == project_id).order_by(item_views.c.name)
        return [View(**row._mapping) for row in self._connection.execute(wanted)]

    def remove(self, project_id: str, name: str) -> None:
        this = item_views.c.project_id == project_id, item_views.c.name == name
        if self._connection.execute(delete(item_views).where(*this)).rowcount == 0:
            raise not_found("view", project_id=project_id, name=name)
