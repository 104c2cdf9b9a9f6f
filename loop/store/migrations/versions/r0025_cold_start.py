"""Selections that are made before there is a model: no version, no predictions, the descriptor's space instead."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0025"
down_revision: str | None = "0024"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def selections_of_0005() -> sa.Table:
    return sa.Table(
        "selections",
        sa.MetaData(),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("model_id", TEXT, nullable=False),
        sa.Column("mix", sa.JSON(), nullable=False),
        sa.Column("budget", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("like_items", sa.JSON(), nullable=False),
        sa.Column("pool", sa.Integer(), nullable=False),
        sa.Column("picked", sa.Integer(), nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_selections")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_selections_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["models.project_id", "models.id"],
            name=op.f("fk_selections_project_id_model_id"),
        ),
        sa.CheckConstraint(
            "picked >= 0 AND picked <= budget AND picked <= pool", name=op.f("ck_selections_picked_fits")
        ),
        sa.Index("ix_selections_project_id_created_at_id", "project_id", "created_at", "id"),
    )


def selection_picks_of_0005() -> sa.Table:
    return sa.Table(
        "selection_picks",
        sa.MetaData(),
        sa.Column("selection_id", TEXT, nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("prediction_id", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=True),
        sa.Column("strategy", TEXT, nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("inclusion_probability", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("selection_id", "rank", name=op.f("pk_selection_picks")),
        sa.UniqueConstraint("selection_id", "item_digest", name=op.f("uq_selection_picks_selection_id_item_digest")),
        sa.ForeignKeyConstraint(["selection_id"], ["selections.id"], name=op.f("fk_selection_picks_selection_id")),
        sa.ForeignKeyConstraint(
            ["prediction_id"], ["predictions.id"], name=op.f("fk_selection_picks_prediction_id")
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_selection_picks_task_id")),
        sa.CheckConstraint("rank >= 1", name=op.f("ck_selection_picks_rank_counts")),
        sa.CheckConstraint(
            "inclusion_probability >= 0 AND inclusion_probability <= 1",
            name=op.f("ck_selection_picks_inclusion_probability_unit"),
        ),
    )


def upgrade() -> None:
    with op.batch_alter_table("selections", copy_from=selections_of_0005()) as batch:
        batch.alter_column("model_id", existing_type=TEXT, nullable=True)
        batch.add_column(sa.Column("space", TEXT, server_default=sa.text("''"), nullable=False))
        batch.create_check_constraint(op.f("ck_selections_one_space"), "(model_id IS NULL) = (space <> '')")
    with op.batch_alter_table("selection_picks", copy_from=selection_picks_of_0005()) as batch:
        batch.alter_column("prediction_id", existing_type=TEXT, nullable=True)
