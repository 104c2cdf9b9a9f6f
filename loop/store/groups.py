"""Groups of items with an order, and the works on them."""

from collections.abc import Mapping, Sequence
from dataclasses import fields

from sqlalchemy import Connection, Select, insert, select, update

from loop.domain.item import Item
from loop.domain.items.clips import ClipWork, Frame, Group
from loop.store.item_facts import Change, ItemChanges
from loop.store.schema import group_frames, group_works, item_groups, items, tasks
from loop.store.statements import columns, first, in_parts, inserted, newest_first, not_found, one

_FRAME = tuple(group_frames.c[field.name].label(f"frame_{field.name}") for field in fields(Frame))


def works_of_frame(project_id: str, item_digest: str) -> Select[tuple[str]]:
    """Ids of the works on windows that an item lies in."""
    window = group_frames.c.index - group_works.c.first
    return (
        select(group_works.c.work_id)
        .join(group_frames, group_frames.c.group_id == group_works.c.group_id)
        .where(
            group_frames.c.project_id == project_id,
            group_frames.c.item_digest == item_digest,
            window >= 0,
            window < group_works.c.count,
        )
    )


def frames_of_task(task_id: str) -> Select[tuple[str]]:
    """Digests of the items of its window, in their order; none where it is of one image."""
    window = group_frames.c.index - group_works.c.first
    return (
        select(group_frames.c.item_digest)
        .join(group_works, group_works.c.group_id == group_frames.c.group_id)
        .join(tasks, tasks.c.work_id == group_works.c.work_id)
        .where(tasks.c.id == task_id, tasks.c.prediction_id.is_(None), window >= 0, window < group_works.c.count)
        .order_by(group_frames.c.index)
    )


class SqlGroups:
    """Implements `loop.domain.ports.Groups`."""

    def __init__(self, connection: Connection, changes: ItemChanges) -> None:
        self._connection = connection
        self._changes = changes

    def add(self, group: Group) -> bool:
        return inserted(self._connection, item_groups, columns(group))

    def get(self, project_id: str, group_id: str) -> Group:
        """Raises NotFound."""
        return Group(**one(self._connection, item_groups, "group", project_id=project_id, id=group_id)._mapping)

    def find(self, project_id: str, group_id: str) -> Group | None:
        row = first(self._connection, item_groups, project_id=project_id, id=group_id)
        return None if row is None else Group(**row._mapping)

    def for_update(self, project_id: str, group_id: str) -> Group:
        wanted = select(item_groups).where(item_groups.c.project_id == project_id, item_groups.c.id == group_id)
        row = self._connection.execute(wanted.with_for_update()).first()
        if row is None:
            raise not_found("group", project_id=project_id, id=group_id)
        return Group(**row._mapping)

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Group]:
        rows = newest_first(
            self._connection, item_groups, key=item_groups.c.id, project_id=project_id, after=after, limit=limit
        )
        return [Group(**row._mapping) for row in rows]

    def save(self, group: Group) -> None:
        self._connection.execute(update(item_groups).where(item_groups.c.id == group.id).values(columns(group)))

    def append(self, frames: Sequence[Frame]) -> None:
        if frames:
            self._connection.execute(insert(group_frames), [columns(frame) for frame in frames])

    def among(self, group_id: str, digests: Sequence[str]) -> frozenset[str]:
        of = group_frames.c.item_digest
        found: set[str] = set()
        for part in in_parts(digests):
            found.update(self._connection.scalars(select(of).where(group_frames.c.group_id == group_id, of.in_(part))))
        return frozenset(found)

    def frames(self, project_id: str, group_id: str, *, first: int, limit: int) -> list[tuple[Frame, Item]]:
        rows = self._connection.execute(
            select(items, *_FRAME)
            .join(
                group_frames,
                (group_frames.c.project_id == items.c.project_id) & (group_frames.c.item_digest == items.c.digest),
            )
            .where(
                group_frames.c.project_id == project_id,
                group_frames.c.group_id == group_id,
                group_frames.c.index >= first,
            )
            .order_by(group_frames.c.index)
            .limit(limit)
        )
        return [
            (
                Frame(**{field.name: row._mapping[f"frame_{field.name}"] for field in fields(Frame)}),
                Item(**{field.name: row._mapping[field.name] for field in fields(Item)}),
            )
            for row in rows
        ]

    def places(self, project_id: str) -> list[Frame]:
        wanted = select(group_frames).where(group_frames.c.project_id == project_id)
        rows = self._connection.execute(wanted.order_by(group_frames.c.group_id, group_frames.c.index))
        return [Frame(**row._mapping) for row in rows]

    def split_groups(self, project_id: str, digests: Sequence[str]) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for part in in_parts(digests):
            wanted = select(items.c.digest, items.c.group).where(
                items.c.project_id == project_id, items.c.digest.in_(part)
            )
            found.update((row.digest, row.group) for row in self._connection.execute(wanted))
        return found

    def keep_together(self, project_id: str, digests: Sequence[str], name: str) -> None:
        of_project = items.c.project_id == project_id
        related: set[str] = set()
        for part in in_parts(digests):
            own = (of_project, items.c.digest.in_(part))
            related.update(self._connection.scalars(select(items.c.group).where(*own).distinct()))
            self._connection.execute(update(items).where(*own).values(group=name))
        moved = set(digests)
        for groups in in_parts(sorted(related - {"", name})):
            torn = update(items).where(of_project, items.c.group.in_(groups)).values(group=name)
            moved.update(self._connection.scalars(torn.returning(items.c.digest)))
        for digest in moved:
            self._changes.note(project_id, digest, Change.MOVED)

    def add_works(self, works: Sequence[ClipWork]) -> None:
        if works:
            self._connection.execute(insert(group_works), [columns(work) for work in works])

    def work(self, work_id: str) -> ClipWork | None:
        row = first(self._connection, group_works, work_id=work_id)
        return None if row is None else ClipWork(**row._mapping)

    def works(self, group_id: str) -> list[ClipWork]:
        wanted = select(group_works).where(group_works.c.group_id == group_id).order_by(group_works.c.first)
        return [ClipWork(**row._mapping) for row in self._connection.execute(wanted)]
