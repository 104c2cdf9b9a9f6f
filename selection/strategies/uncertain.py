"""entropy, least-confidence, margin, consistency, rarity: the largest or smallest value of one signal, image by image.

The first three are the baselines of active learning (Settles, "Active learning literature survey", 2009), on detections
aggregated over an image. They know nothing of each other's picks: in a pool with many near-duplicates they take them
all. Where there is no detection to be unsure of: `selection.strategies.nothing_detected`.

`entropy` and those with `class-entropy` look at all labels of a detection, `mean-` and `max-entropy` at its best score.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from selection.pool import Pick, Pool
from selection.scores import mean_class_entropy
from selection.strategies.nothing_detected import empty_among, largest_first, reason, with_prior

_LARGEST, _SMALLEST = 1.0, -1.0
# The signal of each strategy, which of its values come first, and its name in a sentence.
_SIGNALS = {
    "entropy": ("sum_class_entropy", _LARGEST, "entropy summed over its detections, in bits:"),
    "mean-entropy": ("mean_entropy", _LARGEST, "mean entropy of its detections, in bits:"),
    "max-entropy": ("max_entropy", _LARGEST, "largest entropy of a detection, in bits:"),
    "mean-class-entropy": ("mean_class_entropy", _LARGEST, "mean entropy of its detections over all labels, in bits:"),
    "max-class-entropy": ("max_class_entropy", _LARGEST, "largest entropy of a detection over all labels, in bits:"),
    "least-confidence": ("least_confidence", _LARGEST, "1 - the lowest score of a detection:"),
    "margin": ("least_margin", _LARGEST, "1 - the smallest margin between two labels of a detection:"),
    "rarity": ("sum_rarity", _LARGEST, "rarity of the labels seen in it, summed:"),
    "consistency": (
        "consistency",
        _SMALLEST,
        "distance from the least sure that it and its mirror image can be:",
    ),
}
# Nothing seen is nothing rare; and the mirror image is compared in what was nearly detected, too.
_MEASURED_WITHOUT_DETECTIONS = frozenset({"sum_rarity", "consistency"})
# Signals that are not measured, and those that they follow from.
_DERIVED = {"mean_class_entropy": frozenset({"sum_class_entropy", "count"})}
# What it takes for a signal to be measured at all.
_HOW = {"consistency": "with annotation.consistency (bulk) or the model's option consistency set"}


def by_signal(name: str) -> Callable[[Pool, NDArray[np.intp], int, np.random.Generator], list[Pick]]:
    """The strategy of that name."""
    return partial(_pick, *_SIGNALS[name])


def ranks_by(name: str) -> frozenset[str]:
    """The measured signals that the strategy of that name ranks by; none where it is not of this file."""
    if name not in _SIGNALS:
        return frozenset()
    signal = _SIGNALS[name][0]
    return _DERIVED.get(signal, frozenset({signal}))


def _with_derived(signals: Mapping[str, NDArray[np.float64]]) -> Mapping[str, NDArray[np.float64]]:
    """And what follows from them."""
    if not _DERIVED["mean_class_entropy"] <= signals.keys():
        return signals
    return {**signals, "mean_class_entropy": mean_class_entropy(signals["sum_class_entropy"], signals["count"])}


def _pick(
    signal: str,
    direction: float,
    words: str,
    pool: Pool,
    free: NDArray[np.intp],
    budget: int,
    rng: np.random.Generator,
) -> list[Pick]:
    measured = _with_derived(pool.signals)
    if signal not in measured:
        raise Invalid(
            f"some of the {len(pool)} items were predicted without the signal {signal}.",
            hint=f"Predict them again, {_HOW.get(signal, 'by this version of the service')}, or choose hybrid.",
        )
    empty = np.zeros(len(free), dtype=bool) if signal in _MEASURED_WITHOUT_DETECTIONS else empty_among(pool, free)
    values = with_prior(measured[signal][free], empty)
    order = largest_first(direction * values, empty, pool, free, rng)[:budget]
    return [
        Pick(int(free[at]), float(values[at]), reason(words, values[at], empty[at], rank, len(free)))
        for rank, at in enumerate(order, start=1)
    ]
