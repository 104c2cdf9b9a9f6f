"""Sections about models that answer: replicas and runtimes, rollouts, parity."""

from typing import Annotated, Literal

from pydantic import Field

from loop.domain.rollouts.canary import CanaryRules, OnPass, OnUndecided
from loop.domain.rollouts.rollout import RolloutLimits
from loop.settings.values import (
    Amount,
    Device,
    Inside,
    NotNegative,
    Number,
    Positive,
    RayAddress,
    Seconds,
    Section,
    Share,
)
from serving.backends.parity import ParityLimits


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
    rehearsal_memory: Annotated[float, Number, Field(gt=0, le=1)]
    ray_cpus: Positive | None
    ray_address: RayAddress | None
    transport: Literal["haproxy", "proxy"]
    min_replicas: Positive
    max_replicas: Positive | None
    calls_in_flight: Positive
    images_per_call: Positive
    decode_threads: Positive
    timeout_s: Seconds | None
    shared_replicas: NotNegative
    models_per_replica: Positive
    commit_delay_ms: Annotated[float, Number, Field(ge=0, le=1000)]
    item_columns_from: NotNegative


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
