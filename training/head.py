"""The head of a model file: what the safetensors metadata says of its weights. Read without torch."""

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from loop.domain.errors import BadWeights
from loop.domain.model import ModelHead

HEAD_KEY = "askance"  # the one metadata entry; safetensors does not keep the order of several
_METADATA = "__metadata__"
# Of each kind of floating-point number: its bits as an integer, and those of its exponent, all of which are set in
# infinities and NaN (IEEE 754; bfloat16 is the upper half of a float32).
_BITS: dict[str, tuple[type[np.unsignedinteger[Any]], int]] = {
    "F64": (np.uint64, 0x7FF0_0000_0000_0000),
    "F32": (np.uint32, 0x7F80_0000),
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
}
_AT_ONCE = 1 << 17  # numbers
_MAX_HEADER = 100_000_000  # bytes, the limit of safetensors itself
_MAX_LABELS = 10_000
STRIDE = 32  # of the deepest level of every supported network; image sizes are multiples of it
MAX_IMAGE_SIZE = 4096


def read_head(content: bytes) -> ModelHead:
    """Only the head of a model file, without its tensors; raises BadWeights."""
    return head_from(metadata_of(content))


def read_sound_head(content: bytes) -> ModelHead:
    """The head of a model file all of whose numbers are finite (as far as numpy knows their kind); raises BadWeights.
    A tenth of a second for 100 MB, where to start the model takes seconds."""
    head, (start, header) = read_head(content), _header(content)
    data = memoryview(content)[start:]
    for name, entry in header.items():
        if name == _METADATA:
            continue
        try:
            kind, (begin, end) = entry["dtype"], entry["data_offsets"]
            finite = kind not in _BITS or _finite(_part(data, begin, end), *_BITS[kind])
        except (TypeError, KeyError, ValueError) as error:
            raise damaged(f"its tensor {name} cannot be read") from error
        if not finite:
            raise not_finite(name)
    return head


def network_of(content: bytes) -> dict[str, Any]:
    """What models of the same network have in common, plain: its head but for the labels' names, and the kinds and
    shapes of its tensors. Raises BadWeights."""
    head = read_head(content)
    tensors = {
        name: [entry.get("dtype"), entry.get("shape")]
        for name, entry in _header(content)[1].items()
        if name != _METADATA and isinstance(entry, dict)
    }
    return {**json.loads(head_json(head)), "labels": len(head.labels), "tensors": tensors}


def _part(data: memoryview, begin: int, end: int) -> memoryview:
    if type(begin) is not int or type(end) is not int or not 0 <= begin <= end <= len(data):
        raise ValueError("offsets outside of the file")
    return data[begin:end]


def _finite(data: memoryview, kind: type[np.unsignedinteger[Any]], exponent: int) -> bool:
    numbers = np.frombuffer(data, kind)
    return not any(  # by parts that fit the processor's cache
        ((numbers[start : start + _AT_ONCE] & kind(exponent)) == exponent).any()
        for start in range(0, len(numbers), _AT_ONCE)
    )


def not_finite(name: str) -> BadWeights:
    return BadWeights(
        f"the tensor {name} holds values that are not finite.",
        hint="Training diverged: use an earlier checkpoint.",
        tensor=name,
    )


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
    metadata = _header(content)[1].get(_METADATA)
    return metadata if isinstance(metadata, dict) else {}


def _header(content: bytes) -> tuple[int, dict[str, Any]]:
    """Where the tensors begin, and what the file says of each."""
    if len(content) < 8:
        raise damaged("it is too short")
    (length,) = struct.unpack("<Q", content[:8])
    if length > min(_MAX_HEADER, len(content) - 8):
        raise damaged("it has no safetensors header")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise damaged("its header is not JSON") from error
    return 8 + length, header if isinstance(header, dict) else {}


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
