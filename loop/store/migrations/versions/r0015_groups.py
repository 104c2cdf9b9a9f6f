"""Groups of items with an order, their frames, and the works on them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "item_groups",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column("read_to", sa.Integer(), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("meta", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item_groups")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_item_groups_project_id")),
        sa.UniqueConstraint("project_id", "id", name=op.f("uq_item_groups_project_id_id")),
        sa.CheckConstraint("frames >= 0 AND read_to >= -1 AND repeats >= 0", name=op.f("ck_item_groups_counts")),
        sa.CheckConstraint("kind IN ('clip', 'camera', 'any')", name=op.f("ck_item_groups_kind_known")),
    )
    op.create_index("ix_item_groups_project_id_created_at_id", "item_groups", ["project_id", "created_at", "id"])
    _frames()
    op.create_table(
        "group_works",
        sa.Column("work_id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("group_id", TEXT, nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("work_id", name=op.f("pk_group_works")),
        sa.ForeignKeyConstraint(["work_id"], ["tasks.id"], name=op.f("fk_group_works_work_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "group_id"],
            ["item_groups.project_id", "item_groups.id"],
            name=op.f("fk_group_works_project_id_group_id"),
        ),
        sa.UniqueConstraint("group_id", "first", name=op.f("uq_group_works_group_id_first")),
        sa.CheckConstraint("first >= 0 AND count >= 1", name=op.f("ck_group_works_window_counts")),
    )


def _frames() -> None:
    op.create_table(
        "group_frames",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("group_id", TEXT, nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("group_id", "index", name=op.f("pk_group_frames")),
        sa.UniqueConstraint("group_id", "item_digest", name=op.f("uq_group_frames_group_id_item_digest")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_group_frames_project_id_item_digest"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "group_id"],
            ["item_groups.project_id", "item_groups.id"],
            name=op.f("fk_group_frames_project_id_group_id"),
        ),
        sa.CheckConstraint('"index" >= 0', name=op.f("ck_group_frames_index_counts")),
    )
    op.create_index("ix_group_frames_project_id_item_digest", "group_frames", ["project_id", "item_digest"])
