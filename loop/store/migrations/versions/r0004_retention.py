"""What a policy keeps and when, and what shadows said."""

from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def policies_of_0001() -> sa.Table:
    return sa.Table(
        "policies",
        sa.MetaData(),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("audit_rate", sa.Double(), nullable=False),
        sa.Column("score_threshold", sa.Double(), nullable=False),
        sa.Column("failure_iou", sa.Double(), nullable=False),
        sa.Column("lease_seconds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "version", name=op.f("pk_policies")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_policies_project_id")),
        sa.CheckConstraint("audit_rate >= 0 AND audit_rate <= 1", name=op.f("ck_policies_audit_rate_unit")),
    )


def upgrade() -> None:
    recreate: Literal["always", "never"] = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("policies", copy_from=policies_of_0001(), recreate=recreate) as batch:
        # Projects from before kept every image, and answered when it was durable.
        batch.add_column(sa.Column("retain", TEXT, server_default=sa.text("'all'"), nullable=False))
        batch.add_column(sa.Column("retain_rate", sa.Double(), server_default=sa.text("1"), nullable=False))
        batch.add_column(sa.Column("durability", TEXT, server_default=sa.text("'before-answer'"), nullable=False))
        batch.create_check_constraint(op.f("ck_policies_retain_rate_unit"), "retain_rate >= 0 AND retain_rate <= 1")
        batch.create_check_constraint(op.f("ck_policies_retain_known"), "retain IN ('none', 'sampled', 'all')")
        batch.create_check_constraint(op.f("ck_policies_durability_known"), "durability IN ('before-answer', 'soon')")
    op.create_table(
        "shadow_answers",
        sa.Column("prediction_id", TEXT, nullable=False),
        sa.Column("rollout_id", TEXT, nullable=False),
        sa.Column("detections", sa.JSON(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("error", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("rollout_id", "prediction_id", name=op.f("pk_shadow_answers")),
        sa.ForeignKeyConstraint(["rollout_id"], ["rollouts.id"], name=op.f("fk_shadow_answers_rollout_id")),
    )
