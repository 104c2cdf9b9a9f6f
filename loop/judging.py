"""What a model version finds on the images of a snapshot, and how good that is."""

from collections.abc import Sequence

import numpy as np

from loop.domain.model import ModelVersion
from loop.domain.prediction import Inference
from loop.domain.recipe import Recipe
from training.evaluate import Evaluation, Found, Truth, evaluate
from training.snapshot import Entry


def judged(
    model: ModelVersion,
    inferences: Sequence[Inference],
    entries: Sequence[Entry],
    labels: tuple[str, ...],
    recipe: Recipe,
) -> Evaluation:
    found = [_found_by(model, one, labels, recipe) for one in inferences]
    return evaluate(found, [_truth_of(entry, labels) for entry in entries], n_classes=len(labels))


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
