"""Pictures that a tiny network can learn: bright squares, whose label is their colour."""

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loop.domain.item import Item, Split
from loop.domain.ports import Blobs, Store
from loop.domain.truth import GroundTruth, Shape
from training.training_image import TrainingImage

SIZE = 64  # pixels
LABELS = ("red", "green")
_COLORS = {"red": (250, 40, 40), "green": (40, 250, 40), "blue": (40, 40, 250)}


def picture(seed: int, labels: tuple[str, ...] = LABELS) -> tuple[NDArray[np.uint8], tuple[Shape, ...]]:
    """A dark (SIZE, SIZE, 3) RGB picture with two squares, each of its label's colour."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, (SIZE, SIZE, 3), dtype=np.uint8)
    shapes = []
    for left in (2, 34):
        side, top = int(rng.integers(16, 28)), int(rng.integers(2, 30))
        label = labels[int(rng.integers(len(labels)))]
        pixels[top : top + side, left : left + side] = _COLORS[label]
        shapes.append(Shape(label, (float(left), float(top), float(left + side), float(top + side))))
    return pixels, tuple(shapes)


def pictures(folder: Path, count: int, labels: tuple[str, ...] = LABELS) -> list[TrainingImage]:
    """Pictures as files without a suffix, as the blob store keeps them."""
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for index in range(count):
        pixels, shapes = picture(index, labels)
        path = folder / f"{index:02d}"
        Image.fromarray(pixels).save(path, format="PNG")
        images.append(TrainingImage(path, shapes, SIZE, SIZE))
    return images


def picture_bytes(number: int, labels: tuple[str, ...] = LABELS) -> bytes:
    """A picture as a PNG."""
    return _encoded(number, labels)[0]


def _encoded(number: int, labels: tuple[str, ...]) -> tuple[bytes, tuple[Shape, ...]]:
    pixels, shapes = picture(number, labels)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    return content.getvalue(), shapes


def keep_picture(
    store: Store, blobs: Blobs, project: str, number: int, split: Split, labels: tuple[str, ...] = LABELS
) -> None:
    """A picture with its ground truth, as an import leaves them."""
    content, shapes = _encoded(number, labels)
    digest, now = blobs.put(content), datetime.now(UTC)
    item = Item(
        project_id=project, digest=digest, media_type="image/png", width=SIZE, height=SIZE, created_at=now, split=split
    )
    truth = GroundTruth(
        project_id=project, item_digest=digest, version=1, shapes=shapes, submission_ids=(), origin="import",
        created_at=now,
    )  # fmt: skip
    with store.begin() as tx:
        tx.items.add(item)
        tx.truths.add(truth)
