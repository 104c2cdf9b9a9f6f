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
    largest between partners. cosine: the smallest between the embeddings of one image; where objects have embeddings,
    the share `matched` of partners must reach it, too. calibration_images: real ones that int8 needs.
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
    in [0, 1]. score_difference: the largest; cosine: the smallest. objects_cosine: that which the share `matched` of
    partners reaches, 1.0 where none has an embedding."""

    passed: bool
    reasons: tuple[str, ...]
    images: int
    compared: int
    unsure: bool
    matched: float
    score_difference: float
    cosine: float
    objects_cosine: float

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
    missed, total = 0, 0
    differences, of_objects = [0.0], [1.0]
    for one, other in zip(reference, candidate, strict=True):
        for these, those in ((one, other), (other, one)):
            chosen, partners = _partners(these, those, threshold, limits.iou)
            found = partners >= 0
            total += len(chosen)
            missed += int(np.count_nonzero(~found))
            pairs = chosen[found], partners[found]
            differences += np.abs(these.scores[pairs[0]] - those.scores[pairs[1]]).tolist()
            of_objects += _object_cosines(these, those, *pairs).tolist()
    cosines = [float(a.embedding @ b.embedding) for a, b in zip(reference, candidate, strict=True)]
    return _verdict(
        limits,
        images=len(reference),
        compared=total,
        unsure=unsure,
        matched=1.0 - missed / total if total else 1.0,
        score_difference=max(differences),
        cosine=min(cosines, default=1.0),
        objects_cosine=float(np.quantile(of_objects, 1.0 - limits.matched)),
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


def _partners(
    these: Inference, those: Inference, threshold: float, iou: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of `these` at or above the threshold, and the row of each one's partner among `those`, -1 for none."""
    chosen = np.flatnonzero(these.scores >= threshold)
    if not len(chosen) or not len(those.scores):
        return chosen, np.full(len(chosen), -1, dtype=np.intp)
    overlap = iou_matrix(these.boxes[chosen], those.boxes)
    overlap[these.classes[chosen][:, None] != those.classes[None, :]] = 0.0
    # After NMS no two of one class can both overlap a third this much, so that the best is the only one.
    partner = overlap.argmax(axis=1)
    return chosen, np.where(overlap[np.arange(len(partner)), partner] >= iou, partner, -1)


def _object_cosines(
    these: Inference, those: Inference, rows: NDArray[np.intp], partners: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Of the pairs of which both have an embedding. Those that are zeros are alike among each other only."""
    if these.objects is None or those.objects is None:
        return np.empty(0)
    both = (rows < len(these.objects)) & (partners < len(those.objects))
    one, other = (vectors.astype(np.float64) for vectors in (these.objects[rows[both]], those.objects[partners[both]]))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines = np.divide((one * other).sum(axis=1), lengths, out=np.zeros(len(one)), where=lengths != 0.0)
    return np.asarray(np.where((one == other).all(axis=1), 1.0, cosines))


def _verdict(
    limits: ParityLimits,
    *,
    images: int,
    compared: int,
    unsure: bool,
    matched: float,
    score_difference: float,
    cosine: float,
    objects_cosine: float,
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
    if not objects_cosine >= limits.cosine:
        reasons.append(f"embeddings of objects have a cosine of {objects_cosine:.5f}, {limits.cosine:g} is needed")
    return ParityVerdict(
        passed=not reasons,
        reasons=tuple(reasons),
        images=images,
        compared=compared,
        unsure=unsure,
        matched=matched,
        score_difference=score_difference,
        cosine=cosine,
        objects_cosine=objects_cosine,
    )
