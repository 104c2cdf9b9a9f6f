"""What a model version finds on the images of a snapshot, and how good that is."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, compress

import numpy as np

from loop.domain.cycle import Cycle
from loop.domain.errors import BadDataset
from loop.domain.model import ModelVersion
from loop.domain.prediction import Detection, Inference
from loop.domain.recipes.recipe import Recipe
from training.coco_findings import Answers, CocoFindings, findings
from training.evaluate import Evaluation, Found, Truth, evaluate
from training.slices import Slices
from training.snapshot import Entries, Entry, Snapshot
from training.tide import error_costs

SHOWN = 0.25  # score from which a detection is kept for people to look at


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The images of a cycle that no model was trained on. judged: those that models are compared on. beside: those that
    only slices look at. slices: of both, in this order. without: items that were dropped since."""

    judged: Entries
    beside: Entries
    slices: Slices
    without: Sequence[str]

    @property
    def digests(self) -> list[str]:
        return [*self.judged.digests, *self.beside.digests]


@dataclass(frozen=True, slots=True)
class Judgement:
    """evaluation: its statistics on the judged images; beside: on those that only slices look at. coco: its figures.
    told: JSON, what each kind of error costs, and the detections of each judged image."""

    evaluation: Evaluation
    beside: Evaluation
    coco: CocoFindings
    told: bytes


def held_out(snapshot: Snapshot, slices: Slices, dropped: Collection[str]) -> HeldOut:
    """dropped: items whose images went after the snapshot was made and before the models were. Raises BadDataset where
    none is left to judge by."""
    digests = [*snapshot.evaluation_entries.digests, *slices.beside]
    gone = np.array([digest in dropped for digest in digests], dtype=bool)
    without = sorted(compress(digests, gone))
    left = slices.without(gone)
    beside = snapshot.entries.only(left.beside)
    return HeldOut(judged_by(snapshot, without), beside, left, without)


def judged_by(snapshot: Snapshot, without: Sequence[str]) -> Entries:
    """The images that a cycle's models are compared on. without: items that were dropped after the snapshot was made
    and before the models were. Raises BadDataset where none is left."""
    entries = snapshot.evaluation_entries.without(without)
    if not entries:
        raise BadDataset("all images to evaluate on were dropped since.", hint="Start another cycle.")
    return entries


def left_out_of(cycle: Cycle) -> list[str]:
    """`without`, as the step that evaluates has kept it: later steps must mean the same images."""
    without = cycle.evaluation.get("without", [])
    return list(without) if isinstance(without, list) else []


def judged(
    model: ModelVersion,
    inferences: Sequence[Inference],
    held: HeldOut,
    labels: tuple[str, ...],
    recipe: Recipe,
) -> Judgement:
    """inferences: of the judged images, then of those beside."""
    found = [_found_by(model, one, labels, recipe) for one in inferences]
    truth = [_truth_of(entry, labels) for entry in chain(held.judged, held.beside)]
    n, classes = len(held.judged), len(labels)
    costs = error_costs(found[:n], truth[:n], n_classes=classes)
    told = {
        "errors": {str(kind): asdict(cost) for kind, cost in costs.items()},
        "detections": [_shown(one, labels) for one in found[:n]],
    }
    evaluation = evaluate(found[:n], truth[:n], n_classes=classes)
    beside = evaluate(found[n:], truth[n:], n_classes=classes)
    coco = findings(Answers(found, truth, evaluation.followed_by(beside)), held.slices, labels)
    return Judgement(evaluation, beside, coco, json.dumps(told).encode())


def detections_told(told: bytes) -> list[list[Detection]]:
    """Of each image, as `judged` kept them."""
    return [
        [Detection(label, score, (x1, y1, x2, y2)) for label, score, x1, y1, x2, y2 in image]
        for image in json.loads(told)["detections"]
    ]


def _shown(found: Found, labels: tuple[str, ...]) -> list[list[object]]:
    return [
        [labels[int(label)], round(float(score), 4), *(round(float(value), 2) for value in box)]
        for box, score, label in zip(found.boxes, found.scores, found.classes, strict=True)
        if score >= SHOWN
    ]


def _found_by(model: ModelVersion, inference: Inference, labels: tuple[str, ...], recipe: Recipe) -> Found:
    """Class indices of the model become indices into `labels`. What it predicts of a label that is not among them,
    since the recipe has removed it, is left out."""
    named = [label if label in labels else recipe.detected_as(label) for label in model.head.labels]
    index = np.array([labels.index(name) if name in labels else -1 for name in named], dtype=np.int64)
    classes = index[inference.classes]
    kept = classes >= 0
    return Found(inference.boxes[kept], inference.scores[kept], classes[kept])


def _truth_of(entry: Entry, labels: tuple[str, ...]) -> Truth:
    index = {label: i for i, label in enumerate(labels)}
    return Truth(
        boxes=np.array([shape.box for shape in entry.shapes], dtype=np.float64).reshape(-1, 4),
        classes=np.array([index[shape.label] for shape in entry.shapes], dtype=np.int64),
    )
