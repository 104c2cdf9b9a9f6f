"""What MLflow is told is kept first, so that nothing is missed while it is away."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0038"
down_revision: str | None = "0037"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
UNTOLD = sa.text("told_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "mlflow_notes",
        sa.Column("sequence", SEQUENCE, sa.Identity(), autoincrement=True, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("cycle_id", TEXT, nullable=True),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("told_at", MOMENT, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("error", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_mlflow_notes")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_mlflow_notes_project_id")),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycles.id"], name=op.f("fk_mlflow_notes_cycle_id")),
        sa.UniqueConstraint("cycle_id", "key", name=op.f("uq_mlflow_notes_cycle_id_key")),
        sa.CheckConstraint(
            "(kind = 'aliases') = (cycle_id IS NULL)", name=op.f("ck_mlflow_notes_of_a_cycle_or_aliases")
        ),
        sa.CheckConstraint("failures >= 0", name=op.f("ck_mlflow_notes_failures_count")),
        sa.CheckConstraint(
            "kind IN ('run', 'metrics', 'artifact', 'version', 'end', 'aliases')",
            name=op.f("ck_mlflow_notes_kind_known"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_mlflow_notes_untold", "mlflow_notes", ["sequence"], sqlite_where=UNTOLD, postgresql_where=UNTOLD
    )
