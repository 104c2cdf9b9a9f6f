"""Links and validation rules of recipes, and the warnings that an answer was taken with."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

NONE = sa.text("'[]'")


def upgrade() -> None:
    op.add_column("recipes", sa.Column("link_types", sa.JSON(), nullable=False, server_default=NONE))
    op.add_column("recipes", sa.Column("rules", sa.JSON(), nullable=False, server_default=NONE))
    op.add_column("submissions", sa.Column("issues", sa.JSON(), nullable=False, server_default=NONE))
