"""Model versions, and how one comes to serve."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

# What a head may name as its backend: the libraries whose networks can be built and run here.
BACKENDS = ("torchvision", "ultralytics")
# The functions of torchvision.models.detection whose networks are served and trained.
TORCHVISION_BUILDERS = (
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "ssdlite320_mobilenet_v3_large",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelHead:
    """What is needed to run a file of weights, kept beside it.

    backend: ultralytics | torchvision. architecture: an ultralytics model dictionary, or the name of a
    torchvision builder under the key "builder". image_size: side of the square network input, pixels.
    """

    backend: str
    architecture: Mapping[str, object]
    labels: tuple[str, ...]
    image_size: int
    embedding_dim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """digest: SHA-256 of the safetensors file, which is also its blob key. reference_key: blob of the
    training set's embeddings in this model's space (.npy, (n, d) float32), None before it is made.
    risk_key: blob of what was learned of this model's failures (loop/routing/risks.py), None before there are enough
    reviews.
    drift_key: blob of what it said of the images that drift is measured against (selection/seen.py), None before there
    are any.
    serving: what differs from the settings' section `serving` for this model, by key."""

    id: str
    project_id: str
    digest: str
    head: ModelHead
    origin: str  # registered | cycle
    cycle_id: str | None
    reference_key: str | None
    created_at: datetime
    mlflow_version: str | None = None
    risk_key: str | None = None
    drift_key: str | None = None
    notes: Mapping[str, object] = field(default_factory=dict)
    serving: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_base(self) -> bool:
        """Whether it was added for training to start from, whatever it predicts, and never to serve by itself."""
        return bool(self.notes.get("base"))


class PromotionState(StrEnum):
    QUEUED = "queued"  # asked for; the serving process deploys and warms it
    ACTIVE = "active"  # the pointer was flipped
    FAILED = "failed"  # could not be served; the champion stays


class PromotionKind(StrEnum):
    GATE = "gate"
    OVERRIDE = "override"  # a named person, with a reason
    ROLLBACK = "rollback"
    FIRST = "first"  # a project's first model, registered by a named person
    RECONFIGURE = "reconfigure"  # the champion stays, served with other options


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """serving: the options that a RECONFIGURE asks for; they become the model's own when it is active."""

    id: str
    project_id: str
    model_id: str
    previous_id: str | None
    kind: PromotionKind
    actor: str
    reason: str
    state: PromotionState
    error: str
    created_at: datetime
    finished_at: datetime | None = None
    serving: Mapping[str, object] = field(default_factory=dict)
