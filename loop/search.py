"""Embedding caches that follow the store: what is like this image, and is it unlike the training set."""

import threading

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import NotFound
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Store
from selection.anomaly import AnomalyScorer
from selection.embeddings import read_embeddings
from selection.index import EmbeddingIndex

_PAGE = 2000
# A model version that has not been asked for is forgotten when this many others were.
_SPACES_KEPT = 8


class ServedIndex:
    """Per model version, a FAISS index over every embedding it served; caught up from the store when asked,
    so that it is never stale and needs no rebuild after a crash."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._spaces: dict[str, tuple[EmbeddingIndex, int]] = {}
        self._lock = threading.Lock()

    def nearest(self, model: ModelVersion, item_digest: str, k: int) -> list[tuple[str, str, float]]:
        """At most `k` (item digest, prediction id, cosine) of the most similar other items, best first.

        Raises NotFound where this model version has not seen the item.
        """
        with self._store.read() as tx:
            prediction = tx.predictions.latest_of(model.project_id, item_digest)
        if prediction is None or prediction.model_id != model.id:
            raise NotFound(
                f"{model.id} has made no prediction of this item.",
                hint="Send the image as a prediction to the present champion first.",
                item=item_digest,
            )
        index = self._caught_up(model)
        found = index.nearest(prediction.embedding, k + 1 + _PAGE // 100)
        return _others(found, item_digest, k)

    def _caught_up(self, model: ModelVersion) -> EmbeddingIndex:
        with self._lock:
            index, sequence = self._spaces.pop(model.id, (EmbeddingIndex(model.head.embedding_dim), 0))
            while True:
                with self._store.read() as tx:
                    page = tx.predictions.embeddings_after(model.project_id, model.id, sequence, _PAGE)
                if page:
                    keys = [f"{row.item_digest} {row.prediction_id}" for row in page]
                    index.add(keys, np.stack([row.embedding for row in page]))
                    sequence = page[-1].sequence
                if len(page) < _PAGE:
                    break
            self._spaces[model.id] = (index, sequence)
            while len(self._spaces) > _SPACES_KEPT:
                self._spaces.pop(next(iter(self._spaces)))
            return index


def _others(found: list[tuple[str, float]], item_digest: str, k: int) -> list[tuple[str, str, float]]:
    """Each other item once, best first."""
    best: dict[str, tuple[str, str, float]] = {}
    for key, similarity in found:
        digest, prediction_id = key.split(" ")
        if digest != item_digest and digest not in best:
            best[digest] = (digest, prediction_id, similarity)
    return list(best.values())[:k]


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
                while len(self._scorers) > _SPACES_KEPT:
                    self._scorers.pop(next(iter(self._scorers)))
            return self._scorers[model.reference_key]
