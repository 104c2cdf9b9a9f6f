"""Lists of items by lot, and of those that failed by risk."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0031"
down_revision: str | None = "0030"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_FAILED = sa.text("corrections <> 0")


def upgrade() -> None:
    op.create_index(op.f("ix_lot_items_item_digest"), "lot_items", ["item_digest"])
    op.create_index(
        "ix_item_facts_failed_risk",
        "item_facts",
        ["project_id", "risk", "digest"],
        sqlite_where=_FAILED,
        postgresql_where=_FAILED,
    )
