"""One number that tells whether anything that a gateway keeps in memory was written since it looked.

Every write to projects, models, tokens and rollouts raises it first, in its own transaction. On PostgreSQL the row is
then locked until the commit: such transactions run one after the other, so the numbers become visible in their order,
and taking this lock before any other keeps them from deadlock. SQLite has one writer at a time anyway.
"""

from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from loop.store.schema import configuration

_REVISION = select(configuration.c.revision).where(configuration.c.id == 1)


class SqlConfiguration:
    """Implements `loop.domain.ports.Configuration`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def revision(self) -> int:
        """0 in a database where nothing was written yet."""
        return self._connection.execute(_REVISION).scalar() or 0


def raise_revision(connection: Connection) -> None:
    """Called before each write that gateways must learn of."""
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    first = dialect.insert(configuration).values(id=1, revision=1)
    connection.execute(
        first.on_conflict_do_update(index_elements=["id"], set_={"revision": configuration.c.revision + 1})
    )
