"""What the anomaly test of a model version compares with: the training images in its own embedding space."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from loop.cycle.work import Progress, Workshop
from loop.domain.item import Split
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Store
from loop.domain.prediction import Inference
from selection.embeddings import write_embeddings
from training.snapshot import Snapshot, detectable, freeze


@dataclass(frozen=True, slots=True)
class References:
    """val_share: of a snapshot that is made for this. limit: images."""

    store: Store
    blobs: Blobs
    workshop: Workshop
    val_share: float
    limit: int

    def embed(self, model: ModelVersion, progress: Progress, snapshot: Snapshot | None = None) -> ModelVersion:
        """The training images in this model's embedding space: what its anomaly test compares with.

        snapshot: whose training images; None: of a snapshot of the present truth. A version without any truth in its
        project keeps no reference set.
        """
        keys = self.wanted(model, snapshot)
        return self.keep(model, self.workshop.infer(model.digest, keys, progress)) if keys else model

    def wanted(self, model: ModelVersion, snapshot: Snapshot | None = None) -> Sequence[str]:
        """Images that `keep` needs what the model says of; none where it has its reference set, or there is no truth.
        snapshot: as in `embed`."""
        if model.reference_key is not None:
            return ()
        snapshot = snapshot or self._present(model.project_id)
        with self.store.read() as tx:
            dropped = tx.items.dropped(model.project_id)
        return snapshot.of_split(Split.TRAIN).without(dropped)[: self.limit].digests

    def keep(self, model: ModelVersion, inferences: Sequence[Inference]) -> ModelVersion:
        """inferences: of the images that are `wanted`, at least one."""
        embeddings = np.stack([inference.embedding for inference in inferences])
        model = replace(model, reference_key=self.blobs.put(write_embeddings(embeddings)))
        with self.store.begin() as tx:
            tx.models.save(model)
        return model

    def _present(self, project_id: str) -> Snapshot:
        with self.store.read() as tx:
            labels = tx.projects.get(project_id).recipe.detected
            rows = detectable(tx.truths.all_current(project_id))
            return freeze(rows, labels=labels, val_share=self.val_share)
