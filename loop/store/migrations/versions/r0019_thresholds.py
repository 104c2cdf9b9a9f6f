"""Promises of routing, and the thresholds that keep them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0019"
down_revision: str | None = "0018"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)
EMPTY = sa.text("'{}'")


def upgrade() -> None:
    op.add_column("policies", sa.Column("guarantee", sa.JSON(), nullable=False, server_default=EMPTY))
    op.add_column("policies", sa.Column("audit_rates", sa.JSON(), nullable=False, server_default=EMPTY))
    op.add_column("predictions", sa.Column("threshold_version", sa.Integer(), nullable=True))
    op.create_table(
        "thresholds",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("model_id", TEXT, nullable=False),
        sa.Column("risk_key", TEXT, nullable=True),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("promises", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("why", TEXT, nullable=False),
        sa.Column("basis", TEXT, nullable=False),
        sa.Column("window_from", MOMENT, nullable=False),
        sa.Column("window_until", MOMENT, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Integer(), nullable=False),
        sa.Column("overdue", sa.Integer(), nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("automation", sa.Double(), nullable=False),
        sa.Column("review_share", sa.Double(), nullable=False),
        sa.Column("relaxed", sa.Double(), nullable=True),
        sa.Column("watched_since", MOMENT, nullable=False),
        sa.Column("not_before", MOMENT, nullable=True),
        sa.Column("reviews", sa.Integer(), nullable=False),
        sa.Column("alarm", sa.JSON(), nullable=True),
        sa.Column("evidence", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "version", name=op.f("pk_thresholds")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_thresholds_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["models.project_id", "models.id"],
            name=op.f("fk_thresholds_project_id_model_id"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "policy_version"],
            ["policies.project_id", "policies.version"],
            name=op.f("fk_thresholds_project_id_policy_version"),
        ),
        sa.CheckConstraint("answered <= size", name=op.f("ck_thresholds_answers_of_the_window")),
        sa.CheckConstraint(
            "why IN ('begun', 'answers', 'risk', 'broken', 'over', 'accepted')", name=op.f("ck_thresholds_why_known")
        ),
        sa.CheckConstraint("basis IN ('seen', 'audits')", name=op.f("ck_thresholds_basis_known")),
    )
    op.create_index(
        op.f("ix_thresholds_project_id_model_id_policy_version_version"),
        "thresholds",
        ["project_id", "model_id", "policy_version", "version"],
    )
