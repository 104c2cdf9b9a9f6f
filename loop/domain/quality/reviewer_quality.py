"""How good a reviewer is, as golden items show: scores, rates with intervals, and weights for a consensus."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # loads its parts when they are first used: what serves imports this module and needs none of them
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from loop.domain.policy.quality_rules import MATCH_IOU
from loop.domain.quality.answers import Answer, matched
from loop.domain.quality.consensus import UNKNOWN_RATE, UNKNOWN_SPREAD, Reliability

Floats = NDArray[np.float64]

# Jeffreys' prior, half a success and half a failure: of the usual intervals of a rate, those of its posterior are
# among the shortest that hold what they say, for few items and for rates near 1 too (Brown, Cai & DasGupta 2001).
JEFFREYS = 0.5

# Weights in a consensus need a guess from the first golden item on: an unknown reviewer's, worth so many shapes.
PRIOR_SHAPES = 10.0

# How much alike the shapes of one item fare is hardly known from a dozen items, and not at all from those in which
# nothing is wrong. So that begins with a guess: this correlation, worth so many items in which something is wrong.
ALIKE = 0.25
ALIKE_ITEMS = 8.0

_INTERVAL = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class GoldenScore:
    """One answer against a golden item, K labels.

    table: (K + 1, K + 1) counts by (true label, given label); the last row is "nothing there", the last column "not
    marked". ious: (m,) of the m matched shapes, in [0, 1]. offsets: (4 m,) how far each edge lies off, as a share of
    the true side.
    """

    labels: tuple[str, ...]
    table: Floats
    ious: Floats
    offsets: Floats

    @property
    def right(self) -> int:
        """Shapes with the right place and label."""
        return int(np.trace(self.table[:-1, :-1]))

    @property
    def precision(self) -> float:
        """1 where nothing was marked: nothing of it is wrong."""
        marked = self.table[:, :-1].sum()
        return float(self.right / marked) if marked else 1.0

    @property
    def recall(self) -> float:
        """1 where nothing was to be found."""
        there = self.table[:-1].sum()
        return float(self.right / there) if there else 1.0

    @property
    def f1(self) -> float:
        shapes = self.table[:-1].sum() + self.table[:, :-1].sum()
        return float(2.0 * self.right / shapes) if shapes else 1.0

    @property
    def mean_iou(self) -> float | None:
        return float(self.ious.mean()) if len(self.ious) else None


@dataclass(frozen=True, slots=True)
class Rate:
    """A share in [0, 1]. value: right / trials, None without trials. low, high: the 95 % credible interval. good, bad:
    the posterior's successes and failures without the prior, counted as what they are worth."""

    value: float | None
    low: float
    high: float
    good: float
    bad: float

    def at_least(self, bar: float, *, times: float = 1.0) -> float:
        """The probability that the rate is at or above `bar`, if so many times as much had been seen, of the same."""
        return float(scipy.stats.beta.sf(bar, times * self.good + JEFFREYS, times * self.bad + JEFFREYS))


@dataclass(frozen=True, slots=True)
class LabelQuality:
    """precision: of the shapes given this label. recall: of those that truly have it. Right is place and label."""

    precision: Rate
    recall: Rate


@dataclass(frozen=True, slots=True, eq=False)
class Quality:
    """Of one reviewer over `items` golden items: overall, and by label. table: all their tables together, who takes
    what for what. mean_iou: of matched shapes; None without."""

    items: int
    table: Floats
    overall: LabelQuality
    labels: Mapping[str, LabelQuality]
    mean_iou: float | None


def golden_score(answer: Answer, truth: Answer, *, labels: Sequence[str], iou: float = MATCH_IOU) -> GoldenScore:
    """Matched as between reviewers (answers.py): place first, then whether the label is right.

    Raises Invalid where either has a label that is not one of `labels`.
    """
    number = {label: at for at, label in enumerate(labels)}
    if unknown := sorted({*answer.labels, *truth.labels} - number.keys()):
        raise Invalid(f"a golden item has the label {unknown[0]!r}.", hint=f"There are: {', '.join(labels)}.")
    matches = matched(answer, truth, iou=iou)
    table = np.zeros((len(labels) + 1, len(labels) + 1))
    for match in matches:
        table[number[truth.labels[match.other]], number[answer.labels[match.row]]] += 1
    for row in set(range(len(answer))) - {match.row for match in matches}:
        table[-1, number[answer.labels[row]]] += 1
    for row in set(range(len(truth))) - {match.other for match in matches}:
        table[number[truth.labels[row]], -1] += 1
    return GoldenScore(
        labels=tuple(labels),
        table=table,
        ious=np.array([match.iou for match in matches]),
        offsets=_offsets(answer.boxes[[m.row for m in matches]], truth.boxes[[m.other for m in matches]]),
    )


def quality_of(scores: Sequence[GoldenScore]) -> Quality:
    """Posterior of what a reviewer does, from their golden items. Raises Invalid without any, or of several ontologies.

    Shapes of one image are not independent: who is careless there misses several. Counts are divided by the design
    effect (Kish 1965; Korn & Graubard 1998), which begins with a guess and becomes that which the items show, so that
    intervals stay as wide as they must be.
    """
    tables = _tables(scores)
    every = range(len(scores[0].labels))
    ious = np.concatenate([score.ious for score in scores])
    return Quality(
        items=len(scores),
        table=tables.sum(axis=0),
        overall=_of_labels(tables, every),
        labels={label: _of_labels(tables, [at]) for at, label in enumerate(scores[0].labels)},
        mean_iou=float(ious.mean()) if len(ious) else None,
    )


def reliability_of(scores: Sequence[GoldenScore]) -> Reliability:
    """Weights for a consensus: means of posteriors, with an unknown reviewer's for prior, worth PRIOR_SHAPES shapes.

    Here a shape under a wrong label is one that was found: what the label is, is decided apart from whether there is
    anything. Raises Invalid without golden items.
    """
    total, labels = _tables(scores).sum(axis=0), scores[0].labels
    offsets = np.concatenate([score.offsets for score in scores])
    known = PRIOR_SHAPES * 4.0  # edges
    squares = known * UNKNOWN_SPREAD**2 + float(np.square(offsets).sum())
    return Reliability(
        recall={name: _shrunk(total[at, :-1].sum(), total[at, -1]) for at, name in enumerate(labels)},
        precision={name: _shrunk(total[:-1, at].sum(), total[-1, at]) for at, name in enumerate(labels)},
        spread=float(np.sqrt(squares / (known + len(offsets)))),
        confusion={
            (true, given): float(total[i, j]) for i, true in enumerate(labels) for j, given in enumerate(labels)
        },
    )


# --- rates ---------------------------------------------------------------------------------------------


def _tables(scores: Sequence[GoldenScore]) -> Floats:
    """(items, K + 1, K + 1)."""
    if not scores or len({score.labels for score in scores}) > 1:
        raise Invalid(
            "golden items of one ontology are needed, at least one.", hint="Score them again by the present labels."
        )
    return np.stack([score.table for score in scores])


def _of_labels(tables: Floats, rows: Sequence[int]) -> LabelQuality:
    right = tables[:, rows, rows].sum(axis=1)
    return LabelQuality(
        precision=_clustered(right, tables[:, :, rows].sum(axis=(1, 2))),
        recall=_clustered(right, tables[:, rows, :].sum(axis=(1, 2))),
    )


def _clustered(good: Floats, of: Floats) -> Rate:
    """The rate of sums over items, as sure as items that fare alike allow."""
    effect = _design_effect(good, of)
    return rate_of(float(good.sum()), float((of - good).sum()), effect)


def _design_effect(good: Floats, of: Floats) -> float:
    """How many times larger the variance of a rate is than if all shapes were independent; at least 1.

    That of ALIKE and that which the items show, weighted by how many tell it: those in which something is wrong, or
    right, whichever are fewer. With so many degrees of freedom it is itself estimated.
    """
    total = float(of.sum())
    if total == 0.0:
        return 1.0
    most = float(np.square(of).sum()) / total  # where all shapes of an item fare the same
    telling = min(int((good > 0).sum()), int((good < of).sum())) if (of > 0).sum() > 1 else 0
    shown = min(_shown_effect(good, of), most) if telling else 0.0
    effect = (ALIKE_ITEMS * (1.0 + (most - 1.0) * ALIKE) + telling * shown) / (ALIKE_ITEMS + telling)
    tail = 0.5 + _INTERVAL / 2.0
    few = scipy.special.stdtrit(telling + ALIKE_ITEMS - 1.0, tail) / scipy.special.ndtri(tail)
    return max(1.0, float(1.0 + few**2 * (effect - 1.0)))


def _shown_effect(good: Floats, of: Floats) -> float:
    """The variance of a rate between items over that of independent shapes; of several items, not all of one kind."""
    items, total = int((of > 0).sum()), float(of.sum())
    rate = float(good.sum()) / total
    between = items / (items - 1) * float(np.square(good - rate * of).sum()) / total**2
    return between / (rate * (1.0 - rate) / total)


def rate_of(right: float, wrong: float, effect: float = 1.0) -> Rate:
    """effect: the design effect; 1 for independent trials. Where nothing went wrong the interval reaches 1, where
    nothing went right 0 (modified Jeffreys, Brown et al.)."""
    good, bad = right / effect, wrong / effect
    tail = (1.0 - _INTERVAL) / 2.0
    low, high = scipy.stats.beta.ppf((tail, 1.0 - tail), good + JEFFREYS, bad + JEFFREYS)
    return Rate(
        value=right / (right + wrong) if right + wrong > 0.0 else None,
        low=float(low) if good > 0.0 else 0.0,
        high=float(high) if bad > 0.0 else 1.0,
        good=good,
        bad=bad,
    )


def _shrunk(good: float, bad: float) -> float:
    return float((PRIOR_SHAPES * UNKNOWN_RATE + good) / (PRIOR_SHAPES + good + bad))


def _offsets(boxes: Floats, truth: Floats) -> Floats:
    sides = np.tile(truth[:, 2:] - truth[:, :2], (1, 2))
    return np.asarray(((boxes - truth) / sides).ravel())
