"""How unsure the model is of single detections, as a sum or a mean over an image; `-enms`: those alike count once.

Entropy, least confidence and margin of a detection as in Settles, "Active learning literature survey", 2009. Of
detections of one class that look alike the one that the model is least sure of counts (Wu, Chen & Huang,
"Entropy-based active learning for object detection with progressive diversity constraint", CVPR 2022, entropy-based
non-maximum suppression, here for each measure): an image is not taken for showing one hard object many times. The
largest value of an image always counts, so that there is no such form of it.
"""

import heapq
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from selection.embeddings import units
from selection.pool import Features, Pick, Pool, require_features
from selection.scores import aggregated, bernoulli_entropy
from selection.strategies.nothing_detected import empty_among, largest_first, reason, with_prior

Measure = Literal["entropy", "least-confidence", "margin"]
Aggregate = Literal["sum", "mean"]

_ALIKE = 0.5  # cosine, of the paper
_MEANT_BY = 1_000  # images whose mean stands for all where each takes a comparison of its detections
_WORDS: Mapping[Measure, str] = {
    "entropy": "entropy in bits",
    "least-confidence": "1 - score",
    "margin": "1 - margin to the next label",
}


def by_detections(
    measure: Measure, aggregate: Aggregate, *, distinct: bool = False
) -> Callable[[Pool, NDArray[np.intp], int, np.random.Generator], list[Pick]]:
    """The strategy that ranks by the `aggregate` of `measure`; distinct: with detections that look alike counted once,
    of the 50 most certain of an image.

    It raises Invalid for a pool that lacks what it compares: features, or margins, which older predictions have not.
    """
    return partial(_pick_distinct if distinct else _pick, measure, aggregate)


def _pick(
    measure: Measure,
    aggregate: Aggregate,
    pool: Pool,
    free: NDArray[np.intp],
    budget: int,
    rng: np.random.Generator,
) -> list[Pick]:
    empty = empty_among(pool, free)
    plain = aggregated(aggregate, _measured(measure, pool), pool.objects.rows, len(pool))
    values = with_prior(plain[free], empty)
    order = largest_first(values, empty, pool, free, rng)[:budget]
    what = f"{aggregate} over its detections of {_WORDS[measure]}:"
    return [
        Pick(int(free[at]), float(values[at]), reason(what, values[at], empty[at], rank, len(free)))
        for rank, at in enumerate(order, start=1)
    ]


def _pick_distinct(
    measure: Measure,
    aggregate: Aggregate,
    pool: Pool,
    free: NDArray[np.intp],
    budget: int,
    rng: np.random.Generator,
) -> list[Pick]:
    centred = _centred(require_features(pool, f"{measure} of detections that differ"))
    measured, objects = _measured(measure, pool), pool.objects

    def value(at: np.intp) -> float:
        own = objects.strongest(int(free[at]))
        values = measured[own]
        counts = values[counted(values, objects.classes[own], centred(own))]
        return float(counts.sum() if aggregate == "sum" else counts.mean())

    empty = empty_among(pool, free)
    prior = _mean_of(value, np.flatnonzero(~empty), rng)
    most = aggregated("sum" if aggregate == "sum" else "max", measured, objects.rows, len(pool))[free]
    most = np.where(empty, prior, most)
    order = largest_first(most, empty, pool, free, rng)
    best = _best(order, most, lambda at: prior if empty[at] else value(at), budget)
    what = f"{aggregate} over its detections that differ of {_WORDS[measure]}:"
    return [
        Pick(int(free[at]), worth, reason(what, worth, empty[at], rank, len(free)))
        for rank, (worth, at) in enumerate(best, start=1)
    ]


def _best(
    order: NDArray[np.intp], most: NDArray[np.float64], value: Callable[[np.intp], float], budget: int
) -> list[tuple[float, np.intp]]:
    """The `budget` places of the largest value, with it; of equals those that come first in `order`, which descends by
    `most`, than which no value is larger. It stops where none that is left can be among them."""
    found: list[tuple[float, int]] = []
    largest: list[float] = []  # a heap of the budget's largest so far
    for place, at in enumerate(order):
        if len(largest) == budget and (not budget or most[at] <= largest[0]):
            break
        worth = value(at)
        found.append((worth, place))
        heapq.heappush(largest, worth)
        if len(largest) > budget:
            heapq.heappop(largest)
    found.sort(key=lambda one: (-one[0], one[1]))
    return [(worth, order[place]) for worth, place in found[:budget]]


def counted(values: NDArray[np.float64], classes: NDArray[np.int64], features: Features) -> NDArray[np.bool_]:
    """(m,), which detections are left without those that have a cosine above 0.5 to one of their class with a larger
    value that is left. features: (m, e), L2-normalised."""
    alike = (features @ features.T > _ALIKE) & (classes[:, None] == classes[None, :])
    left = np.zeros(len(values), dtype=bool)
    for at in np.argsort(-values, kind="stable"):
        left[at] = not alike[at, left].any()
    return left


def _measured(measure: Measure, pool: Pool) -> NDArray[np.float64]:
    """(m,) in [0, 1], larger is less sure."""
    if measure == "entropy":
        return bernoulli_entropy(pool.objects.scores)
    if measure == "least-confidence":
        return 1.0 - pool.objects.scores
    own = pool.objects
    margins = np.full(len(own.rows), np.nan) if own.margins is None else own.margins
    older = len(np.unique(own.rows[np.isnan(margins)]))
    if older:
        raise Invalid(
            f"{older} of the {len(pool)} items have detections without a margin to the next label.",
            hint="Predict them again by this version of the service, or choose margin, which all items have.",
        )
    return 1.0 - margins


def _mean_of(value: Callable[[np.intp], float], places: NDArray[np.intp], rng: np.random.Generator) -> float:
    """Of some of the places where they are many; 0 where there are none."""
    some = places if len(places) <= _MEANT_BY else rng.choice(places, _MEANT_BY, replace=False)
    return float(np.mean([value(at) for at in some])) if len(some) else 0.0


def _centred(features: Features) -> Callable[[NDArray[np.intp]], NDArray[np.float32]]:
    """Gives rows of `features` around their mean over the pool, L2-normalised: what a network's features have in common
    is so large that any two objects have a cosine of 0.6 to 0.9."""
    centre = features.mean(axis=0, dtype=np.float64) if len(features) else np.zeros(features.shape[1])

    def rows(own: NDArray[np.intp]) -> NDArray[np.float32]:
        return units(features[own] - centre)

    return rows
