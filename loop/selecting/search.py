"""What is like this image, what is like this object, and is it unlike the training set."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import NotFound
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Store, Transaction
from loop.domain.prediction import MOST_OBJECTS, OBJECT_DIM, Detection, Prediction
from loop.selecting.following import SPACES_KEPT, FollowingIndex, Indexed, IndexState
from loop.selecting.objects import embedding_of
from selection.anomaly import AnomalyScorer
from selection.embeddings import read_embeddings, units
from selection.index import DEFAULT_RULES, EmbeddingIndex, IndexRules

# Searched beyond what is asked for: the item itself and predictions of it and of others that were made again.
_SPARE = 20


class ServedIndex:
    """Of every image that a model version has seen."""

    def __init__(self, store: Store, folder: Path, rules: IndexRules = DEFAULT_RULES) -> None:
        self._store = store
        self._following = FollowingIndex(store, folder, _Images(), rules)

    def nearest(self, model: ModelVersion, item_digest: str, k: int) -> list[tuple[str, str, float]]:
        """At most `k` (item digest, prediction id, cosine) of the most similar other items, best first.

        Raises NotFound where this model version has not seen the item.
        """
        prediction = _seen(self._store, model, item_digest)
        found = self._following.nearest(model, prediction.embedding, k + 1 + _SPARE)
        return _others(found, item_digest, k)

    def caught_up(self, model: ModelVersion) -> EmbeddingIndex:
        """Its keys are "ITEM PREDICTION", in the order of the commits."""
        return self._following.caught_up(model)

    def state(self, model: ModelVersion) -> IndexState:
        """Of this process, as it is now."""
        return self._following.state(model)


class _Images:
    """A `Feed`."""

    def dim(self, model: ModelVersion) -> int:
        return model.head.embedding_dim

    def after(self, tx: Transaction, model: ModelVersion, sequence: int, limit: int) -> list[Indexed]:
        rows = tx.predictions.embeddings_after(model.project_id, model.id, sequence, limit)
        return [
            Indexed(row.sequence, (f"{row.item_digest} {row.prediction_id}",), row.embedding[None, :]) for row in rows
        ]

    def exact(self, tx: Transaction, model: ModelVersion, keys: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        prediction_ids = {key: key.split(" ")[1] for key in keys}
        known = tx.embeddings.of_images(model.project_id, list(prediction_ids.values()))
        return {key: known[one] for key, one in prediction_ids.items() if one in known}


def _seen(store: Store, model: ModelVersion, item_digest: str) -> Prediction:
    """The newest prediction of the item, where this version made it; raises NotFound."""
    with store.read() as tx:
        prediction = tx.predictions.latest_of(model.project_id, item_digest)
    if prediction is None or prediction.model_id != model.id:
        raise NotFound(
            f"{model.id} has made no prediction of this item.",
            hint="Send the image as a prediction to the present champion first.",
            item=item_digest,
        )
    return prediction


def _others(found: list[tuple[str, float]], item_digest: str, k: int) -> list[tuple[str, str, float]]:
    """Each other item once, best first."""
    best: dict[str, tuple[str, str, float]] = {}
    for key, similarity in found:
        digest, prediction_id = key.split(" ")
        if digest != item_digest and digest not in best:
            best[digest] = (digest, prediction_id, similarity)
    return list(best.values())[:k]


@dataclass(frozen=True, slots=True)
class FoundObject:
    """A detection like the one that was asked about. number: its place among those of its prediction, from 0."""

    item_digest: str
    prediction_id: str
    number: int
    detection: Detection
    similarity: float  # cosine


class ServedObjects:
    """Of every detection that a model version has given an embedding."""

    def __init__(self, store: Store, folder: Path, rules: IndexRules = DEFAULT_RULES) -> None:
        self._store = store
        self._following = FollowingIndex(store, folder, _Objects(), rules)

    def nearest(self, model: ModelVersion, item_digest: str, number: int, k: int) -> list[FoundObject]:
        """At most `k` of the most similar detections in other items, best first.

        number: of a detection in the item's newest prediction, from 0. Raises NotFound where this model version has not
        seen the item, or there is no such detection, or it has no embedding.
        """
        prediction = _seen(self._store, model, item_digest)
        with self._store.read() as tx:
            embedding = embedding_of(tx, prediction, number)
        spare = _SPARE + 2 * min(MOST_OBJECTS, len(prediction.detections))
        found = self._following.nearest(model, units(embedding[None, :])[0], k + spare)
        return self._described(model.project_id, _of_others(found, item_digest, k))

    def _described(self, project_id: str, found: list[tuple[str, str, int, float]]) -> list[FoundObject]:
        with self._store.read() as tx:
            known = {name: tx.predictions.get(project_id, name) for name in {name for _, name, _, _ in found}}
        return [
            FoundObject(digest, name, number, known[name].detections[number], similarity)
            for digest, name, number, similarity in found
        ]


class _Objects:
    """A `Feed`."""

    def dim(self, model: ModelVersion) -> int:
        return OBJECT_DIM

    def after(self, tx: Transaction, model: ModelVersion, sequence: int, limit: int) -> list[Indexed]:
        """Without those of no direction, which are like nothing, and by distance would seem like all."""
        found = []
        for row in tx.objects.after(model.project_id, model.id, sequence, limit):
            features = units(row.features)
            known = np.flatnonzero(features.any(axis=1))
            keys = [f"{row.item_digest} {row.prediction_id} {number}" for number in known]
            found.append(Indexed(row.sequence, keys, features[known]))
        return found

    def exact(self, tx: Transaction, model: ModelVersion, keys: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        places = {key: (name, int(number)) for key in keys for _, name, number in [key.split(" ")]}
        features = tx.embeddings.of_objects(model.project_id, sorted({name for name, _ in places.values()}))
        known = {name: units(rows) for name, rows in features.items()}
        return {key: known[name][number] for key, (name, number) in places.items() if name in known}


def _of_others(found: list[tuple[str, float]], item_digest: str, k: int) -> list[tuple[str, str, int, float]]:
    """Of each other item those of one prediction, the one that resembles most: others show the same objects again."""
    chosen: dict[str, str] = {}
    best: list[tuple[str, str, int, float]] = []
    for key, similarity in found:
        digest, prediction_id, number = key.split(" ")
        if digest != item_digest and chosen.setdefault(digest, prediction_id) == prediction_id:
            best.append((digest, prediction_id, int(number), similarity))
    return best[:k]


class ReferenceSpaces:
    """Per model version, the anomaly test against its training set's embeddings."""

    def __init__(self, blobs: Blobs, k: int) -> None:
        self._blobs = blobs
        self._k = k
        self._scorers: dict[str, AnomalyScorer] = {}
        self._lock = threading.Lock()

    def anomaly_p(self, model: ModelVersion, embedding: NDArray[np.float32]) -> float:
        """Conformal p-value in (0, 1]; 1.0 where the version has no reference set."""
        scorer = self._scorer(model)
        return 1.0 if scorer is None else scorer.p_value(embedding)

    def embeddings(self, model: ModelVersion) -> NDArray[np.float32]:
        """(n, d) of the training images, in an order that says nothing; (0, d) where the version has no reference
        set."""
        if model.reference_key is None:
            return np.empty((0, model.head.embedding_dim), dtype=np.float32)
        return read_embeddings(self._blobs.get(model.reference_key))

    def _scorer(self, model: ModelVersion) -> AnomalyScorer | None:
        if model.reference_key is None:
            return None
        with self._lock:
            if model.reference_key not in self._scorers:
                references = read_embeddings(self._blobs.get(model.reference_key))
                self._scorers[model.reference_key] = AnomalyScorer.fit(references, k=self._k)
                while len(self._scorers) > SPACES_KEPT:
                    self._scorers.pop(next(iter(self._scorers)))
            return self._scorers[model.reference_key]
