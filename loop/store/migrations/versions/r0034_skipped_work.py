"""Items whose work was skipped by all who had it are told from those that people answered."""

from collections.abc import Sequence

from alembic import op

revision: str = "0034"
down_revision: str | None = "0033"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute(
        "UPDATE item_facts SET work = 'skipped' WHERE work = 'done' AND NOT EXISTS ("
        "SELECT 1 FROM tasks WHERE tasks.project_id = item_facts.project_id "
        "AND tasks.item_digest = item_facts.digest AND stage <> 'golden' AND state <> 'skipped')"
    )
