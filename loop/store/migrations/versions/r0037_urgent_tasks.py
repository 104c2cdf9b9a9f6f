"""Tasks that are overdue or escalated are found among all that wait."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0037"
down_revision: str | None = "0036"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    urgent = sa.text("state IN ('open', 'leased') AND urgency <> 'ordinary'")
    columns = ["project_id", "lane", "urgency", "rank", "created_at", "id"]
    op.create_index("ix_tasks_urgent", "tasks", columns, sqlite_where=urgent, postgresql_where=urgent)
