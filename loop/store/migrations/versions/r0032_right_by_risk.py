"""Lists by risk of what people found nothing wrong with."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0032"
down_revision: str | None = "0031"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_RIGHT = sa.text("corrections = 0")


def upgrade() -> None:
    op.create_index(
        "ix_item_facts_right_risk",
        "item_facts",
        ["project_id", "risk", "digest"],
        sqlite_where=_RIGHT,
        postgresql_where=_RIGHT,
    )
