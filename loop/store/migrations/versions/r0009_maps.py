"""A project's map of embeddings."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "maps",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("refit", sa.Boolean(), nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("error", TEXT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("model_id", TEXT, nullable=True),
        sa.Column("key", TEXT, nullable=True),
        sa.Column("layout_key", TEXT, nullable=True),
        sa.Column("previous_key", TEXT, nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("points", sa.Integer(), nullable=True),
        sa.Column("fitted", sa.Integer(), nullable=True),
        sa.Column("late", sa.Integer(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("fitted_at", MOMENT, nullable=True),
        sa.Column("made_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_maps")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_maps_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"], ["models.project_id", "models.id"], name=op.f("fk_maps_project_id_model_id")
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'ready', 'failed')", name=op.f("ck_maps_state_known")
        ),
        sa.CheckConstraint("fitted + late <= points", name=op.f("ck_maps_counts_fit")),
        sa.CheckConstraint("state <> 'ready' OR key IS NOT NULL", name=op.f("ck_maps_drawn_when_ready")),
        sa.CheckConstraint(
            "(key IS NULL) = (model_id IS NULL) AND (key IS NULL) = (layout_key IS NULL) AND "
            "(key IS NULL) = (points IS NULL)",
            name=op.f("ck_maps_drawn_whole"),
        ),
    )
