"""Embedding indices that follow the store: caught up when asked, so that they are never stale; kept in files, so that a
start need not read all of it again.

Where much is to be read, as where a file was lost, a thread of its own reads it, and who asks meanwhile is told how far
it is: callers that waited would take all threads of the service, and with them those of people at work.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Unavailable
from loop.domain.model import ModelVersion
from loop.domain.ports import Store, Transaction
from loop.domain.search_index import IndexPhase
from selection.index import EmbeddingIndex, IndexRules
from selection.index_file import kept, read_index, write_index
from selection.lists import Lists

log = logging.getLogger("askance.index")

_PAGE = 2000
_FEWEST_NEW = 1000  # embeddings: fewer are read again as fast
_KEEP_SECONDS = 30.0  # from one writing to the next
_TELL_SECONDS = 5.0  # of making it anew
_PATIENCE_SECONDS = 2.0  # of who asks; thousands of embeddings are read in them
_TURN_SECONDS = 0.5  # of the thread that reads much, between which others may look
_ASK_AGAIN_SECONDS = 3
# A model version that has not been asked for is forgotten when this many others were.
SPACES_KEPT = 8


@dataclass(frozen=True, slots=True)
class Indexed:
    """What one row of the store brings: a key for each of the (m, d) embeddings, m at least 1."""

    sequence: int
    keys: Sequence[str]
    embeddings: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """progress: in [0, 1], of reading or rebuilding; None in other phases. embeddings: in it. waiting: predictions of
    the store that are not. lists: None where each search looks at all, or nobody has asked. kept: embeddings in its
    file, written at `kept_at`; None where there is no file."""

    model_id: str
    phase: IndexPhase
    progress: float | None
    embeddings: int
    waiting: int
    lists: Lists | None
    kept: int
    kept_at: datetime | None


class Feed(Protocol):
    """Where the embeddings of an index come from."""

    def dim(self, model: ModelVersion) -> int: ...
    def after(self, tx: Transaction, model: ModelVersion, sequence: int, limit: int) -> list[Indexed]:
        """At most `limit` rows, by sequence ascending, behind `sequence`."""
        ...

    def exact(self, tx: Transaction, model: ModelVersion, keys: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        """Those of `keys`, as `after` gave them; without those that the store has no more."""
        ...


@dataclass(slots=True)
class _Space:
    """One version's index. lock: of all that follows. index: None until it was opened. sequence: of the last row in it;
    kept: how many it held when it was last written. rebuilt: the share of new lists that is done. reading: a thread of
    its own is about to have read all."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    index: EmbeddingIndex | None = None
    sequence: int = 0
    kept: int = 0
    tended_at: float = 0.0  # time.monotonic
    tending: bool = False
    rebuilt: float = 0.0
    reading: bool = False


class FollowingIndex:
    """Per model version, a FAISS index over every embedding of a feed. Its file saves a start from reading all of them
    again; one that is missing or damaged is made anew from the store."""

    def __init__(self, store: Store, folder: Path, feed: Feed, rules: IndexRules) -> None:
        self._store = store
        self._folder = folder
        self._feed = feed
        self._rules = rules
        self._spaces: dict[str, _Space] = {}
        self._lock = threading.Lock()

    def caught_up(self, model: ModelVersion) -> EmbeddingIndex:
        """With all that was committed before this call. Raises Unavailable where that takes longer than seconds; it
        goes on meanwhile."""
        space = self._space(model)
        until = time.monotonic() + _PATIENCE_SECONDS
        if not space.lock.acquire(timeout=_PATIENCE_SECONDS):
            raise _behind(model, space)
        try:
            index = self._index(model, space)
            if space.reading or not self._catch_up(model, space, index, until):
                self._read_beside(model, space)
                raise _behind(model, space)
            self._tend_beside(model, space, index)
            return index
        finally:
            space.lock.release()

    def nearest(self, model: ModelVersion, query: NDArray[np.float32], k: int) -> list[tuple[str, float]]:
        """At most `k` (key, cosine) of the nearest, most similar first: by the embeddings in the store, even where
        those in the index are compressed. Raises as `caught_up`."""

        def exact(keys: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
            with self._store.read() as tx:
                return self._feed.exact(tx, model, keys)

        return self.caught_up(model).nearest(query, k, exact)

    def state(self, model: ModelVersion) -> IndexState:
        """As it is now in this process: waits for nothing and begins nothing."""
        with self._lock:
            space = self._spaces.get(model.id) or _Space()
        sequence, index = space.sequence, space.index
        with self._store.read() as tx:
            waiting = tx.predictions.count_after(model.project_id, model.id, sequence)
        file = kept(self._folder / model.id)
        phase, embeddings = _phase(space), 0 if index is None else len(index)
        return IndexState(
            model_id=model.id,
            phase=phase,
            progress=_progress(phase, embeddings, waiting, space.rebuilt),
            embeddings=embeddings,
            waiting=waiting,
            lists=None if index is None else index.lists,
            kept=0 if file is None else file[0],
            kept_at=None if file is None else file[1],
        )

    def _space(self, model: ModelVersion) -> _Space:
        with self._lock:
            space = self._spaces.pop(model.id, None) or _Space()
            self._spaces[model.id] = space
            while len(self._spaces) > SPACES_KEPT:
                self._spaces.pop(next(iter(self._spaces)))
            return space

    def _index(self, model: ModelVersion, space: _Space) -> EmbeddingIndex:
        if space.index is None:
            read = read_index(self._folder / model.id, dim=self._feed.dim(model), rules=self._rules)
            if read is None or not self._is_of_this_store(model, *read):
                space.index = EmbeddingIndex(self._feed.dim(model), self._rules)
            else:
                space.index, space.sequence = read
                space.kept, space.tended_at = len(space.index), time.monotonic()
        return space.index

    def _is_of_this_store(self, model: ModelVersion, index: EmbeddingIndex, sequence: int) -> bool:
        """Whether its last row has that number here: after a backup was restored others may have it."""
        with self._store.read() as tx:
            last = self._feed.after(tx, model, sequence - 1, 1)
        return bool(last) and last[0].sequence == sequence and last[0].keys[-1] == index.last_key

    def _catch_up(self, model: ModelVersion, space: _Space, index: EmbeddingIndex, until: float) -> bool:
        """Whether all was read before `until` (time.monotonic)."""
        while True:
            with self._store.read() as tx:
                page = self._feed.after(tx, model, space.sequence, _PAGE)
            if page:
                keys = [key for row in page for key in row.keys]
                index.add(keys, np.concatenate([row.embeddings for row in page]))
                space.sequence = page[-1].sequence
            if len(page) < _PAGE:
                return True
            if time.monotonic() > until:
                return False

    def _read_beside(self, model: ModelVersion, space: _Space) -> None:
        if not space.reading:
            space.reading = True
            threading.Thread(target=self._read_all, args=(model, space), name="index-reader", daemon=True).start()

    def _read_all(self, model: ModelVersion, space: _Space) -> None:
        begun = told = time.monotonic()
        try:
            whole = False
            while not whole:
                with space.lock:
                    index = self._index(model, space)
                    whole = self._catch_up(model, space, index, time.monotonic() + _TURN_SECONDS)
                    if whole:
                        self._tend_beside(model, space, index)
                if whole or time.monotonic() - told > _TELL_SECONDS:
                    told = time.monotonic()
                    log.info("index of %s: %d embeddings after %.0f s", model.id, len(index), told - begun)
        except Exception:
            # Nobody waits for this thread, who could be told; who asks next begins again.
            log.exception("the index of %s could not be read", model.id)
        finally:
            space.reading = False

    def _tend_beside(self, model: ModelVersion, space: _Space, index: EmbeddingIndex) -> None:
        if not space.tending and _worth_tending(space, index):
            space.tending, space.rebuilt = True, 0.0
            threading.Thread(target=self._tend, args=(model.id, space, index), name="index", daemon=True).start()

    def _tend(self, model_id: str, space: _Space, index: EmbeddingIndex) -> None:
        """Beside the searches: make it fast again, and keep it."""
        try:
            if index.rebuild_due:
                index.rebuild(partial(_rebuilding, space))
            with space.lock:  # so that what is written has all up to its sequence, and no more
                sequence, count = space.sequence, len(index)
                parts = index.parts()
            write_index(self._folder / model_id, parts, sequence=sequence)
            space.kept = count
        except OSError as error:
            log.warning("the index of %s cannot be kept: %s", model_id, error)
        except Exception:
            # What was before serves on; nobody waits for this thread, who could be told.
            log.exception("the index of %s could not be made anew", model_id)
        finally:
            space.tended_at, space.tending = time.monotonic(), False


def _phase(space: _Space) -> IndexPhase:
    if space.reading:
        return IndexPhase.READING
    if space.index is None:
        return IndexPhase.UNREAD
    return IndexPhase.REBUILDING if space.tending and space.index.rebuild_due else IndexPhase.READY


def _progress(phase: IndexPhase, embeddings: int, waiting: int, rebuilt: float) -> float | None:
    match phase:
        case IndexPhase.READING:
            return embeddings / max(1, embeddings + waiting)
        case IndexPhase.REBUILDING:
            return rebuilt
        case _:
            return None


def _rebuilding(space: _Space, done: int, total: int) -> None:
    space.rebuilt = done / total


def _behind(model: ModelVersion, space: _Space) -> Unavailable:
    have = 0 if space.index is None else len(space.index)
    return Unavailable(
        f"what {model.id} has seen is being read for the search: {have:,} embeddings so far.",
        hint="Ask again in some seconds; predictions and people's work go on meanwhile.",
        model=model.id,
        embeddings=have,
        retry_after_s=_ASK_AGAIN_SECONDS,
    )


def _worth_tending(space: _Space, index: EmbeddingIndex) -> bool:
    """It has outgrown its lists, or what is written of it, and was not tended just now."""
    grown = len(index) - space.kept
    due = index.rebuild_due or grown >= max(_FEWEST_NEW, space.kept // 10)
    return due and time.monotonic() - space.tended_at > _KEEP_SECONDS
