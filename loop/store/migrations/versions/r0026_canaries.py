"""Canaries that are judged by what people answer."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0026"
down_revision: str | None = "0025"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Rollouts from before are judged by errors and latency alone.
    op.add_column("rollouts", sa.Column("active_at", MOMENT, nullable=True))
    op.add_column("rollouts", sa.Column("judging", sa.JSON(), nullable=True))
    op.add_column("rollouts", sa.Column("standing", sa.JSON(), nullable=True))
    op.add_column("rollouts", sa.Column("cycle_id", TEXT, nullable=True))
