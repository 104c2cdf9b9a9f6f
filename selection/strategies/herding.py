"""herding, uncertainty-herding, balanced-herding: cover the pool, what is uncertain of it, or what is uncertain and
rare, with as few images as possible.

Bae, Noh & Sutherland, "Generalized coverage for more robust low-budget active learning" (MaxHerding), ECCV 2024, and
"Uncertainty herding: one active learning method for all label budgets", ICLR 2025: greedily take what raises
mean_x U(x) · max over labelled and chosen x' of k(x, x') most. With U = 1 it is MaxHerding. The kernel narrows as
labels come nearer to each other, which moves it from covering the pool to sharpening what is unsure.
"""

import heapq
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from selection.pool import Pick, Pool
from selection.scores import aggregated

# A gain is measured on so many items of the pool, drawn by lot, and so many may be chosen from: with more the greedy
# choice changes little, and its cost grows with their product.
_JUDGED_ON = 4096
_CANDIDATES = 8192
_NARROWEST = 0.05  # of a kernel's width, on the unit sphere
# How much more an image is worth that shows as much as is usual of a class at which the model is no good at all, where
# it never errs at another (docs/adr/0060-weak-classes.md).
_NEED = 3.0


def pick_typical(pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> list[Pick]:
    """herding; see `selection.strategies.table.Strategy`."""
    return _pick(pool, free, budget, rng, np.ones(len(pool)), "covers most of what no labelled image is like")


def pick_uncertain(pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> list[Pick]:
    """uncertainty-herding; U is the risk."""
    return _pick(pool, free, budget, rng, pool.risk, "covers most of what is risky and like no labelled image")


def pick_balanced(pool: Pool, free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> list[Pick]:
    """balanced-herding; U is the risk, up to twice that where the model sees a label that was given seldom, and more
    the more it sees of what it is bad at (`weak_classes_seen`).

    By the square of its rarity, since among few labels any may be rarer than the most frequent by chance. Where rarity
    was not measured all weigh alike, and where nobody has evaluated the model, too.
    """
    rarity = pool.signals.get("largest_rarity", np.zeros(len(pool)))
    weights = pool.risk * (1.0 + rarity**2) * (1.0 + _NEED * weak_classes_seen(pool))
    words = "covers most of what is risky, rare or hard for the model, and like no labelled image"
    return _pick(pool, free, budget, rng, weights, words)


def weak_classes_seen(pool: Pool) -> NDArray[np.float64]:
    """(n,) >= 0: summed over classes, the square of how much worse the model is at it than at its best one, in [0, 1],
    times how many detections of it an item has for each that items which have any have on average.

    So a class that comes in dozens says no more than one that comes alone; an item with three times as many as usual
    counts three times. The square, since few labels say little of how good a model is. 0 where it is as good at all
    classes, or it is not known how good.
    """
    if not len(pool.class_quality):
        return np.zeros(len(pool))
    behind = pool.class_quality.max() - pool.class_quality
    if not behind.any():
        return np.zeros(len(pool))
    rows, classes = pool.objects.rows, pool.objects.classes
    items = np.bincount(np.unique(rows * len(behind) + classes) % len(behind), minlength=len(behind))
    usual = np.bincount(classes, minlength=len(behind)) / np.maximum(items, 1)
    weights = behind[classes] ** 2 / usual[classes]
    return aggregated("sum", weights, rows, len(pool))


def _pick(
    pool: Pool,
    free: NDArray[np.intp],
    budget: int,
    rng: np.random.Generator,
    weights: NDArray[np.float64],
    words: str,
) -> list[Pick]:
    if not budget or not len(free):
        return []
    judged = rng.choice(len(pool), size=min(_JUDGED_ON, len(pool)), replace=False)
    candidates = _candidates(free, budget, rng)
    centres = pool.covered(free)
    width = _width(pool.embeddings[judged], centres)
    weighted = weights[judged].astype(np.float32)
    if not weighted.sum():
        weighted[:] = 1.0  # nothing is uncertain: cover it all
    kernel = _kernel(pool.embeddings[candidates], pool.embeddings[judged], width)
    covered = _covered(pool.embeddings[judged], centres, width)
    found = _greedy(kernel, weighted / weighted.sum(), covered, budget)
    return [Pick(int(candidates[at]), gain, f"{words}: {gain:.2%} of it") for at, gain in found]


def _greedy(
    kernel: NDArray[np.float32], weights: NDArray[np.float32], covered: NDArray[np.float32], budget: int
) -> list[tuple[int, float]]:
    """(row of the kernel, gain), the best first.

    A gain only ever falls as more is covered, so one that is the largest and up to date is the best without looking at
    the others (lazy greedy: Minoux, 1978).
    """
    gains = np.concatenate([np.maximum(part - covered, 0.0) @ weights for part in _parts(kernel)])
    queue = [(-float(gain), row) for row, gain in enumerate(gains)]
    heapq.heapify(queue)
    found: list[tuple[int, float]] = []
    while queue and len(found) < budget:
        _, row = heapq.heappop(queue)
        gain = float(np.maximum(kernel[row] - covered, 0.0) @ weights)
        if queue and gain < -queue[0][0]:
            heapq.heappush(queue, (-gain, row))
            continue
        found.append((row, gain))
        np.maximum(covered, kernel[row], out=covered)
    return found


def _parts(kernel: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    return (kernel[start : start + 512] for start in range(0, len(kernel), 512))


def _candidates(free: NDArray[np.intp], budget: int, rng: np.random.Generator) -> NDArray[np.intp]:
    count = max(_CANDIDATES, budget)
    return free if len(free) <= count else np.sort(rng.choice(free, size=count, replace=False))


def _width(judged: NDArray[np.float32], centres: NDArray[np.float32]) -> float:
    """Of the kernel: the median distance from an item to the nearest centre; to any other item where there is none."""
    if len(centres):
        nearest = np.full(len(judged), -1.0, dtype=np.float32)
        for start in range(0, len(centres), 1024):
            np.maximum(nearest, (judged @ centres[start : start + 1024].T).max(axis=1), out=nearest)
    else:
        some = judged[:1024]
        nearest = np.median(some @ some.T, axis=1)
    return max(_NARROWEST, float(np.median(np.sqrt(np.clip(2.0 - 2.0 * nearest, 0.0, None)))))


def _kernel(one: NDArray[np.float32], other: NDArray[np.float32], width: float) -> NDArray[np.float32]:
    """exp(-|a - b|² / width²), (len(one), len(other)), for points on the unit sphere."""
    similarity = one @ other.T
    similarity -= 1.0
    similarity *= 2.0 / width**2
    return np.asarray(np.exp(similarity, out=similarity))


def _covered(judged: NDArray[np.float32], centres: NDArray[np.float32], width: float) -> NDArray[np.float32]:
    covered = np.zeros(len(judged), dtype=np.float32)
    for start in range(0, len(centres), 1024):
        np.maximum(covered, _kernel(judged, centres[start : start + 1024], width).max(axis=1), out=covered)
    return covered
