"""What items are asked for by: facts and terms of each, saved views, and the item that an event is about."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0020"
down_revision: str | None = "0019"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)

_LONGEST = 200
_LONGEST_KEY = 100
_AT_ONCE = 5_000
_NUMBER = re.compile(r"[+-]?(\d{1,300}(\.\d{0,300})?|\.\d{1,300})([eE][+-]?\d{1,3})?", re.ASCII)

_NEWEST = (
    "(SELECT {what} FROM predictions AS p WHERE p.project_id = items.project_id AND p.item_digest = items.digest "
    "ORDER BY p.created_at DESC, p.id DESC LIMIT 1)"
)
_WORK = (
    "(SELECT max(CASE WHEN t.state IN ('done', 'skipped') THEN 'done' ELSE t.state END) FROM tasks AS t "
    "WHERE t.project_id = items.project_id AND t.item_digest = items.digest AND t.stage <> 'golden')"
)
_TRUTH = (
    "coalesce((SELECT max(g.version) FROM ground_truths AS g WHERE g.project_id = items.project_id "
    "AND g.item_digest = items.digest), 0)"
)
_CORRECTIONS = (
    "(SELECT e.corrections FROM submissions AS s JOIN efforts AS e ON e.submission_id = s.id "
    "WHERE s.project_id = items.project_id AND s.item_digest = items.digest AND s.settles "
    "AND e.corrections IS NOT NULL ORDER BY s.created_at DESC, s.id DESC LIMIT 1)"
)
_LABELS = {
    "detection": "SELECT items.project_id, items.digest, items.created_at, "
    + _NEWEST.format(what="p.detections")
    + " AS labelled FROM items",
    "shape": "SELECT items.project_id, items.digest, items.created_at, (SELECT g.shapes FROM ground_truths AS g "
    "WHERE g.project_id = items.project_id AND g.item_digest = items.digest ORDER BY g.version DESC LIMIT 1) "
    "AS labelled FROM items",
}


def upgrade() -> None:
    _facts()
    _terms()
    op.create_table(
        "item_views",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("query", TEXT, nullable=False),
        sa.Column("sort", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", name=op.f("pk_item_views")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_item_views_project_id")),
    )
    _events()


def _facts() -> None:
    facts = op.create_table(
        "item_facts",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("media_type", TEXT, nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("captured_at", MOMENT, nullable=True),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("group", TEXT, nullable=False),
        sa.Column("split", TEXT, nullable=True),
        sa.Column("model_id", TEXT, nullable=True),
        sa.Column("risk", sa.Double(), nullable=True),
        sa.Column("routed", TEXT, nullable=True),
        sa.Column("truth_version", sa.Integer(), nullable=False),
        sa.Column("work", TEXT, nullable=True),
        sa.Column("corrections", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "digest", name=op.f("pk_item_facts")),
        sa.ForeignKeyConstraint(
            ["project_id", "digest"], ["items.project_id", "items.digest"], name=op.f("fk_item_facts_project_id_digest")
        ),
        sa.CheckConstraint("truth_version >= 0 AND corrections >= 0", name=op.f("ck_item_facts_counts")),
    )
    op.execute(
        "INSERT INTO item_facts SELECT items.project_id, items.digest, items.media_type, items.width, items.height, "  # noqa: S608 - constants
        f"items.created_at, NULL, substr(items.source, 1, {_LONGEST}), substr(items.\"group\", 1, {_LONGEST}), "
        f"items.split, {_NEWEST.format(what='p.model_id')}, {_NEWEST.format(what='p.risk')}, "
        f"{_NEWEST.format(what='coalesce(p.stage, p.action)')}, {_TRUTH}, {_WORK}, {_CORRECTIONS} FROM items"
    )
    _captured(facts)
    for column in ("created_at", "captured_at", "risk", "width", "height"):
        op.create_index(f"ix_item_facts_project_id_{column}_digest", "item_facts", ["project_id", column, "digest"])
    for column in ("source", "group", "split", "model_id", "routed", "truth_version", "work", "corrections"):
        op.create_index(
            f"ix_item_facts_project_id_{column}_created_at_digest",
            "item_facts",
            ["project_id", column, "created_at", "digest"],
        )
    for name, where in (("labelled", "truth_version <> 0"), ("failed", "corrections <> 0")):
        op.create_index(
            f"ix_item_facts_{name}",
            "item_facts",
            ["project_id", "created_at", "digest"],
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )


def _terms() -> None:
    terms = op.create_table(
        "item_terms",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("field", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("number", sa.Double(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "item_digest", "field", "value", name=op.f("pk_item_terms")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_item_terms_project_id_item_digest"),
        ),
    )
    _insert(terms, _terms_of_meta())
    for field, query in _LABELS.items():
        _insert(terms, _terms_of_labels(field, query))
    op.create_index(
        "ix_item_terms_project_id_field_value_created_at_item_digest",
        "item_terms",
        ["project_id", "field", "value", "created_at", "item_digest"],
    )
    op.create_index(
        "ix_item_terms_numbers",
        "item_terms",
        ["project_id", "field", "number", "item_digest"],
        sqlite_where=sa.text("number IS NOT NULL"),
        postgresql_where=sa.text("number IS NOT NULL"),
    )


def _events() -> None:
    op.add_column("events", sa.Column("item_digest", TEXT, nullable=True))
    # What a document of another kind says under this name is no item.
    told = {"sqlite": "json_extract(body, '$.item_digest')", "postgresql": "body ->> 'item_digest'"}
    op.execute(f"UPDATE events SET item_digest = {told[op.get_bind().dialect.name]}")  # noqa: S608 - constants
    op.create_index(
        "ix_events_of_item",
        "events",
        ["project_id", "item_digest", "sequence"],
        sqlite_where=sa.text("item_digest IS NOT NULL"),
        postgresql_where=sa.text("item_digest IS NOT NULL"),
    )


# --- what only Python can read: documents, which may hold what a column does not -------------------------------


def _rows(query: str) -> Iterator[Any]:
    """Documents as Python values, times as the database gives them. Not all of them are held at once."""
    stated = sa.text(query).columns(
        sa.column("project_id", TEXT), sa.column("digest", TEXT), sa.column("created_at", MOMENT),
        sa.column("labelled", sa.JSON()),
    )  # fmt: skip
    return iter(op.get_bind().execute(stated, execution_options={"yield_per": _AT_ONCE}))


def _insert(table: sa.Table, rows: Iterable[dict[str, Any]]) -> None:
    """All are made before any is written: a cursor that is read while its connection writes may see what it wrote."""
    made = list(rows)
    for start in range(0, len(made), _AT_ONCE):
        op.bulk_insert(table, made[start : start + _AT_ONCE])


def _metas() -> Iterator[Any]:
    return _rows("SELECT project_id, digest, created_at, meta AS labelled FROM items")


def _captured(facts: sa.Table) -> None:
    found = [
        {"of_project": row.project_id, "of_digest": row.digest, "at": at}
        for row in _metas()
        if (at := _moment(row.labelled.get("captured_at", ""))) is not None
    ]
    if found:
        written = facts.update().where(
            facts.c.project_id == sa.bindparam("of_project"), facts.c.digest == sa.bindparam("of_digest")
        )
        op.get_bind().execute(written.values(captured_at=sa.bindparam("at", type_=MOMENT)), found)


def _terms_of_meta() -> Iterator[dict[str, Any]]:
    for row in _metas():
        for key, value in row.labelled.items():
            if len(key) <= _LONGEST_KEY and _storable(key + value):
                yield _term(row, f"meta.{key}", value, _number(value))


def _terms_of_labels(field: str, query: str) -> Iterator[dict[str, Any]]:
    for row in _rows(query):
        for label in {one["label"][:_LONGEST] for one in row.labelled or ()}:
            if _storable(label):
                yield _term(row, field, label, None)


def _term(row: Any, field: str, value: str, number: float | None) -> dict[str, Any]:
    return {
        "project_id": row.project_id,
        "item_digest": row.digest,
        "field": field,
        "value": value[:_LONGEST],
        "number": number,
        "created_at": row.created_at,
    }


def _storable(text: str) -> bool:
    return not any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in text)


def _number(text: str) -> float | None:
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    return value if math.isfinite(value) else None


def _moment(text: str) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
        utc = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return utc.replace(tzinfo=None) if op.get_bind().dialect.name == "sqlite" else utc
