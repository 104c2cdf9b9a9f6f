"""How unlike the training set an image is: deep kNN distance as a conformal p-value.

Sun et al., "Out-of-distribution detection with deep nearest neighbors", ICML 2022; Bates et al.,
"Testing for outliers with conformal p-values", Annals of Statistics 2023. A p-value compares across models; a raw
distance does not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from selection.index import EmbeddingIndex

# The references that are held out to calibrate distances; the others are the neighbours.
CALIBRATION_SHARE = 0.3
# More do not make a p-value finer than anybody would act on, and each costs a search.
MOST_CALIBRATION = 5000
# Below this many references a p-value could never be small: say "not known" (1.0) instead.
FEWEST_REFERENCES = 30


@dataclass(frozen=True, slots=True)
class AnomalyScorer:
    """neighbours: index over the reference embeddings. calibration: ascending (m,) k-th neighbour distances of
    held-out references. k: which neighbour."""

    neighbours: EmbeddingIndex
    calibration: NDArray[np.float64]
    k: int

    @classmethod
    def fit(cls, references: NDArray[np.float32], *, k: int) -> "AnomalyScorer":
        """`references`: (n, d) float32, L2-normalised, in an order that says nothing (digests).

        Every third or so reference is held out for calibration, at most 5,000, the same ones at each call.
        """
        count = len(references)
        held = held_out(count)
        index = EmbeddingIndex(references.shape[1])
        if count < FEWEST_REFERENCES:
            return cls(index, np.empty(0), k)
        fitted = references[~held]
        index.add([str(i) for i in range(len(fitted))], fitted)
        if index.rebuild_due:
            index.rebuild()
        k = min(k, len(fitted))
        return cls(index, np.sort(_kth_distance(index, references[held], k)), k)

    def p_value(self, embedding: NDArray[np.float32]) -> float:
        """(1 + #{calibration distances >= d}) / (m + 1), in (0, 1]; 1.0 where there are too few references."""
        if not self.calibration.size:
            return 1.0
        distance = _kth_distance(self.neighbours, embedding[None, :], self.k)[0]
        at_least = self.calibration.size - int(np.searchsorted(self.calibration, distance, side="left"))
        return (1.0 + at_least) / (self.calibration.size + 1.0)


def held_out(count: int) -> NDArray[np.bool_]:
    """(count,): which of so many references calibrate."""
    held = np.zeros(count, dtype=bool)
    held[:: max(2, round(1 / CALIBRATION_SHARE), -(-count // MOST_CALIBRATION))] = True
    return held


def _kth_distance(index: EmbeddingIndex, queries: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    """Cosine distance (1 - cosine, in [0, 2]) to the k-th nearest neighbour of each query, (m,)."""
    return 1.0 - index.similarities(queries, k)[:, -1].astype(np.float64)
