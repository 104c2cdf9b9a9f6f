"""A detector small enough for a unit test: real architecture, real forward pass, random weights."""

import functools
import tempfile
from pathlib import Path

import yaml

from training.weights import adopt

# YOLOv8's layout with a sixteenth of its width.
ARCHITECTURE = {
    "nc": 3,
    "scales": {"n": [0.33, 0.0625, 1024]},
    "backbone": [
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 1, "C2f", [128, True]],
        [-1, 1, "Conv", [256, 3, 2]],
        [-1, 1, "C2f", [256, True]],
        [-1, 1, "Conv", [512, 3, 2]],
        [-1, 1, "C2f", [512, True]],
    ],
    "head": [[[4, 6], 1, "Detect", ["nc"]]],
}


@functools.cache
def tiny_torchvision(
    labels: tuple[str, ...] = ("circle", "square", "bar"), seed: int = 0, image_size: int = 64
) -> bytes:
    """The same of torchvision's smallest detector, which is as quick on images this small."""
    return adopt("ssdlite320_mobilenet_v3_large", labels=labels, image_size=image_size, seed=seed)


@functools.cache
def tiny_weights(labels: tuple[str, ...] = ("circle", "square", "bar"), seed: int = 0, image_size: int = 64) -> bytes:
    """Untrained weights in Askance's format; another seed gives other weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.yaml"
        path.write_text(yaml.safe_dump(ARCHITECTURE | {"nc": len(labels)}))
        return adopt(str(path), labels=labels, image_size=image_size, seed=seed)
