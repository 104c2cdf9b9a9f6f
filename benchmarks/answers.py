"""What a detector says of many images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loop.domain.ports import Detector
from loop.domain.prediction import Inference

_AT_ONCE = 16


def answers(detector: Detector, images: Sequence[NDArray[np.uint8]], *, score_floor: float) -> list[Inference]:
    """In their order. images: (H, W, 3) RGB uint8."""
    starts = range(0, len(images), _AT_ONCE)
    return [one for at in starts for one in detector.predict(images[at : at + _AT_ONCE], score_floor=score_floor)]
