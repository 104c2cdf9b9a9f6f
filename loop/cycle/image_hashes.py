"""Perceptual hashes of what is trained on and judged by, each made once: in the background, the rest at a snapshot."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from loop.domain.errors import AskanceError, BadImage, NotFound, Overloaded, PayloadTooLarge, Unavailable
from loop.domain.ports import Blobs, Store
from training.snapshot_leaks import Hashes

log = logging.getLogger("askance.cycle")

_AT_ONCE = 256  # images of one transaction
_READERS = 4
# Batches that a snapshot waits for at a time: a cycle can be cancelled in between.
_BATCHES = 40


class _Unread(Enum):
    LOST = "lost"  # it is not there
    NOW = "now"  # the blob store cannot be reached


@dataclass(frozen=True, slots=True)
class ImageHashes:
    """hash_of: of an encoded image, 64 bits as a signed number; raises BadImage, PayloadTooLarge. bits: of `Hashes`."""

    store: Store
    blobs: Blobs
    hash_of: Callable[[bytes], int]
    bits: int
    _making: threading.Lock = field(default_factory=threading.Lock)  # of two at once each would decode all

    def of(self, project_id: str) -> Hashes:
        """Of all its items with a truth whose images can be read. Raises Overloaded where so many have none yet that it
        is to be asked again; Unavailable where no image can be read."""
        if not self._make(project_id, lambda batches: batches >= _BATCHES):
            raise Overloaded("images are being hashed.", hint="Try again: what is done stays done.")
        with self.store.read() as tx:
            found = np.fromiter(tx.image_hashes.all(project_id), dtype=[("name", "S64"), ("hash", np.int64)])
        return Hashes(found["name"], found["hash"].astype(np.uint64), self.bits)

    def make_missing(self, stopping: Callable[[], bool]) -> None:
        """Of all projects."""
        with self.store.read() as tx:
            projects = [project.id for project in tx.projects.all()]
        for project_id in projects:
            try:
                self._make(project_id, lambda _: stopping())
            except AskanceError as error:
                log.warning("images of %s have no hashes yet: %s", project_id, error)

    def _make(self, project_id: str, enough: Callable[[int], bool]) -> bool:
        """Whether all that can be read have one. enough: whether to stop, asked with the batches that are done. Raises
        Unavailable where none of many can be read, though they are there."""
        after, batches = "", 0
        while not enough(batches):
            with self._making:
                digests = self._make_some(project_id, after)
            if len(digests) < _AT_ONCE:
                return True
            after, batches = digests[-1], batches + 1
        return False

    def _make_some(self, project_id: str, after: str) -> Sequence[str]:
        """The items behind that one that had none; those whose images cannot be read have none still."""
        with self.store.read() as tx:
            digests = tx.image_hashes.missing(project_id, after=after, limit=_AT_ONCE)
        with ThreadPoolExecutor(_READERS) as readers:
            told = dict(zip(digests, readers.map(self._hashed, digests), strict=True))
        if len(digests) == _AT_ONCE and set(told.values()) == {_Unread.NOW}:
            raise Unavailable("no image can be read.", hint="See that the blob store is there (blobs_url).")
        if unread := [digest for digest, one in told.items() if isinstance(one, _Unread)]:
            log.warning("%d images of %s have no hash: they cannot be read, as %s", len(unread), project_id, unread[0])
        self._keep(project_id, {digest: one for digest, one in told.items() if not isinstance(one, _Unread)})
        return digests

    def _hashed(self, digest: str) -> "int | _Unread | None":
        """None where it is no image. Read and hashed by one: of large images no more than are hashed are in memory."""
        try:
            return self.hash_of(self.blobs.get(digest))
        except NotFound:
            return _Unread.LOST
        except Unavailable:
            return _Unread.NOW
        except (BadImage, PayloadTooLarge) as error:
            log.warning("image %s has no hash: %s", digest, error)
            return None

    def _keep(self, project_id: str, hashes: Mapping[str, int | None]) -> None:
        if not hashes:
            return
        with self.store.begin() as tx:
            dropped = tx.items.dropped(project_id)  # meanwhile
            tx.image_hashes.add(project_id, {of: one for of, one in hashes.items() if of not in dropped})
