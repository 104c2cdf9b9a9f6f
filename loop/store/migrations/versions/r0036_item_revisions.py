"""Items tell when they changed, so that who holds them in memory reads what is new and nothing else."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0036"
down_revision: str | None = "0035"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "item_revisions",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "digest", name=op.f("pk_item_revisions")),
        sa.ForeignKeyConstraint(
            ["project_id", "digest"],
            ["item_facts.project_id", "item_facts.digest"],
            name=op.f("fk_item_revisions_project_id_digest"),
        ),
    )
    op.create_index("ix_item_revisions_project_id_revision", "item_revisions", ["project_id", "revision"])
