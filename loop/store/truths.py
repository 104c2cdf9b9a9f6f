"""Ground truth: the resolved shapes of each item, every version kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Subquery,
    Text,
    and_,
    bindparam,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.exc import IntegrityError

from loop.domain.errors import Conflict
from loop.domain.item import Item
from loop.domain.truth import GroundTruth
from loop.store.item_facts import Change, ItemChanges
from loop.store.ready import Ready
from loop.store.schema import dropped_images, ground_truths, items
from loop.store.statements import columns, each_once, in_parts, insert_all, inserted

# Rows fetched at a time while a whole project is read.
_CHUNK = 500

_ITEM = tuple(field.name for field in fields(Item))
_TRUTH = tuple(field.name for field in fields(GroundTruth))

# Made once: making a statement takes as long as running it.
_OF_ITEM = and_(ground_truths.c.project_id == bindparam("project"), ground_truths.c.item_digest == bindparam("digest"))
_CURRENT = Ready(
    select(ground_truths).where(_OF_ITEM).order_by(ground_truths.c.version.desc()).limit(literal_column("1", Integer))
)
_NEWEST = select(func.max(ground_truths.c.version)).where(_OF_ITEM)


class SqlTruths:
    """Implements `loop.domain.ports.Truths`."""

    def __init__(self, connection: Connection, changes: ItemChanges) -> None:
        self._connection = connection
        self._changes = changes
        self._seen: dict[tuple[str, str], int] = {}  # newest versions, of what this transaction read; they only grow

    def add(self, truth: GroundTruth) -> None:
        # The primary key decides between two writers that both saw the same newest version.
        if truth.version != self._newest(truth) + 1 or not inserted(self._connection, ground_truths, columns(truth)):
            raise Conflict(
                f"version {truth.version} is not the next of item {truth.item_digest}.",
                hint="Read the item's ground truth again and save the change as its next version.",
                item=truth.item_digest,
                version=truth.version,
            )
        self._changes.note(truth.project_id, truth.item_digest, Change.SETTLED)

    def add_all(self, given: Sequence[GroundTruth]) -> None:
        try:
            insert_all(self._connection, ground_truths, [columns(truth) for truth in given])
        except IntegrityError as error:
            raise Conflict("one of these items has this version already.", hint="Read them again.") from error
        for truth in given:
            self._changes.note(truth.project_id, truth.item_digest, Change.SETTLED)

    def current(self, project_id: str, item_digest: str) -> GroundTruth | None:
        found = _CURRENT.records(self._connection, GroundTruth, {"project": project_id, "digest": item_digest})
        self._seen[project_id, item_digest] = found[0].version if found else 0
        return found[0] if found else None

    def current_of(self, project_id: str, digests: Sequence[str]) -> Mapping[str, GroundTruth]:
        of = ground_truths.c.item_digest
        found: dict[str, GroundTruth] = {}
        for part in in_parts(digests):
            newest = (
                select(of, func.max(ground_truths.c.version).label("version"))
                .where(ground_truths.c.project_id == project_id, of.in_(part))
                .group_by(of)
                .subquery()
            )
            wanted = select(ground_truths).join(newest, _is_version(newest.c.item_digest, newest.c.version))
            # Named once more, or SQLite walks all truths of the project beside each part.
            these = ground_truths.c.project_id == project_id, of.in_(part)
            rows = self._connection.execute(wanted.where(*these))
            found |= {row.item_digest: GroundTruth(**row._mapping) for row in rows}
        return found

    def versions(self, project_id: str, digests: Sequence[str]) -> Mapping[str, int]:
        of, version = ground_truths.c.item_digest, func.max(ground_truths.c.version)
        found: dict[str, int] = {}
        for part in in_parts(digests):
            wanted = select(of, version).where(ground_truths.c.project_id == project_id, of.in_(part)).group_by(of)
            found |= {str(digest): int(newest) for digest, newest in self._connection.execute(wanted)}
        return found

    def items(self, project_id: str) -> Iterator[str]:
        return each_once(self._connection, ground_truths.c.item_digest, project_id)

    def all_current(self, project_id: str) -> Iterator[tuple[Item, GroundTruth]]:
        """See the port. Read in chunks: use the iterator up inside its transaction."""
        newest = _newest_versions(project_id)
        rows = self._connection.execute(
            select(*(items.c[name] for name in _ITEM), *(ground_truths.c[name] for name in _TRUTH))
            .join(ground_truths, _same_item())
            .join(newest, _is_version(newest.c.item_digest, newest.c.version))
            .where(items.c.project_id == project_id)
            .order_by(items.c.digest),
            execution_options={"yield_per": _CHUNK},
        )
        for row in rows:  # by place: to look for names takes as long as to make the two
            item, truth = zip(_ITEM, row, strict=False), zip(_TRUTH, row[len(_ITEM) :], strict=True)
            yield Item(**dict(item)), GroundTruth(**dict(truth))

    def count_reviewed_since(self, project_id: str, moment: datetime | None) -> int:
        reviewed = [ground_truths.c.project_id == project_id, ground_truths.c.origin == "review"]
        if moment is not None:
            reviewed.append(ground_truths.c.created_at > moment)
        counted = select(func.count(ground_truths.c.item_digest.distinct())).where(*reviewed)
        return int(self._connection.scalars(counted).one())

    def label_counts(self, project_id: str) -> Mapping[str, int]:
        newest = _newest_versions(project_id)
        shapes, label = self._each_shape()
        rows = self._connection.execute(
            select(label, func.count())
            .select_from(ground_truths)
            .join(newest, _is_version(newest.c.item_digest, newest.c.version))
            .join(shapes, true())
            .where(ground_truths.c.project_id == project_id)
            .group_by(label)
        )
        return {str(name): int(count) for name, count in rows}

    def _each_shape(self) -> tuple[FromClause, ColumnElement[str]]:
        """A row for each shape of a document, and its label: each database spells that differently."""
        if self._connection.dialect.name == "sqlite":
            shapes = func.json_each(ground_truths.c.shapes).table_valued("value")
            return shapes, func.json_extract(shapes.c.value, "$.label", type_=Text)
        listed = func.json_array_elements(ground_truths.c.shapes).table_valued(column("shape", JSON))
        lateral = listed.render_derived().lateral()
        return lateral, lateral.c.shape.op("->>", return_type=Text())("label")

    def _newest(self, truth: GroundTruth) -> int:
        """Of a version that follows what was read, this; else as it is now."""
        seen = self._seen.get((truth.project_id, truth.item_digest))
        if seen is not None and truth.version == seen + 1:
            return seen
        of_item = {"project": truth.project_id, "digest": truth.item_digest}
        return self._connection.execute(_NEWEST, of_item).scalar() or 0


def _newest_versions(project_id: str) -> Subquery:
    """item_digest, version; without those whose image was dropped."""
    dropped = select(dropped_images.c.item_digest).where(dropped_images.c.project_id == project_id)
    return (
        select(ground_truths.c.item_digest, func.max(ground_truths.c.version).label("version"))
        .where(ground_truths.c.project_id == project_id, ground_truths.c.item_digest.not_in(dropped))
        .group_by(ground_truths.c.item_digest)
        .subquery()
    )


def _same_item() -> Any:
    return and_(items.c.project_id == ground_truths.c.project_id, items.c.digest == ground_truths.c.item_digest)


def _is_version(item_digest: Any, version: Any) -> Any:
    return and_(ground_truths.c.item_digest == item_digest, ground_truths.c.version == version)
