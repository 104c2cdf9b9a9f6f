"""The newest figures for monitoring, a row for each project."""

from sqlalchemy import Connection, select

from loop.domain.production.figures import ProductionFigures
from loop.store.schema import production_figures
from loop.store.statements import columns, replaced


class SqlProductionFigures:
    """Implements `loop.domain.ports.ProductionFiguresKept`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[ProductionFigures]:
        rows = self._connection.execute(select(production_figures).order_by(production_figures.c.project_id))
        return [ProductionFigures(**row._mapping) for row in rows]

    def save(self, figures: ProductionFigures) -> None:
        replaced(self._connection, production_figures, columns(figures))
