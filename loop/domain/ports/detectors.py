"""Models that are loaded."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loop.domain.prediction import Inference


class Detector(Protocol):
    """A loaded model. Up to `streams` callers may predict at once, each in a thread of its own; more are safe, and
    wait."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def embedding_dim(self) -> int: ...

    @property
    def streams(self) -> int:
        """How many callers at once make it faster; at least 1."""
        ...

    @property
    def batch(self) -> int:
        """How many images of one call it gains from; at least 1. More are answered, too."""
        ...

    def predict(self, images: Sequence[NDArray[np.uint8]], *, score_floor: float) -> list[Inference]:
        """What the network says of each of `images` ((H, W, 3) RGB uint8, sizes may differ), in their order;
        boxes, scores and embedding of an image are from one forward pass.

        Candidates scoring at least `score_floor` after NMS, boxes in pixels of each original image.
        """
        ...
