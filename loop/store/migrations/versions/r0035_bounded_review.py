"""What a lot is judged by is found by indexes, whatever its size; how many works a person answered is kept."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0035"
down_revision: str | None = "0034"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
COUNTED = (
    "INSERT INTO works_answered (reviewer, works) SELECT reviewer, count(DISTINCT work_id) FROM submissions "
    "WHERE outcome <> 'skipped' GROUP BY reviewer"
)
_OF_LOT = ["lot_id", "place"]


def upgrade() -> None:
    op.add_column("held_answers", sa.Column("place", sa.Integer(), server_default=sa.text("-1"), nullable=False))
    _index("held_answers_waiting", _OF_LOT, "standing = 'waiting'")
    _index("lot_items_uncounted", _OF_LOT, "void AND defect IS NULL")
    _index("lot_items_unseen", _OF_LOT, "NOT void AND defect IS NULL")
    _index("lot_items_inspected", [*_OF_LOT, "defect"], "defect IS NOT NULL")
    op.create_index("ix_tokens_valid", "tokens", ["created_at", "id"], **_where("revoked_at IS NULL"))
    op.create_table(
        "works_answered",
        sa.Column("reviewer", TEXT, nullable=False),
        sa.Column("works", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("reviewer", name="pk_works_answered"),
    )
    op.execute(COUNTED)


def _index(name: str, columns: list[str], where: str) -> None:
    table = name.rpartition("_")[0]
    op.create_index(f"ix_{name}", table, columns, **_where(where))


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
