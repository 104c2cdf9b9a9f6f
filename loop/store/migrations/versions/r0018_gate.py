"""Callers who wait for people."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("policies", sa.Column("gate", sa.JSON(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("tasks", sa.Column("answer_by", MOMENT, nullable=True))
    op.add_column("tasks", sa.Column("start_by", MOMENT, nullable=True))
    op.add_column("tasks", sa.Column("usual_rank", sa.Double(), nullable=True))
    waits = sa.text("state IN ('open', 'leased') AND answer_by IS NOT NULL")
    op.create_index("ix_tasks_awaited", "tasks", ["answer_by"], sqlite_where=waits, postgresql_where=waits)
