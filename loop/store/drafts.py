"""Drafts: what reviewers have of an answer so far."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from loop.domain.errors import StaleLease
from loop.domain.review.tasks import Draft
from loop.store.ready import Ready
from loop.store.schema import drafts
from loop.store.statements import columns

_DROPPED = delete(drafts).where(drafts.c.task_id == bindparam("task"))
_DROPPED_OF = Ready(_DROPPED.where(drafts.c.reviewer == bindparam("of")))
_DROPPED_OF_ALL = Ready(_DROPPED)


class SqlDrafts:
    """Implements `loop.domain.ports.Drafts`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def save(self, draft: Draft) -> None:
        dialect: Any = postgresql if self._connection.dialect.name == "postgresql" else sqlite
        row = columns(draft)
        kept = dialect.insert(drafts).values(row)
        kept = kept.on_conflict_do_update(
            index_elements=["task_id", "reviewer"],
            set_={name: kept.excluded[name] for name in ("epoch", "content", "saved_at")},
            where=drafts.c.epoch <= kept.excluded.epoch,
        )
        if self._connection.execute(kept.returning(drafts.c.task_id)).first() is None:
            raise StaleLease(
                f"the draft of task {draft.task_id} was saved under a later lease than epoch {draft.epoch}.",
                hint="Lease the task again: it brings the newer draft.",
                task=draft.task_id,
                epoch=draft.epoch,
            )

    def of(self, task_ids: Sequence[str], reviewer: str) -> Mapping[str, Draft]:
        if not task_ids:
            return {}
        found = select(drafts).where(drafts.c.task_id.in_(task_ids), drafts.c.reviewer == reviewer)
        return {row.task_id: Draft(**row._mapping) for row in self._connection.execute(found)}

    def drop(self, task_id: str, reviewer: str | None) -> None:
        if reviewer is None:
            _DROPPED_OF_ALL.done(self._connection, {"task": task_id})
        else:
            _DROPPED_OF.done(self._connection, {"task": task_id, "of": reviewer})
