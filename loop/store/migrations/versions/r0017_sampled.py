"""Where a prediction's image came from, and a short way to those that came to people."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0017"
down_revision: str | None = "0016"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("predictions", sa.Column("source", TEXT, nullable=False, server_default=sa.text("''")))
    op.execute(
        "UPDATE predictions SET source = (SELECT items.source FROM items WHERE items.project_id = "
        "predictions.project_id AND items.digest = predictions.item_digest)"
    )
    op.create_index(
        "ix_predictions_sampled",
        "predictions",
        ["project_id", "model_id", "created_at", "id"],
        sqlite_where=sa.text("stage IS NOT NULL"),
        postgresql_where=sa.text("stage IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_predictions_project_id_model_id_created_at_id"),
        "predictions",
        ["project_id", "model_id", "created_at", "id"],
    )
