"""Projects with the versions of their recipes and policies, tokens, and what holds for the whole installation."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from loop.domain.access import Role
from loop.domain.routing import Durability, Retain
from loop.store.documents import (
    AUDIT_RATES,
    FUNCTION_USES,
    GATE,
    GUARANTEE,
    LABELS,
    LINK_TYPES,
    QUALITY_POLICY,
    QUEUE_RULES,
    RULES,
    WORKFLOW,
)
from loop.store.schema.shared import EMPTY_LIST, EMPTY_OBJECT, metadata, one_of, project_key, unit
from loop.store.types import Choice, PlainText, UtcDateTime

VALID_TOKEN = text("revoked_at IS NULL")

meta = Table(
    "meta",
    metadata,
    Column("name", PlainText, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

# A project and its first recipe and policy are one transaction: the keys between them are checked at its end.
projects = Table(
    "projects",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("recipe_version", Integer, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("champion_id", PlainText),
    Column("created_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(
        ["id", "recipe_version"],
        ["recipes.project_id", "recipes.version"],
        deferrable=True,
        initially="DEFERRED",
        use_alter=True,
    ),
    ForeignKeyConstraint(
        ["id", "policy_version"],
        ["policies.project_id", "policies.version"],
        deferrable=True,
        initially="DEFERRED",
        use_alter=True,
    ),
    ForeignKeyConstraint(["id", "champion_id"], ["models.project_id", "models.id"], use_alter=True),
)

recipes = Table(
    "recipes",
    metadata,
    project_key(),
    Column("version", Integer, nullable=False),
    Column("labels", LABELS, nullable=False),
    Column("guidelines", PlainText, nullable=False),
    Column("link_types", LINK_TYPES, nullable=False, server_default=EMPTY_LIST),
    Column("rules", RULES, nullable=False, server_default=EMPTY_LIST),
    PrimaryKeyConstraint("project_id", "version"),
)

policies = Table(
    "policies",
    metadata,
    project_key(),
    Column("version", Integer, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("audit_rate", Double, nullable=False),
    Column("score_threshold", Double, nullable=False),
    Column("failure_iou", Double, nullable=False),
    Column("lease_seconds", Integer, nullable=False),
    Column("retain", Choice(Retain), server_default=text("'all'"), nullable=False),
    Column("retain_rate", Double, server_default=text("1"), nullable=False),
    Column("durability", Choice(Durability), server_default=text("'before-answer'"), nullable=False),
    Column("queue", QUEUE_RULES, server_default=EMPTY_OBJECT, nullable=False),
    Column("functions", FUNCTION_USES, server_default=EMPTY_LIST, nullable=False),
    Column("workflow", WORKFLOW, server_default=EMPTY_OBJECT, nullable=False),
    Column("quality", QUALITY_POLICY, server_default=EMPTY_OBJECT, nullable=False),
    Column("gate", GATE, server_default=EMPTY_OBJECT, nullable=False),
    Column("guarantee", GUARANTEE, server_default=EMPTY_OBJECT, nullable=False),
    Column("audit_rates", AUDIT_RATES, server_default=EMPTY_OBJECT, nullable=False),
    PrimaryKeyConstraint("project_id", "version"),
    unit("audit_rate"),
    unit("retain_rate"),
    one_of("retain", Retain),
    one_of("durability", Durability),
)

# One row: how often projects, models, tokens or rollouts were written (loop/store/configuration.py).
configuration = Table(
    "configuration",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("role", Choice(Role), nullable=False),
    Column("secret_digest", PlainText, nullable=False),
    Column("project_id", PlainText, ForeignKey("projects.id")),
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    UniqueConstraint("secret_digest"),
    one_of("role", Role),
)
Index("ix_tokens_valid", tokens.c.created_at, tokens.c.id, sqlite_where=VALID_TOKEN, postgresql_where=VALID_TOKEN)
