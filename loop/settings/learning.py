"""Sections about what is learned and looked at: selection, training, the gate, drift, maps, bulk work."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from loop.domain.items.linking import LinkingRules
from loop.domain.production.drift import DriftRules
from loop.domain.production.figures import ProductionRules
from loop.settings.values import (
    Amount,
    Architecture,
    Device,
    Inside,
    NotNegative,
    Number,
    Positive,
    Prefixes,
    Section,
    Seed,
    Share,
)


class SelectionSettings(Section):
    neighbours: Positive
    reference_limit: Positive
    mix: Annotated[str, Field(min_length=1)]
    cold_mix: Annotated[str, Field(min_length=1)]
    random_share: Share
    learn_risk: bool
    index_recall: Annotated[float, Number, Field(ge=0.5, le=1)]
    index_exact_up_to: Annotated[int, Number, Field(ge=1_000, le=1_000_000)]
    index_compressed_from: Annotated[int, Number, Field(ge=10_000)]


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
    leak_bits: Annotated[int, Number, Field(ge=0, le=12)] | None
    replay_limit: NotNegative
    freeze: Annotated[int, Number, Field(ge=0, le=1000)]
    workers: NotNegative
    num_cpus: Amount
    num_gpus: Amount | None
    device: Device | Literal["auto"]
    anywhere: bool
    examination_memory: Annotated[float, Number, Field(gt=0, le=1)]
    base: Architecture


class AnnotationSettings(Section):
    allowed_sources: Prefixes
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
