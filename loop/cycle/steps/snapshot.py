"""Step 1: what is trained on and judged by, frozen, without images that would give away what they are judged by."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from loop.cycle.books import Books
from loop.cycle.slicing import Slicing
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.errors import Overloaded
from loop.domain.model import ModelVersion
from selection.duplicates import NO_CLUSTERS, Clusters
from training.provenance import Provenance
from training.snapshot import Entries, Snapshot, detectable, freeze
from training.snapshot_leaks import Hashes, without_leaks

log = logging.getLogger("askance.cycle")


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotStep:
    """val_share: as of `training.snapshot.freeze`; the callables: as of `loop.cycle.controller.Controller`."""

    books: Books
    slicing: Slicing
    val_share: float
    near_duplicates: Callable[[ModelVersion], Clusters] | None
    image_hashes: Callable[[str], Hashes] | None
    check_labels: Callable[[Cycle, Snapshot], tuple[Snapshot, dict[str, object]]]
    made_with: Callable[[], Provenance]

    def take(self, cycle: Cycle) -> Cycle:
        """A cycle that has to wait for what it leaves out stays as it is. Raises BadDataset where there is nothing to
        train on or to judge by."""
        try:
            clusters, hashes = self._clusters(cycle), self._hashes(cycle)
        except Overloaded:
            log.info("%s waits: near-duplicates are being looked for", cycle.id)
            return cycle
        with self.books.store.read() as tx:
            project = tx.projects.get(cycle.project_id)
            rows = detectable(tx.truths.all_current(cycle.project_id))
            snapshot = freeze(rows, labels=project.recipe.detected, val_share=self.val_share)
        snapshot = without_leaks(snapshot, clusters.items, clusters.group, hashes)
        snapshot, label_check = self.check_labels(cycle, snapshot)
        # Both raise where a cycle could not end well, before anything is trained.
        log.info("snapshot: %d to train on, %d to judge by", *map(len, _sides(snapshot)))
        for why, images in snapshot.left_out.items():
            log.info("snapshot: %d images are left out of training, %s", images, why)
        slices = self.slicing.frozen(cycle.project_id, snapshot)
        put = self.books.blobs.put
        cycle = replace(
            cycle,
            state=CycleState.RUNNING,
            step=Step.TRAIN,
            snapshot_digest=snapshot.keep(put),
            champion_id=project.champion_id,
            evaluation={"slices": put(slices.to_bytes()), **label_check},
        )
        champion, start = self.books.model(cycle, cycle.champion_id), self.books.start(cycle)
        return self.books.save(cycle, self.books.record().begun(cycle, champion, start, self.made_with()))

    def _clusters(self, cycle: Cycle) -> Clusters:
        """Of what the champion has seen; without one of nothing."""
        champion = self.books.model(cycle, self.books.project(cycle).champion_id)
        if champion is None or self.near_duplicates is None:
            return NO_CLUSTERS
        return self.near_duplicates(champion)

    def _hashes(self, cycle: Cycle) -> Hashes | None:
        return None if self.image_hashes is None else self.image_hashes(cycle.project_id)


def _sides(snapshot: Snapshot) -> tuple[Entries, Entries]:
    return snapshot.training_entries, snapshot.evaluation_entries
