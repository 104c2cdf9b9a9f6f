"""Images have a perceptual hash, by which near-duplicates are found that no model has seen."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0039"
down_revision: str | None = "0038"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "image_hashes",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("hash", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "item_digest", name=op.f("pk_image_hashes")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_image_hashes_project_id_item_digest"),
        ),
    )
