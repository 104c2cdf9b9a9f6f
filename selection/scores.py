"""Signals: named numbers computed from one inference, each with its range and direction.

Class scores are sigmoid outputs p_c in [0, 1] and need not sum to 1 (METHODS §1). None depends on the order of
the detections. An image without a detection is not certain: the largest and the mean of its detections are those of a
coin toss, and the near-threshold mass speaks for it; a choice counts it as the pool's mean
(`selection.strategies.nothing_detected`). Sums of nothing are 0.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from loop.domain.prediction import Inference, margins

# How the detections of an image become one number.
Aggregate = Literal["max", "mean", "sum"]

_LEAST = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """count: detections kept (score >= threshold), >= 0; it has no direction.
    least_confidence, sum_least_confidence: 1 - score of a kept detection, the largest, in [0, 1], and the sum of all,
        in [0, count]: how many of them are wrong, as the scores have it. Larger is riskier. 0.5, 0 where nothing is
        kept.
    mean_entropy, max_entropy: Bernoulli entropy of a kept detection's best score in bits, in [0, 1];
        larger is riskier. 1 where nothing is kept.
    max_class_entropy, sum_class_entropy: sum over classes of -p log p - (1-p) log(1-p) in bits, of the kept detection
        where it is largest, in [0, C], and over all, in [0, C count]; larger is riskier. 1, 0 where nothing is kept.
    least_margin, sum_margin: 1 - (p1 - p2) of the most ambiguous kept detection, in [0, 1], and the sum of all, in
        [0, count]; larger is riskier. 0.5, 0 where nothing is kept.
    near_threshold_mass: sum of best scores in [floor, threshold), >= 0; larger is riskier: the best cheap sign of
        missed objects.
    anomaly_p: conformal p-value of the embedding's distance to the training set, in (0, 1]; smaller is riskier.
    smallest_box, largest_box: square root of the box area over that of the image, in [0, 1]; 0 where nothing is kept.
        They have no direction.
    largest_rarity, sum_rarity: over kept detections of the rarity of their label (`rarity_weights`), in [0, 1] and
        >= 0; larger: of labels that the model had less to learn from. 0 where nothing is kept or labelled.
    consistency: `selection.consistency`, in [0, 1.3]; smaller is riskier. None where no second pass was made.

    sum_least_confidence, max_class_entropy, sum_margin: None in what was predicted before they were measured. Of what
    `aggregated` and `mean_class_entropy` make of what is kept only that is measured here from which risk learns
    (docs/selection.md): a signal costs every prediction.
    """

    count: float
    least_confidence: float
    mean_entropy: float
    max_entropy: float
    sum_class_entropy: float
    least_margin: float
    near_threshold_mass: float
    anomaly_p: float
    smallest_box: float
    largest_box: float
    largest_rarity: float = 0.0
    sum_rarity: float = 0.0
    sum_least_confidence: float | None = None
    max_class_entropy: float | None = None
    sum_margin: float | None = None
    consistency: float | None = None

    def as_dict(self) -> dict[str, float]:
        """Those that were measured."""
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}


def bernoulli_entropy(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """-p log2 p - (1-p) log2(1-p), elementwise, in [0, 1] bits; 0 at p = 0 and p = 1."""
    p = np.clip(np.asarray(p, dtype=np.float64), 0.0, 1.0)
    q = 1.0 - p
    entropy = p * np.log2(np.maximum(p, _LEAST)) + q * np.log2(np.maximum(q, _LEAST))
    return np.asarray(np.clip(-entropy, 0.0, 1.0))


def aggregated(
    aggregate: Aggregate, values: NDArray[np.float64], rows: NDArray[np.integer], n: int
) -> NDArray[np.float64]:
    """(n,) from the (m,) `values` >= 0 of detections, of the images `rows` in [0, n): the largest, the mean or the sum
    of each image's; 0 where there is none. In the unit of `values`.

    None of the three falls when a value grows, and max <= sum; mean <= max but for rounding.
    """
    if aggregate == "max":
        largest = np.zeros(n)
        np.maximum.at(largest, rows, values)
        return largest
    sums = np.bincount(rows, weights=values, minlength=n).astype(np.float64)
    return sums if aggregate == "sum" else sums / np.maximum(np.bincount(rows, minlength=n), 1)


def mean_class_entropy(sum_class_entropy: NDArray[np.float64], count: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n,) in [0, C] bits, larger is riskier: the entropy summed over classes of each image's detections, their mean.
    As `sum_class_entropy` where there is none.

    It falls when a detection is added that is surer than the others.
    """
    return np.asarray(sum_class_entropy / np.maximum(count, 1.0))


def rarity_weights(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """(C,) in [0, 1] from the (C,) numbers of labelled objects of each class: 1 - log(1 + n) / log(1 + the largest n).

    0 for the most frequent class, 1 for one without any object, zeros where nothing is labelled: nothing is known then.
    Logarithms, as in the repeat factors of long-tailed detection (Gupta, Dollár & Girshick, "LVIS", CVPR 2019, take
    roots): the tenth object of a class teaches more than the thousandth.
    """
    logs = np.log1p(np.asarray(counts, dtype=np.float64))
    most = logs.max(initial=0.0)
    return np.asarray(1.0 - logs / most) if most > 0.0 else np.zeros(len(logs))


def signals(
    inference: Inference,
    *,
    threshold: float,
    width: int,
    height: int,
    anomaly_p: float,
    rarity: NDArray[np.float64] | None = None,
) -> Signals:
    """All signals of one inference on an image of `width` x `height` pixels.

    threshold: score in [0, 1] from which a detection is answered. anomaly_p: see `selection.anomaly`. rarity: (C,) as
    of `rarity_weights`; None where it is not known.
    """
    kept = inference.scores >= threshold
    scores = inference.scores[kept].astype(np.float64)
    near = float(inference.scores[~kept].astype(np.float64).sum())
    if not scores.size:
        return Signals(
            count=0.0, least_confidence=0.5, mean_entropy=1.0, max_entropy=1.0, sum_class_entropy=0.0,
            least_margin=0.5, near_threshold_mass=near, anomaly_p=anomaly_p, smallest_box=0.0, largest_box=0.0,
            sum_least_confidence=0.0, max_class_entropy=1.0, sum_margin=0.0, consistency=inference.consistency,
        )  # fmt: skip
    class_scores = inference.class_scores[kept]
    entropy = bernoulli_entropy(np.concatenate((scores[:, None], class_scores), axis=1))
    # Of so few numbers Python finds the sum and the largest sooner than numpy.
    of_best, of_classes = entropy[:, 0].tolist(), entropy[:, 1:].sum(axis=1).tolist()
    doubts, ambiguities = (1.0 - scores).tolist(), (1.0 - margins(class_scores)).tolist()
    sides = _relative_sides(inference.boxes[kept], width, height).tolist()
    rare = [0.0] if rarity is None else rarity[inference.classes[kept]].tolist()
    return Signals(
        count=float(len(doubts)),
        least_confidence=max(doubts),
        mean_entropy=sum(of_best) / len(of_best),
        max_entropy=max(of_best),
        sum_class_entropy=sum(of_classes),
        least_margin=max(ambiguities),
        near_threshold_mass=near,
        anomaly_p=anomaly_p,
        smallest_box=min(sides),
        largest_box=max(sides),
        largest_rarity=max(rare),
        sum_rarity=sum(rare),
        sum_least_confidence=sum(doubts),
        max_class_entropy=max(of_classes),
        sum_margin=sum(ambiguities),
        consistency=inference.consistency,
    )


def _relative_sides(boxes: NDArray[np.floating], width: int, height: int) -> NDArray[np.float64]:
    sides = np.clip(boxes[:, 2:].astype(np.float64) - boxes[:, :2], 0.0, None)
    return np.asarray(np.sqrt(np.clip(sides[:, 0] * sides[:, 1] / (width * height), 0.0, 1.0)))
