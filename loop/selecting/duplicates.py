"""Near-duplicates among what a model version has seen: kept up with its index, so that only what is new is compared."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Overloaded
from loop.domain.model import ModelVersion
from selection.duplicates import Clusters, Groups
from selection.index import EmbeddingIndex

_KEPT = 2  # versions or thresholds that are in memory, some 100 bytes an item each
_WAIT_SECONDS = 30.0


@dataclass(slots=True)
class _Known:
    """names: the item of each row. clusters: None where rows were added since."""

    groups: Groups
    names: NDArray[np.bytes_] = field(default_factory=lambda: np.empty(0, dtype="S64"))
    clusters: Clusters | None = None


class Duplicates:
    """caught_up: the index of the images that a version has seen, with keys "ITEM PREDICTION"."""

    def __init__(self, caught_up: Callable[[ModelVersion], EmbeddingIndex]) -> None:
        self._caught_up = caught_up
        self._known: dict[tuple[str, float], _Known] = {}
        self._lock = threading.Lock()

    def of(self, model: ModelVersion, threshold: float) -> Clusters:
        """threshold: the cosine from which on two are near-duplicates. The first time each image is compared, some
        minutes for a million. Raises Overloaded where another comparison takes longer than half a minute."""
        index = self._caught_up(model)
        if not self._lock.acquire(timeout=_WAIT_SECONDS):
            raise Overloaded("near-duplicates are being looked for.", hint="Try again when that has its answer.")
        try:
            known = self._known.pop((model.id, threshold), None) or _Known(Groups(threshold))
            clusters = _brought_up(known, index)
            self._known[model.id, threshold] = known
            while len(self._known) > _KEPT:
                self._known.pop(next(iter(self._known)))
            return clusters
        finally:
            self._lock.release()


def _brought_up(known: _Known, index: EmbeddingIndex) -> Clusters:
    first, count = len(known.names), len(index)
    if known.clusters is None or count > first:
        known.groups.extend(index, count)
        added = np.array([key.partition(" ")[0] for key in index.keys(first, count)], dtype="S64")
        known.names = np.concatenate([known.names, added])
        known.clusters = Clusters.of(known.names, known.groups.labels)
    return known.clusters
