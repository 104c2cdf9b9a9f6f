"""What changes of items, for the facts that lists are made of to follow; orders of these for more that is asked for."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0024"
down_revision: str | None = "0023"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "changed_items",
        sa.Column("sequence", SEQUENCE, sa.Identity(), autoincrement=True, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_changed_items")),
    )
    op.add_column("item_terms", sa.Column("captured_at", MOMENT, nullable=True))
    op.execute(
        "UPDATE item_terms SET captured_at = (SELECT f.captured_at FROM item_facts AS f "
        "WHERE f.project_id = item_terms.project_id AND f.digest = item_terms.item_digest)"
    )
    op.create_index(
        "ix_item_terms_project_id_field_value_captured_at_item_digest",
        "item_terms",
        ["project_id", "field", "value", "captured_at", "item_digest"],
    )
    for column in ("source", "group", "split", "model_id", "routed", "truth_version", "work", "corrections"):
        _order(column, "captured_at")
    for column in ("routed", "work"):
        _order(column, "risk")
    for name, where in (("labelled", "truth_version <> 0"), ("failed", "corrections <> 0")):
        op.create_index(
            f"ix_item_facts_{name}_captured_at",
            "item_facts",
            ["project_id", "captured_at", "digest"],
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )


def _order(column: str, by: str) -> None:
    op.create_index(f"ix_item_facts_project_id_{column}_{by}_digest", "item_facts", ["project_id", column, by, "digest"])
