"""Signals: named numbers computed from one inference, each with its range and direction.

Class scores are sigmoid outputs p_c in [0, 1] and need not sum to 1 (METHODS §1). None depends on the order of
the detections. An image without a detection is not certain: its per-detection signals take the value of
a coin toss, and the near-threshold mass speaks for it.
"""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.prediction import Inference, margins


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """count: detections kept (score >= threshold), >= 0.
    least_confidence: 1 - lowest kept score, in [0, 1]; larger is riskier. 0.5 where nothing is kept.
    mean_entropy, max_entropy: Bernoulli entropy of a kept detection's best score in bits, in [0, 1];
        larger is riskier. 1 where nothing is kept.
    sum_class_entropy: sum over kept detections and classes of -p log p - (1-p) log(1-p) in bits, >= 0.
    least_margin: 1 - (p1 - p2) of the most ambiguous kept detection, in [0, 1]; larger is riskier.
    near_threshold_mass: sum of best scores in [floor, threshold), >= 0; the best cheap sign of missed objects.
    anomaly_p: conformal p-value of the embedding's distance to the training set, in (0, 1]; smaller is riskier.
    smallest_box, largest_box: square root of the box area over that of the image, in [0, 1]; 0 where nothing is kept.
    largest_rarity, sum_rarity: over kept detections of the rarity of their label (`rarity_weights`), in [0, 1] and
        >= 0; larger: of labels that the model had less to learn from. 0 where nothing is kept or labelled.
    consistency: `selection.consistency`, in [0, 1.3]; smaller is riskier. None where no second pass was made.
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
    consistency: float | None = None

    def as_dict(self) -> dict[str, float]:
        """Those that were measured."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def bernoulli_entropy(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """-p log2 p - (1-p) log2(1-p), elementwise, in [0, 1] bits; 0 at p = 0 and p = 1."""
    p = np.clip(np.asarray(p, dtype=np.float64), 0.0, 1.0)
    q = 1.0 - p
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -(np.where(p > 0, p * np.log2(p), 0.0) + np.where(q > 0, q * np.log2(q), 0.0))
    return np.asarray(np.clip(entropy, 0.0, 1.0))


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
            consistency=inference.consistency,
        )  # fmt: skip
    entropy = bernoulli_entropy(scores)
    sides = _relative_sides(inference.boxes[kept], width, height)
    rare = np.zeros(1) if rarity is None else rarity[inference.classes[kept]]
    return Signals(
        count=float(scores.size),
        least_confidence=float(1.0 - scores.min()),
        mean_entropy=float(entropy.mean()),
        max_entropy=float(entropy.max()),
        sum_class_entropy=float(bernoulli_entropy(inference.class_scores[kept]).sum()),
        least_margin=float(1.0 - margins(inference.class_scores[kept]).min()),
        near_threshold_mass=near,
        anomaly_p=anomaly_p,
        smallest_box=float(sides.min()),
        largest_box=float(sides.max()),
        largest_rarity=float(rare.max()),
        sum_rarity=float(rare.sum()),
        consistency=inference.consistency,
    )


def _relative_sides(boxes: NDArray[np.floating], width: int, height: int) -> NDArray[np.float64]:
    sides = np.clip(boxes[:, 2:].astype(np.float64) - boxes[:, :2], 0.0, None)
    return np.asarray(np.sqrt(np.clip(sides[:, 0] * sides[:, 1] / (width * height), 0.0, 1.0)))
