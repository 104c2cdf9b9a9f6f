"""The one detector that every system under test runs: yolo11n for blood cells, at 320 and at 640 pixels.

Trained once by this project's own code and kept in benchmarks/.cache under the digest of its recipe. Where the data
set is missing its weights are random, which costs the network the same but leaves little for NMS and routing.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from loop.domain.truth import Shape
from loop.exchange.voc import read_voc
from tests.requirements import DATA
from training.recipe import TrainingRecipe
from training.train import train
from training.training_image import TrainingImage
from training.weights import adopt, read_weights, write_weights

CACHE = Path(__file__).resolve().parents[1] / ".cache"
DATA_SET = "bccd"
LABELS = ("Platelets", "RBC", "WBC")
BASE = "yolo11n.yaml"
SIZES = (320, 640)  # sides of the network input, pixels
# Some five minutes on two quiet cores: enough to find most cells. Trained at half the pictures' size, so that the same
# weights see cells of a familiar scale at 320 pixels and large ones at 640.
RECIPE = TrainingRecipe(
    epochs=8, image_size=SIZES[0], batch=8, learning_rate=0.002, mosaic=0.0, scale=0.5, warmup_epochs=0.5, threads=2
)


@dataclass(frozen=True, slots=True)
class BenchModel:
    """The same weights as one model file for each input size. trained: False where they are random."""

    files: Mapping[int, Path]
    trained: bool


def bench_model() -> BenchModel:
    """From the cache, or made now."""
    images = list(training_images())
    identity = json.dumps([BASE, LABELS, RECIPE.to_json(), [i.path.name for i in images]], sort_keys=True)
    folder = CACHE / "models" / hashlib.sha256(identity.encode()).hexdigest()[:16]
    # A file says how long its embeddings are, which another version of Askance may see otherwise.
    fresh, _ = read_weights(adopt(BASE, labels=LABELS, image_size=RECIPE.image_size))
    name = f"{BASE.removesuffix('.yaml')}-{fresh.embedding_dim}"
    files = {size: folder / f"{name}-{size}.safetensors" for size in SIZES}
    if not all(path.is_file() for path in files.values()):
        _make(folder, files, images)
    return BenchModel(files, bool(images))


def other_model(weights: bytes) -> bytes:
    """A second model to swap with the first: its weights but for the last bits, so that it costs the same."""
    head, state = read_weights(weights)
    name = next(name for name, tensor in state.items() if tensor.is_floating_point())
    state[name] = state[name] * (1.0 + 2.0**-20)
    return write_weights(head, state)


def _make(folder: Path, files: Mapping[int, Path], images: list[TrainingImage]) -> None:
    unsized = folder / "trained.safetensors"
    if not unsized.is_file():
        start = adopt(BASE, labels=LABELS, image_size=RECIPE.image_size)
        weights = _trained(start, images) if images else start
        folder.mkdir(parents=True, exist_ok=True)
        unsized.write_bytes(weights)
    for size, path in files.items():
        partial = path.with_suffix(".partial")
        partial.write_bytes(adopt(unsized, image_size=size))
        partial.replace(path)


def _trained(start: bytes, images: list[TrainingImage]) -> bytes:
    workdir = Path(tempfile.mkdtemp(prefix="askance-bench-"))
    try:
        return train(
            start=start, images=images, val=[], labels=LABELS, recipe=RECIPE, workdir=workdir, progress=_unseen
        ).weights
    finally:
        shutil.rmtree(workdir, ignore_errors=True)


def _unseen(share: float, figures: Mapping[str, float]) -> None:
    return None


def training_images() -> Iterator[TrainingImage]:
    """Those that no list holds out; none where the data set is missing."""
    folder = DATA / DATA_SET
    if not folder.is_dir():
        return
    for image in read_voc(folder).images:
        if image.split is not None and image.split.value == "golden":
            continue
        width, height = image.width or 640, image.height or 480
        shapes = tuple(
            Shape(box.label, box.box) for box in image.boxes if box.box[0] < box.box[2] and box.box[1] < box.box[3]
        )
        yield TrainingImage(image.path, shapes, width, height)
