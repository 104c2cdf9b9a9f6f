"""What every fine-tuning is given and gives, whichever library its network is of, and what such loops share.

The loops are in training/ultralytics_tuning.py and training/torchvision_tuning.py.
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from loop.domain.errors import BadDataset
from training.recipe import TrainingRecipe
from training.training_image import Decode, Progress, TrainingImage

Given = TypeVar("Given")
Read = TypeVar("Read")

LAST = Path("weights") / "last.pt"  # the checkpoint that a run goes on from
BEST = Path("weights") / "best.pt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """One run. network: trained in place. image_size: side of its square input, pixels. folder: for checkpoints, at
    most one in `checkpoint_seconds` seconds. resume: go on from the checkpoint in `folder`, which is there. decode:
    how images are read; None: OpenCV's way."""

    network: nn.Module
    labels: tuple[str, ...]
    train: Sequence[TrainingImage]
    val: Sequence[TrainingImage]
    recipe: TrainingRecipe
    image_size: int
    folder: Path
    resume: bool
    checkpoint_seconds: float
    progress: Progress
    decode: Decode | None

    @property
    def keeps_best(self) -> bool:
        return self.recipe.keep == "best" and bool(self.val)


class FineTuning(Protocol):
    """A loop around one network, made from a `Tuning`. curves: see training.train.TrainedModel."""

    curves: list[dict[str, float]]

    def train(self) -> None:
        """All epochs that are left. Raises BadDataset for an image that cannot be used, MemoryError, RuntimeError and
        the like for what goes wrong in the library, and what `progress` raises."""
        ...

    def kept_state(self) -> dict[str, Tensor]:
        """The state dict that the recipe keeps, float32."""
        ...


@dataclass(slots=True)
class Teller:
    """Tells `progress` of each further hundredth of the whole run, for epochs that take long, and of each epoch."""

    progress: Progress
    _hundredths: int = field(default=0, init=False)

    def within_epoch(self, share: float) -> None:
        if int(share * 100) > self._hundredths:
            self._hundredths = int(share * 100)
            self.progress(share, {})

    def epoch(self, share: float, figures: Mapping[str, float]) -> None:
        self._hundredths = int(share * 100)
        self.progress(share, figures)


def with_epoch(curves: Sequence[dict[str, float]], figures: Mapping[str, float]) -> list[dict[str, float]]:
    """`curves` and this epoch, in place of what a run that was cut has told of it and of later ones."""
    return [earlier for earlier in curves if earlier["epoch"] < figures["epoch"]] + [dict(figures)]


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items() if math.isfinite(value)}


def as_float32(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def write_whole(path: Path, content: bytes) -> None:
    """Whole or not at all, whatever ends the process."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


# --- images ----------------------------------------------------------------------------------------


def read_all(read: Callable[[Given], Read], given: Sequence[Given], recipe: TrainingRecipe) -> Iterator[Read]:
    """What `read` makes of each, in their order, in as many threads as the recipe leaves to torch. Raises what it
    raises of the first that cannot be read."""
    with ThreadPoolExecutor(recipe.threads or os.cpu_count(), "read") as threads:
        yield from threads.map(read, given)


def decoded(image: TrainingImage, decode: Decode | None) -> NDArray[np.uint8]:
    """(H, W, 3) RGB. Raises BadDataset where the file is no image of the size that its boxes were drawn on."""
    try:
        content = image.path.read_bytes()
    except OSError as error:
        raise BadDataset(f"the image {image.path} cannot be read: {error.strerror}.", path=str(image.path)) from error
    pixels = decode(content) if decode else _opencv(content, image)
    if pixels is not None and pixels.shape[:2] == (image.height, image.width):
        return pixels
    found = "not an image" if pixels is None else f"{pixels.shape[1]} x {pixels.shape[0]} pixels"
    raise BadDataset(
        f"the image {image.path} is {found}, but {image.width} x {image.height} pixels were expected.",
        hint="Import the image again.",
        path=str(image.path),
    )


def _opencv(content: bytes, image: TrainingImage) -> NDArray[np.uint8] | None:
    """Upright by its EXIF orientation, or as stored where only that has the expected size."""
    pixels: Any = None
    for flags in (cv2.IMREAD_COLOR, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION):
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
        if pixels is not None and pixels.shape[:2] == (image.height, image.width):
            break
    return None if pixels is None else np.ascontiguousarray(pixels[:, :, ::-1])
