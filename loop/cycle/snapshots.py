"""The snapshots of a project's cycles: which there are, what is in one, and what two differ in."""

from collections.abc import Iterable
from dataclasses import dataclass

from loop.domain.cycle import Cycle
from loop.domain.errors import BadDataset, NotFound, Unavailable
from loop.domain.ports import Blobs, Store
from training.snapshot import Head, Snapshot, read_head
from training.snapshot_diff import Diff, diff


@dataclass(frozen=True, slots=True)
class Snapshots:
    store: Store
    blobs: Blobs

    def page(self, project_id: str, *, after: str | None, limit: int) -> tuple[list[Cycle], str | None]:
        """The cycles among the next `limit` that have a snapshot, newest first, and after which cycle it goes on."""
        with self.store.read() as tx:
            tx.projects.get(project_id)
            cycles = tx.cycles.page(project_id, after=after, limit=limit)
        with_one = [cycle for cycle in cycles if cycle.snapshot_digest is not None]
        return with_one, cycles[-1].id if len(cycles) == limit else None

    def heads(self, digests: Iterable[str]) -> dict[str, Head]:
        """Without those that cannot be read: they hide no others."""
        found = {}
        for digest in digests:
            try:
                found[digest] = read_head(digest, self.blobs.get)
            except (BadDataset, NotFound, Unavailable):
                continue
        return found

    def head(self, project_id: str, digest: str) -> tuple[Head, list[Cycle]]:
        """What is in it, and the cycles that were made from it, newest first. Raises NotFound, BadDataset."""
        cycles = self._cycles(project_id, digest)
        return read_head(digest, self.blobs.get), cycles

    def diff(self, project_id: str, before: str, after: str) -> Diff:
        """Raises NotFound, BadDataset."""
        return diff(self.read(project_id, before), self.read(project_id, after))

    def read(self, project_id: str, digest: str) -> Snapshot:
        """Raises NotFound, BadDataset."""
        self._cycles(project_id, digest)
        return Snapshot.read(digest, self.blobs.get)

    def _cycles(self, project_id: str, digest: str) -> list[Cycle]:
        """Only those of the project: another one's data are none of its people's business."""
        with self.store.read() as tx:
            tx.projects.get(project_id)
            cycles = tx.cycles.froze(project_id, digest)
        if not cycles:
            raise NotFound(
                f"no cycle of {project_id} has the snapshot {digest[:80]!r}.",
                hint="askance snapshot list shows those that there are.",
                snapshot=digest,
            )
        return cycles
