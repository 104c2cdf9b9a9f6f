"""A `Detector` around a graph: letterbox, one forward pass in some runtime's session, candidates. No torch."""

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Unavailable
from loop.domain.model import ModelHead
from loop.domain.prediction import Inference
from serving.backends.candidates import dense_inference, sparse_inference
from serving.backends.objects import with_objects
from training.letterbox import Placement, letterboxed

# The graph of a torchvision model takes the score floor with the image, and answers after its own NMS.
SPARSE_BACKENDS = ("torchvision",)


# What a graph gives, in the order of `Outputs`; the last only where it was exported for embeddings of objects.
OUTPUTS = ("detections", "embeddings", "features")


@dataclass(frozen=True, slots=True)
class Outputs:
    """What came of one pass, float32; valid inside the session's block only. See serving.backends.graph."""

    detections: NDArray[np.float32]
    embeddings: NDArray[np.float32]
    features: NDArray[np.float32] | None = None


class Session(Protocol):
    """A graph loaded in a runtime. `streams` callers may run it at once, each in its own thread; more wait."""

    @property
    def streams(self) -> int: ...

    @property
    def batch(self) -> int:
        """The most images of one pass."""
        ...

    def run(self, images: NDArray[np.uint8], floor: float) -> AbstractContextManager[Outputs]:
        """images: (n, S, S, 3) uint8 RGB, n at most `batch`. Raises Unavailable where the runtime fails."""
        ...


class GraphDetector:
    """A `Detector`; thread-safe as its session is."""

    def __init__(self, head: ModelHead, session: Session) -> None:
        self._head = head
        self._session = session
        self._sparse = head.backend in SPARSE_BACKENDS

    @property
    def labels(self) -> tuple[str, ...]:
        return self._head.labels

    @property
    def embedding_dim(self) -> int:
        return self._head.embedding_dim

    @property
    def streams(self) -> int:
        return self._session.streams

    @property
    def batch(self) -> int:
        return self._session.batch

    def predict(self, images: Sequence[NDArray[np.uint8]], *, score_floor: float) -> list[Inference]:
        """See `loop.domain.ports.Detector`. Raises Unavailable where the network answers with NaN or infinity."""
        answers: list[Inference] = []
        for start in range(0, len(images), self.batch):
            pixels, placements = letterboxed(images[start : start + self.batch], self._head.image_size)
            with self._session.run(pixels, score_floor) as outputs:
                answers += self._inferences(outputs, placements, score_floor)
        return answers

    def _inferences(self, outputs: Outputs, placements: Sequence[Placement], floor: float) -> list[Inference]:
        if self._sparse:
            (placement,), (embedding,) = placements, outputs.embeddings
            answers = [sparse_inference(outputs.detections, placement, embedding)]
        else:
            answers = [
                dense_inference(decoded, placement, vector, floor)
                for decoded, placement, vector in zip(outputs.detections, placements, outputs.embeddings, strict=True)
            ]
        if outputs.features is None:
            return answers
        return with_objects(answers, placements, outputs.features, self._head.image_size)


def outputs_among(names: Collection[str]) -> list[str]:
    """Those of OUTPUTS that a graph with outputs of these names has."""
    return [name for name in OUTPUTS if name in names]


def inputs_of(images: NDArray[np.uint8], floor: float, sparse: bool) -> dict[str, NDArray[np.generic]]:
    """What the graph takes, by name."""
    if sparse:
        return {"images": images, "floor": np.asarray(floor, dtype=np.float32)}
    return {"images": images}


def failed(runtime: str, error: Exception) -> Unavailable:
    """What a caller sees where a runtime raises in the middle of a pass."""
    reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
    return Unavailable(f"{runtime} failed: {reason}", hint="Try again; roll back where it stays so.")
