"""The queue: its order, who may do what, deadlines, several people for an item, drafts, people."""

from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)

NONE = sa.text("'[]'")
UNFINISHED = "state IN ('open', 'leased')"
# Seconds that a risk of 1 is worth by the rules that projects begin with (loop/domain/policy/queue_rules.py).
POINT = 15 * 86_400


def tasks_of_0010() -> sa.Table:
    return sa.Table(
        "tasks",
        sa.MetaData(),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("prediction_id", TEXT, nullable=True),
        sa.Column("stage", TEXT, nullable=False),
        sa.Column("priority", sa.Double(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("recipe_version", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("owner", TEXT, nullable=True),
        sa.Column("leased_at", MOMENT, nullable=True),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("reason", TEXT, server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.ForeignKeyConstraint(["prediction_id"], ["predictions.id"], name=op.f("fk_tasks_prediction_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_tasks_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_tasks_project_id_item_digest"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "policy_version"],
            ["policies.project_id", "policies.version"],
            name=op.f("fk_tasks_project_id_policy_version"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "recipe_version"],
            ["recipes.project_id", "recipes.version"],
            name=op.f("fk_tasks_project_id_recipe_version"),
        ),
        sa.UniqueConstraint("prediction_id", "policy_version", name=op.f("uq_tasks_prediction_id_policy_version")),
        sa.CheckConstraint("epoch >= 0", name=op.f("ck_tasks_epoch_counts")),
        sa.CheckConstraint("(state = 'leased') = (expires_at IS NOT NULL)", name=op.f("ck_tasks_expires_while_leased")),
        sa.CheckConstraint("(state = 'open') = (owner IS NULL)", name=op.f("ck_tasks_owned_unless_open")),
        sa.CheckConstraint("priority >= 0 AND priority <= 1", name=op.f("ck_tasks_priority_unit")),
        sa.CheckConstraint("stage IN ('annotate', 'audit')", name=op.f("ck_tasks_stage_known")),
        sa.CheckConstraint("state IN ('open', 'leased', 'done', 'skipped')", name=op.f("ck_tasks_state_known")),
    )


def submissions_of_0010() -> sa.Table:
    return sa.Table(
        "submissions",
        sa.MetaData(),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submissions")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_submissions_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_submissions_project_id_item_digest"),
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_submissions_task_id")),
        sa.UniqueConstraint("task_id", name=op.f("uq_submissions_task_id")),
        sa.CheckConstraint("outcome IN ('submitted', 'skipped')", name=op.f("ck_submissions_outcome_known")),
    )


def upgrade() -> None:
    op.add_column("policies", sa.Column("queue", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
    _tasks()
    _submissions()
    op.create_table(
        "drafts",
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("reviewer", TEXT, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("saved_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("task_id", "reviewer", name=op.f("pk_drafts")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_drafts_task_id")),
    )
    op.create_table(
        "people",
        sa.Column("token_id", TEXT, nullable=False),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("skills", sa.JSON(), nullable=False),
        sa.Column("max_leases", sa.Integer(), nullable=True),
        sa.Column("max_tasks_a_day", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_people")),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_people_token_id")),
    )


def _tasks() -> None:
    for index in ("held", "project_id_state", "queue", "project_id_item_digest"):
        op.drop_index(f"ix_tasks_{index}", "tasks")
    with op.batch_alter_table("tasks", copy_from=tasks_of_0010(), recreate=_recreate()) as batch:
        batch.add_column(sa.Column("valid_from", MOMENT, nullable=True))
        batch.add_column(sa.Column("rank", sa.Double(), server_default=sa.text("0"), nullable=False))
        batch.add_column(sa.Column("lane", TEXT, server_default=sa.text("''"), nullable=False))
        batch.add_column(sa.Column("source", TEXT, server_default=sa.text("''"), nullable=False))
        batch.add_column(sa.Column("work_id", TEXT, server_default=sa.text("''"), nullable=False))
        batch.add_column(sa.Column("seat", sa.Integer(), server_default=sa.text("1"), nullable=False))
        batch.add_column(sa.Column("people", sa.Integer(), server_default=sa.text("1"), nullable=False))
        batch.add_column(sa.Column("round", sa.Integer(), server_default=sa.text("0"), nullable=False))
        batch.add_column(sa.Column("due_at", MOMENT, nullable=True))
        batch.add_column(sa.Column("alarm_at", MOMENT, nullable=True))
        batch.add_column(sa.Column("urgency", TEXT, server_default=sa.text("'ordinary'"), nullable=False))
        batch.add_column(sa.Column("with_experts", sa.Boolean(), server_default=sa.false(), nullable=False))
    # A task from before is alone in its work, and anybody's.
    seconds = "EXTRACT(EPOCH FROM created_at)"
    if op.get_bind().dialect.name == "sqlite":
        seconds = "(julianday(created_at) - 2440587.5) * 86400"
    op.execute(
        f"UPDATE tasks SET work_id = id, lane = stage || '||', valid_from = CASE WHEN state = 'leased' "  # noqa: S608 - constants
        f"THEN leased_at END, rank = {seconds} - priority * {POINT}, source = (SELECT items.source FROM items "
        "WHERE items.project_id = tasks.project_id AND items.digest = tasks.item_digest)"
    )
    with op.batch_alter_table("tasks", recreate=_recreate()) as batch:
        for column in (
            "rank", "lane", "source", "work_id", "seat", "people", "round", "urgency", "with_experts",
        ):  # fmt: skip
            batch.alter_column(column, server_default=None)
        batch.alter_column("reason", server_default=sa.text("''"))  # as it was, not as SQLite tells it
        batch.drop_constraint(op.f("uq_tasks_prediction_id_policy_version"), type_="unique")
        batch.drop_constraint(op.f("ck_tasks_stage_known"), type_="check")
        batch.create_unique_constraint(
            op.f("uq_tasks_prediction_id_policy_version_seat"), ["prediction_id", "policy_version", "seat"]
        )
        batch.create_unique_constraint(op.f("uq_tasks_work_id_seat"), ["work_id", "seat"])
        batch.create_check_constraint(op.f("ck_tasks_stage_known"), "stage IN ('annotate', 'audit', 'adjudicate')")
        batch.create_check_constraint(
            op.f("ck_tasks_urgency_known"), "urgency IN ('ordinary', 'overdue', 'escalated')"
        )
        batch.create_check_constraint(
            op.f("ck_tasks_seats_count"), "seat >= 0 AND seat <= people AND people >= 1 AND round >= 0"
        )
    op.create_index("ix_tasks_project_id_state", "tasks", ["project_id", "state"])
    op.create_index("ix_tasks_project_id_item_digest", "tasks", ["project_id", "item_digest"])
    _partial("held", ["project_id", "owner"], "state = 'leased'")
    _partial("queue", ["project_id", "lane", "rank", "created_at", "id"], UNFINISHED)
    _partial("sources", ["project_id", "lane", "source", "rank", "created_at", "id"], UNFINISHED)
    _partial("alarms", ["project_id", "alarm_at"], f"{UNFINISHED} AND alarm_at IS NOT NULL")
    _partial("handed", ["project_id", "leased_at", "id"], "leased_at IS NOT NULL")
    if op.get_bind().dialect.name == "postgresql":
        # Every lease leaves dead rows at the head of the queue: do not wait until a fifth of the table is dead.
        op.execute("ALTER TABLE tasks SET (autovacuum_vacuum_scale_factor = 0.02)")


def _submissions() -> None:
    op.drop_index("ix_submissions_project_id_created_at_id", "submissions")
    with op.batch_alter_table("submissions", copy_from=submissions_of_0010(), recreate=_recreate()) as batch:
        batch.add_column(sa.Column("work_id", TEXT, server_default=sa.text("''"), nullable=False))
        batch.add_column(sa.Column("round", sa.Integer(), server_default=sa.text("0"), nullable=False))
        batch.add_column(sa.Column("settles", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch.drop_constraint(op.f("uq_submissions_task_id"), type_="unique")
        batch.create_unique_constraint(op.f("uq_submissions_task_id_epoch"), ["task_id", "epoch"])
    op.execute("UPDATE submissions SET work_id = task_id, settles = (outcome = 'submitted')")
    with op.batch_alter_table("submissions", recreate=_recreate()) as batch:
        for column in ("work_id", "round", "settles"):
            batch.alter_column(column, server_default=None)
        batch.alter_column("issues", server_default=NONE)  # as it was, not as SQLite tells it
        batch.create_unique_constraint(
            op.f("uq_submissions_work_id_round_reviewer"), ["work_id", "round", "reviewer"]
        )
    op.create_index(
        "ix_submissions_project_id_created_at_id", "submissions", ["project_id", "created_at", "id"]
    )
    op.create_index(
        "ix_submissions_project_id_reviewer_created_at", "submissions", ["project_id", "reviewer", "created_at"]
    )
    op.create_index("ix_submissions_project_id_item_digest", "submissions", ["project_id", "item_digest"])


def _recreate() -> Literal["always", "never"]:
    return "always" if op.get_bind().dialect.name == "sqlite" else "never"


def _partial(name: str, columns: list[str], where: str) -> None:
    op.create_index(
        f"ix_tasks_{name}", "tasks", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )
