"""What asks for a cycle by itself."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0023"
down_revision: str | None = "0022"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "triggers",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_triggers")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_triggers_project_id")),
    )
