"""The shapes of the API: what OpenAPI publishes and the page's types are generated from.

Boxes are absolute pixels `xyxy`; times are RFC 3339 UTC; scores, risks and rates lie in [0, 1].
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from loop.domain.access import Role
from loop.domain.annotation import AnnotationState
from loop.domain.corrections import ErrorType
from loop.domain.cycle import CycleState, Step
from loop.domain.drift import Origin, Verdict
from loop.domain.embedding_map import MapState
from loop.domain.item import Split
from loop.domain.model import PromotionKind, PromotionState
from loop.domain.review import Outcome, TaskState
from loop.domain.rollout import RolloutKind, RolloutState
from loop.domain.routing import Action, Durability, Retain, Stage
from loop.domain.webhooks import DeliveryState

Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Pixels = Annotated[float, Field(allow_inf_nan=False)]
Box = Annotated[list[Pixels], Field(min_length=4, max_length=4, description="x1, y1, x2, y2 in absolute pixels")]


class _In(BaseModel):
    """A request body: an unknown field is an error, so that a typo is never silently ignored."""

    model_config = ConfigDict(extra="forbid")


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


# --- problems (RFC 9457) -------------------------------------------------------------------------


class Problem(_Out):
    type: str = Field(description="stable identifier, e.g. /problems/stale-lease")
    title: str
    status: int
    detail: str
    hint: str = Field(description="what to do next")
    ids: dict[str, Any] = Field(default_factory=dict)


# --- people and projects ---------------------------------------------------------------------------


class Me(_Out):
    id: str
    name: str
    role: Role
    project_id: str | None


class TokenIn(_In):
    name: str = Field(min_length=1, max_length=100)
    role: Role
    project_id: str | None = None


class TokenOut(_Out):
    id: str
    name: str
    role: Role
    project_id: str | None
    created_at: datetime
    revoked_at: datetime | None


class NewTokenOut(TokenOut):
    secret: str = Field(description="shown once; send it as Authorization: Bearer …")


class LabelOut(_Out):
    name: str
    color: str
    key: str


class RecipeOut(_Out):
    version: int
    labels: list[LabelOut]
    guidelines: str


class PolicyOut(_Out):
    version: int
    threshold: Unit
    audit_rate: Unit
    score_threshold: Unit
    failure_iou: Unit
    lease_seconds: int
    retain: Retain = Field(description="of which accepted predictions the image is kept")
    retain_rate: Unit = Field(description="with which it is kept where retain is sampled")
    durability: Durability = Field(description="when an accepted prediction is durable")


class PolicyIn(_In):
    """What is left out keeps its present value."""

    threshold: Unit | None = None
    audit_rate: Unit | None = None
    score_threshold: Unit | None = None
    failure_iou: Unit | None = None
    lease_seconds: Annotated[int, Field(ge=5, le=86_400)] | None = None
    retain: Retain | None = None
    retain_rate: Unit | None = None
    durability: Durability | None = None


class ProjectIn(_In):
    id: str = Field(description="1 to 63 lower-case letters, digits and dashes")
    labels: list[str] = Field(min_length=1, max_length=1000)
    guidelines: str = ""


class ProjectOut(_Out):
    id: str
    recipe: RecipeOut
    policy: PolicyOut
    champion_id: str | None
    created_at: datetime


class Summary(_Out):
    """The figures of a project at a glance."""

    project_id: str
    champion_id: str | None
    predictions: int
    routed: int
    audits: int
    tasks: dict[TaskState, int]
    cycle: "CycleOut | None" = Field(description="the newest cycle")


# --- predictions -----------------------------------------------------------------------------------


class DetectionOut(_Out):
    label: str
    score: Unit
    box: Box


class ReasonOut(_Out):
    code: str
    detail: str


class DecisionOut(_Out):
    action: Action
    stage: Stage | None
    risk: Unit
    threshold: Unit
    policy_version: int
    audit_rate: Unit
    audit_drawn: bool
    inclusion_probability: Unit
    reasons: list[ReasonOut]


class PredictionOut(_Out):
    id: str
    project_id: str
    item_digest: str
    width: int
    height: int
    model_id: str
    model_digest: str
    detections: list[DetectionOut]
    signals: dict[str, float]
    decision: DecisionOut
    task_id: str | None
    created_at: datetime


class ReviewedPredictionOut(PredictionOut):
    """A prediction with what people made of it so far."""

    task_state: TaskState | None
    corrections: dict[str, int] | None = Field(description="errors by type; {} means right; null: not reviewed")
    truth: "TruthOut | None"


class PredictionPage(_Out):
    predictions: list[PredictionOut]
    next: str | None = Field(description="pass as `after` for the next page")


# --- review ------------------------------------------------------------------------------------------


class ShapeIO(_In):
    model_config = ConfigDict(extra="forbid", from_attributes=True)
    type: Literal["box"] = "box"
    label: str
    box: Box


class LeaseIn(_In):
    """`count` tasks for me: those I hold already come first, so that a reload goes on where it was."""

    count: Annotated[int, Field(ge=1, le=20)] = 1


class TaskOut(_Out):
    """A task in my hands. Nothing in it tells an audit from routed work, so that audits are blind."""

    id: str
    project_id: str
    item_digest: str
    width: int
    height: int
    image_url: str
    epoch: int
    expires_at: datetime
    lease_seconds: int
    detections: list[DetectionOut] = Field(description="the model's proposal")
    reason: str = Field(description="why it was selected; empty for routed work and audits")
    created_at: datetime


class LeaseOut(_Out):
    tasks: list[TaskOut]
    open: int = Field(description="tasks that nobody holds")


class EpochIn(_In):
    epoch: int


class HeartbeatOut(_Out):
    expires_at: datetime


class SubmitIn(_In):
    epoch: int
    shapes: list[ShapeIO] = Field(max_length=5000)
    note: str = Field(default="", max_length=4000)


class SkipIn(_In):
    epoch: int
    reason: str = Field(min_length=1, max_length=1000)


class SubmissionOut(_Out):
    id: str
    task_id: str
    item_digest: str
    outcome: Outcome
    corrections: dict[str, int]
    seconds: float
    created_at: datetime


# --- items -------------------------------------------------------------------------------------------


class ItemOut(_Out):
    digest: str
    media_type: str
    width: int
    height: int
    source: str
    group: str
    split: Split | None
    meta: dict[str, str]
    created_at: datetime
    image_url: str


class TruthOut(_Out):
    version: int
    shapes: list[ShapeIO]
    origin: str
    submission_ids: list[str]
    created_at: datetime


class ItemDetailOut(ItemOut):
    truth: TruthOut | None
    prediction: PredictionOut | None = Field(description="the newest")


class ItemPage(_Out):
    items: list[ItemOut]
    next: str | None


class NeighbourOut(_Out):
    item_digest: str
    prediction_id: str
    similarity: float = Field(description="cosine, in [-1, 1]")


class NeighboursOut(_Out):
    model_id: str
    neighbours: list[NeighbourOut]


# --- models and cycles -------------------------------------------------------------------------------


class ModelOut(_Out):
    id: str
    digest: str
    backend: str
    labels: list[str]
    image_size: int
    origin: str
    cycle_id: str | None
    mlflow_version: str | None
    champion: bool
    serving: dict[str, Any] = Field(description="options of its own, in place of the service's settings")
    created_at: datetime


class PromotionOut(_Out):
    id: str
    model_id: str
    previous_id: str | None
    kind: PromotionKind
    actor: str
    reason: str
    state: PromotionState
    error: str
    created_at: datetime
    finished_at: datetime | None


class RolloutLimitsOut(_Out):
    min_requests: int
    max_error_rate: Unit
    max_latency_ratio: float
    confidence: Unit
    window_s: float


class RolloutOut(_Out):
    id: str
    kind: RolloutKind
    model_id: str
    champion_id: str = Field(description="the model that it was started beside")
    share: Unit
    state: RolloutState
    actor: str
    reason: str
    limits: RolloutLimitsOut = Field(description="what takes it back by itself")
    error: str = Field(description="why it failed, was rolled back or ended")
    created_at: datetime
    finished_at: datetime | None


class RolloutsOut(_Out):
    rollouts: list[RolloutOut]


class ShadowAnswerOut(_Out):
    prediction_id: str
    detections: list[DetectionOut]
    seconds: float = Field(description="of the inference")
    error: str = Field(description="why the shadow has no answer; empty where it has")
    differences: dict[ErrorType, int] = Field(
        description="from what the caller got, by type, as if that were the truth; empty where both say the same"
    )


class ShadowAnswersOut(_Out):
    answers: list[ShadowAnswerOut]
    next: str | None


class RolloutIn(_In):
    """canary: a share of the callers get this model's answers. shadow: it sees a share of the traffic, and the
    callers get the champion's answers."""

    kind: RolloutKind
    model_id: str
    share: float = Field(description="of the predictions, above 0 and at most 1")
    reason: str = Field(default="asked for", min_length=3, max_length=1000)


class EndIn(_In):
    reason: str = Field(default="ended by hand", min_length=3, max_length=1000)


class ModelsOut(_Out):
    models: list[ModelOut]
    promotions: list[PromotionOut]
    rollouts: list[RolloutOut]


class OptionsIn(_In):
    """Options of a model that differ from the section `serving` of the settings; null takes one back."""

    options: dict[str, StrictBool | StrictInt | StrictFloat | StrictStr | None] = Field(min_length=1, max_length=50)


class ConfiguredOut(_Out):
    model: ModelOut
    promotion: PromotionOut | None = Field(description="for the champion: serves with them once this is active")


class PromoteIn(_In):
    """Promoting by hand overrides the gate: the reason is kept with your name."""

    reason: str = Field(min_length=3, max_length=1000)


class RollbackIn(_In):
    reason: str = Field(default="rolled back by hand", min_length=3, max_length=1000)


class CycleIn(_In):
    """Settings of this cycle; what is left out comes from the configuration."""

    reason: str = Field(default="asked for", max_length=1000)
    epochs: Annotated[int, Field(ge=1, le=1000)] | None = None
    image_size: Annotated[int, Field(ge=32, le=1536)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    flip: Unit | None = Field(default=None, description="probability of mirroring; 0 for digits and text")
    mosaic: Unit | None = Field(default=None, description="probability of composing an image from four")
    scale: Annotated[float, Field(ge=0, lt=1)] | None = Field(default=None, description="largest random zoom")
    mode: Literal["superior", "non_inferior"] | None = None


class CycleOut(_Out):
    id: str
    project_id: str
    state: CycleState
    step: Step
    progress: Unit
    actor: str
    reason: str
    recipe: dict[str, Any]
    champion_id: str | None
    candidate_id: str | None
    snapshot_digest: str | None
    evaluation: dict[str, Any]
    decision: dict[str, Any]
    mlflow_run_id: str | None
    error: str
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class CyclePage(_Out):
    cycles: list[CycleOut]
    next: str | None


# --- selections ----------------------------------------------------------------------------------------


class SelectionIn(_In):
    """strategy or strategies, or neither: the default of the settings; with `like` or `failures`, like-this."""

    budget: int = Field(ge=1, le=20_000, description="how many items people can look at")
    strategy: str | None = Field(default=None, max_length=100)
    strategies: dict[str, float] = Field(
        default={}, max_length=20, description="parts of the budget by strategy, of any sum: {hybrid: 60, anomaly: 20}"
    )
    random_share: Unit | None = Field(
        default=None, description="the least part that is drawn at random; null: of the settings"
    )
    seed: int | None = Field(default=None, ge=0, lt=2**32, description="the same gives the same picks; null: a new one")
    filter: dict[str, str] = Field(
        default={}, max_length=20, description="by source, group, label or meta.KEY; all hold"
    )
    like: list[str] = Field(default=[], max_length=1000, description="digests of items that the picks resemble")
    like_boxes: list[str] = Field(
        default=[], max_length=50, description="detections that the picks resemble: DIGEST:NUMBER, numbered from 0"
    )
    failures: int = Field(default=0, ge=0, le=1000, description="so many of the newest corrected items, as `like`")
    no_duplicates: bool = Field(
        default=False, description="of near-duplicates one at most, and none of what has a task or its truth"
    )
    dry_run: bool = Field(default=False, description="choose, but make no tasks and keep nothing")


class PickOut(_Out):
    rank: int
    item_digest: str
    prediction_id: str
    task_id: str | None = Field(description="null in a dry run")
    strategy: str
    score: float = Field(description="what the strategy ranked by; comparable within one strategy only")
    reason: str
    inclusion_probability: float | None = Field(
        description="of the draw at random, for estimates of the pool; null for what a strategy chose"
    )


class SelectionSummary(_Out):
    id: str
    project_id: str
    model_id: str
    mix: dict[str, float] = Field(description="shares of the budget by strategy, together 1")
    budget: int
    seed: int
    conditions: dict[str, str]
    like_items: list[str]
    pool: int = Field(description="how many items it chose from")
    picked: int
    actor: str
    created_at: datetime


class SelectionOut(SelectionSummary):
    dry_run: bool = False
    notes: list[str] = Field(default=[], description="what to know of it, a sentence each")
    picks: list[PickOut]


class SelectionPage(_Out):
    selections: list[SelectionSummary]
    next: str | None = Field(description="pass as `after` for the next page")


# --- risk ----------------------------------------------------------------------------------------------


class RiskQuality(_Out):
    """How well a risk tells which predictions a person corrects."""

    reviews: int
    failures: int
    failure_rate: float = Field(description="of all predictions, estimated")
    auroc: float | None = Field(description="0.5: no better than chance; null where all or none failed")
    brier: float = Field(description="mean squared error of the risk as a probability")
    base: float = Field(description="that of always saying the failure rate")
    reliability: list[tuple[float, float, float]] = Field(
        description="bins of equal numbers of reviews: mean risk, share that failed, weight"
    )


class LearnedOut(_Out):
    fitted_on: int = Field(description="reviews")
    quality: RiskQuality = Field(description="on reviews held out, weighted to stand for all predictions")
    audits: RiskQuality | None = Field(description="the same, of audits alone; null without any")


class RiskOut(_Out):
    """learned null: the heuristic is used still, `why` says what is missing."""

    model_id: str
    reviewed: int
    learned: LearnedOut | None
    why: str
    routed_by: RiskQuality | None = Field(description="how good the risk was by which these reviews were routed")


# --- bulk annotation -----------------------------------------------------------------------------------


class AnnotationIn(_In):
    source: str = Field(
        min_length=1,
        max_length=4000,
        description="a folder, a manifest (.txt, .jsonl, .csv) or a URL that the service can read; paths absolute",
    )
    model_id: str | None = Field(default=None, description="null: the present champion")
    review: bool = Field(default=True, description="whether risky ones become review tasks")


class AnnotationOut(_Out):
    """found counts what the source names once it is listed; done + bad of them are answered."""

    id: str
    project_id: str
    model_id: str
    source: str
    review: bool
    state: AnnotationState
    found: int
    done: int
    bad: int
    error: str
    actor: str
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    finished_at: datetime | None


class AnnotationPage(_Out):
    annotations: list[AnnotationOut]
    next: str | None = Field(description="pass as `after` for the next page")


class BadImageOut(_Out):
    url: str
    reason: str


class BadImagesOut(_Out):
    bad: int = Field(description="all of them; at most 1,000 are listed")
    images: list[BadImageOut]


class EventOut(_Out):
    sequence: int
    kind: str
    actor: str
    body: dict[str, Any]
    at: datetime


class EventPage(_Out):
    events: list[EventOut]
    next: int = Field(description="pass as `after` for what comes later")


# --- webhooks ------------------------------------------------------------------------------------------

WebhookUrl = Annotated[str, Field(min_length=1, max_length=2000, description="https://…; what is posted to")]
WebhookTypes = Annotated[list[str], Field(max_length=100, description="of events; none of them: all")]


class WebhookIn(_In):
    url: WebhookUrl
    project_id: str | None = Field(default=None, description="null: the events of all projects")
    types: WebhookTypes = []
    description: str = Field(default="", max_length=200)


class WebhookChangeIn(_In):
    """What is left out stays as it is."""

    url: WebhookUrl | None = None
    types: WebhookTypes | None = None
    description: str | None = Field(default=None, max_length=200)
    enabled: bool | None = None


class WebhookOut(_Out):
    id: str
    project_id: str | None
    url: str
    types: list[str] = Field(description="none of them: all")
    description: str
    enabled: bool
    why_disabled: str
    failing_since: datetime | None = Field(description="the first failure after the last success; null: none")
    pending: int = Field(description="deliveries that are to be sent")
    dead: int = Field(description="deliveries that were given up; they can be replayed")
    secrets_until: list[datetime] = Field(description="when each older secret, which signs beside the newest one, ends")
    created_by: str
    created_at: datetime


class NewWebhookOut(WebhookOut):
    secret: str = Field(description="shown once; verify signatures with it")


class WebhooksOut(_Out):
    webhooks: list[WebhookOut]


class EventTypeOut(_Out):
    name: str
    says: str = Field(description="when it is sent")
    example: dict[str, Any] = Field(description="its data")


class EventTypesOut(_Out):
    version: int = Field(description="of the envelope")
    types: list[EventTypeOut]


class WebhookAnswerOut(_Out):
    """What came of a post."""

    status: int | None = Field(description="of HTTP; null where no answer came")
    error: str = Field(description="empty: it arrived")
    milliseconds: float
    said: str = Field(description="the beginning of what the receiver answered")


class DeliveryOut(_Out):
    message_id: str = Field(description="the receiver's webhook-id")
    type: str
    state: DeliveryState
    attempts: int
    error: str = Field(description="of the last attempt")
    created_at: datetime
    due_at: datetime = Field(description="when it is sent next, where it is pending")
    finished_at: datetime | None


class DeliveryPage(_Out):
    deliveries: list[DeliveryOut]
    next: str | None = Field(description="pass as `after` for the next page")


class AttemptOut(_Out):
    number: int
    at: datetime
    status: int | None
    error: str
    milliseconds: float


class DeliveryDetailOut(DeliveryOut):
    body: str = Field(description="as it is sent and signed")
    tried: list[AttemptOut]


class ReplayedOut(_Out):
    replayed: int


# --- drift ---------------------------------------------------------------------------------------------


class DriftTestOut(_Out):
    name: str = Field(description="embeddings, scores or classes")
    statistic: float
    effect: float = Field(
        description="in 0..1; embeddings: how well images are told apart (AUROC, 0.5: not at all); scores: the largest "
        "gap between the two distributions; classes: the share of objects that moved to another class"
    )
    low: float = Field(description="of the effect's 95 % interval")
    high: float
    p: float
    adjusted_p: float = Field(description="for all tests of the look; drift where it is at most `level`")


class ClassShiftOut(_Out):
    label: str
    before: float = Field(description="share of the objects of the reference")
    after: float
    low: float = Field(description="of the 95 % interval of the difference")
    high: float


class ScoreShiftOut(_Out):
    before: float = Field(description="median of the largest score of an image of the reference")
    after: float
    low: float = Field(description="of the 95 % interval of the difference")
    high: float


class SourceShiftOut(_Out):
    source: str
    images: int
    unlike: float = Field(description="about 0.5: as the reference; 1: each image unlike all of it")


class DriftReportOut(_Out):
    id: str
    project_id: str
    model_id: str
    actor: str
    created_at: datetime
    scheduled: bool = Field(description="false: somebody asked for it, and no alarm rests on it")
    verdict: Verdict
    alarm: bool = Field(description="an episode of drift is under way after this look")
    level: float
    reference_origin: Origin
    reference_images: int
    reference_units: int = Field(description="independent ones; images of a clip count as one")
    window_images: int
    window_units: int
    window_of: int = Field(description="predictions that the window was drawn from")
    window_from: datetime
    window_until: datetime
    tests: list[DriftTestOut]
    classes: list[ClassShiftOut] = Field(description="what moved most first")
    scores: ScoreShiftOut
    sources: list[SourceShiftOut] = Field(description="the most unlike first")
    unlike: list[str] = Field(description="digests of the items that are most unlike the reference, first")
    notes: list[str]
    cycle_id: str | None = Field(description="the cycle that the alarm asked for")


class DriftStatusOut(_Out):
    model_id: str
    alarm: bool = Field(description="an episode of drift is under way")
    waiting: str = Field(description="what the next scheduled look waits for")


class DriftPage(DriftStatusOut):
    reports: list[DriftReportOut]
    next: str | None = Field(description="pass as `after` for the next page")


# --- objects -------------------------------------------------------------------------------------------


class ObjectNeighbourOut(_Out):
    item_digest: str
    prediction_id: str
    number: int = Field(description="of the detection in that prediction, from 0")
    detection: DetectionOut
    similarity: float = Field(description="cosine, in [-1, 1]")


class ObjectNeighboursOut(_Out):
    model_id: str
    neighbours: list[ObjectNeighbourOut]


class ClusterOut(_Out):
    size: int
    items: list[str] = Field(description="digests, at most as many as were asked for")


class DuplicatesOut(_Out):
    model_id: str
    threshold: float
    items: int = Field(description="all that the model has seen")
    clusters: int = Field(description="of two near-duplicates or more")
    spare: int = Field(description="items that could go if one of each cluster stayed")
    page: list[ClusterOut] = Field(description="the largest first")
    next: str | None = Field(description="pass as `after` for the next page")


# --- map -----------------------------------------------------------------------------------------------


class MapIn(_In):
    refit: bool = Field(default=False, description="fit all of it anew, in place of placing what is new on it")


class DrawnOut(_Out):
    model_id: str = Field(description="whose embedding space it shows")
    points: int
    fitted: int = Field(description="of them, by UMAP itself; the others were placed beside those")
    late: int = Field(description="of them, those that came after the fit")
    seed: int
    fitted_at: datetime
    made_at: datetime


class MapOut(_Out):
    """drawn null: there is none yet. error: of the last try, empty where it went well; what was drawn before stays."""

    project_id: str
    state: MapState
    error: str
    actor: str = Field(description="who asked last")
    updated_at: datetime
    behind: int = Field(description="predictions of the present champion that the map does not show yet")
    drawn: DrawnOut | None


Summary.model_rebuild()
ReviewedPredictionOut.model_rebuild()
