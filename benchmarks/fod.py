"""FOD-A: objects on airport pavement, frames of 63 video sequences in several weathers and lights.

Neighbouring frames are near-duplicates, so that everything here is split by sequence.
"""

import csv
from dataclasses import dataclass

from loop.domain.truth import Shape
from loop.exchange.voc import read_voc
from tests.requirements import DATA
from training.training_image import TrainingImage

FOLDER = DATA / "fod_a"
BODY = DATA / "weights" / "yolov5n_coco" / "yolov5n_v61_coco_state.pt"


@dataclass(frozen=True, slots=True)
class Frame:
    """An image of a sequence. held_out: by the data set's own split of whole sequences; later: the last quarter of its
    sequence, behind a gap, by its split in time."""

    image: TrainingImage
    sequence: str
    weather: str  # Dry | Wet
    light: str  # Bright | Dim | Dark
    held_out: bool
    later: bool

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(shape.label for shape in self.image.shapes)


def frames() -> list[Frame]:
    """In the order of the manifest. Raises BadDataset where the data set is missing."""
    known = {image.path.name: image for image in read_voc(FOLDER).images}
    found = []
    with (FOLDER / "manifest.csv").open(newline="", encoding="utf-8") as lines:
        for line in csv.DictReader(lines):
            image = known[line["file"]]
            shapes = tuple(Shape(box.label, box.box) for box in image.boxes if solid(box.box))
            made = TrainingImage(image.path, shapes, image.width or 300, image.height or 300)
            held_out, later = line["split_sequence"] == "test", line["split_temporal"] == "test"
            found.append(Frame(made, line["sequence"], line["weather"], line["light"], held_out, later))
    return found


def coco_start(labels: tuple[str, ...], image_size: int) -> bytes:
    """A model file of YOLOv5n for `labels` whose body was pretrained on COCO; its head is fresh."""
    import torch

    from training.weights import adopt, read_weights, write_weights

    head, state = read_weights(adopt("yolov5n.yaml", labels=labels, image_size=image_size))
    pretrained = torch.load(BODY, weights_only=True)["state_dict"]
    fitting = {name: pretrained[name].float() for name, own in state.items() if _fits(pretrained.get(name), own)}
    if len(fitting) < 300:
        raise ValueError(f"only {len(fitting)} tensors of {BODY.name} fit the network")
    return write_weights(head, {**state, **fitting})


def _fits(tensor: object, own: object) -> bool:
    return getattr(tensor, "shape", None) == getattr(own, "shape", ())


def solid(box: tuple[float, float, float, float]) -> bool:
    return box[0] < box[2] and box[1] < box[3]
