"""The one loader of settings: configs/default.yaml, under the user's file, under ASKANCE_… variables.

The typed model holds no defaults: every field is required and configs/default.yaml provides it, with its unit and
reason. A variable names a key with `__` between the levels (ASKANCE_SERVER__PORT is server.port). Whatever cannot
be used is reported at once, each with its key, its source and what was expected, as one `SettingsError`.

Relative paths (data_dir, and folders given as blobs.url or mlflow.artifact_root) are relative to the working
directory when the settings are loaded; the loaded settings hold absolute ones.
"""

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from loop.domain.canary import CanaryRules, OnPass, OnUndecided
from loop.domain.cost import Rates
from loop.domain.drift import DriftRules
from loop.domain.errors import SettingsError
from loop.domain.gate import Fallback, GateRules
from loop.domain.linking import LinkingRules
from loop.domain.model import TORCHVISION_BUILDERS
from loop.domain.production_figures import ProductionRules
from loop.domain.promises import GuaranteeRules, OnAlarm, WhenShort
from loop.domain.quality_rules import ConsensusRules, GoldenRules, QualityPolicy, QualityRules
from loop.domain.queue_rules import QueueRules
from loop.domain.rollout import RolloutLimits
from loop.domain.routing import Durability, Policy, Retain
from loop.domain.workflow import LotRules, LotsBy, PlanKind, Proposals, Qa, Workflow
from serving.backends.parity import ParityLimits

DEFAULTS = Path(__file__).resolve().parents[1] / "configs" / "default.yaml"
USER_FILE = "askance.yaml"
PREFIX = "ASKANCE_"
DELIMITER = "__"

# Variables with our prefix that are no settings, and what they are for.
OTHER_VARIABLES: Mapping[str, str] = {
    "ASKANCE_CONFIG": "the settings file, in place of ./askance.yaml",
    "ASKANCE_TOKEN": "the token that the command line and the client send",
    "ASKANCE_URL": "the service that the command line and the client talk to",
    "ASKANCE_REQUIRE_ALL": "1: tests fail rather than skip where something is missing",
    "ASKANCE_TEST_DATA": "where tests look for real data sets",
}

# Pillow warns of a decompression bomb above this; our own cap must come first.
_PILLOW_BOMB_PIXELS = 89_478_485
_LONGEST_PAUSE_S = 7 * 86_400


# --- the types ---------------------------------------------------------------------------------


def _no_bool(value: object) -> object:
    # YAML's `yes` and `on` are booleans, which Python takes for the numbers 1 and 0.
    if isinstance(value, bool):
        raise PydanticCustomError("number_expected", "Input should be a number")
    return value


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise PydanticCustomError("home", "Input should be a path whose ~ names a home folder") from error


def _plain_folder(path: Path) -> Path:
    # The path becomes part of SQLite URLs, where these begin a query, a fragment or an escape.
    if set("?#%") & set(str(path)) or not str(path).isprintable():
        raise PydanticCustomError("plain_folder", "Input should be a path without ?, # and %")
    return path


def _database_url(url: str) -> str:
    """`url` with the driver that is installed."""
    if re.match(r"sqlite(\+pysqlite)?://", url) or url.startswith("postgresql+psycopg://"):
        return url
    if match := re.match(r"postgres(ql)?://", url):
        return "postgresql+psycopg://" + url[match.end() :]
    raise PydanticCustomError("database_url", "Input should be a URL that starts with sqlite:/// or postgresql://")


def _location(url: str) -> str:
    return url if "://" in url else str(_absolute(Path(url)))


def _ray_address(address: str) -> str:
    # ray:// is Ray Client, a proxy through which nothing that is asked of Ray Serve here would go.
    if address == "auto" or re.fullmatch(r"[^\s/]+:\d+", address):
        return address
    raise PydanticCustomError("ray_address", "Input should be auto, or HOST:PORT of a Ray head")


def _prefixes(text: object) -> object:
    """Comma-separated folders and URL prefixes."""
    if text is None:
        return ()
    if not isinstance(text, str):
        return text
    prefixes = tuple(prefix.strip() for prefix in text.split(",") if prefix.strip())
    if not all(Path(prefix).is_absolute() or "://" in prefix for prefix in prefixes) or "::" in text:
        raise PydanticCustomError("prefixes", "Input should be absolute folders and URL prefixes, comma-separated")
    return prefixes


def _architecture(name: str) -> str:
    if name in TORCHVISION_BUILDERS or re.fullmatch(r"\S.*\.yaml", name):
        return name
    known = ", ".join(TORCHVISION_BUILDERS)
    raise PydanticCustomError("architecture", f"Input should be an ultralytics model file (.yaml) or one of: {known}")


Number = BeforeValidator(_no_bool)
Positive = Annotated[int, Number, Field(ge=1)]
NotNegative = Annotated[int, Number, Field(ge=0)]
Amount = Annotated[float, Number, Field(ge=0)]
Seconds = Annotated[float, Number, Field(gt=0, le=86_400)]
Share = Annotated[float, Number, Field(ge=0, le=1)]
Inside = Annotated[float, Number, Field(gt=0, lt=1)]
Seed = Annotated[int, Number, Field(ge=0, lt=2**32)]
Folder = Annotated[Path, AfterValidator(_plain_folder), AfterValidator(_absolute)]
Location = Annotated[str, Field(min_length=1), AfterValidator(_location)]
Device = Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d+)?)$")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ServerSettings(Section):
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Number, Field(ge=1, le=65_535)]


class DatabaseSettings(Section):
    url: Annotated[str, AfterValidator(_database_url)] | None = Field(repr=False)  # it may hold a password


class BlobSettings(Section):
    url: Location | None


class MlflowSettings(Section):
    tracking_uri: Annotated[str, Field(min_length=1)] | None = Field(repr=False)
    artifact_root: Location | None
    prefix: Word
    required: bool


class LimitSettings(Section):
    max_image_bytes: Positive
    max_model_bytes: Positive
    max_video_bytes: Positive
    max_archive_bytes: Positive
    max_unpacked_bytes: Positive
    max_image_pixels: Annotated[int, Number, Field(ge=1, le=_PILLOW_BOMB_PIXELS)]
    request_timeout_s: Seconds
    max_waiting_bytes: Positive
    requests_per_second: Annotated[float, Number, Field(gt=0)] | None
    burst: Positive
    max_waiting_calls: Annotated[int, Number, Field(ge=1, le=8000)]


class ServingSettings(Section):
    gateway_replicas: Positive
    detector_replicas: Positive
    num_cpus: Amount
    num_gpus: Amount
    device: Device
    runtime: Literal["auto", "torch", "onnx", "openvino", "tensorrt"]
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"]
    max_batch_size: Positive
    batch_wait_ms: Annotated[float, Number, Field(ge=0, le=10_000)]
    max_ongoing_requests: Positive
    max_queued_requests: Positive
    score_floor: Share
    consistency: bool
    object_embeddings: bool
    threads: NotNegative
    drain_seconds: Seconds
    standby_seconds: Annotated[float, Number, Field(ge=0, le=86_400)]
    ray_cpus: Positive | None
    ray_address: Annotated[str, AfterValidator(_ray_address)] | None
    transport: Literal["haproxy", "proxy"]
    min_replicas: Positive
    max_replicas: Positive | None
    calls_in_flight: Positive
    images_per_call: Positive
    decode_threads: Positive
    shared_replicas: NotNegative
    models_per_replica: Positive
    commit_delay_ms: Annotated[float, Number, Field(ge=0, le=1000)]


class RolloutSettings(Section):
    min_requests: Positive
    max_error_rate: Annotated[float, Number, Field(ge=0, lt=1)]
    max_latency_ratio: Annotated[float, Number, Field(ge=1, le=1000)]
    confidence: Annotated[float, Number, Field(ge=0.5, lt=1)]
    window_s: Seconds

    def as_limits(self) -> RolloutLimits:
        """What a new rollout is started with."""
        return RolloutLimits(**self.model_dump())


class CanarySettings(Section):
    after_gate: bool
    share: Inside
    margin: Inside
    confidence: Annotated[float, Number, Field(ge=0.5, lt=1)]
    max_hours: Annotated[float, Number, Field(gt=0, le=8760)]
    max_answers: Annotated[int, Number, Field(ge=1, le=20_000)]
    patience_hours: Annotated[float, Number, Field(gt=0, le=8760)]
    on_pass: OnPass
    on_undecided: OnUndecided

    def as_rules(self) -> CanaryRules:
        """What a new canary is judged by."""
        return CanaryRules(**self.model_dump(exclude={"after_gate", "share"}))


class ParitySettings(Section):
    images: Positive
    score: Share
    matched: Share
    iou: Annotated[float, Number, Field(gt=0, le=1)]
    score_difference: Share
    cosine: Annotated[float, Number, Field(ge=-1, le=1)]
    calibration_images: Positive

    def as_limits(self) -> ParityLimits:
        """What a runtime is held to."""
        return ParityLimits(**self.model_dump())


class PolicySettings(Section):
    threshold: Share
    audit_rate: Share
    score_threshold: Share
    failure_iou: Annotated[float, Number, Field(gt=0, le=1)]
    lease_seconds: Annotated[int, Number, Field(ge=1, le=86_400)]
    retain: Retain
    retain_rate: Share
    durability: Durability

    def as_policy(self, version: int = 1) -> Policy:
        """What a new project starts with."""
        return Policy(version=version, **self.model_dump())


class GuaranteeSettings(Section):
    evidence_share: Annotated[float, Number, Field(gt=0, le=1)]
    window_audits: Annotated[int, Number, Field(ge=50, le=10_000)]
    window_days: Annotated[float, Number, Field(gt=0, le=365)]
    patience_days: Annotated[float, Number, Field(gt=0, le=365)]
    on_alarm: OnAlarm
    when_short: WhenShort

    def as_rules(self) -> GuaranteeRules:
        """What the policy of a new project starts with."""
        return GuaranteeRules(**self.model_dump())


class QueueSettings(Section):
    risk_weight: Annotated[float, Number, Field(ge=0, le=1000)]
    age_weight: Annotated[float, Number, Field(ge=0.001, le=1000)]
    deadline_weight: Annotated[float, Number, Field(ge=0, le=1000)]
    overdue_weight: Annotated[float, Number, Field(ge=0, le=1000)]
    horizon_seconds: Annotated[float, Number, Field(ge=1, le=316_224_000)]
    people_share: Share
    skips_before_expert: Annotated[int, Number, Field(ge=1, le=100)]
    max_leases: Annotated[int, Number, Field(ge=1, le=1000)] | None
    max_tasks_a_day: Annotated[int, Number, Field(ge=1, le=100_000)] | None
    blind_share: Share
    fair_sources: bool

    def as_rules(self) -> QueueRules:
        """What the policy of a new project starts with."""
        return QueueRules(**self.model_dump())


class CostSettings(Section):
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    per_hour: Annotated[float, Number, Field(ge=0, le=1_000_000)] | None

    def as_rates(self) -> Rates:
        """Of projects that have none of their own."""
        return Rates(**self.model_dump())


def _off(value: object) -> object:
    # YAML reads a bare `off` as false.
    return "off" if value is False else value


class WorkflowSettings(Section):
    qa: Annotated[Qa, BeforeValidator(_off)]
    share: Share
    max_returns: Annotated[int, Number, Field(ge=0, le=20)]
    rework_patience_seconds: Annotated[float, Number, Field(ge=1, le=316_224_000)]
    proposals: Proposals
    lot_size: Annotated[int, Number, Field(ge=1, le=10_000)]
    lot_close_after_seconds: Annotated[float, Number, Field(ge=1, le=316_224_000)] | None
    lot_by: LotsBy
    lot_plan: PlanKind
    lot_share: Annotated[float, Number, Field(gt=0, le=1)]
    lot_threshold: Annotated[float, Number, Field(ge=0, lt=1)]
    lot_aql: Annotated[float, Number, Field(ge=0, lt=1)]
    lot_ltpd: Annotated[float, Number, Field(gt=0, le=1)]
    lot_alpha: Annotated[float, Number, Field(gt=0, le=0.5)]
    lot_beta: Annotated[float, Number, Field(gt=0, le=0.5)]

    def as_workflow(self) -> Workflow:
        """What the policy of a new project starts with."""
        given = self.model_dump()
        lots = {name.removeprefix("lot_"): given.pop(name) for name in list(given) if name.startswith("lot_")}
        return Workflow(**given, lots=LotRules(**lots))


class ConsensusSettings(Section):
    iou: Annotated[float, Number, Field(gt=0, le=1)]
    min_agreement: Share
    min_certainty: Annotated[float, Number, Field(ge=0.5, lt=1)]

    def as_rules(self) -> ConsensusRules:
        return ConsensusRules(**self.model_dump())


class GoldenSettings(Section):
    rate: Share
    again_days: Annotated[float, Number, Field(ge=1, le=3650)]
    qualification: bool
    training: bool

    def as_rules(self) -> GoldenRules:
        return GoldenRules(**self.model_dump())


class StandingSettings(Section):
    bar: Inside
    confidence: Annotated[float, Number, Field(gt=0.5, lt=1)]
    min_items: Annotated[int, Number, Field(ge=1, le=500)]
    window: Annotated[int, Number, Field(ge=1, le=500)]

    def as_rules(self) -> QualityRules:
        return QualityRules(**self.model_dump())


class HumanGateSettings(Section):
    fallback: Fallback
    max_wait_seconds: Annotated[float, Number, Field(ge=1, le=3600)]
    min_review_seconds: Annotated[float, Number, Field(ge=0, le=3600)]

    def as_rules(self) -> GateRules:
        """What the policy of a new project starts with."""
        return GateRules(**self.model_dump())


class SelectionSettings(Section):
    neighbours: Positive
    reference_limit: Positive
    mix: Annotated[str, Field(min_length=1)]
    cold_mix: Annotated[str, Field(min_length=1)]
    random_share: Share
    learn_risk: bool


class DriftSettings(Section):
    reference: Annotated[int, Number, Field(ge=30, le=500)]
    window: Annotated[int, Number, Field(ge=30, le=500)]
    every_seconds: Annotated[float, Number, Field(ge=0, le=31 * 86_400)]
    level: Annotated[float, Number, Field(ge=0.005, le=0.5)]
    confirm: Annotated[int, Number, Field(ge=1, le=100)]
    block_seconds: Annotated[float, Number, Field(ge=0, le=86_400)]
    trigger_cycle: bool
    min_corrections: Positive

    def as_rules(self) -> DriftRules:
        """What looks are made by."""
        return DriftRules(**self.model_dump())


class ProductionSettings(Section):
    audits: Annotated[int, Number, Field(ge=10, le=10_000)]
    reviewed: Annotated[int, Number, Field(ge=0, le=10_000)]
    patience_days: Annotated[float, Number, Field(gt=0, le=365)]
    every_seconds: Annotated[float, Number, Field(ge=10, le=86_400)]

    def as_rules(self) -> ProductionRules:
        return ProductionRules(
            audits=self.audits,
            reviewed=self.reviewed,
            patience=timedelta(days=self.patience_days),
            every=timedelta(seconds=self.every_seconds),
        )


class MapSettings(Section):
    representatives: Annotated[int, Number, Field(ge=100, le=50_000)]
    neighbours: Annotated[int, Number, Field(ge=2, le=200)]
    seed: Seed
    refit_share: Share


class TrainingSettings(Section):
    epochs: Positive
    batch: Positive
    image_size: Annotated[int, Number, Field(ge=32, le=4096, multiple_of=32)] | None
    seed: Seed
    optimizer: Literal["AdamW", "Adam", "NAdam", "RAdam", "RMSProp", "SGD"]
    learning_rate: Annotated[float, Number, Field(gt=0, le=1)]
    flip: Share
    mosaic: Share
    scale: Annotated[float, Number, Field(ge=0, lt=1)]
    val_share: Inside
    leak_cosine: Annotated[float, Number, Field(gt=0, le=1)] | None
    replay_limit: NotNegative
    freeze: Annotated[int, Number, Field(ge=0, le=1000)]
    workers: NotNegative
    num_cpus: Amount
    num_gpus: Amount
    device: Device
    base: Annotated[str, AfterValidator(_architecture)]


class AnnotationSettings(Section):
    allowed_sources: Annotated[tuple[str, ...], BeforeValidator(_prefixes)]
    readers: Positive
    detectors: Positive
    num_cpus: Amount
    num_gpus: Amount
    device: Device
    batch_size: Positive
    consistency: bool
    group_size: Annotated[int, Number, Field(ge=1, le=1024)]


class VideoSettings(Section):
    image_format: Literal["jpeg", "png"]
    jpeg_quality: Annotated[int, Number, Field(ge=1, le=100)]
    max_frames: Annotated[int, Number, Field(ge=1, le=1_000_000)]
    link_iou: Annotated[float, Number, Field(gt=0, le=1)]
    link_gap: Annotated[int, Number, Field(ge=0, le=1000)]
    tolerance: Annotated[float, Number, Field(ge=0, le=10)]

    def as_rules(self) -> LinkingRules:
        """How detections become tracks."""
        return LinkingRules(iou=self.link_iou, max_gap=self.link_gap, tolerance=self.tolerance)


def _pauses(text: object) -> object:
    """Comma-separated seconds."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str):
        return text
    try:
        pauses = tuple(float(part) for part in text.split(","))
    except ValueError:
        pauses = ()
    if not 1 <= len(pauses) <= 20 or not all(0 < pause <= _LONGEST_PAUSE_S for pause in pauses):
        raise PydanticCustomError("pauses", "Input should be 1 to 20 numbers of seconds up to a week, comma-separated")
    return pauses


class WebhookSettings(Section):
    allow_private: bool
    timeout_s: Annotated[float, Number, Field(gt=0, le=60)]
    retries_s: Annotated[tuple[float, ...], BeforeValidator(_pauses)]
    at_once: Annotated[int, Number, Field(ge=1, le=64)]
    disable_after_days: Annotated[float, Number, Field(gt=0, le=365)]
    keep_delivered_days: Annotated[float, Number, Field(gt=0, le=3650)]
    keep_dead_days: Annotated[float, Number, Field(gt=0, le=3650)]


class LabelStudioSettings(Section):
    url: str
    token: SecretStr
    allow_private: bool
    timeout_s: Annotated[float, Number, Field(gt=0, le=600)]
    hold_days: Annotated[float, Number, Field(gt=0, le=3650)]


class FunctionSettings(Section):
    button_seconds: Annotated[float, Number, Field(gt=0, le=120)]
    seconds: Annotated[float, Number, Field(gt=0, le=3600)]
    start_seconds: Annotated[float, Number, Field(gt=0, le=600)]
    retries_s: Annotated[tuple[float, ...], BeforeValidator(_pauses)]
    at_once: Annotated[int, Number, Field(ge=1, le=64)]
    num_cpus: Amount
    keep_days: Annotated[float, Number, Field(gt=0, le=3650)]


class GateSettings(Section):
    mode: Literal["superior", "non_inferior"]
    margin: Share
    class_margin: Share
    slice_margin: Share
    failure_margin: Share
    calibration_margin: Share
    latency_ratio: Annotated[float, Number, Field(gt=0)]
    min_class_boxes: Positive
    min_units: Positive
    first_floor: Annotated[float, Number, Field(ge=0, lt=1)]
    first_units: Annotated[int, Number, Field(ge=2)]
    resamples: Annotated[int, Number, Field(ge=100, le=1_000_000)]
    confidence: Annotated[float, Number, Field(ge=0.5, lt=1)]
    seed: Seed
    slice_images: NotNegative
    latency_images: Annotated[int, Number, Field(ge=0, le=10_000)]


class Settings(BaseSettings):
    """All settings, frozen, picklable. Build it with `load_settings`: constructing it reads nothing by itself."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    data_dir: Folder
    server: ServerSettings
    database: DatabaseSettings
    blobs: BlobSettings
    mlflow: MlflowSettings
    limits: LimitSettings
    serving: ServingSettings
    parity: ParitySettings
    rollout: RolloutSettings
    canary: CanarySettings
    policy: PolicySettings
    guarantee: GuaranteeSettings
    queue: QueueSettings
    cost: CostSettings
    workflow: WorkflowSettings
    consensus: ConsensusSettings
    golden: GoldenSettings
    standing: StandingSettings
    human_gate: HumanGateSettings
    selection: SelectionSettings
    drift: DriftSettings
    production: ProductionSettings
    map: MapSettings
    training: TrainingSettings
    annotation: AnnotationSettings
    video: VideoSettings
    webhooks: WebhookSettings
    label_studio: LabelStudioSettings
    functions: FunctionSettings
    gate: GateSettings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # `load_settings` reads the sources: it must know, for each value, where it came from, and pydantic's own
        # readers let unknown variables pass.
        return (init_settings,)

    @property
    def quality(self) -> QualityPolicy:
        """What the policy of a new project starts with."""
        return QualityPolicy(
            consensus=self.consensus.as_rules(), golden=self.golden.as_rules(), standing=self.standing.as_rules()
        )

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL."""
        return self.database.url or f"sqlite:///{self.data_dir}/askance.db"

    @property
    def blobs_url(self) -> str:
        """fsspec URL, or an absolute folder."""
        return self.blobs.url or str(self.data_dir / "blobs")

    @property
    def mlflow_tracking_uri(self) -> str:
        return self.mlflow.tracking_uri or f"sqlite:///{self.data_dir}/mlflow.db"

    @property
    def mlflow_artifact_root(self) -> str:
        """Artifact URI, or an absolute folder."""
        return self.mlflow.artifact_root or str(self.data_dir / "mlflow-artifacts")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if found := list(_contradictions(self)):
            raise PydanticCustomError("contradiction", "Settings contradict each other", {"found": found})
        return self


def _contradictions(settings: Settings) -> Iterator[tuple[tuple[str, str], str]]:
    """Each pair of keys that cannot both be, and the rule."""
    serving, limits = settings.serving, settings.limits
    if serving.score_floor > settings.policy.score_threshold:
        yield (
            ("serving.score_floor", "policy.score_threshold"),
            "the floor may not lie above the threshold, or detections that should be answered are dropped",
        )
    if serving.calls_in_flight > serving.max_ongoing_requests:
        yield (
            ("serving.calls_in_flight", "serving.max_ongoing_requests"),
            "a gateway may not send a replica more calls than it accepts",
        )
    if serving.max_replicas is not None and serving.min_replicas > serving.max_replicas:
        yield (
            ("serving.min_replicas", "serving.max_replicas"),
            "autoscaling needs room between the fewest replicas and the most",
        )
    if serving.batch_wait_ms / 1000 >= limits.request_timeout_s:
        yield (
            ("serving.batch_wait_ms", "limits.request_timeout_s"),
            "waiting for a batch must be shorter than the time-out of a request",
        )
    if settings.workflow.lot_aql >= settings.workflow.lot_ltpd:
        yield (
            ("workflow.lot_aql", "workflow.lot_ltpd"),
            "a lot that is good must have fewer defects than one that is bad",
        )
    if settings.guarantee.patience_days >= settings.guarantee.window_days:
        yield (
            ("guarantee.patience_days", "guarantee.window_days"),
            "what waits for people must become overdue within the window",
        )
    if settings.standing.min_items > settings.standing.window:
        yield (
            ("standing.min_items", "standing.window"),
            "as many golden items must count as are needed to decide",
        )
    if settings.selection.neighbours > settings.selection.reference_limit:
        yield (
            ("selection.neighbours", "selection.reference_limit"),
            "there must be at least as many references as neighbours",
        )


# --- what a model may have of its own ------------------------------------------------------------

# What may differ from model to model; the rest concerns gateways or the whole machine.
_PER_MODEL = frozenset(
    {
        "detector_replicas",
        "min_replicas",
        "max_replicas",
        "num_cpus",
        "num_gpus",
        "device",
        "runtime",
        "precision",
        "max_batch_size",
        "max_ongoing_requests",
        "max_queued_requests",
        "score_floor",
        "consistency",
        "object_embeddings",
        "threads",
        "drain_seconds",
    }
)
MODEL_OPTIONS: tuple[str, ...] = tuple(name for name in ServingSettings.model_fields if name in _PER_MODEL)


def serving_of(settings: Settings, overrides: Mapping[str, object]) -> ServingSettings:
    """The section serving as it holds for a model with these options of its own (`ModelVersion.serving`).

    Raises SettingsError, naming each option that is unknown, cannot be used, or contradicts another setting.
    """
    problems = [
        f"unknown option {key}; did you mean {_nearest(key, MODEL_OPTIONS)}?"
        for key in overrides
        if key not in MODEL_OPTIONS
    ]
    if problems:
        raise _refused_options(problems)
    try:
        serving = ServingSettings.model_validate({**settings.serving.model_dump(), **overrides})
    except ValidationError as error:
        raise _refused_options(_explained_options(error, overrides)) from None
    clashes = list(_contradictions(settings.model_copy(update={"serving": serving})))
    if clashes:
        raise _refused_options([f"{' and '.join(keys)} contradict each other: {rule}" for keys, rule in clashes])
    return serving


def changed_options(
    settings: Settings, present: Mapping[str, object], changes: Mapping[str, object]
) -> dict[str, object]:
    """A model's options after `changes`; the value None takes an option back to the settings. Values come out as
    the settings type them ("2" as 2). Raises SettingsError as `serving_of` does."""
    wanted = {key: value for key, value in {**present, **changes}.items() if value is not None}
    # An option that an older version of the service knew can be taken back, a misspelt one is an error even so.
    unknown = [key for key in changes if key not in MODEL_OPTIONS and key not in present]
    typed = serving_of(settings, wanted | dict.fromkeys(unknown))
    return {key: getattr(typed, key) for key in wanted}


def _explained_options(error: ValidationError, overrides: Mapping[str, object]) -> list[str]:
    return [
        f"{key} is {_shown(overrides.get(key))}; expected {_expected(details['msg'])}"
        for details in error.errors(include_url=False)
        for key in [".".join(map(str, details["loc"])) or "the options"]
    ]


def _refused_options(problems: list[str]) -> SettingsError:
    return SettingsError(
        f"{'; '.join(problems)}.".replace("?.", "?"),
        hint=f"A model may have of its own: {', '.join(MODEL_OPTIONS)}.",
        problems=problems,
    )


# --- the loader --------------------------------------------------------------------------------


def _keys() -> Iterator[str]:
    for name, info in Settings.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from (f"{name}.{inner}" for inner in info.annotation.model_fields)
        else:
            yield name


KEYS: tuple[str, ...] = tuple(_keys())  # every setting, dotted
SECTIONS = frozenset(key.split(".")[0] for key in KEYS if "." in key)


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings once, at start-up.

    path: the user's file; None: the one that ASKANCE_CONFIG names, else ./askance.yaml where it exists.
    environ: None for the environment of the process. An empty variable counts as not set; `null` is null.
    Raises SettingsError, which lists every problem.
    """
    variables = os.environ if environ is None else environ
    merged = _Merged()
    merged.add_file(DEFAULTS, "configs/default.yaml")
    if (file := _user_file(path, variables)) is not None:
        merged.add_file(file, str(file))
    merged.add_variables(variables)
    settings = merged.validated()
    if settings is None or merged.problems:
        raise _error(merged.problems)
    return settings


def _user_file(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    if path is not None:
        return path
    if named := environ.get("ASKANCE_CONFIG"):
        return Path(named)
    return Path(USER_FILE) if Path(USER_FILE).exists() else None


@dataclass(slots=True)
class _Merged:
    """The last value given for each dotted key, where it came from, and all that was wrong."""

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add_file(self, path: Path, name: str) -> None:
        try:
            root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except OSError as error:
            self.problems.append(f"the settings file {name} cannot be read: {error.strerror or error}")
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            self.problems.append(f"the settings file {name} is not YAML: {_yaml_problem(error)}")
        else:
            self._add_node(root, "", name)

    def _add_node(self, node: yaml.Node | None, prefix: str, name: str) -> None:
        """Take the keys of the file, or of one section (`prefix` ends with a dot). Empty ones say nothing."""
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return
        if not isinstance(node, yaml.MappingNode):
            what = prefix.rstrip(".") or "the file"
            self.problems.append(f"{what} ({_at(name, node)}) must hold keys with values, one a line")
            return
        seen: set[str] = set()
        for key_node, value_node in node.value:
            key = prefix + (key_node.value if isinstance(key_node, yaml.ScalarNode) else "?")
            if key in seen:
                self.problems.append(f"{key} stands twice ({_at(name, key_node)}); keep one")
            seen.add(key)
            self._add_key(key, value_node, name, _at(name, key_node))

    def _add_key(self, key: str, node: yaml.Node, name: str, source: str) -> None:
        if key in SECTIONS:
            self._add_node(node, f"{key}.", name)
        elif key in KEYS:
            try:
                self._put(key, _scalar(node), source)
            except (yaml.YAMLError, ValueError) as error:
                self.problems.append(f"{key} ({source}) cannot be read: {_yaml_problem(error)}")
        else:
            self.problems.append(f"unknown setting {key} ({source}); did you mean {_nearest(key, KEYS)}?")

    def add_variables(self, environ: Mapping[str, str]) -> None:
        for variable in sorted(environ):
            if not variable.startswith(PREFIX) or variable in OTHER_VARIABLES:
                continue
            key = variable.removeprefix(PREFIX).lower().replace(DELIMITER, ".")
            text = environ[variable]
            if variable != _variable(key) or key not in KEYS:
                self.problems.append(_unknown_variable(variable, key))
            elif text:
                self._put(key, None if text == "null" else text, f"variable {variable}")

    def _put(self, key: str, value: object, source: str) -> None:
        self.values[key] = value
        self.sources[key] = source

    def validated(self) -> Settings | None:
        """The settings, or None and what is wrong with the values."""
        tree: dict[str, Any] = {section: {} for section in SECTIONS}
        for key, value in self.values.items():
            section, _, name = key.rpartition(".")
            (tree[section] if section else tree)[name] = value
        try:
            return Settings(**tree)
        except ValidationError as error:
            for details in error.errors(include_url=False):
                self.problems.extend(self._explained(details))
            return None

    def _explained(self, details: ErrorDetails) -> Iterator[str]:
        if details["type"] == "contradiction":
            for keys, rule in details["ctx"]["found"]:
                given = " and ".join(f"{key} is {_shown(self.values[key])} ({self.sources[key]})" for key in keys)
                yield f"{given}; {rule}"
            return
        key = ".".join(str(part) for part in details["loc"][:2])
        if details["type"] == "missing":
            yield f"{key} is missing from configs/default.yaml; install Askance again"
            return
        yield f"{key} is {_shown(self.values[key])} ({self.sources[key]}); expected {_expected(details['msg'])}"


def _error(problems: list[str]) -> SettingsError:
    several = "\n  - ".join([f"{len(problems)} settings are wrong:", *problems]) + "\n"
    return SettingsError(
        f"{problems[0]}." if len(problems) == 1 else several,
        hint="configs/default.yaml lists every key with its unit and its default.",
        problems=problems,
    )


def _expected(message: str) -> str:
    """pydantic's "Input should be ..." as what follows "expected"."""
    what = message.removeprefix("Input should be ").split(", unable to")[0]
    return f"a number {what}" if what.startswith(("less", "greater")) else what[:1].lower() + what[1:]


def _variable(key: str) -> str:
    return PREFIX + key.upper().replace(".", DELIMITER)


def _unknown_variable(variable: str, key: str) -> str:
    nearest = _nearest(key, [*KEYS, *(other.removeprefix(PREFIX).lower() for other in OTHER_VARIABLES)])
    meant = f"{_variable(nearest)} ({nearest})" if nearest in KEYS else _variable(nearest)
    return f"unknown setting {key} (variable {variable}); did you mean {meant}?"


def _nearest(key: str, known: Sequence[str]) -> str:
    """The known key most like `key`, by its whole or, a little less, by its last part alone (a key that was
    written outside its section)."""

    def likeness(candidate: str) -> float:
        whole = difflib.SequenceMatcher(None, key, candidate).ratio()
        last = difflib.SequenceMatcher(None, key.rpartition(".")[2], candidate.rpartition(".")[2]).ratio()
        return max(whole, last - 0.1)

    return max(known, key=likeness)


def _shown(value: object) -> str:
    """`value` for a message: short, and without the password of a URL."""
    text = re.sub(r"//([^/@]*):[^/@]*@", r"//\1:***@", repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."


def _scalar(node: yaml.Node) -> object:
    """The value of a node. Raises ValueError for a list or a mapping: no setting is one."""
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError("it must be a single value")
    return yaml.SafeLoader("").construct_object(node)


def _at(name: str, node: yaml.Node) -> str:
    return f"{name}:{node.start_mark.line + 1}"


def _yaml_problem(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error).splitlines()[0]
