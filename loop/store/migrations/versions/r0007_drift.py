"""What drift is measured against, and what was found."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("models", sa.Column("drift_key", TEXT, nullable=True))
    op.create_table(
        "drift_reports",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("model_id", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("scheduled", sa.Boolean(), nullable=False),
        sa.Column("verdict", TEXT, nullable=False),
        sa.Column("alarm", sa.Boolean(), nullable=False),
        sa.Column("level", sa.Double(), nullable=False),
        sa.Column("reference_origin", TEXT, nullable=False),
        sa.Column("reference_images", sa.Integer(), nullable=False),
        sa.Column("reference_units", sa.Integer(), nullable=False),
        sa.Column("window_images", sa.Integer(), nullable=False),
        sa.Column("window_units", sa.Integer(), nullable=False),
        sa.Column("window_of", sa.BigInteger(), nullable=False),
        sa.Column("window_from", MOMENT, nullable=False),
        sa.Column("window_until", MOMENT, nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("tests", sa.JSON(), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("unlike", sa.JSON(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("cycle_id", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift_reports")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_drift_reports_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["models.project_id", "models.id"],
            name=op.f("fk_drift_reports_project_id_model_id"),
        ),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycles.id"], name=op.f("fk_drift_reports_cycle_id")),
        sa.CheckConstraint(
            "reference_units >= 1 AND reference_units <= reference_images",
            name=op.f("ck_drift_reports_reference_counts"),
        ),
        sa.CheckConstraint(
            "window_units >= 1 AND window_units <= window_images AND window_images <= window_of",
            name=op.f("ck_drift_reports_window_counts"),
        ),
        sa.CheckConstraint("verdict IN ('same', 'drift')", name=op.f("ck_drift_reports_verdict_known")),
        sa.CheckConstraint(
            "reference_origin IN ('evaluation', 'production')", name=op.f("ck_drift_reports_reference_origin_known")
        ),
        sa.CheckConstraint("level >= 0 AND level <= 1", name=op.f("ck_drift_reports_level_unit")),
    )
    op.create_index(
        op.f("ix_drift_reports_project_id_created_at_id"), "drift_reports", ["project_id", "created_at", "id"]
    )
    op.create_index(
        "ix_drift_reports_scheduled",
        "drift_reports",
        ["project_id", "created_at", "id"],
        sqlite_where=sa.text("scheduled"),
        postgresql_where=sa.text("scheduled"),
    )
