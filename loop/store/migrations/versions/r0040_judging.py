"""Who judges answers is checked by answers whose value is known, and has a standing of that."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0040"
down_revision: str | None = "0039"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
JUDGEABLE = sa.text("sound IS NOT NULL AND judged_id IS NULL")


def upgrade() -> None:
    op.add_column("golden_seats", sa.Column("judged_id", TEXT, nullable=True))
    op.add_column("golden_answers", sa.Column("sound", sa.Boolean(), nullable=True))
    op.add_column("golden_answers", sa.Column("judged_id", TEXT, nullable=True))
    op.create_index(
        "ix_golden_answers_judgeable",
        "golden_answers",
        ["project_id", "created_at"],
        sqlite_where=JUDGEABLE,
        postgresql_where=JUDGEABLE,
    )
    op.create_table(
        "judging_standings",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("reviewer", TEXT, nullable=False),
        sa.Column("standing", TEXT, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("why", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "reviewer", name=op.f("pk_judging_standings")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_judging_standings_project_id")),
        sa.CheckConstraint(
            "standing IN ('new', 'qualified', 'warned', 'paused')", name=op.f("ck_judging_standings_standing_known")
        ),
    )
