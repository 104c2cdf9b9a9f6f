"""Models, rollouts and cycles."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from loop.domain.corrections import ErrorType
from loop.domain.cycle import CycleState, Step
from loop.domain.model import PromotionKind, PromotionState
from loop.domain.policy.label_rules import MOST_RECHECKED
from loop.domain.rollouts.rollout import RolloutKind, RolloutState
from serving.api.schemas.canaries import CanaryIn, CanaryRulesOut, CanaryStandingOut
from serving.api.schemas.predictions import DetectionOut
from serving.api.schemas.wire import In, Out, Unit


class ModelOut(Out):
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


class PromotionOut(Out):
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


class RolloutLimitsOut(Out):
    min_requests: int
    max_error_rate: Unit
    max_latency_ratio: float
    confidence: Unit
    window_s: float


class RolloutOut(Out):
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
    active_at: datetime | None = Field(description="since when it takes its share")
    finished_at: datetime | None
    judging: CanaryRulesOut | None = Field(description="how a canary is judged by what people answer; null: it is not")
    standing: CanaryStandingOut | None = Field(description="what the last look at their answers found")
    cycle_id: str | None = Field(description="of the cycle whose winner it is")


class RolloutsOut(Out):
    rollouts: list[RolloutOut]


class ShadowAnswerOut(Out):
    prediction_id: str
    detections: list[DetectionOut]
    seconds: float = Field(description="of the inference")
    error: str = Field(description="why the shadow has no answer; empty where it has")
    differences: dict[ErrorType, int] = Field(
        description="from what the caller got, by type, as if that were the truth; empty where both say the same"
    )


class ShadowAnswersOut(Out):
    answers: list[ShadowAnswerOut]
    next: str | None


class RolloutIn(In):
    """canary: a share of the callers get this model's answers. shadow: it sees a share of the traffic, and the
    callers get the champion's answers."""

    kind: RolloutKind
    model_id: str
    share: float = Field(description="of the predictions, above 0 and at most 1")
    judging: CanaryIn | Literal[False] | None = Field(
        default=None,
        description="rules that differ from the section `canary` of the settings, by which people's answers judge a "
        "canary; false: they do not. Without it every canary is judged whose share is below 1",
    )
    reason: str = Field(default="asked for", min_length=3, max_length=1000)


class EndIn(In):
    reason: str = Field(default="ended by hand", min_length=3, max_length=1000)


class ModelsOut(Out):
    models: list[ModelOut]
    promotions: list[PromotionOut]
    rollouts: list[RolloutOut]


class OptionsIn(In):
    """Options of a model that differ from the section `serving` of the settings; null takes one back."""

    options: dict[str, StrictBool | StrictInt | StrictFloat | StrictStr | None] = Field(min_length=1, max_length=50)


class ConfiguredOut(Out):
    model: ModelOut
    promotion: PromotionOut | None = Field(description="for the champion: serves with them once this is active")


class PromoteIn(In):
    """Promoting by hand overrides the gate: the reason is kept with your name."""

    reason: str = Field(min_length=3, max_length=1000)


class RollbackIn(In):
    reason: str = Field(default="rolled back by hand", min_length=3, max_length=1000)


class CycleIn(In):
    """Settings of this cycle; what is left out comes from the configuration."""

    reason: str = Field(default="asked for", max_length=1000)
    epochs: Annotated[int, Field(ge=1, le=1000)] | None = None
    image_size: Annotated[int, Field(ge=32, le=1536)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    flip: Unit | None = Field(default=None, description="probability of mirroring; 0 for digits and text")
    mosaic: Unit | None = Field(default=None, description="probability of composing an image from four")
    scale: Annotated[float, Field(ge=0, lt=1)] | None = Field(default=None, description="largest random zoom")
    freeze: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None, description="layers that stay as they are"
    )
    start: Literal["champion", "scratch"] | None = Field(
        default=None, description="scratch: fresh weights of the configured architecture; else the champion's"
    )
    mode: Literal["superior", "non_inferior"] | None = None
    canary: bool | None = Field(default=None, description="whether what passes the gate is a canary first")
    recheck: Annotated[int, Field(ge=0, le=MOST_RECHECKED)] | None = Field(
        default=None,
        description="doubtful items that people look at again and this training does without; else the policy's",
    )


class CancelIn(In):
    reason: str = Field(default="cancelled by hand", min_length=3, max_length=1000)


class CycleOut(Out):
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


class CyclePage(Out):
    cycles: list[CycleOut]
    next: str | None


class MlflowOut(Out):
    """What MLflow is still to be told of the project's cycles and aliases."""

    required: bool = Field(description="whether cycles wait for it")
    untold: int
    oldest: datetime | None = Field(description="when what waits longest happened")
    error: str = Field(description="why it is not told yet; empty where nothing is in the way")
    cycles: dict[str, int] = Field(description="how much is untold of each cycle that has something")
