"""Do scores mean what they say: of detections with a score of 0.8, are 80 % right?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Evaluation

Floats = NDArray[np.float64]

BINS = 10
FLOOR = 0.05  # score from which a detection counts, as in service


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Of the detections of n images, by bins of their score, ascending; a detection is right at an IoU of 0.5.

    count, score, right: (n, BINS), how many there are on each image, the sum of their scores, and how many are right.
    """

    count: Floats
    score: Floats
    right: Floats

    @property
    def error(self) -> float:
        """D-ECE in [0, 1]: how far the share of right ones is from the mean score, over the bins by their detections
        (Kueppers et al. 2020, confidence only); NaN without detections."""
        return float(self.resampled(np.ones((1, len(self.count))))[0])

    @property
    def reliability(self) -> list[tuple[float, float, int]]:
        """(mean score, share of right ones, detections) of each bin that has some."""
        count, score, right = (part.sum(axis=0) for part in (self.count, self.score, self.right))
        return [
            (float(score[b] / count[b]), float(right[b] / count[b]), int(count[b])) for b in range(BINS) if count[b]
        ]

    def resampled(self, counts: NDArray[np.number]) -> Floats:
        """(R,): the error where image i is there counts[r, i] times."""
        count, score, right = (counts @ part for part in (self.count, self.score, self.right))
        total = count.sum(axis=1)
        apart = np.abs(score - right).sum(axis=1)
        return np.asarray(np.divide(apart, total, out=np.full(len(total), np.nan), where=total > 0))


def calibration_of(evaluation: Evaluation, *, floor: float = FLOOR) -> Calibration:
    """Of the detections with a score of at least `floor`."""
    kept = evaluation.score >= floor
    image, score = evaluation.image[kept], evaluation.score[kept]
    right = evaluation.hits[kept, 0].astype(np.float64)
    cell = image * BINS + np.minimum((score * BINS).astype(np.int64), BINS - 1)
    size = evaluation.n_images * BINS
    count, summed, hits = (
        np.bincount(cell, weights=weights, minlength=size).astype(np.float64).reshape(-1, BINS)
        for weights in (np.ones(len(cell)), score, right)
    )
    return Calibration(count, summed, hits)
