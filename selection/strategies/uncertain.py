"""entropy, least-confidence, margin: what the model itself is least sure of, image by image.

The baselines of active learning (Settles, "Active learning literature survey", 2009), on detections aggregated over an
image. They know nothing of each other's picks: in a pool with many near-duplicates they take them all.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from selection.pool import Pick, Pool, best_first

# The signal of each strategy, and its name in a sentence.
_SIGNALS = {
    "entropy": ("sum_class_entropy", "entropy summed over its detections, in bits:"),
    "mean-entropy": ("mean_entropy", "mean entropy of its detections, in bits:"),
    "max-entropy": ("max_entropy", "largest entropy of a detection, in bits:"),
    "least-confidence": ("least_confidence", "1 - the lowest score of a detection:"),
    "margin": ("least_margin", "1 - the smallest margin between two labels of a detection:"),
}


def by_signal(name: str) -> Callable[[Pool, NDArray[np.intp], int, np.random.Generator], list[Pick]]:
    """The strategy of that name."""
    return partial(_pick, *_SIGNALS[name])


def _pick(
    signal: str, words: str, pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator
) -> list[Pick]:
    values = pool.signals[signal][free]
    order = best_first(values, rng)[:budget]  # all empty images are equal, for one
    return [
        Pick(int(free[at]), float(values[at]), f"{words} {values[at]:.3f} (number {rank} of {len(free)})")
        for rank, at in enumerate(order, start=1)
    ]
