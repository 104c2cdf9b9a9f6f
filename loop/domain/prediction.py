"""What a model says of an image: inference (arrays), detections, prediction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from loop.domain.geometry import Box
from loop.domain.item import ImageFacts
from loop.domain.routing import Decision

# Of an image, the most certain: only so many detections have an embedding of their own.
MOST_OBJECTS = 50
OBJECT_DIM = 128  # of such an embedding, whatever the network (docs/adr/0018-object-embeddings.md)


@dataclass(frozen=True, slots=True)
class Inference:
    """One forward pass on one image, as arrays; n candidates above the score floor, C labels.

    boxes: (n, 4) float32, absolute pixels `xyxy` of the original image, clipped to it.
    scores: (n,) float32 in [0, 1], descending; the largest class score of each candidate.
    classes: (n,) int64, index into the model's labels.
    class_scores: (n, C) float32 in [0, 1], sigmoid scores (not normalised over classes).
    embedding: (d,) float32, L2-normalised, means and deviations of what the body of the network sees, of the same pass.
    objects: (m, 128) float16, L2-normalised, m = min(n, 50): neck features of the same pass, averaged over the box of
        each of the first m candidates, zeros where those are; None where the detector does not give them.
    consistency: with a second pass on the mirrored image (`selection.consistency`); None where none was made.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]
    class_scores: NDArray[np.float32]
    embedding: NDArray[np.float32]
    objects: NDArray[np.float16] | None = None
    consistency: float | None = None


@dataclass(frozen=True, slots=True)
class Timed:
    """An inference, what its image is, and the seconds it took: decoding, waiting for the network, in the network with
    NMS."""

    inference: Inference
    image: ImageFacts
    decode_s: float
    wait_s: float
    network_s: float

    @property
    def seconds(self) -> float:
        return self.decode_s + self.wait_s + self.network_s


@dataclass(frozen=True, slots=True)
class Detection:
    label: str
    score: float  # in [0, 1]
    box: Box  # absolute pixels xyxy
    # Score - that of the next label, in [0, 1], to four places; None in predictions from before it was kept.
    margin: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one model version said of one item, and what was decided about it."""

    id: str
    project_id: str
    item_digest: str
    model_id: str
    detections: tuple[Detection, ...]
    embedding: NDArray[np.float32]
    signals: Mapping[str, float]
    decision: Decision
    created_at: datetime
    created_by: str  # token id of the caller
    source: str = ""  # as the caller named it; the same image may come from several


def detections_of(inference: Inference, labels: tuple[str, ...], threshold: float) -> tuple[Detection, ...]:
    """The candidates with a score of at least `threshold`, in descending order of score."""
    kept = inference.scores >= threshold
    return tuple(
        Detection(labels[int(c)], float(s), (float(b[0]), float(b[1]), float(b[2]), float(b[3])), round(float(m), 4))
        for b, s, c, m in zip(
            inference.boxes[kept],
            inference.scores[kept],
            inference.classes[kept],
            margins(inference.class_scores[kept]),
            strict=True,
        )
    )


def margins(class_scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """p1 - p2 per row of (n, C), in [0, 1]; p1 where there is one class only."""
    scores = np.asarray(class_scores, dtype=np.float64)
    if scores.shape[1] == 1:
        return scores[:, 0]
    top = np.partition(scores, -2, axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0])
