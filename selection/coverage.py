"""Greedy k-center on the unit sphere: each next point is the one farthest from all chosen so far.

Sener & Savarese, "Active learning for convolutional neural networks: a core-set approach", ICLR 2018 (the greedy
2-approximation of Gonzalez, 1985). A step needs the similarity of every point to the new centre, which reads all
embeddings once; with a million of them that is all the time there is. So one reading serves several steps: it is made
for the points that are farthest now, one of which is nearly always the farthest after the next step, too. The result
is that of the plain algorithm.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CHUNK = 16_384  # rows: 16 MB of 256 floats, within what stays in cache while it is used
_GUESSES = 16  # centres of one reading: 64 bytes more for each point
_COVERED = np.float32(np.inf)


@dataclass(slots=True)
class Coverage:
    """How near each point is to the nearest centre.

    nearest: (n,) float32, the cosine similarity to it: -2 before there is any, infinite for a point that may not be
    chosen (any more).
    """

    points: NDArray[np.float32]
    nearest: NDArray[np.float32]

    @classmethod
    def of(cls, points: NDArray[np.float32], centres: NDArray[np.float32]) -> "Coverage":
        """points: (n, d), centres: (l, d), both float32 and L2-normalised."""
        coverage = cls(points, np.full(len(points), -2.0, dtype=np.float32))
        coverage.add(centres)
        return coverage

    def add(self, centres: NDArray[np.float32]) -> None:
        """More centres that are not points, or need not be marked as chosen."""
        for start in range(0, len(centres), 1024):
            part = np.ascontiguousarray(centres[start : start + 1024].T)
            for rows in _chunks(len(self.points)):
                np.maximum(self.nearest[rows], (self.points[rows] @ part).max(axis=1), out=self.nearest[rows])

    def take(self, row: int) -> None:
        """A point that is chosen: a centre from now on."""
        self.add(self.points[[row]])
        self.nearest[row] = _COVERED

    def forbid(self, rows: NDArray[np.intp]) -> None:
        self.nearest[rows] = _COVERED


def k_center(coverage: Coverage, k: int) -> list[tuple[int, float]]:
    """At most `k` (row, cosine distance to the nearest centre before, in [0, 2]; 2 for the first where there was no
    centre), in the order chosen; of equals the first row. `coverage` is changed: it covers the chosen, too.

    Memory beside the points: 72 bytes for each.
    """
    chosen: list[tuple[int, float]] = []
    k = min(k, int(np.count_nonzero(coverage.nearest < _COVERED)))
    while len(chosen) < k:
        guesses = _farthest(coverage.nearest, min(_GUESSES, k - len(chosen)))
        chosen += _steps(coverage, guesses)
    return chosen


def _steps(coverage: Coverage, guesses: NDArray[np.intp]) -> list[tuple[int, float]]:
    """Steps of the algorithm for as long as they fall on one of the guesses; at least one."""
    similarities = np.empty((len(guesses), len(coverage.points)), dtype=np.float32)
    centres = np.ascontiguousarray(coverage.points[guesses].T)
    for rows in _chunks(len(coverage.points)):
        similarities[:, rows] = (coverage.points[rows] @ centres).T
    column = {int(row): index for index, row in enumerate(guesses)}
    taken: list[tuple[int, float]] = []
    while True:
        row = int(np.argmin(coverage.nearest))
        if row not in column:
            return taken
        taken.append((row, float(np.clip(1.0 - coverage.nearest[row], 0.0, 2.0))))
        np.maximum(coverage.nearest, similarities[column.pop(row)], out=coverage.nearest)
        coverage.nearest[row] = _COVERED
        if not column:
            return taken


def _farthest(nearest: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Rows with the smallest values, the very smallest (of equals the first) among them for sure."""
    count = min(count, len(nearest))
    rows = np.argpartition(nearest, count - 1)[:count]
    first = int(np.argmin(nearest))
    if first not in rows:
        rows[np.argmax(nearest[rows])] = first
    return np.asarray(rows)


def _chunks(n: int) -> list[slice]:
    return [slice(start, min(start + _CHUNK, n)) for start in range(0, n, _CHUNK)]
