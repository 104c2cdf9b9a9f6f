"""The metadata that all tables join, and the columns, keys and constraints that recur among them."""

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, ForeignKey, ForeignKeyConstraint, Index, MetaData, Table, text

from loop.store.types import PlainText

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)
# Rows from before a column was there have the empty document.
EMPTY_OBJECT = text("'{}'")
EMPTY_LIST = text("'[]'")


def one_of(column: str, members: Iterable[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(m.value) for m in members)})", name=f"{column}_known")


def unit(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} >= 0 AND {column} <= 1", name=f"{column}_unit")


def project_key() -> Column[str]:
    return Column("project_id", PlainText, ForeignKey("projects.id"), nullable=False)


def item_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["project_id", "item_digest"], ["items.project_id", "items.digest"])


def model_key(column: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["project_id", column], ["models.project_id", "models.id"])


def newest_first(table: Table, key: str = "id") -> Index:
    return Index(None, table.c.project_id, table.c.created_at, table.c[key])
