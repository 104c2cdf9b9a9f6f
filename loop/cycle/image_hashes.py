"""Perceptual hashes of what is trained on and judged by, each made once: in the background, the rest at a snapshot."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from loop.domain.errors import BadImage, NotFound, Overloaded, PayloadTooLarge, Unavailable
from loop.domain.ports import Blobs, Store
from training.snapshot_leaks import Hashes

log = logging.getLogger("askance.cycle")

_AT_ONCE = 256  # images of one transaction
_READERS = 4
# Batches that a snapshot waits for at a time: a cycle can be cancelled in between.
_BATCHES = 40


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
            self._make(project_id, lambda _: stopping())

    def _make(self, project_id: str, enough: Callable[[int], bool]) -> bool:
        """Whether all that can be read have one. enough: whether to stop, asked with the batches that are done."""
        after, batches = "", 0
        while not enough(batches):
            with self._making:
                digests = self._make_some(project_id, after)
            if len(digests) < _AT_ONCE:
                return True
            after, batches = digests[-1], batches + 1
        return False

    def _make_some(self, project_id: str, after: str) -> Sequence[str]:
        """The items behind that one that had none; single ones whose images cannot be read have none still."""
        with self.store.read() as tx:
            digests = tx.image_hashes.missing(project_id, after=after, limit=_AT_ONCE)
        hashed = self._hashed(digests)
        if len(digests) == _AT_ONCE and not hashed:
            raise Unavailable("no image can be read.", hint="See that the blob store is there (blobs_url).")
        self._keep(project_id, hashed)
        return digests

    def _hashed(self, digests: Sequence[str]) -> dict[str, int | None]:
        """Without those that cannot be read now."""
        with ThreadPoolExecutor(_READERS) as readers:
            found = zip(digests, readers.map(self._read, digests), strict=True)
            return {digest: self._hash(digest, content) for digest, content in found if content is not None}

    def _read(self, digest: str) -> bytes | None:
        try:
            return self.blobs.get(digest)
        except (NotFound, Unavailable) as error:
            log.warning("image %s has no hash yet: %s", digest, error)
            return None

    def _hash(self, digest: str, content: bytes) -> int | None:
        try:
            return self.hash_of(content)
        except (BadImage, PayloadTooLarge) as error:
            log.warning("image %s has no hash: %s", digest, error)
            return None

    def _keep(self, project_id: str, hashes: Mapping[str, int | None]) -> None:
        if not hashes:
            return
        with self.store.begin() as tx:
            dropped = tx.items.dropped(project_id)  # meanwhile
            tx.image_hashes.add(project_id, {of: one for of, one in hashes.items() if of not in dropped})
