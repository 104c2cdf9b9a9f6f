"""The first tables."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True)
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Keys to tables that are made later: source columns, target table, its columns, deferred to the commit.
FORWARD_KEYS = {
    "projects": (
        (["id", "recipe_version"], "recipes", ["project_id", "version"], True),
        (["id", "policy_version"], "policies", ["project_id", "version"], True),
        (["id", "champion_id"], "models", ["project_id", "id"], False),
    ),
    "models": ((["cycle_id"], "cycles", ["id"], False),),
}


def inline(table: str) -> list[sa.ForeignKeyConstraint]:
    """SQLite cannot add a key later, but takes one to a table that is still to come."""
    return [
        sa.ForeignKeyConstraint(
            columns,
            [f"{target}.{column}" for column in targets],
            name=key_name(table, columns),
            deferrable=True if deferred else None,
            initially="DEFERRED" if deferred else None,
        )
        for columns, target, targets, deferred in FORWARD_KEYS[table]
    ]


def add_forward_keys() -> None:
    for table, keys in FORWARD_KEYS.items():
        for columns, target, targets, deferred in keys:
            op.create_foreign_key(
                key_name(table, columns),
                table,
                target,
                columns,
                targets,
                deferrable=True if deferred else None,
                initially="DEFERRED" if deferred else None,
            )


def key_name(table: str, columns: list[str]) -> str:
    return op.f(f"fk_{table}_{'_'.join(columns)}")


def upgrade() -> None:
    at_once = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "meta",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_meta")),
    )
    op.create_table(
        "projects",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("recipe_version", sa.Integer(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("champion_id", TEXT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        *(inline("projects") if at_once else ()),
    )
    op.create_table(
        "recipes",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("guidelines", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "version", name=op.f("pk_recipes")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_recipes_project_id")),
    )
    op.create_table(
        "policies",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("audit_rate", sa.Double(), nullable=False),
        sa.Column("score_threshold", sa.Double(), nullable=False),
        sa.Column("failure_iou", sa.Double(), nullable=False),
        sa.Column("lease_seconds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "version", name=op.f("pk_policies")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_policies_project_id")),
        sa.CheckConstraint("audit_rate >= 0 AND audit_rate <= 1", name=op.f("ck_policies_audit_rate_unit")),
    )
    op.create_table(
        "items",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("media_type", TEXT, nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("group", TEXT, nullable=False),
        sa.Column("split", TEXT, nullable=True),
        sa.Column("meta", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "digest", name=op.f("pk_items")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_items_project_id")),
        sa.CheckConstraint("width > 0 AND height > 0", name=op.f("ck_items_sides_positive")),
        sa.CheckConstraint("split IN ('train', 'val', 'golden')", name=op.f("ck_items_split_known")),
    )
    op.create_index(
        "ix_items_project_id_created_at_digest", "items", ["project_id", "created_at", "digest"], unique=False
    )
    op.create_table(
        "models",
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
        sa.UniqueConstraint("project_id", "digest", name=op.f("uq_models_project_id_digest")),
        sa.UniqueConstraint("project_id", "id", name=op.f("uq_models_project_id_id")),
        sa.CheckConstraint("origin IN ('registered', 'cycle')", name=op.f("ck_models_origin_known")),
        *(inline("models") if at_once else ()),
    )
    op.create_index("ix_models_project_id_created_at_id", "models", ["project_id", "created_at", "id"], unique=False)
    op.create_table(
        "predictions",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("model_id", TEXT, nullable=False),
        sa.Column("detections", sa.JSON(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.Column("signals", sa.JSON(), nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("stage", TEXT, nullable=True),
        sa.Column("risk", sa.Double(), nullable=False),
        sa.Column("threshold", sa.Double(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("audit_rate", sa.Double(), nullable=False),
        sa.Column("audit_drawn", sa.Boolean(), nullable=False),
        sa.Column("inclusion_probability", sa.Double(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_predictions_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_predictions_project_id_item_digest"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["models.project_id", "models.id"],
            name=op.f("fk_predictions_project_id_model_id"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "policy_version"],
            ["policies.project_id", "policies.version"],
            name=op.f("fk_predictions_project_id_policy_version"),
        ),
        sa.CheckConstraint("action IN ('accept', 'review')", name=op.f("ck_predictions_action_known")),
        sa.CheckConstraint(
            "inclusion_probability >= 0 AND inclusion_probability <= 1",
            name=op.f("ck_predictions_inclusion_probability_unit"),
        ),
        sa.CheckConstraint("stage IN ('annotate', 'audit')", name=op.f("ck_predictions_stage_known")),
        sa.CheckConstraint(
            "(action = 'review') = (stage IS NOT NULL)", name=op.f("ck_predictions_stage_where_reviewed")
        ),
    )
    op.create_index(
        "ix_predictions_project_id_created_at_id", "predictions", ["project_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_predictions_project_id_item_digest_created_at_id",
        "predictions",
        ["project_id", "item_digest", "created_at", "id"],
        unique=False,
    )
    op.create_table(
        "prediction_feed",
        sa.Column("sequence", SEQUENCE, sa.Identity(), autoincrement=True, nullable=False),
        sa.Column("prediction_id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("model_id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_prediction_feed")),
        sa.ForeignKeyConstraint(["prediction_id"], ["predictions.id"], name=op.f("fk_prediction_feed_prediction_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["models.project_id", "models.id"],
            name=op.f("fk_prediction_feed_project_id_model_id"),
        ),
        sa.UniqueConstraint("prediction_id", name=op.f("uq_prediction_feed_prediction_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_prediction_feed_project_id_model_id_sequence",
        "prediction_feed",
        ["project_id", "model_id", "sequence"],
        unique=False,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("token_id", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("request_digest", TEXT, nullable=False),
        sa.Column("claimed_at", MOMENT, nullable=False),
        sa.Column("prediction_id", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("token_id", "key", name=op.f("pk_idempotency_keys")),
        sa.ForeignKeyConstraint(["prediction_id"], ["predictions.id"], name=op.f("fk_idempotency_keys_prediction_id")),
    )
    op.create_table(
        "tasks",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("prediction_id", TEXT, nullable=True),
        sa.Column("stage", TEXT, nullable=False),
        sa.Column("priority", sa.Double(), nullable=False),
        sa.Column("policy_version", sa.Integer(), nullable=False),
        sa.Column("recipe_version", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("owner", TEXT, nullable=True),
        sa.Column("leased_at", MOMENT, nullable=True),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.ForeignKeyConstraint(["prediction_id"], ["predictions.id"], name=op.f("fk_tasks_prediction_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_tasks_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_tasks_project_id_item_digest"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "policy_version"],
            ["policies.project_id", "policies.version"],
            name=op.f("fk_tasks_project_id_policy_version"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "recipe_version"],
            ["recipes.project_id", "recipes.version"],
            name=op.f("fk_tasks_project_id_recipe_version"),
        ),
        sa.UniqueConstraint("prediction_id", "policy_version", name=op.f("uq_tasks_prediction_id_policy_version")),
        sa.CheckConstraint("epoch >= 0", name=op.f("ck_tasks_epoch_counts")),
        sa.CheckConstraint("(state = 'leased') = (expires_at IS NOT NULL)", name=op.f("ck_tasks_expires_while_leased")),
        sa.CheckConstraint("(state = 'open') = (owner IS NULL)", name=op.f("ck_tasks_owned_unless_open")),
        sa.CheckConstraint("priority >= 0 AND priority <= 1", name=op.f("ck_tasks_priority_unit")),
        sa.CheckConstraint("stage IN ('annotate', 'audit')", name=op.f("ck_tasks_stage_known")),
        sa.CheckConstraint("state IN ('open', 'leased', 'done', 'skipped')", name=op.f("ck_tasks_state_known")),
    )
    op.create_index(
        "ix_tasks_held",
        "tasks",
        ["project_id", "owner"],
        unique=False,
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index("ix_tasks_project_id_state", "tasks", ["project_id", "state"], unique=False)
    op.create_index(
        "ix_tasks_queue",
        "tasks",
        ["project_id", sa.text("priority DESC"), "created_at", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('open', 'leased')"),
        postgresql_where=sa.text("state IN ('open', 'leased')"),
    )
    op.create_table(
        "submissions",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("task_id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("reviewer", TEXT, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("shapes", sa.JSON(), nullable=False),
        sa.Column("note", TEXT, nullable=False),
        sa.Column("content_digest", TEXT, nullable=False),
        sa.Column("corrections", sa.JSON(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submissions")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_submissions_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_submissions_project_id_item_digest"),
        ),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=op.f("fk_submissions_task_id")),
        sa.UniqueConstraint("task_id", name=op.f("uq_submissions_task_id")),
        sa.CheckConstraint("outcome IN ('submitted', 'skipped')", name=op.f("ck_submissions_outcome_known")),
    )
    op.create_index(
        "ix_submissions_project_id_created_at_id", "submissions", ["project_id", "created_at", "id"], unique=False
    )
    op.create_table(
        "ground_truths",
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("item_digest", TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("shapes", sa.JSON(), nullable=False),
        sa.Column("submission_ids", sa.JSON(), nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "item_digest", "version", name=op.f("pk_ground_truths")),
        sa.ForeignKeyConstraint(
            ["project_id", "item_digest"],
            ["items.project_id", "items.digest"],
            name=op.f("fk_ground_truths_project_id_item_digest"),
        ),
        sa.CheckConstraint("origin IN ('import', 'review')", name=op.f("ck_ground_truths_origin_known")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_ground_truths_version_counts")),
    )
    op.create_table(
        "promotions",
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
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["models.project_id", "models.id"],
            name=op.f("fk_promotions_project_id_model_id"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "previous_id"],
            ["models.project_id", "models.id"],
            name=op.f("fk_promotions_project_id_previous_id"),
        ),
        sa.CheckConstraint("kind IN ('gate', 'override', 'rollback', 'first')", name=op.f("ck_promotions_kind_known")),
        sa.CheckConstraint("state IN ('queued', 'active', 'failed')", name=op.f("ck_promotions_state_known")),
    )
    op.create_index(
        "ix_promotions_project_id_created_at_id", "promotions", ["project_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "ix_promotions_queue",
        "promotions",
        ["created_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_table(
        "cycles",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("step", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("recipe", sa.JSON(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("champion_id", TEXT, nullable=True),
        sa.Column("snapshot_digest", TEXT, nullable=True),
        sa.Column("candidate_id", TEXT, nullable=True),
        sa.Column("promotion_id", TEXT, nullable=True),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("evaluation", sa.JSON(), nullable=False),
        sa.Column("decision", sa.JSON(), nullable=False),
        sa.Column("mlflow_run_id", TEXT, nullable=True),
        sa.Column("error", TEXT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cycles")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_cycles_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "candidate_id"],
            ["models.project_id", "models.id"],
            name=op.f("fk_cycles_project_id_candidate_id"),
        ),
        sa.ForeignKeyConstraint(
            ["project_id", "champion_id"],
            ["models.project_id", "models.id"],
            name=op.f("fk_cycles_project_id_champion_id"),
        ),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotions.id"], name=op.f("fk_cycles_promotion_id")),
        sa.CheckConstraint("progress >= 0 AND progress <= 1", name=op.f("ck_cycles_progress_unit")),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'promoted', 'refused', 'failed')", name=op.f("ck_cycles_state_known")
        ),
        sa.CheckConstraint(
            "step IN ('snapshot', 'train', 'evaluate', 'gate', 'promote', 'done')", name=op.f("ck_cycles_step_known")
        ),
    )
    op.create_index("ix_cycles_project_id_created_at_id", "cycles", ["project_id", "created_at", "id"], unique=False)
    op.create_index(
        "uq_cycles_unfinished",
        "cycles",
        ["project_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('queued', 'running')"),
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("secret_digest", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_tokens_project_id")),
        sa.UniqueConstraint("secret_digest", name=op.f("uq_tokens_secret_digest")),
        sa.CheckConstraint("role IN ('producer', 'reviewer', 'operator')", name=op.f("ck_tokens_role_known")),
    )
    op.create_table(
        "events",
        sa.Column("sequence", SEQUENCE, sa.Identity(), autoincrement=True, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("project_id", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_events")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_project_id_sequence", "events", ["project_id", "sequence"], unique=False)
    if not at_once:
        add_forward_keys()
