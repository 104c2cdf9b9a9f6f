"""The tables. Constraints say again what the domain says, so that no bug can commit a state it forbids.

Times are UTC. Columns are named as the fields of the domain's records, which are read and written whole.
Foreign keys into a project carry the project's id too: nothing can point into another project. Who acted
(owner, reviewer, actor, created_by) is a token id or the name of a process, and refers to no table.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from loop.domain.access import Role
from loop.domain.annotation import AnnotationState
from loop.domain.clips import GroupKind
from loop.domain.comments import CommentKind, CommentState
from loop.domain.cycle import CycleState, Step
from loop.domain.drift import Origin, Verdict
from loop.domain.embedding_map import MapState
from loop.domain.function_calls import CallState
from loop.domain.item import Split
from loop.domain.label_studio import LinkState
from loop.domain.lot import LotState
from loop.domain.model import PromotionKind, PromotionState
from loop.domain.outcomes import TurnedOut
from loop.domain.qa import AnswerStanding
from loop.domain.quality_rules import Standing
from loop.domain.review import Outcome, TaskState, Urgency
from loop.domain.rollout import RolloutKind, RolloutState
from loop.domain.routing import Action, Durability, Retain
from loop.domain.stage import ROUTED, Stage
from loop.domain.thresholds import EvidenceBasis, Why
from loop.domain.webhooks import DeliveryState
from loop.store.documents import (
    AUDIT_RATES,
    BROKEN,
    CANARY_RULES,
    CANARY_STANDING,
    CLASS_SHIFTS,
    COUNTS,
    DETECTIONS,
    DRIFT_TESTS,
    FUNCTION_USES,
    GATE,
    GROUP_THRESHOLDS,
    GUARANTEE,
    HEAD,
    ISSUES,
    LABELS,
    LIMITS,
    LINK_TYPES,
    LOT_RULES,
    MERGED,
    NUMBERS,
    OBJECT,
    PAIRS,
    PLACE,
    PROMISES,
    QUALITY_POLICY,
    QUEUE_RULES,
    REASONS,
    RULES,
    SCORE_SHIFT,
    SECRETS,
    SHAPES,
    SOURCE_SHIFTS,
    STRINGS,
    VOTES,
    WORKFLOW,
)
from loop.store.types import SEQUENCE, Choice, Float32Vector, ObjectFeatures, PlainText, UtcDateTime

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# Written out, not bound: a partial index serves a query only where the planner sees the same words.
UNFINISHED_TASK = text("state IN ('open', 'leased')")
LEASED_TASK = text("state = 'leased'")
ALARMING_TASK = text("state IN ('open', 'leased') AND alarm_at IS NOT NULL")
HANDED_TASK = text("leased_at IS NOT NULL")
MEANT_TASK = text("state IN ('open', 'leased') AND meant_for <> ''")
RESERVED_TASK = text("state IN ('open', 'leased') AND reserved_until IS NOT NULL")
AWAITED_TASK = text("state IN ('open', 'leased') AND answer_by IS NOT NULL")
FILLING_LOT = text("closed_at IS NULL")
UNDECIDED_LOT = text("state IN ('open', 'inspecting')")
UNFOLLOWED_ANSWER = text("standing IN ('waiting', 'recalled')")
# A golden item's task counts nowhere as work on that item.
ORDINARY_TASK = text("stage <> 'golden'")
UNFINISHED_CYCLE = text("state IN ('queued', 'running')")
QUEUED_PROMOTION = text("state = 'queued'")
UNFINISHED_ANNOTATION = text("state IN ('queued', 'running')")
SAMPLED_PREDICTION = text("stage IS NOT NULL")
BAD_RESULT = text("prediction_id IS NULL")
UNFINISHED_ROLLOUT = text("state IN ('queued', 'active')")
PENDING_DELIVERY = text("state = 'pending'")
LEFT_IMAGE = text("NOT removed")
LIVE_LINK = text("state IN ('sending', 'out')")
PENDING_CALL = text("state = 'pending'")
DEAD_DELIVERY = text("state = 'dead'")
SCHEDULED_LOOK = text("scheduled")
LABELLED_ITEM = text("truth_version <> 0")
FAILED_ITEM = text("corrections <> 0")
NUMBER_TERM = text("number IS NOT NULL")
EVENT_OF_ITEM = text("item_digest IS NOT NULL")
# Rows from before a column was there have the empty document.
_EMPTY = text("'{}'")
_NONE = text("'[]'")


def _one_of(column: str, members: Iterable[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(m.value) for m in members)})", name=f"{column}_known")


def _unit(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} >= 0 AND {column} <= 1", name=f"{column}_unit")


def _project() -> Column[str]:
    return Column("project_id", PlainText, ForeignKey("projects.id"), nullable=False)


def _item_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["project_id", "item_digest"], ["items.project_id", "items.digest"])


def _model_key(column: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["project_id", column], ["models.project_id", "models.id"])


def _newest_first(table: Table, key: str = "id") -> Index:
    return Index(None, table.c.project_id, table.c.created_at, table.c[key])


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
    _project(),
    Column("version", Integer, nullable=False),
    Column("labels", LABELS, nullable=False),
    Column("guidelines", PlainText, nullable=False),
    Column("link_types", LINK_TYPES, nullable=False, server_default=_NONE),
    Column("rules", RULES, nullable=False, server_default=_NONE),
    PrimaryKeyConstraint("project_id", "version"),
)

policies = Table(
    "policies",
    metadata,
    _project(),
    Column("version", Integer, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("audit_rate", Double, nullable=False),
    Column("score_threshold", Double, nullable=False),
    Column("failure_iou", Double, nullable=False),
    Column("lease_seconds", Integer, nullable=False),
    Column("retain", Choice(Retain), server_default=text("'all'"), nullable=False),
    Column("retain_rate", Double, server_default=text("1"), nullable=False),
    Column("durability", Choice(Durability), server_default=text("'before-answer'"), nullable=False),
    Column("queue", QUEUE_RULES, server_default=_EMPTY, nullable=False),
    Column("functions", FUNCTION_USES, server_default=_NONE, nullable=False),
    Column("workflow", WORKFLOW, server_default=_EMPTY, nullable=False),
    Column("quality", QUALITY_POLICY, server_default=_EMPTY, nullable=False),
    Column("gate", GATE, server_default=_EMPTY, nullable=False),
    Column("guarantee", GUARANTEE, server_default=_EMPTY, nullable=False),
    Column("audit_rates", AUDIT_RATES, server_default=_EMPTY, nullable=False),
    PrimaryKeyConstraint("project_id", "version"),
    _unit("audit_rate"),
    _unit("retain_rate"),
    _one_of("retain", Retain),
    _one_of("durability", Durability),
)

items = Table(
    "items",
    metadata,
    _project(),
    Column("digest", PlainText, nullable=False),
    Column("media_type", PlainText, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("source", PlainText, nullable=False),
    Column("group", PlainText, nullable=False),
    Column("split", Choice(Split)),
    Column("meta", OBJECT, nullable=False),
    PrimaryKeyConstraint("project_id", "digest"),
    CheckConstraint("width > 0 AND height > 0", name="sides_positive"),
    _one_of("split", Split),
)
_newest_first(items, "digest")

# What items are asked for by (loop/domain/queries.py), kept by loop/store/item_facts.py: a narrow row for each item,
# with what other tables say of it. source, group: their beginnings, since an index holds no long text. work: of its
# ordinary tasks. routed: what was decided of the newest prediction: `accept`, or its stage. corrections: of the newest
# answer that settled something.
item_facts = Table(
    "item_facts",
    metadata,
    Column("project_id", PlainText, nullable=False),
    Column("digest", PlainText, nullable=False),
    Column("media_type", PlainText, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("captured_at", UtcDateTime),
    Column("source", PlainText, nullable=False),
    Column("group", PlainText, nullable=False),
    Column("split", PlainText),
    Column("model_id", PlainText),
    Column("risk", Double),
    Column("routed", PlainText),
    Column("truth_version", Integer, nullable=False),
    Column("work", PlainText),
    Column("corrections", Integer),
    PrimaryKeyConstraint("project_id", "digest"),
    ForeignKeyConstraint(["project_id", "digest"], ["items.project_id", "items.digest"]),
    CheckConstraint("truth_version >= 0 AND corrections >= 0", name="counts"),
)
# By these a list is sorted, all of it ...
for _name in ("created_at", "captured_at", "risk", "width", "height"):
    Index(None, item_facts.c.project_id, item_facts.c[_name], item_facts.c.digest)
# ... and by these asked for, in the orders of time, with which most things go.
for _name in ("source", "group", "split", "model_id", "routed", "truth_version", "work", "corrections"):
    Index(None, item_facts.c.project_id, item_facts.c[_name], item_facts.c.created_at, item_facts.c.digest)
    Index(None, item_facts.c.project_id, item_facts.c[_name], item_facts.c.captured_at, item_facts.c.digest)
for _name, _where in (("labelled", LABELLED_ITEM), ("failed", FAILED_ITEM)):
    for _sort, _sorted in (("", "created_at"), ("_captured_at", "captured_at")):
        Index(
            f"ix_item_facts_{_name}{_sort}",
            item_facts.c.project_id,
            item_facts.c[_sorted],
            item_facts.c.digest,
            sqlite_where=_where,
            postgresql_where=_where,
        )
# What is routed goes by risk, so that the least risky of those that people get are far from the least risky.
for _name in ("routed", "work"):
    Index(None, item_facts.c.project_id, item_facts.c[_name], item_facts.c.risk, item_facts.c.digest)

# Items that are said something new of, for the facts to follow: rows go as soon as they are taken. changes: of
# loop/store/item_facts.py, added up.
changed_items = Table(
    "changed_items",
    metadata,
    Column("sequence", SEQUENCE, Identity(), primary_key=True, autoincrement=True),
    Column("project_id", PlainText, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("changes", Integer, nullable=False),
)

# What an item has any number of. field: `tag`, which is kept here alone; `detection` and `shape`, labels of its newest
# prediction and of its ground truth; `meta.KEY`. value: its beginning. created_at, captured_at: of the item, so that
# what has a term is read in their order.
item_terms = Table(
    "item_terms",
    metadata,
    Column("project_id", PlainText, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("field", PlainText, nullable=False),
    Column("value", PlainText, nullable=False),
    Column("number", Double),
    Column("created_at", UtcDateTime, nullable=False),
    Column("captured_at", UtcDateTime),
    PrimaryKeyConstraint("project_id", "item_digest", "field", "value"),
    _item_key(),
)
for _name in ("created_at", "captured_at"):
    Index(
        None,
        item_terms.c.project_id,
        item_terms.c.field,
        item_terms.c.value,
        item_terms.c[_name],
        item_terms.c.item_digest,
    )
Index(
    "ix_item_terms_numbers",
    item_terms.c.project_id,
    item_terms.c.field,
    item_terms.c.number,
    item_terms.c.item_digest,
    sqlite_where=NUMBER_TERM,
    postgresql_where=NUMBER_TERM,
)

item_views = Table(
    "item_views",
    metadata,
    _project(),
    Column("name", PlainText, nullable=False),
    Column("query", PlainText, nullable=False),
    Column("sort", PlainText, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("project_id", "name"),
)

models = Table(
    "models",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("digest", PlainText, nullable=False),
    Column("head", HEAD, nullable=False),
    Column("origin", PlainText, nullable=False),
    Column("cycle_id", PlainText, ForeignKey("cycles.id", use_alter=True)),
    Column("reference_key", PlainText),
    Column("risk_key", PlainText),
    Column("drift_key", PlainText),
    Column("created_at", UtcDateTime, nullable=False),
    Column("mlflow_version", PlainText),
    Column("notes", OBJECT, nullable=False),
    Column("serving", OBJECT, nullable=False, server_default=_EMPTY),
    UniqueConstraint("project_id", "digest"),
    UniqueConstraint("project_id", "id"),
    CheckConstraint("origin IN ('registered', 'cycle')", name="origin_known"),
)
_newest_first(models)

predictions = Table(
    "predictions",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("item_digest", PlainText, nullable=False),
    Column("model_id", PlainText, nullable=False),
    Column("detections", DETECTIONS, nullable=False),
    Column("embedding", Float32Vector, nullable=False),
    Column("signals", NUMBERS, nullable=False),
    Column("action", Choice(Action), nullable=False),
    Column("stage", Choice(Stage)),
    Column("risk", Double, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("audit_rate", Double, nullable=False),
    Column("audit_drawn", Boolean, nullable=False),
    Column("inclusion_probability", Double, nullable=False),
    Column("reasons", REASONS, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", PlainText, nullable=False),
    Column("source", PlainText, nullable=False, server_default=text("''")),
    Column("threshold_version", Integer),
    _item_key(),
    _model_key("model_id"),
    ForeignKeyConstraint(["project_id", "policy_version"], ["policies.project_id", "policies.version"]),
    CheckConstraint("(action = 'review') = (stage IS NOT NULL)", name="stage_where_reviewed"),
    _one_of("action", Action),
    _one_of("stage", ROUTED),
    _unit("inclusion_probability"),
)
_newest_first(predictions)
Index(None, predictions.c.project_id, predictions.c.item_digest, predictions.c.created_at, predictions.c.id)
_OF_MODEL = predictions.c.project_id, predictions.c.model_id, predictions.c.created_at, predictions.c.id
Index(None, *_OF_MODEL)
Index("ix_predictions_sampled", *_OF_MODEL, sqlite_where=SAMPLED_PREDICTION, postgresql_where=SAMPLED_PREDICTION)

# evidence: ids of the predictions that a record rests on, in ASCII, one a line, deflated. Predictions name a record by
# threshold_version; no key binds them, since routing rests on what a gateway has read before.
thresholds = Table(
    "thresholds",
    metadata,
    _project(),
    Column("version", Integer, nullable=False),
    Column("model_id", PlainText, nullable=False),
    Column("risk_key", PlainText),
    Column("policy_version", Integer, nullable=False),
    Column("promises", PROMISES, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("why", Choice(Why), nullable=False),
    Column("basis", Choice(EvidenceBasis), nullable=False),
    Column("window_from", UtcDateTime, nullable=False),
    Column("window_until", UtcDateTime, nullable=False),
    Column("size", Integer, nullable=False),
    Column("answered", Integer, nullable=False),
    Column("closed", Integer, nullable=False),
    Column("overdue", Integer, nullable=False),
    Column("groups", GROUP_THRESHOLDS, nullable=False),
    Column("automation", Double, nullable=False),
    Column("review_share", Double, nullable=False),
    Column("relaxed", Double),
    Column("watched_since", UtcDateTime, nullable=False),
    Column("not_before", UtcDateTime),
    Column("reviews", Integer, nullable=False),
    Column("alarm", BROKEN),
    Column("evidence", LargeBinary, nullable=False),
    PrimaryKeyConstraint("project_id", "version"),
    _model_key("model_id"),
    ForeignKeyConstraint(["project_id", "policy_version"], ["policies.project_id", "policies.version"]),
    CheckConstraint("answered <= size", name="answers_of_the_window"),
    _one_of("why", Why),
    _one_of("basis", EvidenceBasis),
)
Index(None, thresholds.c.project_id, thresholds.c.model_id, thresholds.c.policy_version, thresholds.c.version)

# The order in which predictions were committed (loop/store/appends.py), for the caches that follow them.
prediction_feed = Table(
    "prediction_feed",
    metadata,
    Column("sequence", SEQUENCE, Identity(), primary_key=True, autoincrement=True),
    Column("prediction_id", PlainText, ForeignKey("predictions.id"), nullable=False),
    Column("project_id", PlainText, nullable=False),
    Column("model_id", PlainText, nullable=False),
    UniqueConstraint("prediction_id"),
    _model_key("model_id"),
    sqlite_autoincrement=True,
)
Index(None, prediction_feed.c.project_id, prediction_feed.c.model_id, prediction_feed.c.sequence)

# Beside the predictions, so that who reads those does not read these. Numbered as prediction_feed is.
object_embeddings = Table(
    "object_embeddings",
    metadata,
    Column("sequence", SEQUENCE, Identity(), primary_key=True, autoincrement=True),
    Column("prediction_id", PlainText, ForeignKey("predictions.id"), nullable=False),
    Column("project_id", PlainText, nullable=False),
    Column("model_id", PlainText, nullable=False),
    Column("features", ObjectFeatures, nullable=False),
    UniqueConstraint("prediction_id"),
    _model_key("model_id"),
    sqlite_autoincrement=True,
)
Index(None, object_embeddings.c.project_id, object_embeddings.c.model_id, object_embeddings.c.sequence)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("token_id", PlainText, nullable=False),
    Column("key", PlainText, nullable=False),
    Column("request_digest", PlainText, nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("prediction_id", PlainText, ForeignKey("predictions.id")),
    PrimaryKeyConstraint("token_id", "key"),
)

# Items whose answers are accepted, or looked at again, together.
lots = Table(
    "lots",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("source", PlainText, nullable=False),
    Column("state", Choice(LotState), nullable=False),
    Column("rules", LOT_RULES, nullable=False),
    Column("items", Integer, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("decided_at", UtcDateTime),
    Column("inspected", Integer, nullable=False),
    Column("defects", Integer, nullable=False),
    Column("accept_at", Integer, nullable=False),
    Column("reject_at", Integer, nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("version", Integer, nullable=False),
    CheckConstraint("items >= 1 AND 0 <= defects AND defects <= inspected AND inspected <= items", name="numbers_fit"),
    CheckConstraint("state = 'open' OR closed_at IS NOT NULL", name="closed_unless_open"),
    CheckConstraint("(state IN ('accepted', 'rejected')) = (decided_at IS NOT NULL)", name="decided_at_once"),
    _one_of("state", LotState),
)
Index(None, lots.c.project_id, lots.c.opened_at, lots.c.id)
Index(
    "ix_lots_filling",
    lots.c.project_id,
    lots.c.source,
    unique=True,
    sqlite_where=FILLING_LOT,
    postgresql_where=FILLING_LOT,
)
Index("ix_lots_undecided", lots.c.id, sqlite_where=UNDECIDED_LOT, postgresql_where=UNDECIDED_LOT)

tasks = Table(
    "tasks",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("item_digest", PlainText, nullable=False),
    Column("prediction_id", PlainText, ForeignKey("predictions.id")),
    Column("stage", Choice(Stage), nullable=False),
    Column("priority", Double, nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("recipe_version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("reason", PlainText, nullable=False, server_default=text("''")),
    Column("state", Choice(TaskState), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("owner", PlainText),
    Column("leased_at", UtcDateTime),
    Column("valid_from", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("rank", Double, nullable=False),
    Column("lane", PlainText, nullable=False),
    Column("source", PlainText, nullable=False),
    Column("work_id", PlainText, nullable=False),
    Column("seat", Integer, nullable=False),
    Column("people", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("due_at", UtcDateTime),
    Column("alarm_at", UtcDateTime),
    Column("urgency", Choice(Urgency), nullable=False),
    Column("with_experts", Boolean, nullable=False),
    Column("proposal_shown", Boolean),
    Column("begun", Integer, nullable=False),
    Column("lot_id", PlainText, ForeignKey("lots.id")),
    Column("meant_for", PlainText, nullable=False),
    Column("reserved_until", UtcDateTime),
    Column("answer_by", UtcDateTime),
    Column("start_by", UtcDateTime),
    Column("usual_rank", Double),
    UniqueConstraint("prediction_id", "policy_version", "seat"),
    UniqueConstraint("work_id", "seat"),
    _item_key(),
    ForeignKeyConstraint(["project_id", "policy_version"], ["policies.project_id", "policies.version"]),
    ForeignKeyConstraint(["project_id", "recipe_version"], ["recipes.project_id", "recipes.version"]),
    CheckConstraint("(state = 'leased') = (expires_at IS NOT NULL)", name="expires_while_leased"),
    CheckConstraint("(state = 'open') = (owner IS NULL)", name="owned_unless_open"),
    CheckConstraint("epoch >= 0", name="epoch_counts"),
    CheckConstraint(
        "seat >= -1 AND seat <= people AND people >= 1 AND begun >= 0 AND begun <= round", name="seats_count"
    ),
    _one_of("stage", Stage),
    _one_of("state", TaskState),
    _one_of("urgency", Urgency),
    _unit("priority"),
)
Index(
    "ix_tasks_queue",
    tasks.c.project_id,
    tasks.c.lane,
    tasks.c.rank,
    tasks.c.created_at,
    tasks.c.id,
    sqlite_where=UNFINISHED_TASK,
    postgresql_where=UNFINISHED_TASK,
)
# The same for each source, for projects that hand their tasks out in turn.
Index(
    "ix_tasks_sources",
    tasks.c.project_id,
    tasks.c.lane,
    tasks.c.source,
    tasks.c.rank,
    tasks.c.created_at,
    tasks.c.id,
    sqlite_where=UNFINISHED_TASK,
    postgresql_where=UNFINISHED_TASK,
)
Index(
    "ix_tasks_alarms",
    tasks.c.project_id,
    tasks.c.alarm_at,
    sqlite_where=ALARMING_TASK,
    postgresql_where=ALARMING_TASK,
)
Index(
    "ix_tasks_handed",
    tasks.c.project_id,
    tasks.c.leased_at,
    tasks.c.id,
    sqlite_where=HANDED_TASK,
    postgresql_where=HANDED_TASK,
)
Index("ix_tasks_meant", tasks.c.project_id, tasks.c.meant_for, sqlite_where=MEANT_TASK, postgresql_where=MEANT_TASK)
Index(
    "ix_tasks_reserved",
    tasks.c.project_id,
    tasks.c.reserved_until,
    sqlite_where=RESERVED_TASK,
    postgresql_where=RESERVED_TASK,
)
Index("ix_tasks_awaited", tasks.c.answer_by, sqlite_where=AWAITED_TASK, postgresql_where=AWAITED_TASK)
Index("ix_tasks_held", tasks.c.project_id, tasks.c.owner, sqlite_where=LEASED_TASK, postgresql_where=LEASED_TASK)
Index(None, tasks.c.project_id, tasks.c.state)
Index(None, tasks.c.project_id, tasks.c.item_digest)


def _submission_columns() -> list[Column[Any]]:
    """The fields of `loop.domain.review.Submission`."""
    return [
        Column("id", PlainText, primary_key=True),
        Column("task_id", PlainText, ForeignKey("tasks.id"), nullable=False),
        _project(),
        Column("item_digest", PlainText, nullable=False),
        Column("reviewer", PlainText, nullable=False),
        Column("epoch", Integer, nullable=False),
        Column("outcome", Choice(Outcome), nullable=False),
        Column("shapes", SHAPES, nullable=False),
        Column("note", PlainText, nullable=False),
        Column("content_digest", PlainText, nullable=False),
        Column("corrections", OBJECT, nullable=False),
        Column("seconds", Double, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("issues", ISSUES, nullable=False, server_default=_NONE),
        Column("work_id", PlainText, nullable=False),
        Column("round", Integer, nullable=False),
        Column("settles", Boolean, nullable=False),
        Column("active_seconds", Double),
        Column("proposal_shown", Boolean),
    ]


submissions = Table(
    "submissions",
    metadata,
    *_submission_columns(),
    UniqueConstraint("task_id", "epoch"),
    UniqueConstraint("work_id", "round", "reviewer"),
    _item_key(),
    _one_of("outcome", Outcome),
)
_newest_first(submissions)
Index(None, submissions.c.project_id, submissions.c.reviewer, submissions.c.created_at)
Index(None, submissions.c.project_id, submissions.c.item_digest)

# What statistics read of each submission; its shapes are large, and only their number by label counts there.
efforts = Table(
    "efforts",
    metadata,
    Column("submission_id", PlainText, ForeignKey("submissions.id"), primary_key=True),
    _project(),
    Column("item_digest", PlainText, nullable=False),
    Column("task_id", PlainText, ForeignKey("tasks.id"), nullable=False),
    Column("work_id", PlainText, nullable=False),
    Column("round", Integer, nullable=False),
    Column("reviewer", PlainText, nullable=False),
    Column("source", PlainText, nullable=False),
    Column("stage", Choice(Stage), nullable=False),
    Column("outcome", Choice(Outcome), nullable=False),
    Column("labels", COUNTS, nullable=False),
    Column("corrections", Integer),
    Column("seconds", Double, nullable=False),
    Column("active_seconds", Double),
    Column("proposal_shown", Boolean),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("active_seconds >= 0 AND active_seconds <= seconds", name="active_while_held"),
)
_newest_first(efforts, "submission_id")

# What an hour of people costs; people: by token.
cost_rates = Table(
    "cost_rates",
    metadata,
    Column("project_id", PlainText, ForeignKey("projects.id"), primary_key=True),
    Column("currency", PlainText, nullable=False),
    Column("per_hour", Double),
    Column("people", NUMBERS, nullable=False),
    CheckConstraint("per_hour >= 0", name="rate_counts"),
)

triggers = Table(
    "triggers",
    metadata,
    Column("project_id", PlainText, ForeignKey("projects.id"), primary_key=True),
    Column("rules", OBJECT, nullable=False),
)

# Saved views that are slices of the evaluation; margins: by view, null where it has none of its own.
slices = Table(
    "slices",
    metadata,
    Column("project_id", PlainText, ForeignKey("projects.id"), primary_key=True),
    Column("margins", OBJECT, nullable=False),
)

comments = Table(
    "comments",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("item_digest", PlainText, nullable=False),
    Column("text", PlainText, nullable=False),
    Column("kind", Choice(CommentKind), nullable=False),
    Column("author", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("task_id", PlainText, ForeignKey("tasks.id")),
    Column("shape", PlainText),
    Column("at", PLACE),
    Column("state", Choice(CommentState), nullable=False),
    Column("resolved_at", UtcDateTime),
    Column("resolved_by", PlainText),
    _item_key(),
    CheckConstraint(
        "(state = 'resolved') = (resolved_at IS NOT NULL) AND (resolved_at IS NULL) = (resolved_by IS NULL)",
        name="resolved_by_somebody",
    ),
    _one_of("kind", CommentKind),
    _one_of("state", CommentState),
)
_newest_first(comments)
Index(None, comments.c.project_id, comments.c.item_digest)
Index(None, comments.c.project_id, comments.c.state, comments.c.kind, comments.c.created_at, comments.c.id)

comment_replies = Table(
    "comment_replies",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("comment_id", PlainText, ForeignKey("comments.id"), nullable=False),
    Column("text", PlainText, nullable=False),
    Column("author", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
Index(None, comment_replies.c.comment_id)

# Works in lots. Like any work, one of them goes by the id of its first task.
lot_items = Table(
    "lot_items",
    metadata,
    Column("work_id", PlainText, ForeignKey("tasks.id"), primary_key=True),
    Column("lot_id", PlainText, ForeignKey("lots.id"), nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("place", Integer),
    Column("defect", Boolean),
    Column("void", Boolean, nullable=False),
    UniqueConstraint("lot_id", "place"),
)

# What a work came to, on its way to the ground truth.
held_answers = Table(
    "held_answers",
    metadata,
    Column("work_id", PlainText, ForeignKey("tasks.id"), primary_key=True),
    _project(),
    Column("item_digest", PlainText, nullable=False),
    Column("lot_id", PlainText, ForeignKey("lots.id")),
    Column("round", Integer, nullable=False),
    Column("task_id", PlainText, ForeignKey("tasks.id"), nullable=False),
    Column("author", PlainText, nullable=False),
    Column("submission_id", PlainText, ForeignKey("submissions.id"), nullable=False),
    Column("submission_ids", STRINGS, nullable=False),
    Column("shapes", SHAPES, nullable=False),
    Column("standing", Choice(AnswerStanding), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    _item_key(),
    _one_of("standing", AnswerStanding),
)
Index(None, held_answers.c.lot_id, held_answers.c.standing, held_answers.c.work_id)
Index("ix_held_answers_unfollowed", held_answers.c.lot_id, sqlite_where=UNFOLLOWED_ANSWER,
      postgresql_where=UNFOLLOWED_ANSWER)  # fmt: skip

# What a reviewer has of an answer so far; the reviewer's, whoever has the task meanwhile.
drafts = Table(
    "drafts",
    metadata,
    Column("task_id", PlainText, ForeignKey("tasks.id"), nullable=False),
    Column("reviewer", PlainText, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("content", OBJECT, nullable=False),
    Column("saved_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("task_id", "reviewer"),
)

# What golden items were marked, with the trusted answer; taken back, a row stays, so that its versions go on.
golden_items = Table(
    "golden_items",
    metadata,
    Column("project_id", PlainText, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("shapes", SHAPES, nullable=False),
    Column("added_by", PlainText, nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Column("removed", Boolean, nullable=False),
    PrimaryKeyConstraint("project_id", "item_digest"),
    _item_key(),
    CheckConstraint("version >= 1", name="version_counts"),
)

golden_seats = Table(
    "golden_seats",
    metadata,
    Column("task_id", PlainText, ForeignKey("tasks.id"), primary_key=True),
    _project(),
    Column("reviewer", PlainText, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("prediction_id", PlainText, ForeignKey("predictions.id")),
    Column("given_at", UtcDateTime, nullable=False),
    Column("closed", Boolean, nullable=False),
    _item_key(),
)
Index(None, golden_seats.c.project_id, golden_seats.c.reviewer, golden_seats.c.given_at)

# Apart from submissions, so that nothing which counts those ever counts an answer to a golden item.
golden_answers = Table(
    "golden_answers",
    metadata,
    *_submission_columns(),
    Column("version", Integer, nullable=False),
    Column("score", OBJECT),
    UniqueConstraint("task_id", "epoch"),
    _item_key(),
    _one_of("outcome", Outcome),
)
Index(None, golden_answers.c.project_id, golden_answers.c.reviewer, golden_answers.c.created_at)

standings = Table(
    "standings",
    metadata,
    _project(),
    Column("reviewer", PlainText, nullable=False),
    Column("standing", Choice(Standing), nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("why", PlainText, nullable=False),
    Column("training", Boolean),
    PrimaryKeyConstraint("project_id", "reviewer"),
    _one_of("standing", Standing),
)

# Works to be done anew, until they are open again.
redos = Table(
    "redos",
    metadata,
    Column("submission_id", PlainText, ForeignKey("submissions.id"), primary_key=True),
    Column("work_id", PlainText, nullable=False),
    _project(),
    Column("reviewer", PlainText, nullable=False),
)

agreements = Table(
    "agreements",
    metadata,
    Column("work_id", PlainText, nullable=False),
    Column("round", Integer, nullable=False),
    _project(),
    Column("item_digest", PlainText, nullable=False),
    Column("reviewers", STRINGS, nullable=False),
    Column("adjudicated", Boolean, nullable=False),
    Column("f1", Double, nullable=False),
    Column("iou", Double),
    Column("pairs", PAIRS, nullable=False),
    Column("votes", VOTES, nullable=False),
    Column("reasons", REASONS, nullable=False),
    Column("merged", MERGED),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("work_id", "round"),
    _item_key(),
    _unit("f1"),
)
_newest_first(agreements, "work_id")
Index(None, agreements.c.project_id, agreements.c.item_digest)

ground_truths = Table(
    "ground_truths",
    metadata,
    Column("project_id", PlainText, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("version", Integer, nullable=False),
    Column("shapes", SHAPES, nullable=False),
    Column("submission_ids", STRINGS, nullable=False),
    Column("origin", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("project_id", "item_digest", "version"),
    _item_key(),
    CheckConstraint("version >= 1", name="version_counts"),
    CheckConstraint("origin IN ('import', 'review') OR substr(origin, 1, 9) = 'function:'", name="origin_known"),
)

# Items in an order: the frames of a clip, the images of a camera.
item_groups = Table(
    "item_groups",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("kind", Choice(GroupKind), nullable=False),
    Column("name", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("read_to", Integer, nullable=False),
    Column("repeats", Integer, nullable=False),
    Column("notes", STRINGS, nullable=False),
    Column("meta", OBJECT, nullable=False),
    UniqueConstraint("project_id", "id"),
    CheckConstraint("frames >= 0 AND read_to >= -1 AND repeats >= 0", name="counts"),
    _one_of("kind", GroupKind),
)
_newest_first(item_groups)

group_frames = Table(
    "group_frames",
    metadata,
    Column("project_id", PlainText, nullable=False),
    Column("group_id", PlainText, nullable=False),
    Column("index", Integer, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("seconds", Double),
    Column("number", Integer),
    PrimaryKeyConstraint("group_id", "index"),
    UniqueConstraint("group_id", "item_digest"),
    _item_key(),
    ForeignKeyConstraint(["project_id", "group_id"], ["item_groups.project_id", "item_groups.id"]),
    CheckConstraint('"index" >= 0', name="index_counts"),
)
Index(None, group_frames.c.project_id, group_frames.c.item_digest)

# Works that are of several frames; their tasks name the first as their item.
group_works = Table(
    "group_works",
    metadata,
    Column("work_id", PlainText, ForeignKey("tasks.id"), primary_key=True),
    Column("project_id", PlainText, nullable=False),
    Column("group_id", PlainText, nullable=False),
    Column("first", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    UniqueConstraint("group_id", "first"),
    ForeignKeyConstraint(["project_id", "group_id"], ["item_groups.project_id", "item_groups.id"]),
    CheckConstraint("first >= 0 AND count >= 1", name="window_counts"),
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("model_id", PlainText, nullable=False),
    Column("previous_id", PlainText),
    Column("kind", Choice(PromotionKind), nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("state", Choice(PromotionState), nullable=False),
    Column("error", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("serving", OBJECT, nullable=False, server_default=_EMPTY),
    _model_key("model_id"),
    _model_key("previous_id"),
    _one_of("kind", PromotionKind),
    _one_of("state", PromotionState),
)
_newest_first(promotions)
Index(
    "ix_promotions_queue",
    promotions.c.created_at,
    promotions.c.id,
    sqlite_where=QUEUED_PROMOTION,
    postgresql_where=QUEUED_PROMOTION,
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("kind", Choice(RolloutKind), nullable=False),
    Column("model_id", PlainText, nullable=False),
    Column("champion_id", PlainText, nullable=False),
    Column("share", Double, nullable=False),
    Column("state", Choice(RolloutState), nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("limits", LIMITS, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("error", PlainText, nullable=False),
    Column("active_at", UtcDateTime),
    Column("judging", CANARY_RULES),
    Column("standing", CANARY_STANDING),
    Column("cycle_id", PlainText),
    _model_key("model_id"),
    _model_key("champion_id"),
    CheckConstraint("share > 0 AND share <= 1", name="share_positive"),
    CheckConstraint("model_id <> champion_id", name="beside_the_champion"),
    CheckConstraint("(state IN ('queued', 'active')) = (finished_at IS NULL)", name="finished_once"),
    _one_of("kind", RolloutKind),
    _one_of("state", RolloutState),
)
_newest_first(rollouts)
Index(
    "uq_rollouts_unfinished",
    rollouts.c.project_id,
    rollouts.c.kind,
    unique=True,
    sqlite_where=UNFINISHED_ROLLOUT,
    postgresql_where=UNFINISHED_ROLLOUT,
)

# One row: how often projects, models, tokens or rollouts were written (loop/store/configuration.py).
configuration = Table(
    "configuration",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

# A project may answer before a prediction is durable: what its shadow said may then be there first.
shadow_answers = Table(
    "shadow_answers",
    metadata,
    Column("prediction_id", PlainText, nullable=False),
    Column("rollout_id", PlainText, ForeignKey("rollouts.id"), nullable=False),
    Column("detections", DETECTIONS, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("error", PlainText, nullable=False),
    PrimaryKeyConstraint("rollout_id", "prediction_id"),
)

cycles = Table(
    "cycles",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("state", Choice(CycleState), nullable=False),
    Column("step", Choice(Step), nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("recipe", OBJECT, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("champion_id", PlainText),
    Column("snapshot_digest", PlainText),
    Column("candidate_id", PlainText),
    Column("promotion_id", PlainText, ForeignKey("promotions.id")),
    Column("progress", Double, nullable=False),
    Column("evaluation", OBJECT, nullable=False),
    Column("decision", OBJECT, nullable=False),
    Column("mlflow_run_id", PlainText),
    Column("error", PlainText, nullable=False),
    Column("finished_at", UtcDateTime),
    _model_key("champion_id"),
    _model_key("candidate_id"),
    _one_of("state", CycleState),
    _one_of("step", Step),
    _unit("progress"),
)
_newest_first(cycles)
Index(
    "uq_cycles_unfinished",
    cycles.c.project_id,
    unique=True,
    sqlite_where=UNFINISHED_CYCLE,
    postgresql_where=UNFINISHED_CYCLE,
)

annotation_jobs = Table(
    "annotation_jobs",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("model_id", PlainText, nullable=False),
    Column("source", PlainText, nullable=False),
    Column("any_folder", Boolean, nullable=False),
    Column("review", Boolean, nullable=False),
    Column("state", Choice(AnnotationState), nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("created_by", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("listing_key", PlainText),
    Column("found", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("bad", Integer, nullable=False),
    Column("error", PlainText, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    _model_key("model_id"),
    CheckConstraint("done >= 0 AND bad >= 0 AND done + bad <= found", name="counts_fit"),
    CheckConstraint("state <> 'done' OR done + bad = found", name="done_when_all_answered"),
    CheckConstraint("state <> 'running' OR listing_key IS NOT NULL", name="listed_while_running"),
    _one_of("state", AnnotationState),
)
_newest_first(annotation_jobs)
Index(
    "ix_annotation_jobs_queue",
    annotation_jobs.c.created_at,
    annotation_jobs.c.id,
    sqlite_where=UNFINISHED_ANNOTATION,
    postgresql_where=UNFINISHED_ANNOTATION,
)

# One row per image of a job, written with its prediction: the primary key is what makes it once.
annotation_results = Table(
    "annotation_results",
    metadata,
    Column("job_id", PlainText, ForeignKey("annotation_jobs.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("url", PlainText, nullable=False),
    Column("item_digest", PlainText),
    Column("prediction_id", PlainText, ForeignKey("predictions.id")),
    Column("reason", PlainText, nullable=False),
    PrimaryKeyConstraint("job_id", "position"),
    UniqueConstraint("prediction_id"),
    CheckConstraint("position >= 0", name="position_counts"),
    CheckConstraint("(prediction_id IS NULL) = (reason <> '')", name="reason_where_bad"),
)
Index(
    "ix_annotation_results_bad",
    annotation_results.c.job_id,
    annotation_results.c.position,
    sqlite_where=BAD_RESULT,
    postgresql_where=BAD_RESULT,
)

selections = Table(
    "selections",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("model_id", PlainText),
    Column("mix", NUMBERS, nullable=False),
    Column("budget", Integer, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("conditions", OBJECT, nullable=False),
    Column("like_items", STRINGS, nullable=False),
    Column("pool", Integer, nullable=False),
    Column("picked", Integer, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("space", PlainText, nullable=False, server_default=""),
    _model_key("model_id"),
    CheckConstraint("picked >= 0 AND picked <= budget AND picked <= pool", name="picked_fits"),
    CheckConstraint("(model_id IS NULL) = (space <> '')", name="one_space"),
)
_newest_first(selections)

selection_picks = Table(
    "selection_picks",
    metadata,
    Column("selection_id", PlainText, ForeignKey("selections.id"), nullable=False),
    Column("rank", Integer, nullable=False),
    Column("item_digest", PlainText, nullable=False),
    Column("prediction_id", PlainText, ForeignKey("predictions.id")),
    Column("task_id", PlainText, ForeignKey("tasks.id")),
    Column("strategy", PlainText, nullable=False),
    Column("score", Double, nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("inclusion_probability", Double),
    PrimaryKeyConstraint("selection_id", "rank"),
    UniqueConstraint("selection_id", "item_digest"),
    CheckConstraint("rank >= 1", name="rank_counts"),
    _unit("inclusion_probability"),
)

# What callers say of predictions afterwards: a row of each caller for each prediction.
outcomes = Table(
    "outcomes",
    metadata,
    Column("prediction_id", PlainText, ForeignKey("predictions.id"), nullable=False),
    Column("reported_by", PlainText, nullable=False),
    _project(),
    Column("model_id", PlainText, nullable=False),
    Column("predicted_at", UtcDateTime, nullable=False),
    Column("outcome", Choice(TurnedOut), nullable=False),
    Column("reason", PlainText, nullable=False),
    Column("labels", STRINGS, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("task_id", PlainText, ForeignKey("tasks.id")),
    PrimaryKeyConstraint("prediction_id", "reported_by"),
    _model_key("model_id"),
    _one_of("outcome", TurnedOut),
)
Index(None, outcomes.c.project_id, outcomes.c.model_id, outcomes.c.predicted_at)

# The newest of each project, for monitoring.
production_figures = Table(
    "production_figures",
    metadata,
    Column("project_id", PlainText, ForeignKey("projects.id"), primary_key=True),
    Column("model_id", PlainText, nullable=False),
    Column("computed_at", UtcDateTime, nullable=False),
    Column("audits", Integer, nullable=False),
    Column("failure_rate", Double),
    Column("low", Double),
    Column("high", Double),
    _model_key("model_id"),
    CheckConstraint("(failure_rate IS NULL) = (low IS NULL) AND (failure_rate IS NULL) = (high IS NULL)", name="whole"),
)

drift_reports = Table(
    "drift_reports",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("model_id", PlainText, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("scheduled", Boolean, nullable=False),
    Column("verdict", Choice(Verdict), nullable=False),
    Column("alarm", Boolean, nullable=False),
    Column("level", Double, nullable=False),
    Column("reference_origin", Choice(Origin), nullable=False),
    Column("reference_images", Integer, nullable=False),
    Column("reference_units", Integer, nullable=False),
    Column("window_images", Integer, nullable=False),
    Column("window_units", Integer, nullable=False),
    Column("window_of", BigInteger, nullable=False),
    Column("window_from", UtcDateTime, nullable=False),
    Column("window_until", UtcDateTime, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("tests", DRIFT_TESTS, nullable=False),
    Column("classes", CLASS_SHIFTS, nullable=False),
    Column("scores", SCORE_SHIFT, nullable=False),
    Column("sources", SOURCE_SHIFTS, nullable=False),
    Column("unlike", STRINGS, nullable=False),
    Column("notes", STRINGS, nullable=False),
    Column("cycle_id", PlainText, ForeignKey("cycles.id")),
    _model_key("model_id"),
    CheckConstraint("reference_units >= 1 AND reference_units <= reference_images", name="reference_counts"),
    CheckConstraint(
        "window_units >= 1 AND window_units <= window_images AND window_images <= window_of", name="window_counts"
    ),
    _one_of("verdict", Verdict),
    _one_of("reference_origin", Origin),
    _unit("level"),
)
_newest_first(drift_reports)
Index(
    "ix_drift_reports_scheduled",
    drift_reports.c.project_id,
    drift_reports.c.created_at,
    drift_reports.c.id,
    sqlite_where=SCHEDULED_LOOK,
    postgresql_where=SCHEDULED_LOOK,
)

# The columns from model_id on are null before the first drawing.
maps = Table(
    "maps",
    metadata,
    Column("project_id", PlainText, ForeignKey("projects.id"), primary_key=True),
    Column("state", Choice(MapState), nullable=False),
    Column("refit", Boolean, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("error", PlainText, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("model_id", PlainText),
    Column("key", PlainText),
    Column("layout_key", PlainText),
    Column("previous_key", PlainText),
    Column("sequence", BigInteger),
    Column("points", Integer),
    Column("fitted", Integer),
    Column("late", Integer),
    Column("seed", BigInteger),
    Column("fitted_at", UtcDateTime),
    Column("made_at", UtcDateTime),
    _model_key("model_id"),
    CheckConstraint("fitted + late <= points", name="counts_fit"),
    CheckConstraint("state <> 'ready' OR key IS NOT NULL", name="drawn_when_ready"),
    CheckConstraint(
        "(key IS NULL) = (model_id IS NULL) AND (key IS NULL) = (layout_key IS NULL) AND "
        "(key IS NULL) = (points IS NULL)",
        name="drawn_whole",
    ),
    _one_of("state", MapState),
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
    _one_of("role", Role),
)

people = Table(
    "people",
    metadata,
    Column("token_id", PlainText, ForeignKey("tokens.id"), primary_key=True),
    Column("groups", STRINGS, nullable=False),
    Column("skills", STRINGS, nullable=False),
    Column("max_leases", Integer),
    Column("max_tasks_a_day", Integer),
)

# No key to projects: what concerns the whole installation has no project.
events = Table(
    "events",
    metadata,
    Column("sequence", SEQUENCE, Identity(), primary_key=True, autoincrement=True),
    Column("kind", PlainText, nullable=False),
    Column("project_id", PlainText, nullable=False),
    Column("actor", PlainText, nullable=False),
    Column("body", OBJECT, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("item_digest", PlainText),
    sqlite_autoincrement=True,
)
Index(None, events.c.project_id, events.c.sequence)
# item_digest: of the body, where one item is concerned.
Index(
    "ix_events_of_item",
    events.c.project_id,
    events.c.item_digest,
    events.c.sequence,
    sqlite_where=EVENT_OF_ITEM,
    postgresql_where=EVENT_OF_ITEM,
)

# The secrets are there in clear: what signs cannot be a digest (docs/adr/0019-webhooks.md).
webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("project_id", PlainText, ForeignKey("projects.id")),
    Column("url", PlainText, nullable=False),
    Column("types", STRINGS, nullable=False),
    Column("description", PlainText, nullable=False),
    Column("secrets", SECRETS, nullable=False),
    Column("created_by", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("why_disabled", PlainText, nullable=False),
    Column("failing_since", UtcDateTime),
)

# The outbox: a row for each endpoint that an event goes to, written in the event's own transaction.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("endpoint_id", PlainText, ForeignKey("webhook_endpoints.id"), nullable=False),
    Column("message_id", PlainText, nullable=False),
    Column("type", PlainText, nullable=False),
    Column("body", PlainText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("state", Choice(DeliveryState), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("claimed_until", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("error", PlainText, nullable=False),
    PrimaryKeyConstraint("endpoint_id", "message_id"),
    CheckConstraint("(state = 'pending') = (finished_at IS NULL)", name="finished_unless_pending"),
    CheckConstraint("state = 'pending' OR claimed_until IS NULL", name="claimed_while_pending"),
    CheckConstraint("epoch >= 0 AND attempts >= 0 AND failures >= 0", name="counts"),
    _one_of("state", DeliveryState),
)
Index(
    "ix_webhook_deliveries_due",
    webhook_deliveries.c.endpoint_id,
    webhook_deliveries.c.due_at,
    sqlite_where=PENDING_DELIVERY,
    postgresql_where=PENDING_DELIVERY,
)
Index(
    "ix_webhook_deliveries_dead",
    webhook_deliveries.c.endpoint_id,
    webhook_deliveries.c.message_id,
    sqlite_where=DEAD_DELIVERY,
    postgresql_where=DEAD_DELIVERY,
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("endpoint_id", PlainText, nullable=False),
    Column("message_id", PlainText, nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("status", Integer),
    Column("error", PlainText, nullable=False),
    Column("milliseconds", Double, nullable=False),
    PrimaryKeyConstraint("endpoint_id", "message_id", "number"),
    ForeignKeyConstraint(
        ["endpoint_id", "message_id"], ["webhook_deliveries.endpoint_id", "webhook_deliveries.message_id"]
    ),
    CheckConstraint("number >= 1", name="number_counts"),
)

# The queue of custom functions: a row for each that an event calls, written in the event's own transaction.
function_calls = Table(
    "function_calls",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("function", PlainText, nullable=False),
    Column("trigger", PlainText, nullable=False),
    Column("subject", PlainText, nullable=False),
    Column("item_digest", PlainText),
    Column("actor", PlainText, nullable=False),
    Column("body", OBJECT, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("state", Choice(CallState), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("claimed_until", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("error", PlainText, nullable=False),
    Column("messages", STRINGS, nullable=False),
    _item_key(),
    UniqueConstraint("project_id", "function", "trigger", "subject"),
    CheckConstraint("(state = 'pending') = (finished_at IS NULL)", name="finished_unless_pending"),
    CheckConstraint("state = 'pending' OR claimed_until IS NULL", name="claimed_while_pending"),
    CheckConstraint("epoch >= 0 AND attempts >= 0", name="counts"),
    _one_of("state", CallState),
)
Index(
    "ix_function_calls_due",
    function_calls.c.due_at,
    function_calls.c.id,
    sqlite_where=PENDING_CALL,
    postgresql_where=PENDING_CALL,
)

# Items whose image is not kept any more, since a function made another of it (a redaction). removed: its bytes are
# gone, or another project keeps them.
dropped_images = Table(
    "dropped_images",
    metadata,
    _project(),
    Column("item_digest", PlainText, nullable=False),
    Column("dropped_by", PlainText, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("removed", Boolean, nullable=False),
    PrimaryKeyConstraint("project_id", "item_digest"),
    _item_key(),
)
Index(
    "ix_dropped_images_left",
    dropped_images.c.item_digest,
    sqlite_where=LEFT_IMAGE,
    postgresql_where=LEFT_IMAGE,
)

# Tasks that people do in Label Studio (loop/domain/label_studio.py).
label_studio_links = Table(
    "label_studio_links",
    metadata,
    Column("id", PlainText, primary_key=True),
    _project(),
    Column("server", PlainText, nullable=False),
    Column("place", Integer, nullable=False),
    Column("task_id", PlainText, ForeignKey("tasks.id"), nullable=False),
    Column("work_id", PlainText, nullable=False),
    Column("round", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", PlainText, nullable=False),
    Column("remote", Integer),
    Column("state", Choice(LinkState), nullable=False),
    Column("claimed_until", UtcDateTime),
    Column("annotation", Integer),
    Column("answer", PlainText, nullable=False),
    Column("submission_id", PlainText, ForeignKey("submissions.id")),
    Column("seen", PlainText, nullable=False),
    Column("problem", PlainText, nullable=False),
    UniqueConstraint("server", "place", "remote"),
    CheckConstraint("state <> 'sending' OR remote IS NULL", name="unknown_while_sending"),
    CheckConstraint("state NOT IN ('out', 'answered', 'skipped') OR remote IS NOT NULL", name="known_when_out"),
    CheckConstraint("(state IN ('answered', 'skipped')) = (submission_id IS NOT NULL)", name="taken_with_submission"),
    _one_of("state", LinkState),
)
Index(None, label_studio_links.c.project_id, label_studio_links.c.server, label_studio_links.c.place)
Index(None, label_studio_links.c.work_id)
# A task lies there once.
Index(
    "uq_label_studio_links_live",
    label_studio_links.c.task_id,
    unique=True,
    sqlite_where=LIVE_LINK,
    postgresql_where=LIVE_LINK,
)
