"""The head of a model file: what the safetensors metadata says of its weights. Read without torch."""

import json
import struct
from collections.abc import Mapping
from typing import Any

from loop.domain.errors import BadWeights
from loop.domain.model import ModelHead

HEAD_KEY = "askance"  # the one metadata entry; safetensors does not keep the order of several
_MAX_HEADER = 100_000_000  # bytes, the limit of safetensors itself
_MAX_LABELS = 10_000
STRIDE = 32  # of the deepest level of every supported network; image sizes are multiples of it
MAX_IMAGE_SIZE = 4096


def read_head(content: bytes) -> ModelHead:
    """Only the head of a model file, without its tensors; raises BadWeights."""
    return head_from(metadata_of(content))


def head_json(head: ModelHead) -> str:
    fields = {
        "backend": head.backend,
        "architecture": head.architecture,
        "labels": list(head.labels),
        "image_size": head.image_size,
        "embedding_dim": head.embedding_dim,
    }
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def metadata_of(content: bytes) -> dict[str, Any]:
    if len(content) < 8:
        raise damaged("it is too short")
    (length,) = struct.unpack("<Q", content[:8])
    if length > min(_MAX_HEADER, len(content) - 8):
        raise damaged("it has no safetensors header")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise damaged("its header is not JSON") from error
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def damaged(reason: str) -> BadWeights:
    return BadWeights(
        f"not a readable model file: {reason}.",
        hint="Give a file that this service wrote, an ultralytics .pt, or a torchvision state dict with its builder.",
    )


def head_from(metadata: Mapping[str, Any]) -> ModelHead:
    if HEAD_KEY not in metadata:
        raise BadWeights(
            "the safetensors file does not say which model it is for.",
            hint="Name the torchvision builder and the labels, or give the original checkpoint.",
        )
    try:
        fields = json.loads(metadata[HEAD_KEY])
        head = ModelHead(
            backend=str(fields["backend"]),
            architecture=dict(fields["architecture"]),
            labels=tuple(fields["labels"]),
            image_size=int(fields["image_size"]),
            embedding_dim=int(fields["embedding_dim"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadWeights(f"the model file's head cannot be read: {error!r}.") from error
    checked_labels(head.labels)
    checked_image_size(head.image_size)
    return head


def checked_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """`labels` if a model can have them: 1 to 10,000 distinct, non-empty names; raises BadWeights."""
    named = all(isinstance(label, str) and label.strip() for label in labels)
    if not labels or len(labels) > _MAX_LABELS or not named or len(set(labels)) != len(labels):
        raise BadWeights(
            "the labels of a model must be distinct names, at least one.",
            hint="Give the names in the order of the model's classes.",
        )
    return labels


def checked_image_size(image_size: int) -> int:
    """`image_size` if a network can take it; raises BadWeights."""
    if not STRIDE <= image_size <= MAX_IMAGE_SIZE or image_size % STRIDE:
        raise BadWeights(
            f"an image size of {image_size} pixels does not fit the network.",
            hint=f"Use a multiple of {STRIDE} between {STRIDE} and {MAX_IMAGE_SIZE}, for example 640.",
            image_size=image_size,
        )
    return image_size
