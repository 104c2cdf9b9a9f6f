"""Which groups a record of thresholds has seen without giving each its own; the history by kinds."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0029"
down_revision: str | None = "0028"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    with op.batch_alter_table("thresholds") as batch:
        batch.add_column(sa.Column("others", sa.JSON(), server_default=sa.text("'[]'"), nullable=False))
    op.create_index(op.f("ix_events_project_id_kind_sequence"), "events", ["project_id", "kind", "sequence"])
