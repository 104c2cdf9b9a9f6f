"""What a training reads, and whom it tells how far it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loop.domain.truth import Shape

# Called with the share done in [0, 1] and, at the end of an epoch, its figures (losses, metrics, lr).
Progress = Callable[[float, Mapping[str, float]], None]
# From the bytes of an image to (H, W, 3) RGB pixels.
Decode = Callable[[bytes], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class TrainingImage:
    """One image on disk and its truth; no shapes: background. width, height: pixels, as the boxes count them."""

    path: Path
    shapes: tuple[Shape, ...]
    width: int
    height: int
