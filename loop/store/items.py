"""Items: the images of a project, by digest."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, delete, select, update

from loop.domain.events import item_created
from loop.domain.item import Item, Split
from loop.store.configuration import raise_revision
from loop.store.function_calls import Triggers
from loop.store.item_facts import Change, ItemChanges
from loop.store.schema import (
    LEFT_IMAGE,
    ORDINARY_TASK,
    UNFINISHED_TASK,
    dropped_images,
    ground_truths,
    image_hashes,
    items,
    projects,
    tasks,
)
from loop.store.statements import (
    columns,
    first,
    ignoring_conflicts,
    in_parts,
    inserted,
    newest_first,
    not_found,
    record,
)

# Those that go to one split together: most of a data set does, and PostgreSQL takes long over an UPDATE for each.
_MOVED = (
    update(items)
    .where(items.c.project_id == bindparam("of_project"), items.c.digest.in_(bindparam("of_items", expanding=True)))
    .values(split=bindparam("new_split", type_=items.c.split.type), group=bindparam("new_group"))
)
_DESCRIBED = (
    update(items)
    .where(items.c.project_id == bindparam("of_project"), items.c.digest == bindparam("of_item"))
    .values(meta=bindparam("new_meta", type_=items.c.meta.type))
)

# Of a group of predictions: one by one they take less than SQLAlchemy takes to write a statement for all of them.
_FEW = 8


class SqlItems:
    """Implements `loop.domain.ports.Items`."""

    def __init__(self, connection: Connection, triggers: Triggers, changes: ItemChanges) -> None:
        self._connection = connection
        self._triggers = triggers
        self._changes = changes

    def add(self, item: Item) -> bool:
        new = inserted(self._connection, items, columns(item))
        if new:
            self._changes.note(item.project_id, item.digest, Change.ADDED)
            self._triggers.add(item_created(item))
        return new

    def add_all(self, given: Sequence[Item]) -> None:
        """Those that the project does not have yet; the others stay as they are."""
        if not given:
            return
        awaited = self._triggers.awaiting("item.created", {item.project_id for item in given})
        for item in self._new_of(given):
            self._changes.note(item.project_id, item.digest, Change.ADDED)
            if item.project_id in awaited:
                self._triggers.add(item_created(item))

    def _new_of(self, given: Sequence[Item]) -> list[Item]:
        """Inserted; those that were there are not."""
        # As they are inserted: of two alike the first.
        first = {(item.project_id, item.digest): item for item in reversed(given)}
        if len(first) <= _FEW:
            return [item for item in first.values() if inserted(self._connection, items, columns(item))]
        which = ignoring_conflicts(self._connection, items).returning(items.c.project_id, items.c.digest)
        keys = self._connection.execute(which, [columns(item) for item in first.values()]).all()
        return [first[tuple(key)] for key in keys]

    def get(self, project_id: str, digest: str) -> Item:
        """Raises NotFound."""
        return record(self._connection, Item, items, "item", project_id=project_id, digest=digest)

    def of(self, project_id: str, digests: Sequence[str]) -> Mapping[str, Item]:
        return self._of(select(items), project_id, digests)

    def for_update(self, project_id: str, digests: Sequence[str]) -> Mapping[str, Item]:
        # By digest, or two who lock the same ones wait for each other. Not as if the key could change, or whoever says
        # anything of such an item would wait.
        locked = select(items).order_by(items.c.digest).with_for_update(key_share=True)
        return self._of(locked, project_id, sorted(digests))

    def _of(self, wanted: Select[Any], project_id: str, digests: Sequence[str]) -> Mapping[str, Item]:
        found: dict[str, Item] = {}
        for part in in_parts(digests):
            rows = self._connection.execute(wanted.where(items.c.project_id == project_id, items.c.digest.in_(part)))
            found |= {row.digest: Item(**row._mapping) for row in rows}
        return found

    def describe(self, project_id: str, metas: Mapping[str, Mapping[str, str]]) -> None:
        if not metas:
            return
        self._connection.execute(
            _DESCRIBED,
            [{"of_project": project_id, "of_item": digest, "new_meta": dict(meta)} for digest, meta in metas.items()],
        )
        for digest in metas:
            self._changes.note(project_id, digest, Change.DESCRIBED)

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
        self._changes.note(project_id, digest, Change.MOVED)

    def set_splits(self, given: Sequence[Item]) -> None:
        alike: dict[tuple[str, Split | None, str], list[str]] = {}
        for item in given:
            alike.setdefault((item.project_id, item.split, item.group), []).append(item.digest)
        for (project_id, split, group), digests in alike.items():
            for part in in_parts(digests):
                to = {"of_project": project_id, "of_items": part, "new_split": split, "new_group": group}
                self._connection.execute(_MOVED, to)
        for item in given:
            self._changes.note(item.project_id, item.digest, Change.MOVED)

    def drop(self, project_id: str, digest: str, *, by: str, at: datetime) -> bool:
        unfinished = select(tasks.c.id).where(
            tasks.c.project_id == project_id, tasks.c.item_digest == digest, UNFINISHED_TASK
        )
        if self._connection.execute(unfinished.limit(1)).first() is not None:
            return False
        if not self.any_dropped(project_id):
            raise_revision(self._connection)
        row = {"project_id": project_id, "item_digest": digest, "dropped_by": by, "at": at, "removed": False}
        self._connection.execute(ignoring_conflicts(self._connection, dropped_images).values(**row))
        looks = image_hashes.c.project_id == project_id, image_hashes.c.item_digest == digest
        self._connection.execute(delete(image_hashes).where(*looks))
        return True

    def dropped(self, project_id: str) -> frozenset[str]:
        of_project = select(dropped_images.c.item_digest).where(dropped_images.c.project_id == project_id)
        return frozenset(self._connection.scalars(of_project))

    def any_dropped(self, project_id: str) -> bool:
        some = select(dropped_images.c.item_digest).where(dropped_images.c.project_id == project_id).limit(1)
        return self._connection.execute(some).first() is not None

    def is_dropped(self, project_id: str, digest: str) -> bool:
        return first(self._connection, dropped_images, project_id=project_id, item_digest=digest) is not None

    def left(self, limit: int) -> dict[str, bool]:
        rows = self._connection.execute(
            select(dropped_images.c.item_digest).where(LEFT_IMAGE).distinct().limit(limit)
        ).scalars()
        return {digest: self._is_kept(digest) for digest in rows.all()}

    def removed(self, digest: str) -> None:
        self._connection.execute(
            update(dropped_images).where(dropped_images.c.item_digest == digest, LEFT_IMAGE).values(removed=True)
        )

    def _is_kept(self, digest: str) -> bool:
        """By an item of any project; asked by project, since the key of an item begins with it."""
        kept = (
            select(items.c.digest)
            .select_from(projects)
            .join(items, and_(items.c.project_id == projects.c.id, items.c.digest == digest))
            .outerjoin(
                dropped_images,
                and_(dropped_images.c.project_id == projects.c.id, dropped_images.c.item_digest == items.c.digest),
            )
            .where(dropped_images.c.item_digest.is_(None))
            .limit(1)
        )
        return self._connection.execute(kept).first() is not None

    def sources(self, project_id: str, digests: Sequence[str]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for part in in_parts(digests):
            wanted = select(items.c.digest, items.c.source).where(
                items.c.project_id == project_id, items.c.digest.in_(part)
            )
            found |= {str(digest): str(source) for digest, source in self._connection.execute(wanted)}
        return found

    def settled(self, project_id: str, digests: Sequence[str]) -> frozenset[str]:
        found: set[str] = set()
        for part in in_parts(digests):
            for table in (tasks, ground_truths):
                of_project = select(table.c.item_digest).where(table.c.project_id == project_id)
                if table is tasks:
                    of_project = of_project.where(ORDINARY_TASK)
                found.update(self._connection.scalars(of_project.where(table.c.item_digest.in_(part))))
        return frozenset(found)
