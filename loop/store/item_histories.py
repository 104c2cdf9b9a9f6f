"""What happened to an item, gathered from the tables that keep it."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, select

from loop.domain.items.queries import HistoryEntry
from loop.store.schema import cycles, events, ground_truths, items, predictions, submissions, tasks
from loop.store.statements import one, sorted_after

# By kind: the table, what orders it and names the entry, who did it, and what else is told.
_KEPT: dict[str, tuple[Table, str, str, str | None, tuple[str, ...]]] = {
    "prediction": (
        predictions, "created_at", "id", "created_by",
        ("model_id", "action", "stage", "risk", "threshold", "policy_version"),
    ),
    "task": (
        tasks, "created_at", "id", None, ("work_id", "stage", "state", "seat", "round", "reason", "prediction_id")
    ),
    "submission": (
        submissions, "created_at", "id", "reviewer",
        ("task_id", "outcome", "round", "settles", "seconds", "note", "corrections"),
    ),
    "truth": (ground_truths, "created_at", "version", None, ("origin", "submission_ids")),
    "event": (events, "at", "sequence", "actor", ("kind", "body")),
}  # fmt: skip
# In this order where two have the same time: causes before what comes of them.
_ORDER = ("item", "prediction", "event", "task", "submission", "truth")


class SqlItemHistories:
    """Implements `loop.domain.ports.ItemHistories`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, project_id: str, digest: str, *, most: int) -> list[HistoryEntry]:
        item = one(self._connection, items, "item", project_id=project_id, digest=digest)
        found = [HistoryEntry(at=item.created_at, kind="item", id=digest, actor="", body={"source": item.source})]
        for kind in _KEPT:
            found += self._kept(kind, project_id, digest, most)
        return sorted(found, key=lambda entry: (entry.at, _ORDER.index(entry.kind)))

    def snapshots(self, project_id: str, *, most: int) -> list[HistoryEntry]:
        wanted = (
            select(cycles.c.snapshot_digest, cycles.c.id, cycles.c.actor, cycles.c.created_at)
            .where(cycles.c.project_id == project_id, cycles.c.snapshot_digest.is_not(None))
            .order_by(cycles.c.created_at.desc(), cycles.c.id.desc())
            .limit(most)
        )
        return [
            HistoryEntry(
                at=row.created_at, kind="snapshot", id=row.snapshot_digest, actor=row.actor, body={"cycle_id": row.id}
            )
            for row in self._connection.execute(wanted)
        ]

    def _kept(self, kind: str, project_id: str, digest: str, most: int) -> Iterator[HistoryEntry]:
        table, at, key, actor, told = _KEPT[kind]
        for row in reversed(
            self._connection.execute(self._newest(table, at, key, actor, told, project_id, digest, most)).all()
        ):
            by = "" if actor is None else row._mapping[actor]
            yield HistoryEntry(
                at=row._mapping[at], kind=kind, id=str(row._mapping[key]), actor=by, body=_body(row, told)
            )

    def _newest(
        self,
        table: Table,
        at: str,
        key: str,
        actor: str | None,
        told: tuple[str, ...],
        project_id: str,
        digest: str,
        most: int,
    ) -> Select[Any]:
        wanted = (table.c[name] for name in (at, key, *(() if actor is None else (actor,)), *told))
        return (
            select(*wanted)
            .where(table.c.project_id == project_id, table.c.item_digest == digest)
            .order_by(*sorted_after(self._connection, table.c[at], table.c[key], descending=True))
            .limit(most)
        )


def _body(row: Row[Any], told: tuple[str, ...]) -> dict[str, object]:
    """Without what is not known; of an event its kind and what it says."""
    named = {name: row._mapping[name] for name in told}
    if "kind" in named:
        named = {"event": named["kind"], **named["body"]}
    return {name: value for name, value in named.items() if value is not None}
