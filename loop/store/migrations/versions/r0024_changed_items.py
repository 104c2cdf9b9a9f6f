"""What changes of items, noted for the facts that lists are made of to follow."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0024"
down_revision: str | None = "0023"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "changed_items",
        sa.Column("sequence", SEQUENCE, sa.Identity(), autoincrement=True, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_changed_items")),
    )
