"""Answers of an item in their order, so that the newest is found without a look at others."""

from collections.abc import Sequence

from alembic import op

revision: str = "0033"
down_revision: str | None = "0032"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_OF_ITEM = ["project_id", "item_digest"]


def upgrade() -> None:
    op.create_index(
        "ix_submissions_project_id_item_digest_created_at_id", "submissions", [*_OF_ITEM, "created_at", "id"]
    )
    op.drop_index("ix_submissions_project_id_item_digest", "submissions")
