"""What MLflow is still to be told."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, func, select, update

from loop.domain.outgoing.notes import Note, Untold
from loop.store.appends import Appends
from loop.store.schema import UNTOLD_NOTE, mlflow_notes
from loop.store.statements import columns

_line = func.coalesce(mlflow_notes.c.cycle_id, mlflow_notes.c.project_id)
_VARYING = ("due_at", "told_at", "failures", "refused", "error")


class SqlNotes:
    """Implements `loop.domain.ports.Notes`."""

    def __init__(self, connection: Connection, appends: Appends) -> None:
        self._connection = connection
        self._appends = appends

    def add(self, note: Note) -> None:
        """The note gets its number when the transaction commits, whatever `note.sequence` says."""
        said = select(mlflow_notes.c.sequence).where(
            mlflow_notes.c.cycle_id == note.cycle_id, mlflow_notes.c.key == note.key
        )
        if note.cycle_id is not None and self._connection.execute(said).first() is not None:
            return
        row = columns(note)
        del row["sequence"]
        self._appends.add(mlflow_notes, row)

    def heads(self) -> list[Note]:
        first = select(func.min(mlflow_notes.c.sequence)).where(UNTOLD_NOTE).group_by(_line)
        rows = self._connection.execute(
            select(mlflow_notes).where(mlflow_notes.c.sequence.in_(first)).order_by(mlflow_notes.c.sequence)
        )
        return [Note(**row._mapping) for row in rows]

    def untold(self, project_id: str | None = None) -> Mapping[str, Untold]:
        rows = self._connection.execute(
            select(_line, func.count(), func.min(mlflow_notes.c.at))
            .where(UNTOLD_NOTE, *([] if project_id is None else [mlflow_notes.c.project_id == project_id]))
            .group_by(_line)
        )
        return {line: Untold(count, oldest) for line, count, oldest in rows}

    def save(self, note: Note) -> None:
        values = {name: getattr(note, name) for name in _VARYING}
        self._connection.execute(update(mlflow_notes).where(mlflow_notes.c.sequence == note.sequence).values(**values))

    def forget(self, note: Note) -> None:
        before = mlflow_notes.c.told_at.is_not(None) & (mlflow_notes.c.sequence < note.sequence)
        self._connection.execute(
            delete(mlflow_notes).where(_line == note.line, before | (mlflow_notes.c.sequence == note.sequence))
        )
