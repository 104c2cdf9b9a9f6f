"""Annotation jobs and the answers of their images."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)
UNFINISHED = sa.text("state IN ('queued', 'running')")
BAD = sa.text("prediction_id IS NULL")


def upgrade() -> None:
    op.create_table(
        "annotation_jobs",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("model_id", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("any_folder", sa.Boolean(), nullable=False),
        sa.Column("review", sa.Boolean(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("listing_key", TEXT, nullable=True),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("bad", sa.Integer(), nullable=False),
        sa.Column("error", TEXT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "done >= 0 AND bad >= 0 AND done + bad <= found", name=op.f("ck_annotation_jobs_counts_fit")
        ),
        sa.CheckConstraint(
            "state <> 'done' OR done + bad = found", name=op.f("ck_annotation_jobs_done_when_all_answered")
        ),
        sa.CheckConstraint(
            "state <> 'running' OR listing_key IS NOT NULL", name=op.f("ck_annotation_jobs_listed_while_running")
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_annotation_jobs_state_known"),
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_annotation_jobs_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["models.project_id", "models.id"],
            name=op.f("fk_annotation_jobs_project_id_model_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotation_jobs")),
    )
    op.create_index(
        op.f("ix_annotation_jobs_project_id_created_at_id"), "annotation_jobs", ["project_id", "created_at", "id"]
    )
    op.create_index(
        "ix_annotation_jobs_queue",
        "annotation_jobs",
        ["created_at", "id"],
        sqlite_where=UNFINISHED,
        postgresql_where=UNFINISHED,
    )
    op.create_table(
        "annotation_results",
        sa.Column("job_id", TEXT, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("url", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=True),
        sa.Column("prediction_id", TEXT, nullable=True),
        sa.Column("reason", TEXT, nullable=False),
        sa.CheckConstraint("position >= 0", name=op.f("ck_annotation_results_position_counts")),
        sa.CheckConstraint(
            "(prediction_id IS NULL) = (reason <> '')", name=op.f("ck_annotation_results_reason_where_bad")
        ),
        sa.ForeignKeyConstraint(
            ["job_id"], ["annotation_jobs.id"], name=op.f("fk_annotation_results_job_id")
        ),
        sa.ForeignKeyConstraint(
            ["prediction_id"], ["predictions.id"], name=op.f("fk_annotation_results_prediction_id")
        ),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_annotation_results")),
        sa.UniqueConstraint("prediction_id", name=op.f("uq_annotation_results_prediction_id")),
    )
    op.create_index(
        "ix_annotation_results_bad",
        "annotation_results",
        ["job_id", "position"],
        sqlite_where=BAD,
        postgresql_where=BAD,
    )
