"""Embeddings of detections, one row for all of a prediction."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "object_embeddings",
        sa.Column("sequence", SEQUENCE, sa.Identity(), autoincrement=True, nullable=False),
        sa.Column("prediction_id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("model_id", TEXT, nullable=False),
        sa.Column("features", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_object_embeddings")),
        sa.ForeignKeyConstraint(
            ["prediction_id"], ["predictions.id"], name=op.f("fk_object_embeddings_prediction_id")
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["models.project_id", "models.id"],
            name=op.f("fk_object_embeddings_project_id_model_id"),
        ),
        sa.UniqueConstraint("prediction_id", name=op.f("uq_object_embeddings_prediction_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_object_embeddings_project_id_model_id_sequence"),
        "object_embeddings",
        ["project_id", "model_id", "sequence"],
    )
