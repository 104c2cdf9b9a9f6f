"""Embedding caches that follow the store: what is like this image, and is it unlike the training set."""

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import NotFound
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Store
from selection.anomaly import AnomalyScorer
from selection.embeddings import read_embeddings
from selection.index import EmbeddingIndex
from selection.index_file import read_index, write_index

log = logging.getLogger("askance.index")

_PAGE = 2000
_FEWEST_NEW = 1000  # embeddings: fewer are read again as fast
_KEEP_SECONDS = 30.0  # from one writing to the next
_TELL_SECONDS = 5.0  # of making it anew
# A model version that has not been asked for is forgotten when this many others were.
_SPACES_KEPT = 8


@dataclass(slots=True)
class _Space:
    """One version's index. sequence: of the last prediction in it; kept: how many it held when it was last written."""

    index: EmbeddingIndex
    sequence: int
    kept: int
    tended_at: float = 0.0  # time.monotonic
    tending: bool = False


class ServedIndex:
    """Per model version, a FAISS index over every embedding it served; caught up from the store when asked, so that it
    is never stale. Its file saves a start from reading all of them again; one that is missing or damaged is made anew
    from the store."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._spaces: dict[str, _Space] = {}
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
            space = self._spaces.pop(model.id, None) or self._opened(model)
            self._catch_up(model, space)
            self._spaces[model.id] = space
            while len(self._spaces) > _SPACES_KEPT:
                self._spaces.pop(next(iter(self._spaces)))
            if not space.tending and _worth_tending(space):
                space.tending = True
                threading.Thread(target=self._tend, args=(model.id, space), name="index", daemon=True).start()
            return space.index

    def _opened(self, model: ModelVersion) -> _Space:
        read = read_index(self._folder / model.id, dim=model.head.embedding_dim)
        if read is None or not self._is_of_this_store(model, *read):
            return _Space(EmbeddingIndex(model.head.embedding_dim), 0, 0)
        index, sequence = read
        return _Space(index, sequence, len(index), time.monotonic())

    def _is_of_this_store(self, model: ModelVersion, index: EmbeddingIndex, sequence: int) -> bool:
        """Whether its last prediction has that number here: after a backup was restored others may have it."""
        with self._store.read() as tx:
            last = tx.predictions.embeddings_after(model.project_id, model.id, sequence - 1, 1)
        key = index.last_key
        return bool(last) and last[0].sequence == sequence and key == f"{last[0].item_digest} {last[0].prediction_id}"

    def _catch_up(self, model: ModelVersion, space: _Space) -> None:
        begun = told = time.monotonic()
        while True:
            with self._store.read() as tx:
                page = tx.predictions.embeddings_after(model.project_id, model.id, space.sequence, _PAGE)
            if page:
                keys = [f"{row.item_digest} {row.prediction_id}" for row in page]
                space.index.add(keys, np.stack([row.embedding for row in page]))
                space.sequence = page[-1].sequence
            if len(page) < _PAGE:
                return
            if time.monotonic() - told > _TELL_SECONDS:
                told = time.monotonic()
                log.info("index of %s: %d embeddings after %.0f s", model.id, len(space.index), told - begun)

    def _tend(self, model_id: str, space: _Space) -> None:
        """Beside the searches: make it fast again, and keep it."""
        try:
            if space.index.rebuild_due:
                space.index.rebuild()
            with self._lock:  # so that what is written has all up to its sequence, and no more
                sequence, count = space.sequence, len(space.index)
                parts = space.index.parts()
            write_index(self._folder / model_id, parts, sequence=sequence)
            space.kept = count
        except OSError as error:
            log.warning("the index of %s cannot be kept: %s", model_id, error)
        except Exception:
            # What was before serves on; nobody waits for this thread, who could be told.
            log.exception("the index of %s could not be made anew", model_id)
        finally:
            space.tended_at, space.tending = time.monotonic(), False


def _worth_tending(space: _Space) -> bool:
    """It has outgrown its lists, or what is written of it, and was not tended just now."""
    grown = len(space.index) - space.kept
    due = space.index.rebuild_due or grown >= max(_FEWEST_NEW, space.kept // 10)
    return due and time.monotonic() - space.tended_at > _KEEP_SECONDS


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
