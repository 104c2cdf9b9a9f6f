"""Embedding indices that follow the store: caught up when asked, so that they are never stale; kept in files, so that a
start need not read all of it again."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loop.domain.model import ModelVersion
from loop.domain.ports import Store, Transaction
from selection.index import EmbeddingIndex
from selection.index_file import read_index, write_index

log = logging.getLogger("askance.index")

_PAGE = 2000
_FEWEST_NEW = 1000  # embeddings: fewer are read again as fast
_KEEP_SECONDS = 30.0  # from one writing to the next
_TELL_SECONDS = 5.0  # of making it anew
# A model version that has not been asked for is forgotten when this many others were.
SPACES_KEPT = 8


@dataclass(frozen=True, slots=True)
class Indexed:
    """What one row of the store brings: a key for each of the (m, d) embeddings, m at least 1."""

    sequence: int
    keys: Sequence[str]
    embeddings: NDArray[np.float32]


class Feed(Protocol):
    """Where the embeddings of an index come from."""

    def dim(self, model: ModelVersion) -> int: ...
    def after(self, tx: Transaction, model: ModelVersion, sequence: int, limit: int) -> list[Indexed]:
        """At most `limit` rows, by sequence ascending, behind `sequence`."""
        ...


@dataclass(slots=True)
class _Space:
    """One version's index. sequence: of the last row in it; kept: how many it held when it was last written."""

    index: EmbeddingIndex
    sequence: int
    kept: int
    tended_at: float = 0.0  # time.monotonic
    tending: bool = False


class FollowingIndex:
    """Per model version, a FAISS index over every embedding of a feed. Its file saves a start from reading all of them
    again; one that is missing or damaged is made anew from the store."""

    def __init__(self, store: Store, folder: Path, feed: Feed) -> None:
        self._store = store
        self._folder = folder
        self._feed = feed
        self._spaces: dict[str, _Space] = {}
        self._lock = threading.Lock()

    def caught_up(self, model: ModelVersion) -> EmbeddingIndex:
        """With all that was committed before this call."""
        with self._lock:
            space = self._spaces.pop(model.id, None) or self._opened(model)
            self._catch_up(model, space)
            self._spaces[model.id] = space
            while len(self._spaces) > SPACES_KEPT:
                self._spaces.pop(next(iter(self._spaces)))
            if not space.tending and _worth_tending(space):
                space.tending = True
                threading.Thread(target=self._tend, args=(model.id, space), name="index", daemon=True).start()
            return space.index

    def _opened(self, model: ModelVersion) -> _Space:
        read = read_index(self._folder / model.id, dim=self._feed.dim(model))
        if read is None or not self._is_of_this_store(model, *read):
            return _Space(EmbeddingIndex(self._feed.dim(model)), 0, 0)
        index, sequence = read
        return _Space(index, sequence, len(index), time.monotonic())

    def _is_of_this_store(self, model: ModelVersion, index: EmbeddingIndex, sequence: int) -> bool:
        """Whether its last row has that number here: after a backup was restored others may have it."""
        with self._store.read() as tx:
            last = self._feed.after(tx, model, sequence - 1, 1)
        return bool(last) and last[0].sequence == sequence and last[0].keys[-1] == index.last_key

    def _catch_up(self, model: ModelVersion, space: _Space) -> None:
        begun = told = time.monotonic()
        while True:
            with self._store.read() as tx:
                page = self._feed.after(tx, model, space.sequence, _PAGE)
            if page:
                keys = [key for row in page for key in row.keys]
                space.index.add(keys, np.concatenate([row.embeddings for row in page]))
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
