"""One image, known by the SHA-256 of its bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Split(StrEnum):
    TRAIN = "train"
    VAL = "val"
    GOLDEN = "golden"  # trusted truth for evaluation and the promotion gate; never trained on


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """width, height: pixels, upright. media_type: image/jpeg | image/png | image/webp, by content."""

    width: int
    height: int
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """digest: SHA-256 of the bytes. split: fixed by an import, or None (then its group hash decides).
    group: what must not be torn apart by a split: the clip, the camera, the near-duplicate cluster."""

    project_id: str
    digest: str
    media_type: str  # image/jpeg | image/png | image/webp
    width: int  # pixels
    height: int
    created_at: datetime
    source: str = ""
    group: str = ""
    split: Split | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
