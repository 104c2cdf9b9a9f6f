"""Items: the images of a project, by digest."""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from loop.domain.item import Item, Split
from loop.store.schema import ORDINARY_TASK, ground_truths, items, tasks
from loop.store.statements import columns, ignoring_conflicts, inserted, newest_first, not_found, one

_IN_ONE_QUERY = 500  # values; databases limit them


class SqlItems:
    """Implements `loop.domain.ports.Items`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, item: Item) -> bool:
        return inserted(self._connection, items, columns(item))

    def add_all(self, given: Sequence[Item]) -> None:
        """Those that the project does not have yet; the others stay as they are."""
        if given:
            insert_new = ignoring_conflicts(self._connection, items)
            self._connection.execute(insert_new, [columns(item) for item in given])

    def get(self, project_id: str, digest: str) -> Item:
        """Raises NotFound."""
        return Item(**one(self._connection, items, "item", project_id=project_id, digest=digest)._mapping)

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Item]:
        rows = newest_first(
            self._connection, items, key=items.c.digest, project_id=project_id, after=after, limit=limit
        )
        return [Item(**row._mapping) for row in rows]

    def set_split(self, project_id: str, digest: str, split: Split, group: str) -> None:
        """Raises NotFound."""
        done = self._connection.execute(
            update(items)
            .where(items.c.project_id == project_id, items.c.digest == digest)
            .values(split=split, group=group)
        )
        if done.rowcount == 0:
            raise not_found("item", project_id=project_id, digest=digest)

    def settled(self, project_id: str, digests: Sequence[str]) -> frozenset[str]:
        found: set[str] = set()
        for start in range(0, len(digests), _IN_ONE_QUERY):
            part = digests[start : start + _IN_ONE_QUERY]
            for table in (tasks, ground_truths):
                of_project = select(table.c.item_digest).where(table.c.project_id == project_id)
                if table is tasks:
                    of_project = of_project.where(ORDINARY_TASK)
                found.update(self._connection.scalars(of_project.where(table.c.item_digest.in_(part))))
        return frozenset(found)
