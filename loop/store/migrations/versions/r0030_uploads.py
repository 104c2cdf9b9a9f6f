"""Uploads: lots of their own, which begin empty and are closed by who sends them."""

from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa
from alembic import op

revision: str = "0030"
down_revision: str | None = "0029"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

INDEXES: dict[str, tuple[list[str], str | None]] = {
    "ix_lots_project_id_opened_at_id": (["project_id", "opened_at", "id"], None),
    "ix_lots_filling": (["project_id", "source"], "closed_at IS NULL AND NOT upload"),
    "ix_lots_undecided": (["id"], "state IN ('open', 'inspecting')"),
}


def upgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, "lots")
    with op.batch_alter_table("lots", recreate=_recreate()) as batch:
        batch.add_column(sa.Column("upload", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch.drop_constraint(op.f("ck_lots_numbers_fit"), type_="check")
        batch.create_check_constraint(
            op.f("ck_lots_numbers_fit"),
            "items >= 0 AND (items >= 1 OR upload) AND 0 <= defects AND defects <= inspected AND inspected <= items",
        )
    for name, (columns, where) in INDEXES.items():
        clause = None if where is None else sa.text(where)
        unique = name == "ix_lots_filling"
        op.create_index(name, "lots", columns, unique=unique, sqlite_where=clause, postgresql_where=clause)


def _recreate() -> Literal["always", "never"]:
    return "always" if op.get_bind().dialect.name == "sqlite" else "never"
