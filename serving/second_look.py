"""A detector that looks at each image twice: as it is, and mirrored. Costs twice the network's time."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from loop.domain.ports import Detector
from loop.domain.prediction import Inference
from selection.consistency import consistency, mirrored_back


class SecondLook:
    """A `Detector` around another: the same answers, with their `consistency`."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector

    @property
    def labels(self) -> tuple[str, ...]:
        return self._detector.labels

    @property
    def embedding_dim(self) -> int:
        return self._detector.embedding_dim

    @property
    def streams(self) -> int:
        return self._detector.streams

    @property
    def batch(self) -> int:
        return self._detector.batch

    def predict(self, images: Sequence[NDArray[np.uint8]], *, score_floor: float) -> list[Inference]:
        """See `loop.domain.ports.Detector`."""
        found = self._detector.predict(images, score_floor=score_floor)
        mirrored = self._detector.predict([image[:, ::-1] for image in images], score_floor=score_floor)
        return [
            replace(one, consistency=consistency(one, mirrored_back(other, image.shape[1])))
            for one, other, image in zip(found, mirrored, images, strict=True)
        ]
