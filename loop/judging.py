"""What a model version finds on the images of a snapshot, and how good that is."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from loop.domain.cycle import Cycle
from loop.domain.errors import BadDataset
from loop.domain.model import ModelVersion
from loop.domain.prediction import Detection, Inference
from loop.domain.recipe import Recipe
from training.evaluate import Evaluation, Found, Truth, evaluate
from training.snapshot import Entries, Entry, Snapshot
from training.tide import error_costs

SHOWN = 0.25  # score from which a detection is kept for people to look at


@dataclass(frozen=True, slots=True)
class Judgement:
    """evaluation: its statistics. told: JSON, what each kind of error costs, and the detections of each image."""

    evaluation: Evaluation
    told: bytes


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
    entries: Sequence[Entry],
    labels: tuple[str, ...],
    recipe: Recipe,
) -> Judgement:
    found = [_found_by(model, one, labels, recipe) for one in inferences]
    truth = [_truth_of(entry, labels) for entry in entries]
    costs = error_costs(found, truth, n_classes=len(labels))
    told = {
        "errors": {str(kind): asdict(cost) for kind, cost in costs.items()},
        "detections": [_shown(one, labels) for one in found],
    }
    return Judgement(evaluate(found, truth, n_classes=len(labels)), json.dumps(told).encode())


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
