"""Perceptual hashes of images: what they look like in 64 bits."""

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, select

from loop.store.schema import dropped_images, ground_truths, image_hashes
from loop.store.statements import ignoring_conflicts

_AT_ONCE = 10_000  # rows of a stream


class SqlImageHashes:
    """Implements `loop.domain.ports.ImageHashes`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, project_id: str, hashes: Mapping[str, int | None]) -> None:
        """See the port."""
        if hashes:
            rows = [{"project_id": project_id, "item_digest": digest, "hash": one} for digest, one in hashes.items()]
            self._connection.execute(ignoring_conflicts(self._connection, image_hashes), rows)

    def missing(self, project_id: str, *, after: str, limit: int) -> Sequence[str]:
        """See the port."""
        digest = ground_truths.c.item_digest
        hashed = select(image_hashes.c.hash).where(
            image_hashes.c.project_id == project_id, image_hashes.c.item_digest == digest
        )
        dropped = select(dropped_images.c.item_digest).where(dropped_images.c.project_id == project_id)
        wanted = (
            select(digest)
            .where(ground_truths.c.project_id == project_id, digest > after, ~hashed.exists(), digest.not_in(dropped))
            .distinct()
            .order_by(digest)
            .limit(limit)
        )
        return self._connection.scalars(wanted).all()

    def all(self, project_id: str) -> Iterator[tuple[str, int]]:
        """See the port. Read in chunks: use the iterator up inside its transaction."""
        of_project = image_hashes.c.project_id == project_id, image_hashes.c.hash.is_not(None)
        wanted = select(image_hashes.c.item_digest, image_hashes.c.hash).where(*of_project)
        rows = self._connection.execute(
            wanted.order_by(image_hashes.c.item_digest), execution_options={"yield_per": _AT_ONCE}
        )
        return ((digest, one) for digest, one in rows)
