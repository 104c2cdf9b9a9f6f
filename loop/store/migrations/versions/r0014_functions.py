"""Custom functions: which of them a project uses, their queue, and images that were dropped for what they made."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def ground_truths_of_0011() -> sa.Table:
    return sa.Table(
        "ground_truths",
        sa.MetaData(),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("shapes", sa.JSON(), nullable=False),
        sa.Column("submission_ids", sa.JSON(), nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "item_digest", "version", name=op.f("pk_ground_truths")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_ground_truths_project_id_item_digest"),
        ),
        sa.CheckConstraint("origin IN ('import', 'review')", name=op.f("ck_ground_truths_origin_known")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_ground_truths_version_counts")),
    )


def upgrade() -> None:
    # SQLite writes the table anew.
    with op.batch_alter_table("ground_truths", copy_from=ground_truths_of_0011()) as batch:
        batch.drop_constraint(op.f("ck_ground_truths_origin_known"), type_="check")
        batch.create_check_constraint(
            op.f("ck_ground_truths_origin_known"),
            "origin IN ('import', 'review') OR substr(origin, 1, 9) = 'function:'",
        )
    op.add_column("policies", sa.Column("functions", sa.JSON(), server_default=sa.text("'[]'"), nullable=False))
    op.create_table(
        "function_calls",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("function", TEXT, nullable=False),
        sa.Column("trigger", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=True),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("claimed_until", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("error", TEXT, nullable=False),
        sa.Column("messages", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_function_calls")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_function_calls_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_function_calls_project_id_item_digest"),
        ),
        sa.UniqueConstraint(
            "project_id", "function", "trigger", "subject",
            name=op.f("uq_function_calls_project_id_function_trigger_subject"),
        ),
        sa.CheckConstraint(
            "(state = 'pending') = (finished_at IS NULL)", name=op.f("ck_function_calls_finished_unless_pending")
        ),
        sa.CheckConstraint(
            "state = 'pending' OR claimed_until IS NULL", name=op.f("ck_function_calls_claimed_while_pending")
        ),
        sa.CheckConstraint("epoch >= 0 AND attempts >= 0", name=op.f("ck_function_calls_counts")),
        sa.CheckConstraint("state IN ('pending', 'done', 'failed')", name=op.f("ck_function_calls_state_known")),
    )
    op.create_index(
        "ix_function_calls_due",
        "function_calls",
        ["due_at", "id"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "dropped_images",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("dropped_by", TEXT, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "item_digest", name=op.f("pk_dropped_images")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_dropped_images_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_dropped_images_project_id_item_digest"),
        ),
    )
    op.create_index(
        "ix_dropped_images_left",
        "dropped_images",
        ["item_digest"],
        sqlite_where=sa.text("NOT removed"),
        postgresql_where=sa.text("NOT removed"),
    )
