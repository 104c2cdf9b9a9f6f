"""What work takes and costs, whether predictions were shown, comments."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0016"
down_revision: str | None = "0015"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)

# By database: how often each label is in `shapes`, and the sum of `corrections`.
_LABELS = {
    "sqlite": "(SELECT json_group_object(label, n) FROM (SELECT json_extract(value, '$.label') AS label, "
    "count(*) AS n FROM json_each(submissions.shapes) GROUP BY 1))",
    "postgresql": "(SELECT coalesce(json_object_agg(label, n), '{}') FROM (SELECT value->>'label' AS label, "
    "count(*) AS n FROM json_array_elements(submissions.shapes) GROUP BY 1) AS counted)",
}
_CORRECTIONS = {
    "sqlite": "(SELECT coalesce(sum(value), 0) FROM json_each(submissions.corrections))",
    "postgresql": "(SELECT coalesce(sum(value::int), 0) FROM json_each_text(submissions.corrections))",
}


def upgrade() -> None:
    op.add_column("tasks", sa.Column("proposal_shown", sa.Boolean(), nullable=True))
    op.add_column("submissions", sa.Column("active_seconds", sa.Double(), nullable=True))
    op.add_column("submissions", sa.Column("proposal_shown", sa.Boolean(), nullable=True))
    _efforts()
    _comments()
    op.create_table(
        "cost_rates",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("currency", TEXT, nullable=False),
        sa.Column("per_hour", sa.Double(), nullable=True),
        sa.Column("people", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_cost_rates")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_cost_rates_project_id")),
        sa.CheckConstraint("per_hour >= 0", name=op.f("ck_cost_rates_rate_counts")),
    )


def _efforts() -> None:
    op.create_table(
        "efforts",
        sa.Column("submission_id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("work_id", TEXT, nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("reviewer", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("stage", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("corrections", sa.Integer(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("active_seconds", sa.Double(), nullable=True),
        sa.Column("proposal_shown", sa.Boolean(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("submission_id", name=op.f("pk_efforts")),
        sa.ForeignKeyConstraint(["submission_id"], ["submissions.id"], name=op.f("fk_efforts_submission_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_efforts_project_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_efforts_task_id")),
        sa.CheckConstraint(
            "active_seconds >= 0 AND active_seconds <= seconds", name=op.f("ck_efforts_active_while_held")
        ),
    )
    dialect = op.get_bind().dialect.name
    op.execute(
        "INSERT INTO efforts SELECT submissions.id, submissions.project_id, submissions.item_digest, "  # noqa: S608 - constants
        "submissions.task_id, submissions.work_id, submissions.round, submissions.reviewer, tasks.source, "
        f"tasks.stage, submissions.outcome, {_LABELS[dialect]}, CASE WHEN submissions.outcome = 'submitted' "
        f"AND tasks.prediction_id IS NOT NULL THEN {_CORRECTIONS[dialect]} END, submissions.seconds, NULL, NULL, "
        "submissions.created_at FROM submissions JOIN tasks ON tasks.id = submissions.task_id"
    )
    op.create_index(
        "ix_efforts_project_id_created_at_submission_id", "efforts", ["project_id", "created_at", "submission_id"]
    )


def _comments() -> None:
    op.create_table(
        "comments",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("task_id", TEXT, nullable=True),
        sa.Column("shape", TEXT, nullable=True),
        sa.Column("at", sa.JSON(), nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("resolved_at", MOMENT, nullable=True),
        sa.Column("resolved_by", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_comments_project_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_comments_task_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_comments_project_id_item_digest"),
        ),
        sa.CheckConstraint(
            "(state = 'resolved') = (resolved_at IS NOT NULL) AND (resolved_at IS NULL) = (resolved_by IS NULL)",
            name=op.f("ck_comments_resolved_by_somebody"),
        ),
        sa.CheckConstraint("kind IN ('comment', 'issue', 'question')", name=op.f("ck_comments_kind_known")),
        sa.CheckConstraint("state IN ('open', 'resolved')", name=op.f("ck_comments_state_known")),
    )
    for columns in (
        ["project_id", "created_at", "id"],
        ["project_id", "item_digest"],
        ["project_id", "state", "kind", "created_at", "id"],
    ):
        op.create_index(f"ix_comments_{'_'.join(columns)}", "comments", columns)
    op.create_table(
        "comment_replies",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("comment_id", TEXT, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comment_replies")),
        sa.ForeignKeyConstraint(["comment_id"], ["comments.id"], name=op.f("fk_comment_replies_comment_id")),
    )
    op.create_index("ix_comment_replies_comment_id", "comment_replies", ["comment_id"])
