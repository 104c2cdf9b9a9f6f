"""Tasks that people do in Label Studio."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0028"
down_revision: str | None = "0027"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)
LIVE = sa.text("state IN ('sending', 'out')")
STATES = "state IN ('sending', 'out', 'answered', 'skipped', 'refused', 'released')"


def upgrade() -> None:
    op.create_table(
        "label_studio_links",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("server", TEXT, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("work_id", TEXT, nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
        sa.Column("remote", sa.Integer(), nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("claimed_until", MOMENT, nullable=True),
        sa.Column("annotation", sa.Integer(), nullable=True),
        sa.Column("answer", TEXT, nullable=False),
        sa.Column("submission_id", TEXT, nullable=True),
        sa.Column("seen", TEXT, nullable=False),
        sa.Column("problem", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_studio_links")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_label_studio_links_project_id")),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_label_studio_links_task_id")),
        sa.ForeignKeyConstraint(
            ["submission_id"], ["submissions.id"], name=op.f("fk_label_studio_links_submission_id")
        ),
        sa.UniqueConstraint("server", "place", "remote", name=op.f("uq_label_studio_links_server_place_remote")),
        sa.CheckConstraint(
            "state <> 'sending' OR remote IS NULL", name=op.f("ck_label_studio_links_unknown_while_sending")
        ),
        sa.CheckConstraint(
            "state NOT IN ('out', 'answered', 'skipped') OR remote IS NOT NULL",
            name=op.f("ck_label_studio_links_known_when_out"),
        ),
        sa.CheckConstraint(
            "(state IN ('answered', 'skipped')) = (submission_id IS NOT NULL)",
            name=op.f("ck_label_studio_links_taken_with_submission"),
        ),
        sa.CheckConstraint(STATES, name=op.f("ck_label_studio_links_state_known")),
    )
    table = "label_studio_links"
    op.create_index("ix_label_studio_links_project_id_server_place", table, ["project_id", "server", "place"])
    op.create_index("ix_label_studio_links_work_id", table, ["work_id"])
    op.create_index(
        "uq_label_studio_links_live", table, ["task_id"], unique=True, sqlite_where=LIVE, postgresql_where=LIVE
    )
