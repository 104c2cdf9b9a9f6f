"""COCO's figures of one model in a cycle: of all judged images, by label, and of each slice."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import BadDataset
from loop.domain.slice_rules import SliceKind
from training.coco_metrics import CocoFigures, CocoScores
from training.evaluate import or_none
from training.slices import Slices

FORMAT = "askance-coco/1"
MOST_OF_A_KIND = 50  # slices; of more, those with the most images


@dataclass(frozen=True, slots=True)
class SliceFigures:
    """note: why there are no images, in words. failure_rate: share of its images that a person would have to correct;
    None without images."""

    kind: SliceKind
    name: str
    images: int
    failure_rate: float | None
    note: str
    figures: CocoFigures


@dataclass(frozen=True, slots=True)
class CocoFindings:
    """images: that are judged by. classes: by label. left_out: slices beyond MOST_OF_A_KIND, by kind."""

    images: int
    whole: CocoFigures
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


def findings(scores: CocoScores, slices: Slices, failed: NDArray[np.bool_], labels: Sequence[str]) -> CocoFindings:
    """scores: of the judged images, then of those beside. failed: of each, whether a person would have to correct
    it."""
    judged = scores.of(np.arange(slices.judged))
    told, left_out = [], {}
    for kind in SliceKind:
        of_kind = [one for one in slices.slices if one.kind is kind]
        largest = sorted(range(len(of_kind)), key=lambda place: -len(of_kind[place].images))[:MOST_OF_A_KIND]
        if len(of_kind) > len(largest):
            left_out[str(kind)] = len(of_kind) - len(largest)
        for one in (of_kind[place] for place in sorted(largest)):
            images = np.array(one.images, dtype=np.int64)
            rate = or_none(float(failed[images].mean())) if len(images) else None
            told.append(SliceFigures(kind, one.name, len(images), rate, one.note, scores.of(images).whole))
    classes = dict(zip(labels, judged.classes, strict=True))
    return CocoFindings(slices.judged, judged.whole, classes, told, left_out)
