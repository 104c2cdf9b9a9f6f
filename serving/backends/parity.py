"""Whether a runtime answers as the reference does: torch in float32. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.geometry import iou_matrix
from loop.domain.prediction import Inference

_SURE_PER_IMAGE = 0.5  # with fewer than this above the score, the model is too unsure to be judged by it
_BEST_PER_IMAGE = 3  # of such a model, compared in place of what lies above the score


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityLimits:
    """What counts as the same answer.

    images: compared, at least. score: detections above it are compared. matched: the share of those, in each
    direction, that must have a partner of the same class with an overlap of at least `iou`. score_difference: the
    largest between partners. cosine: the smallest between the embeddings of one image. calibration_images: real ones
    that int8 needs.
    """

    images: int = 20
    score: float = 0.25
    matched: float = 0.99
    iou: float = 0.95
    score_difference: float = 0.02
    cosine: float = 0.999
    calibration_images: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityVerdict:
    """reasons: why not, one sentence each; empty where it passed. unsure: the model has hardly any detection above
    the score, so that the highest-scoring candidates were compared. matched: of the compared detections of both,
    in [0, 1]. score_difference: the largest; cosine: the smallest."""

    passed: bool
    reasons: tuple[str, ...]
    images: int
    compared: int
    unsure: bool
    matched: float
    score_difference: float
    cosine: float

    def __str__(self) -> str:
        what = "highest-scoring candidates (the model is sure of nothing)" if self.unsure else "detections"
        return (
            f"{self.matched:.1%} of {self.compared} {what} on {self.images} images matched, score difference at most "
            f"{self.score_difference:.4f}, cosine at least {self.cosine:.5f}"
        )


def floor_for_sure(limits: ParityLimits) -> float:
    """The score floor to predict with: as far below the scores compared that a detection which fell a little is
    still found."""
    return max(0.0, limits.score - 5 * limits.score_difference)


def is_unsure(reference: Sequence[Inference], limits: ParityLimits) -> bool:
    """Whether so few detections lie above the score that they say nothing. The comparison then needs answers with a
    score floor of 0."""
    return sum(int((one.scores > limits.score).sum()) for one in reference) < _SURE_PER_IMAGE * len(reference)


def compared(reference: Sequence[Inference], candidate: Sequence[Inference], limits: ParityLimits) -> ParityVerdict:
    """The verdict on `candidate`, given the same images in the same order, both with the same low score floor: that
    of `floor_for_sure`, or 0 where the model `is_unsure`."""
    if len(reference) != len(candidate):
        raise ValueError(f"{len(reference)} answers cannot be compared with {len(candidate)}")
    threshold, unsure = _threshold(reference, limits)
    missed, differences, total = 0, [0.0], 0
    for one, other in zip(reference, candidate, strict=True):
        for these, those in ((one, other), (other, one)):
            partners = _score_differences(these, those, threshold, limits.iou)
            total += len(partners)
            missed += int(np.isnan(partners).sum())
            differences += partners[~np.isnan(partners)].tolist()
    cosines = [float(a.embedding @ b.embedding) for a, b in zip(reference, candidate, strict=True)]
    return _verdict(
        limits,
        images=len(reference),
        compared=total,
        unsure=unsure,
        matched=1.0 - missed / total if total else 1.0,
        score_difference=max(differences),
        cosine=min(cosines, default=1.0),
    )


def _threshold(reference: Sequence[Inference], limits: ParityLimits) -> tuple[float, bool]:
    """The score from which on detections are compared, and whether the model is too unsure for that of the limits."""
    if not is_unsure(reference, limits):
        return limits.score, False
    scores = np.sort(np.concatenate([inference.scores for inference in reference] or [np.empty(0, dtype=np.float32)]))[
        ::-1
    ]
    best = min(_BEST_PER_IMAGE * len(reference), len(scores))
    return (float(scores[best - 1]) if best else 0.0), True


def _score_differences(these: Inference, those: Inference, threshold: float, iou: float) -> NDArray[np.float64]:
    """For each of `these` at or above the threshold how far its partner's score lies, NaN for one without."""
    chosen = these.scores >= threshold
    differences = np.full(int(chosen.sum()), np.nan)
    if not len(differences) or not len(those.scores):
        return differences
    overlap = iou_matrix(these.boxes[chosen], those.boxes)
    overlap[these.classes[chosen][:, None] != those.classes[None, :]] = 0.0
    # After NMS no two of one class can both overlap a third this much, so that the best is the only one.
    partner = overlap.argmax(axis=1)
    found = overlap[np.arange(len(partner)), partner] >= iou
    differences[found] = np.abs(these.scores[chosen][found] - those.scores[partner[found]])
    return differences


def _verdict(
    limits: ParityLimits,
    *,
    images: int,
    compared: int,
    unsure: bool,
    matched: float,
    score_difference: float,
    cosine: float,
) -> ParityVerdict:
    reasons = []
    if images < limits.images:
        reasons.append(f"{images} images are too few to compare, {limits.images} are needed")
    if not compared:
        reasons.append("nothing was detected that could be compared")
    # `not >=` rather than `<`: NaN fails.
    if not matched >= limits.matched:
        reasons.append(f"only {matched:.1%} of {compared} detections have a partner, {limits.matched:.1%} are needed")
    if not score_difference <= limits.score_difference:
        reasons.append(f"scores differ by up to {score_difference:.4f}, {limits.score_difference:g} is allowed")
    if not cosine >= limits.cosine:
        reasons.append(f"embeddings have a cosine of down to {cosine:.5f}, {limits.cosine:g} is needed")
    return ParityVerdict(
        passed=not reasons,
        reasons=tuple(reasons),
        images=images,
        compared=compared,
        unsure=unsure,
        matched=matched,
        score_difference=score_difference,
        cosine=cosine,
    )
