"""COCO's figures of one model in a cycle: of all judged images, by label, and of each slice; and there also how far its
scores mean what they say, and which errors cost the most."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import BadDataset
from loop.domain.policy.slice_rules import SliceKind
from training.calibration import calibration_of
from training.coco_metrics import CocoFigures, CocoScores
from training.evaluate import Evaluation, Found, Truth, or_none
from training.slices import Slice, Slices
from training.tide import error_costs

FORMAT = "askance-coco/1"
MOST_OF_A_KIND = 50  # slices; of more, those with the most images


@dataclass(frozen=True, slots=True)
class SliceFigures:
    """note: why there are no images, in words. failure_rate: share of its images that a person would have to correct;
    None without images. calibration_error: D-ECE; None without detections. errors: by kind, how much higher AP50 would
    be without them (TIDE); of slices that somebody waits for, and past failures."""

    kind: SliceKind
    name: str
    images: int
    failure_rate: float | None
    note: str
    figures: CocoFigures
    calibration_error: float | None
    errors: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CocoFindings:
    """images: that are judged by. classes: by label. left_out: slices beyond MOST_OF_A_KIND, by kind.
    calibration_error: D-ECE on the judged images; None without detections."""

    images: int
    whole: CocoFigures
    calibration_error: float | None
    classes: Mapping[str, CocoFigures]
    slices: Sequence[SliceFigures]
    left_out: Mapping[str, int]

    def to_bytes(self) -> bytes:
        return json.dumps({"format": FORMAT, **asdict(self)}).encode()

    @classmethod
    def read(cls, content: bytes) -> "CocoFindings":
        """What `to_bytes` wrote. Raises BadDataset for anything else."""
        try:
            body = json.loads(content)
            if body.pop("format") != FORMAT:
                raise ValueError("another format")
            body["whole"] = CocoFigures(**body["whole"])
            body["classes"] = {label: CocoFigures(**one) for label, one in body["classes"].items()}
            body["slices"] = [
                SliceFigures(**one | {"kind": SliceKind(one["kind"]), "figures": CocoFigures(**one["figures"])})
                for one in body["slices"]
            ]
            return cls(**body)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadDataset(f"these bytes are not COCO's figures ({error}).", hint="Start another cycle.") from error


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model found on the judged images, then on those beside. evaluation: of all of these."""

    found: Sequence[Found]
    truth: Sequence[Truth]
    evaluation: Evaluation


def findings(answers: Answers, slices: Slices, labels: Sequence[str]) -> CocoFindings:
    scores = CocoScores(answers.found, answers.truth, n_classes=len(labels))
    every = np.arange(slices.judged)
    judged = scores.of(every)
    told, left_out = [], {}
    for kind in SliceKind:
        of_kind = [one for one in slices.slices if one.kind is kind]
        largest = sorted(range(len(of_kind)), key=lambda place: -len(of_kind[place].images))[:MOST_OF_A_KIND]
        if len(of_kind) > len(largest):
            left_out[str(kind)] = len(of_kind) - len(largest)
        told += [_of_slice(of_kind[place], answers, scores, len(labels)) for place in sorted(largest)]
    return CocoFindings(
        images=slices.judged,
        whole=judged.whole,
        calibration_error=_calibration_error(answers.evaluation, every),
        classes=dict(zip(labels, judged.classes, strict=True)),
        slices=told,
        left_out=left_out,
    )


def _of_slice(one: Slice, answers: Answers, scores: CocoScores, n_classes: int) -> SliceFigures:
    images = np.array(one.images, dtype=np.int64)
    # Costs six evaluations of its images: not for sources, of which there may be hundreds.
    asked = one.kind.named or one.kind is SliceKind.FAILURES
    return SliceFigures(
        kind=one.kind,
        name=one.name,
        images=len(images),
        failure_rate=or_none(float(answers.evaluation.failed[images].mean())) if len(images) else None,
        note=one.note,
        figures=scores.of(images).whole,
        calibration_error=_calibration_error(answers.evaluation, images),
        errors=_errors(answers, one.images, n_classes) if asked and len(images) else {},
    )


def _calibration_error(evaluation: Evaluation, images: NDArray[np.int64]) -> float | None:
    return or_none(calibration_of(evaluation.take(images)).error)


def _errors(answers: Answers, images: Sequence[int], n_classes: int) -> dict[str, float]:
    found, truth = [answers.found[place] for place in images], [answers.truth[place] for place in images]
    return {str(kind): cost.gain for kind, cost in error_costs(found, truth, n_classes=n_classes).items()}
