"""How long an image takes with each of several detectors, measured so that whatever else the machine does meets all."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from loop.domain.ports import Detector

_WARM = 3  # images before the first that counts: caches are full, and clocks are up


def interleaved(
    detectors: Sequence[Detector],
    images: Sequence[NDArray[np.uint8]],
    *,
    score_floor: float,
    clock: Callable[[], float] = time.perf_counter,
    went_on: Callable[[float], None] = lambda _share: None,
) -> NDArray[np.float64]:
    """(detectors, n) seconds for each of `images` alone, (H, W, 3) RGB uint8. Every image goes to all detectors before
    the next one does, to the last one first every other time. went_on: called with the share done."""
    for image in images[:_WARM]:
        for detector in detectors:
            detector.predict([image], score_floor=score_floor)
    seconds = np.zeros((len(detectors), len(images)))
    for place, image in enumerate(images):
        turns = range(len(detectors)) if place % 2 == 0 else range(len(detectors) - 1, -1, -1)
        for turn in turns:
            began = clock()
            detectors[turn].predict([image], score_floor=score_floor)
            seconds[turn, place] = clock() - began
        went_on((place + 1) / len(images))
    return seconds
