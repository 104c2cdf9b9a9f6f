"""How predictions turned out, as callers report it; figures for monitoring."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0022"
down_revision: str | None = "0020"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "outcomes",
        sa.Column("prediction_id", TEXT, nullable=False),
        sa.Column("reported_by", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("model_id", TEXT, nullable=False),
        sa.Column("predicted_at", MOMENT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("task_id", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("prediction_id", "reported_by", name=op.f("pk_outcomes")),
        sa.ForeignKeyConstraint(["prediction_id"], ["predictions.id"], name=op.f("fk_outcomes_prediction_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_outcomes_task_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_outcomes_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"], ["models.project_id", "models.id"], name=op.f("fk_outcomes_project_id_model_id")
        ),
        sa.CheckConstraint("outcome IN ('wrong', 'right')", name=op.f("ck_outcomes_outcome_known")),
    )
    op.create_index(
        op.f("ix_outcomes_project_id_model_id_predicted_at"), "outcomes", ["project_id", "model_id", "predicted_at"]
    )
    op.create_table(
        "production_figures",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("model_id", TEXT, nullable=False),
        sa.Column("computed_at", MOMENT, nullable=False),
        sa.Column("audits", sa.Integer(), nullable=False),
        sa.Column("failure_rate", sa.Double(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_production_figures")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_production_figures_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["models.project_id", "models.id"],
            name=op.f("fk_production_figures_project_id_model_id"),
        ),
        sa.CheckConstraint(
            "(failure_rate IS NULL) = (low IS NULL) AND (failure_rate IS NULL) = (high IS NULL)",
            name=op.f("ck_production_figures_whole"),
        ),
    )
