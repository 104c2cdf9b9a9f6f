"""Does a window of production look like a reference? Three two-sample tests by one set of permutations, and what moved.

The embeddings' test looks at where images lie, the scores' at how sure the model is of them, the classes' at what it
finds ("black box shift detection", Lipton et al. 2018; Rabanser et al., "Failing loudly", NeurIPS 2019, found tests on
what a trained model says of images to be the best). A linear classifier tells by how much and which images differ
(Lopez-Paz & Oquab, ICLR 2017).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from loop.domain.production.drift import NOTHING, ClassShift, DriftTest, ScoreShift
from selection.two_samples import (
    Floats,
    Weights,
    adjusted,
    as_they_are,
    assigned,
    blocks_of,
    chi_square,
    energy_distance,
    interval,
    largest_gap,
    medians,
    mix,
    moved_share,
    p_value,
    resampled,
    told_apart,
)

PERMUTATIONS = 999  # the least p-value is a thousandth, a fiftieth of the usual level
FEWEST_UNITS = 10  # of each side; with fewer there are too few ways to deal them for a small p-value of any use
FEWEST_IMAGES = 30  # of each side
_DRAWS = 400  # of the bootstrap
# Principal ones, at most. In narrower ones the rounding of another runtime shows, which is no drift: an evaluation runs
# in torch, production in what is fastest (benchmarks/drift.py).
_DIRECTIONS = 16
_IMAGES_PER_DIRECTION = 10
_FLAT = 1e-4  # a direction with a smaller share of the largest spread is rounding
_FOLDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """n images as one model sees them. embeddings: (n, d). scores: (n,) in [0, 1], the largest of each image's
    detections, 0 without any. counts: (n, C), its detections of each class. blocks: (n,) names; images of the same one
    are not independent of each other (a clip, or copies of one image)."""

    embeddings: NDArray[np.float32]
    scores: Floats
    counts: Floats
    blocks: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def units(self) -> int:
        """How many blocks."""
        return len(np.unique(self.blocks))

    def take(self, rows: NDArray[np.intp]) -> "Sample":
        return Sample(
            embeddings=self.embeddings[rows],
            scores=self.scores[rows],
            counts=self.counts[rows],
            blocks=self.blocks[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """reference_rows, recent_rows: which images were compared. unlike: one number for each of recent_rows in [0, 1],
    the share of the reference that looks less like the window than it does."""

    tests: tuple[DriftTest, ...]
    classes: tuple[ClassShift, ...]
    scores: ScoreShift
    reference_rows: NDArray[np.intp]
    recent_rows: NDArray[np.intp]
    unlike: Floats

    def differs(self, level: float) -> bool:
        return any(test.adjusted_p <= level for test in self.tests)


def compare(
    reference: Sample,
    recent: Sample,
    *,
    labels: Sequence[str],
    rng: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> Comparison:
    """labels: names of the C classes. At most some 500 images each: it takes time and memory by their square.

    Where both are drawn from one distribution, block by block, `differs(level)` is true with a probability of at most
    `level`. Raises ValueError for an empty side, Invalid for embeddings with NaN or infinity.
    """
    if not len(reference) or not len(recent):
        raise ValueError("there are no images to compare")
    if not (np.isfinite(reference.embeddings).all() and np.isfinite(recent.embeddings).all()):
        raise Invalid("an embedding holds NaN or infinity.", hint="The model is not sound: serve another.")
    most = min(_usual_size(reference.blocks), _usual_size(recent.blocks))
    reference_rows, recent_rows = (_thinned(side.blocks, most, rng) for side in (reference, recent))
    pooled = _Pooled.of(reference.take(reference_rows), recent.take(recent_rows))
    dealt = assigned(pooled.blocks, pooled.recent, permutations, rng)
    drawn = resampled(pooled.blocks, pooled.recent, _DRAWS, rng)
    direction = _out_of_fold(pooled, rng)
    return Comparison(
        tests=_tests(pooled, dealt, drawn, direction),
        classes=_class_shifts(pooled, drawn, (*labels, NOTHING)),
        scores=_score_shift(pooled, drawn),
        reference_rows=reference_rows,
        recent_rows=recent_rows,
        unlike=_ranks(direction[pooled.recent], direction[~pooled.recent]),
    )


def serial_likeness(embeddings: NDArray[np.float32]) -> float:
    """How much more alike neighbours of (n, d), n >= 2, L2-normalised, in the order in which they came, are than any
    two: 0 where the order says nothing, 1 where neighbours are the same."""
    total = embeddings.sum(axis=0, dtype=np.float64)
    count = len(embeddings)
    usual = float((total @ total - (embeddings**2).sum()) / (count * (count - 1)))
    following = float((embeddings[1:] * embeddings[:-1]).sum() / (count - 1))
    return (following - usual) / (1.0 - usual) if usual < 1.0 - _FLAT**2 else 0.0


@dataclass(frozen=True, slots=True)
class _Pooled:
    """Both sides, N images. points: (N, k), of unit variance in each direction. kinds: (N, C + 1), the last for images
    in which nothing was found. blocks: (N,), none on both sides. recent: (N,), which side."""

    points: Floats
    scores: Floats
    kinds: Floats
    blocks: NDArray[np.intp]
    recent: NDArray[np.bool_]

    @classmethod
    def of(cls, reference: Sample, recent: Sample) -> "_Pooled":
        counts = np.concatenate([reference.counts, recent.counts])
        own, others = blocks_of(reference.blocks), blocks_of(recent.blocks)
        return cls(
            points=_whitened(np.concatenate([reference.embeddings, recent.embeddings]).astype(np.float64)),
            scores=np.concatenate([reference.scores, recent.scores]),
            kinds=np.column_stack([counts, counts.sum(axis=1) == 0]),
            blocks=np.concatenate([own, others + own.max() + 1]),
            recent=np.arange(len(counts)) >= len(reference),
        )


def _usual_size(blocks: NDArray[np.str_]) -> int:
    return int(np.median(np.unique(blocks, return_counts=True)[1]))


def _thinned(blocks: NDArray[np.str_], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows in their order, at most `most` of each block, any. Blocks can change sides only where they are alike on
    both: if one side had clips and the other single images, a deal by chance would not look like what is there."""
    order = rng.permutation(len(blocks))
    numbers = blocks_of(blocks)[order]
    by_block = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[by_block], numbers[by_block], side="left")
    return np.sort(order[by_block[np.arange(len(blocks)) - starts < most]])


def _whitened(embeddings: Floats) -> Floats:
    """(N, k): principal directions of all N, each with variance 1. Images vary most in what does not matter; a change
    that shows in a narrow direction would drown. As it does not look at the sides, permutations stay exact."""
    centred = embeddings - embeddings.mean(axis=0)
    directions, spreads, _ = np.linalg.svd(centred, full_matrices=False)
    solid = int(np.count_nonzero(spreads > max(_FLAT * spreads[0], 1e-12)))
    kept = min(_DIRECTIONS, max(1, len(embeddings) // _IMAGES_PER_DIRECTION), solid)
    return np.asarray(directions[:, :kept] * np.sqrt(len(embeddings)))


def _out_of_fold(pooled: _Pooled, rng: np.random.Generator) -> Floats:
    """(N,): how far each image lies in the direction in which the window differs from the reference, as learned from
    the blocks of other folds: Fisher's discriminant, which in whitened space is the difference of the means."""
    folds = np.empty(pooled.blocks.max() + 1, dtype=np.intp)
    for side in (pooled.recent, ~pooled.recent):
        own = np.unique(pooled.blocks[side])
        folds[rng.permutation(own)] = np.arange(len(own)) % _FOLDS
    fold = folds[pooled.blocks]
    scores = np.zeros(len(fold))
    for held in range(_FOLDS):
        known = fold != held
        means = [pooled.points[known & side] for side in (pooled.recent, ~pooled.recent)]
        if all(len(points) for points in means):
            direction = means[0].mean(axis=0) - means[1].mean(axis=0)
            scores[~known] = pooled.points[~known] @ direction
    return scores


def _tests(pooled: _Pooled, dealt: Weights, drawn: Weights, direction: Floats) -> tuple[DriftTest, ...]:
    measured: tuple[tuple[str, Floats, Callable[[Weights], Floats]], ...] = (
        ("embeddings", energy_distance(pooled.points, pooled.blocks, dealt), partial(told_apart, direction)),
        ("scores", largest_gap(pooled.scores, dealt), partial(largest_gap, pooled.scores)),
        ("classes", chi_square(pooled.kinds, dealt), partial(moved_share, pooled.kinds)),
    )
    p_values = np.array([p_value(statistics) for _, statistics, _ in measured])
    tests = []
    for (name, statistics, effect_of), p, adjusted_p in zip(measured, p_values, adjusted(p_values), strict=True):
        effect = float(effect_of(as_they_are(pooled.recent))[0])
        low, high = interval(effect, effect_of(drawn), least=0.0, most=1.0)
        tests.append(
            DriftTest(
                name=name,
                statistic=float(statistics[0]),
                effect=effect,
                low=low,
                high=high,
                p=float(p),
                adjusted_p=float(adjusted_p),
            )
        )
    return tuple(tests)


def _class_shifts(pooled: _Pooled, drawn: Weights, labels: Sequence[str]) -> tuple[ClassShift, ...]:
    """Of the kinds that either side has, what moved most first."""
    found = as_they_are(pooled.recent)
    before, after = mix(pooled.kinds, found.reference)[0], mix(pooled.kinds, found.recent)[0]
    draws = mix(pooled.kinds, drawn.recent) - mix(pooled.kinds, drawn.reference)
    shifts = []
    for kind in np.argsort(-np.abs(after - before), kind="stable"):
        if before[kind] or after[kind]:
            low, high = interval(float(after[kind] - before[kind]), draws[:, kind], least=-1.0, most=1.0)
            shifts.append(
                ClassShift(label=labels[kind], before=float(before[kind]), after=float(after[kind]), low=low, high=high)
            )
    return tuple(shifts)


def _score_shift(pooled: _Pooled, drawn: Weights) -> ScoreShift:
    found = as_they_are(pooled.recent)
    before, after = (float(medians(pooled.scores, side)[0]) for side in (found.reference, found.recent))
    draws = medians(pooled.scores, drawn.recent) - medians(pooled.scores, drawn.reference)
    low, high = interval(after - before, draws, least=-1.0, most=1.0)
    return ScoreShift(before=before, after=after, low=low, high=high)


def _ranks(scores: Floats, among: Floats) -> Floats:
    """For each score the share of `among` that is smaller, a tie counting as a half."""
    known = np.sort(among)
    return np.asarray(
        (np.searchsorted(known, scores, "left") + np.searchsorted(known, scores, "right")) / 2 / len(among)
    )
