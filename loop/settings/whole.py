"""All sections as one, and which values cannot be together."""

from collections.abc import Iterator
from typing import Self

from pydantic import BaseModel, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from loop.domain.policy.quality_rules import QualityPolicy
from loop.settings.installation import (
    BlobSettings,
    DatabaseSettings,
    FunctionSettings,
    LabelStudioSettings,
    LimitSettings,
    MlflowSettings,
    ServerSettings,
    WebhookSettings,
)
from loop.settings.learning import (
    AnnotationSettings,
    DriftSettings,
    GateSettings,
    MapSettings,
    ProductionSettings,
    SelectionSettings,
    TrainingSettings,
    VideoSettings,
)
from loop.settings.policies import (
    ConsensusSettings,
    CostSettings,
    GoldenSettings,
    GuaranteeSettings,
    HumanGateSettings,
    PolicySettings,
    QueueSettings,
    StandingSettings,
    WorkflowSettings,
)
from loop.settings.serving import CanarySettings, ParitySettings, RolloutSettings, ServingSettings
from loop.settings.values import Folder


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
        if found := list(contradictions(self)):
            raise PydanticCustomError("contradiction", "Settings contradict each other", {"found": found})
        return self


def contradictions(settings: Settings) -> Iterator[tuple[tuple[str, str], str]]:
    """Each pair of keys that cannot both be, and the rule."""
    yield from _of_replicas(settings)
    yield from _of_waiting(settings)
    yield from _beside_serving(settings)


def _of_replicas(settings: Settings) -> Iterator[tuple[tuple[str, str], str]]:
    serving = settings.serving
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
    if serving.shared_replicas and serving.max_replicas is not None:
        yield (
            ("serving.shared_replicas", "serving.max_replicas"),
            "the number of processes that models share does not follow the load",
        )


def _of_waiting(settings: Settings) -> Iterator[tuple[tuple[str, str], str]]:
    serving, limits = settings.serving, settings.limits
    if serving.batch_wait_ms / 1000 >= limits.request_timeout_s:
        yield (
            ("serving.batch_wait_ms", "limits.request_timeout_s"),
            "waiting for a batch must be shorter than the time-out of a request",
        )
    if serving.timeout_s is not None and serving.timeout_s > limits.request_timeout_s:
        yield (
            ("serving.timeout_s", "limits.request_timeout_s"),
            "a model may not take longer than a request may",
        )
    if serving.timeout_s is not None and serving.batch_wait_ms / 1000 >= serving.timeout_s:
        yield (
            ("serving.batch_wait_ms", "serving.timeout_s"),
            "waiting for a batch must be shorter than the time in which the model is to answer",
        )


def _beside_serving(settings: Settings) -> Iterator[tuple[tuple[str, str], str]]:
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
    if settings.selection.index_exact_up_to >= settings.selection.index_compressed_from:
        yield (
            ("selection.index_exact_up_to", "selection.index_compressed_from"),
            "an index is compressed when it is larger than what is searched whole",
        )


def _keys() -> Iterator[str]:
    for name, info in Settings.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from (f"{name}.{inner}" for inner in info.annotation.model_fields)
        else:
            yield name


KEYS: tuple[str, ...] = tuple(_keys())  # every setting, dotted
SECTIONS = frozenset(key.split(".")[0] for key in KEYS if "." in key)
