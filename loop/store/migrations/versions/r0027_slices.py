"""Saved views that are slices of the evaluation."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0027"
down_revision: str | None = "0026"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "slices",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("margins", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_slices")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_slices_project_id")),
    )
