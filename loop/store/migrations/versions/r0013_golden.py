"""Golden items, standings, works to be done anew, agreement; the policy's section `quality`."""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)

NONE = sa.text("'[]'")
STAGES = "stage IN ('annotate', 'audit', 'adjudicate', 'qa', 'golden')"


def upgrade() -> None:
    _policies()
    _tasks()
    _golden()
    op.create_table(
        "standings",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("reviewer", TEXT, nullable=False),
        sa.Column("standing", TEXT, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("why", TEXT, nullable=False),
        sa.Column("training", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "reviewer", name=op.f("pk_standings")),
        _project("standings"),
        sa.CheckConstraint(
            "standing IN ('new', 'qualified', 'warned', 'paused')", name=op.f("ck_standings_standing_known")
        ),
    )
    op.create_table(
        "redos",
        sa.Column("submission_id", TEXT, nullable=False),
        sa.Column("work_id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("reviewer", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("submission_id", name=op.f("pk_redos")),
        sa.ForeignKeyConstraint(["submission_id"], ["submissions.id"], name=op.f("fk_redos_submission_id")),
        _project("redos"),
    )
    op.create_table(
        "agreements",
        sa.Column("work_id", TEXT, nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("reviewers", sa.JSON(), nullable=False),
        sa.Column("adjudicated", sa.Boolean(), nullable=False),
        sa.Column("f1", sa.Double(), nullable=False),
        sa.Column("iou", sa.Double(), nullable=True),
        sa.Column("pairs", sa.JSON(), nullable=False),
        sa.Column("votes", sa.JSON(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("merged", sa.JSON(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("work_id", "round", name=op.f("pk_agreements")),
        _project("agreements"),
        _item("agreements"),
        sa.CheckConstraint("f1 >= 0 AND f1 <= 1", name=op.f("ck_agreements_f1_unit")),
    )
    op.create_index(
        "ix_agreements_project_id_created_at_work_id", "agreements", ["project_id", "created_at", "work_id"]
    )
    op.create_index("ix_agreements_project_id_item_digest", "agreements", ["project_id", "item_digest"])


def _policies() -> None:
    """How much overlap makes two answers the same was a rule of the queue."""
    op.add_column("policies", sa.Column("quality", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
    policies = sa.table(
        "policies", sa.column("project_id"), sa.column("version"), sa.column("queue", sa.JSON()),
        sa.column("quality", sa.JSON()),
    )  # fmt: skip
    connection = op.get_bind()
    for row in connection.execute(sa.select(policies)).all():
        queue: dict[str, Any] = dict(row.queue if not isinstance(row.queue, str) else json.loads(row.queue))
        iou = queue.pop("agreement_iou", None)
        if iou is not None:
            connection.execute(
                policies.update()
                .where(policies.c.project_id == row.project_id, policies.c.version == row.version)
                .values(queue=queue, quality={"consensus": {"iou": iou}})
            )


def _tasks() -> None:
    name = op.f("ck_tasks_stage_known")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(name, "tasks", type_="check")
        op.create_check_constraint(name, "tasks", STAGES)
        return
    # Tables of SQLite are made anew; what the copy would tell otherwise than it was is said again.
    with op.batch_alter_table("tasks", recreate="always") as batch:
        batch.alter_column("reason", server_default=sa.text("''"))
        batch.drop_constraint(name, type_="check")
        batch.create_check_constraint(name, STAGES)


def _golden() -> None:
    op.create_table(
        "golden_items",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("shapes", sa.JSON(), nullable=False),
        sa.Column("added_by", TEXT, nullable=False),
        sa.Column("added_at", MOMENT, nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "item_digest", name=op.f("pk_golden_items")),
        _item("golden_items"),
        sa.CheckConstraint("version >= 1", name=op.f("ck_golden_items_version_counts")),
    )
    op.create_table(
        "golden_seats",
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("reviewer", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("prediction_id", TEXT, nullable=True),
        sa.Column("given_at", MOMENT, nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_golden_seats")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_golden_seats_task_id")),
        sa.ForeignKeyConstraint(["prediction_id"], ["predictions.id"], name=op.f("fk_golden_seats_prediction_id")),
        _project("golden_seats"),
        _item("golden_seats"),
    )
    op.create_index(
        "ix_golden_seats_project_id_reviewer_given_at", "golden_seats", ["project_id", "reviewer", "given_at"]
    )
    op.create_table(
        "golden_answers",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("reviewer", TEXT, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("shapes", sa.JSON(), nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("content_digest", TEXT, nullable=False),
        sa.Column("corrections", sa.JSON(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("issues", sa.JSON(), server_default=NONE, nullable=False),
        sa.Column("work_id", TEXT, nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("settles", sa.Boolean(), nullable=False),
        sa.Column("active_seconds", sa.Double(), nullable=True),
        sa.Column("proposal_shown", sa.Boolean(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("score", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_golden_answers")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_golden_answers_task_id")),
        _project("golden_answers"),
        _item("golden_answers"),
        sa.UniqueConstraint("task_id", "epoch", name=op.f("uq_golden_answers_task_id_epoch")),
        sa.CheckConstraint("outcome IN ('submitted', 'skipped', 'accepted', 'returned')", name=op.f("ck_golden_answers_outcome_known")),
    )
    op.create_index(
        "ix_golden_answers_project_id_reviewer_created_at", "golden_answers", ["project_id", "reviewer", "created_at"]
    )


def _project(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f(f"fk_{table}_project_id"))


def _item(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["project_id", "item_digest"],
        ["items.project_id", "items.digest"],
        name=op.f(f"fk_{table}_project_id_item_digest"),
    )
