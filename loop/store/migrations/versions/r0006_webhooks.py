"""Webhook endpoints, the outbox of what is sent to them, and what came of each attempt."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=True),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("types", sa.JSON(), nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("secrets", sa.JSON(), nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("why_disabled", TEXT, nullable=False),
        sa.Column("failing_since", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_webhook_endpoints_project_id")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("endpoint_id", TEXT, nullable=False),
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("claimed_until", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("error", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", "message_id", name=op.f("pk_webhook_deliveries")),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["webhook_endpoints.id"], name=op.f("fk_webhook_deliveries_endpoint_id")
        ),
        sa.CheckConstraint(
            "(state = 'pending') = (finished_at IS NULL)", name=op.f("ck_webhook_deliveries_finished_unless_pending")
        ),
        sa.CheckConstraint(
            "state = 'pending' OR claimed_until IS NULL", name=op.f("ck_webhook_deliveries_claimed_while_pending")
        ),
        sa.CheckConstraint(
            "epoch >= 0 AND attempts >= 0 AND failures >= 0", name=op.f("ck_webhook_deliveries_counts")
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'dead')", name=op.f("ck_webhook_deliveries_state_known")
        ),
    )
    for name, column in (("due", "due_at"), ("dead", "message_id")):
        state = sa.text(f"state = '{'pending' if name == 'due' else name}'")
        op.create_index(
            f"ix_webhook_deliveries_{name}",
            "webhook_deliveries",
            ["endpoint_id", column],
            sqlite_where=state,
            postgresql_where=state,
        )
    op.create_table(
        "webhook_attempts",
        sa.Column("endpoint_id", TEXT, nullable=False),
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", TEXT, nullable=False),
        sa.Column("milliseconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", "message_id", "number", name=op.f("pk_webhook_attempts")),
        sa.ForeignKeyConstraint(
            ["endpoint_id", "message_id"],
            ["webhook_deliveries.endpoint_id", "webhook_deliveries.message_id"],
            name=op.f("fk_webhook_attempts_endpoint_id_message_id"),
        ),
        sa.CheckConstraint("number >= 1", name=op.f("ck_webhook_attempts_number_counts")),
    )
