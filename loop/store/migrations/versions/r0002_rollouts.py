"""Rollouts, serving options of a model, and the configuration revision."""

from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def models_of_0001() -> sa.Table:
    return sa.Table(
        "models",
        sa.MetaData(),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("head", sa.JSON(), nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("cycle_id", TEXT, nullable=True),
        sa.Column("reference_key", TEXT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("mlflow_version", TEXT, nullable=True),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_models_project_id")),
        sa.ForeignKeyConstraint(["cycle_id"], ["cycles.id"], name=op.f("fk_models_cycle_id")),
        sa.UniqueConstraint("project_id", "digest", name=op.f("uq_models_project_id_digest")),
        sa.UniqueConstraint("project_id", "id", name=op.f("uq_models_project_id_id")),
        sa.CheckConstraint("origin IN ('registered', 'cycle')", name=op.f("ck_models_origin_known")),
        sa.Index("ix_models_project_id_created_at_id", "project_id", "created_at", "id"),
    )


def promotions_of_0001() -> sa.Table:
    return sa.Table(
        "promotions",
        sa.MetaData(),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("model_id", TEXT, nullable=False),
        sa.Column("previous_id", TEXT, nullable=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("error", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotions")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_promotions_project_id")),
        model_key("promotions", "model_id"),
        model_key("promotions", "previous_id"),
        sa.CheckConstraint("kind IN ('gate', 'override', 'rollback', 'first')", name=op.f("ck_promotions_kind_known")),
        sa.CheckConstraint("state IN ('queued', 'active', 'failed')", name=op.f("ck_promotions_state_known")),
        sa.Index("ix_promotions_project_id_created_at_id", "project_id", "created_at", "id"),
        sa.Index(
            "ix_promotions_queue",
            "created_at",
            "id",
            sqlite_where=sa.text("state = 'queued'"),
            postgresql_where=sa.text("state = 'queued'"),
        ),
    )


def model_key(table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["project_id", column], ["models.project_id", "models.id"], name=op.f(f"fk_{table}_project_id_{column}")
    )


def options() -> sa.Column[object]:
    return sa.Column("serving", sa.JSON(), server_default=sa.text("'{}'"), nullable=False)


def upgrade() -> None:
    # Made anew on SQLite even where it could add the column, so that the table is written as the schema writes it.
    recreate: Literal["always", "never"] = "always" if op.get_bind().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("models", copy_from=models_of_0001(), recreate=recreate) as batch:
        batch.add_column(options())
    with op.batch_alter_table("promotions", copy_from=promotions_of_0001(), recreate=recreate) as batch:
        batch.add_column(options())
        batch.drop_constraint(op.f("ck_promotions_kind_known"), type_="check")
        batch.create_check_constraint(
            op.f("ck_promotions_kind_known"), "kind IN ('gate', 'override', 'rollback', 'first', 'reconfigure')"
        )
    op.create_table(
        "rollouts",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("model_id", TEXT, nullable=False),
        sa.Column("champion_id", TEXT, nullable=False),
        sa.Column("share", sa.Double(), nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("error", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollouts")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_rollouts_project_id")),
        model_key("rollouts", "model_id"),
        model_key("rollouts", "champion_id"),
        sa.CheckConstraint("share > 0 AND share <= 1", name=op.f("ck_rollouts_share_positive")),
        sa.CheckConstraint("model_id <> champion_id", name=op.f("ck_rollouts_beside_the_champion")),
        sa.CheckConstraint(
            "(state IN ('queued', 'active')) = (finished_at IS NULL)", name=op.f("ck_rollouts_finished_once")
        ),
        sa.CheckConstraint("kind IN ('canary', 'shadow')", name=op.f("ck_rollouts_kind_known")),
        sa.CheckConstraint(
            "state IN ('queued', 'active', 'ended', 'rolled_back', 'failed')", name=op.f("ck_rollouts_state_known")
        ),
    )
    op.create_index("ix_rollouts_project_id_created_at_id", "rollouts", ["project_id", "created_at", "id"])
    op.create_index(
        "uq_rollouts_unfinished",
        "rollouts",
        ["project_id", "kind"],
        unique=True,
        sqlite_where=sa.text("state IN ('queued', 'active')"),
        postgresql_where=sa.text("state IN ('queued', 'active')"),
    )
    op.create_table(
        "configuration",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_configuration")),
        sa.CheckConstraint("id = 1", name=op.f("ck_configuration_one_row")),
    )
