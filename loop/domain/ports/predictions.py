"""Predictions and what is kept with them: embeddings, objects, the keys that make a call count once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from loop.domain.item import Item
from loop.domain.prediction import Detection, Prediction
from loop.domain.selection import Part


@dataclass(frozen=True, slots=True)
class Claim:
    """What an Idempotency-Key turned out to be. `prediction_id` is set where the key has its answer."""

    fresh: bool
    prediction_id: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said of an item, and when."""

    prediction_id: str
    model_id: str
    created_at: datetime
    detections: tuple[Detection, ...]


@dataclass(frozen=True, slots=True)
class StoredEmbedding:
    sequence: int  # grows with each prediction of the database; a keyset cursor
    prediction_id: str
    item_digest: str
    embedding: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StoredObjects:
    """features: (m, OBJECT_DIM) float16, of the first m detections of a prediction, L2-normalised."""

    sequence: int  # as of StoredEmbedding, but of another count
    prediction_id: str
    item_digest: str
    features: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item as the newest prediction of a model version sees it, and of its facts what a choice asks for, since there
    may be millions. settled: it has its truth, or a task; else it may be chosen for people. objects: as of
    StoredObjects, None where there are none. signals, detections, objects: None where they were not asked for."""

    sequence: int  # as of StoredEmbedding
    prediction_id: str
    item_digest: str
    source: str
    group: str
    meta: Mapping[str, Any]
    embedding: NDArray[np.float32]
    risk: float
    signals: Mapping[str, float] | None
    detections: tuple[Detection, ...] | None
    settled: bool
    predicted_at: datetime
    objects: NDArray[np.float16] | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """A prediction that a caller asked for, with what is known of its image. score_threshold: of the policy that it was
    made under; detections below it are not kept."""

    sequence: int  # as of StoredEmbedding
    item_digest: str
    source: str
    group: str
    created_at: datetime
    embedding: NDArray[np.float32]
    detections: tuple[Detection, ...]
    score_threshold: float


class Predictions(Protocol):
    def add(self, prediction: Prediction) -> None: ...
    def add_all(self, given: Sequence[Prediction]) -> None:
        """Raises Conflict where an id is taken."""
        ...

    def get(self, project_id: str, prediction_id: str) -> Prediction: ...
    def item(self, project_id: str, prediction_id: str) -> Item:
        """That it is of. `detections` of it needs no further look. Raises NotFound."""
        ...

    def detections(self, project_id: str, prediction_id: str) -> tuple[Detection, ...]:
        """Of one prediction, without the rest of it. Raises NotFound."""
        ...

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Prediction]:
        """Newest first; `after` is a prediction id."""
        ...

    def latest_of(self, project_id: str, item_digest: str) -> Prediction | None: ...
    def latest_detections(self, project_id: str, digests: Sequence[str]) -> Mapping[str, tuple[Detection, ...]]:
        """Of the newest prediction of each item; items without one are left out."""
        ...

    def latest_risks(self, project_id: str, digests: Sequence[str]) -> Mapping[str, float]:
        """In [0, 1], of the newest prediction of each item; items without one are left out."""
        ...

    def said_of(self, project_id: str, digests: Sequence[str]) -> Mapping[str, list[Said]]:
        """What every model said of each item, newest first; items without a prediction are left out."""
        ...

    def embeddings_after(self, project_id: str, model_id: str, sequence: int, limit: int) -> list[StoredEmbedding]: ...
    def candidates(
        self, project_id: str, model_id: str, *, after: int, limit: int, parts: Collection[Part]
    ) -> list[Candidate]:
        """Each item that this version has predicted, by its newest prediction of it: by sequence ascending, beginning
        behind `after` (0: at the first); of the prediction these `parts`."""
        ...

    def count_served(self, project_id: str, model_id: str, *, after: int) -> int:
        """How many predictions of this version behind the sequence `after` were asked for one by one: not those of bulk
        annotations, which choose their images themselves."""
        ...

    def served(self, project_id: str, model_id: str, *, after: int, of: int, limit: int) -> list[Served]:
        """`limit` of the newest `of` of those, evenly, with the newest; all of them where they are no more. By sequence
        descending."""
        ...

    def count_after(self, project_id: str, model_id: str, sequence: int) -> int:
        """How many this version has made behind `sequence`; an item that was predicted twice counts twice."""
        ...

    def counts(self, project_id: str) -> Mapping[str, int]:
        """Keys: predictions, routed, audits."""
        ...


class Objects(Protocol):
    """Embeddings of detections, of predictions by models that give them."""

    def add_all(self, given: Sequence[tuple[Prediction, NDArray[np.float16]]]) -> None:
        """Each prediction's, (m, OBJECT_DIM), once."""
        ...

    def of(self, prediction_id: str) -> NDArray[np.float16] | None: ...
    def after(self, project_id: str, model_id: str, sequence: int, limit: int) -> list[StoredObjects]:
        """At most `limit`, by sequence ascending; start with 0. See `Predictions.embeddings_after`."""
        ...


class Embeddings(Protocol):
    """Embeddings by the predictions that have them, as they were added; without predictions that there are not."""

    def of_images(self, project_id: str, prediction_ids: Sequence[str]) -> Mapping[str, NDArray[np.float32]]: ...
    def of_objects(self, project_id: str, prediction_ids: Sequence[str]) -> Mapping[str, NDArray[np.float16]]:
        """(m, OBJECT_DIM) each, see `Objects`."""
        ...


class IdempotencyKeys(Protocol):
    def claim(self, token_id: str, key: str, request_digest: str, now: datetime) -> Claim:
        """Take the key, or say what it gave before. A claim older than 60 s without an answer is taken over
        (its process died). Raises IdempotencyMismatch (another request), IdempotencyInFlight."""
        ...

    def finish(self, token_id: str, key: str, prediction_id: str) -> None: ...
    def abandon(self, token_id: str, key: str) -> None:
        """The request failed before anything was written: the key may be used again."""
        ...
