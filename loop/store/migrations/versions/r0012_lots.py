"""Quality assurance: a stage of its own, answers on their way to the ground truth, lots."""

from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)

UNFINISHED = "state IN ('open', 'leased')"
TASK_INDEXES: dict[str, tuple[list[str], str | None]] = {
    "project_id_state": (["project_id", "state"], None),
    "project_id_item_digest": (["project_id", "item_digest"], None),
    "held": (["project_id", "owner"], "state = 'leased'"),
    "queue": (["project_id", "lane", "rank", "created_at", "id"], UNFINISHED),
    "sources": (["project_id", "lane", "source", "rank", "created_at", "id"], UNFINISHED),
    "alarms": (["project_id", "alarm_at"], f"{UNFINISHED} AND alarm_at IS NOT NULL"),
    "handed": (["project_id", "leased_at", "id"], "leased_at IS NOT NULL"),
}
SUBMISSION_INDEXES = (
    ["project_id", "created_at", "id"],
    ["project_id", "reviewer", "created_at"],
    ["project_id", "item_digest"],
)


def upgrade() -> None:
    op.add_column("policies", sa.Column("workflow", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
    _lots()
    _tasks()
    _submissions()
    op.create_table(
        "lot_items",
        sa.Column("work_id", TEXT, nullable=False),
        sa.Column("lot_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.Column("defect", sa.Boolean(), nullable=True),
        sa.Column("void", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("work_id", name=op.f("pk_lot_items")),
        sa.ForeignKeyConstraint(["work_id"], ["tasks.id"], name=op.f("fk_lot_items_work_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lots.id"], name=op.f("fk_lot_items_lot_id")),
        sa.UniqueConstraint("lot_id", "place", name=op.f("uq_lot_items_lot_id_place")),
    )
    _held_answers()


def _lots() -> None:
    op.create_table(
        "lots",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("inspected", sa.Integer(), nullable=False),
        sa.Column("defects", sa.Integer(), nullable=False),
        sa.Column("accept_at", sa.Integer(), nullable=False),
        sa.Column("reject_at", sa.Integer(), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lots")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_lots_project_id")),
        sa.CheckConstraint(
            "items >= 1 AND 0 <= defects AND defects <= inspected AND inspected <= items",
            name=op.f("ck_lots_numbers_fit"),
        ),
        sa.CheckConstraint("state = 'open' OR closed_at IS NOT NULL", name=op.f("ck_lots_closed_unless_open")),
        sa.CheckConstraint(
            "(state IN ('accepted', 'rejected')) = (decided_at IS NOT NULL)", name=op.f("ck_lots_decided_at_once")
        ),
        sa.CheckConstraint(
            "state IN ('open', 'inspecting', 'accepted', 'rejected')", name=op.f("ck_lots_state_known")
        ),
    )
    op.create_index("ix_lots_project_id_opened_at_id", "lots", ["project_id", "opened_at", "id"])
    _partial("ix_lots_filling", "lots", ["project_id", "source"], "closed_at IS NULL", unique=True)
    _partial("ix_lots_undecided", "lots", ["id"], "state IN ('open', 'inspecting')")


def _tasks() -> None:
    for name in TASK_INDEXES:
        op.drop_index(f"ix_tasks_{name}", "tasks")
    with op.batch_alter_table("tasks", recreate=_recreate()) as batch:
        batch.add_column(sa.Column("begun", sa.Integer(), server_default=sa.text("0"), nullable=False))
        batch.add_column(sa.Column("lot_id", TEXT, nullable=True))
        batch.add_column(sa.Column("meant_for", TEXT, server_default=sa.text("''"), nullable=False))
        batch.add_column(sa.Column("reserved_until", MOMENT, nullable=True))
        batch.alter_column("reason", server_default=sa.text("''"))  # as it was, not as SQLite tells it
    op.execute("UPDATE tasks SET begun = round")  # nothing was returned so far
    with op.batch_alter_table("tasks", recreate=_recreate()) as batch:
        batch.alter_column("begun", server_default=None)
        batch.alter_column("meant_for", server_default=None)
        batch.alter_column("reason", server_default=sa.text("''"))
        batch.create_foreign_key(op.f("fk_tasks_lot_id"), "lots", ["lot_id"], ["id"])
        batch.drop_constraint(op.f("ck_tasks_stage_known"), type_="check")
        batch.drop_constraint(op.f("ck_tasks_seats_count"), type_="check")
        batch.create_check_constraint(
            op.f("ck_tasks_stage_known"), "stage IN ('annotate', 'audit', 'adjudicate', 'qa')"
        )
        batch.create_check_constraint(
            op.f("ck_tasks_seats_count"),
            "seat >= -1 AND seat <= people AND people >= 1 AND begun >= 0 AND begun <= round",
        )
    for name, (columns, where) in TASK_INDEXES.items():
        _partial(f"ix_tasks_{name}", "tasks", columns, where)
    _partial("ix_tasks_meant", "tasks", ["project_id", "meant_for"], f"{UNFINISHED} AND meant_for <> ''")
    _partial(
        "ix_tasks_reserved", "tasks", ["project_id", "reserved_until"], f"{UNFINISHED} AND reserved_until IS NOT NULL"
    )


def _submissions() -> None:
    for columns in SUBMISSION_INDEXES:
        op.drop_index(f"ix_submissions_{'_'.join(columns)}", "submissions")
    with op.batch_alter_table("submissions", recreate=_recreate()) as batch:
        batch.alter_column("issues", server_default=sa.text("'[]'"))  # as it was, not as SQLite tells it
        batch.drop_constraint(op.f("ck_submissions_outcome_known"), type_="check")
        batch.create_check_constraint(
            op.f("ck_submissions_outcome_known"), "outcome IN ('submitted', 'skipped', 'accepted', 'returned')"
        )
    for columns in SUBMISSION_INDEXES:
        op.create_index(f"ix_submissions_{'_'.join(columns)}", "submissions", columns)


def _held_answers() -> None:
    op.create_table(
        "held_answers",
        sa.Column("work_id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("lot_id", TEXT, nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("author", TEXT, nullable=False),
        sa.Column("submission_id", TEXT, nullable=False),
        sa.Column("submission_ids", sa.JSON(), nullable=False),
        sa.Column("shapes", sa.JSON(), nullable=False),
        sa.Column("standing", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("work_id", name=op.f("pk_held_answers")),
        sa.ForeignKeyConstraint(["work_id"], ["tasks.id"], name=op.f("fk_held_answers_work_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_held_answers_task_id")),
        sa.ForeignKeyConstraint(["lot_id"], ["lots.id"], name=op.f("fk_held_answers_lot_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_held_answers_project_id")),
        sa.ForeignKeyConstraint(["submission_id"], ["submissions.id"], name=op.f("fk_held_answers_submission_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_held_answers_project_id_item_digest"),
        ),
        sa.CheckConstraint(
            "standing IN ('waiting', 'in_qa', 'recalled', 'settled')", name=op.f("ck_held_answers_standing_known")
        ),
    )
    op.create_index("ix_held_answers_lot_id_standing_work_id", "held_answers", ["lot_id", "standing", "work_id"])
    _partial("ix_held_answers_unfollowed", "held_answers", ["lot_id"], "standing IN ('waiting', 'recalled')")


def _recreate() -> Literal["always", "never"]:
    return "always" if op.get_bind().dialect.name == "sqlite" else "never"


def _partial(name: str, table: str, columns: list[str], where: str | None, *, unique: bool = False) -> None:
    clause = None if where is None else sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=clause, postgresql_where=clause)
