"""One training, by this project or by ultralytics alone: the same network, images, and settings.

    python -m benchmarks.service.retraining ours|bare FOLDER       prints JSON: {"seconds": …, "cpu": …}

FOLDER: what `laid_out` made. Both have imported what they need before the clock starts, and end with weights in a file.
"""

import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from benchmarks.service.load import ROOT
from benchmarks.service.model import BASE, LABELS, training_images
from loop.domain.truth import Shape
from training.recipe import TrainingRecipe
from training.training_image import TrainingImage

SIZE = 160


@dataclass(frozen=True, slots=True)
class Taken:
    """By the wall clock, and of all its threads."""

    seconds: float
    cpu: float


def laid_out(folder: Path, images: int, epochs: int) -> None:
    """The first images of the blood cells as ultralytics reads them, and the settings. Copies, since ultralytics
    repairs JPEG files in place."""
    recipe = TrainingRecipe(epochs=epochs, image_size=SIZE, batch=16, threads=1)
    (folder / "recipe.json").write_text(json.dumps(recipe.to_json()))
    chosen = list(training_images())[:images]
    _write(folder, "train", chosen)
    _write(folder, "val", chosen[:1])  # ultralytics alone cannot do without
    data = {"path": str(folder), "train": "images/train", "val": "images/val", "names": dict(enumerate(LABELS))}
    (folder / "data.yaml").write_text(yaml.safe_dump(data))


def _write(folder: Path, side: str, images: Sequence[TrainingImage]) -> None:
    for kind in ("images", "labels"):
        (folder / kind / side).mkdir(parents=True)
    for image in images:
        shutil.copyfile(image.path, folder / "images" / side / image.path.name)
        lines = [f"{LABELS.index(shape.label)} {_centred(shape, image)}\n" for shape in image.shapes]
        (folder / "labels" / side / f"{image.path.stem}.txt").write_text("".join(lines))


def _centred(shape: Shape, image: TrainingImage) -> str:
    x1, y1, x2, y2 = shape.box
    middle = (x1 + x2) / 2 / image.width, (y1 + y2) / 2 / image.height
    side = (x2 - x1) / image.width, (y2 - y1) / image.height
    return " ".join(f"{value:.6f}" for value in (*middle, *side))


def run(way: str, folder: Path) -> Taken:
    """In a process of its own, since a training changes settings of the whole process."""
    command = [sys.executable, "-m", "benchmarks.service.retraining", way, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if ended.returncode:
        raise RuntimeError(f"the training ({way}) failed:\n{ended.stderr[-3000:]}")
    return Taken(**json.loads(ended.stdout.strip().splitlines()[-1]))


def _ours(folder: Path, recipe: TrainingRecipe, scratch: Path) -> Callable[[], object]:
    """As a cycle trains (loop/launching/workshop.py)."""
    from serving.images import decode_image
    from training.train import train
    from training.weights import adopt

    paths = {path.name: path for path in (folder / "images" / "train").iterdir()}
    images = [
        TrainingImage(paths[image.path.name], image.shapes, image.width, image.height)
        for image in training_images()
        if image.path.name in paths
    ]

    def decoded(content: bytes) -> object:
        return decode_image(content, max_pixels=40_000_000)[1]

    work = partial(
        train, images=images, val=[], labels=LABELS, recipe=recipe, workdir=scratch, progress=_unheard, decode=decoded
    )
    return lambda: work(start=adopt(BASE, labels=LABELS, image_size=SIZE))


def _bare(folder: Path, recipe: TrainingRecipe, scratch: Path) -> Callable[[], object]:
    from ultralytics import YOLO

    from training.ultralytics_tuning import trainer_settings

    settings = trainer_settings(recipe, SIZE, scratch)
    del settings["task"], settings["mode"], settings["model"]
    return lambda: YOLO(BASE).train(data=str(folder / "data.yaml"), **settings)


def _unheard(share: float, figures: Mapping[str, float]) -> None:
    return None


def main(way: str, folder: Path) -> None:
    from training.networks import import_ultralytics

    import_ultralytics()
    importlib.import_module("training.ultralytics_tuning")
    recipe = TrainingRecipe.from_json(json.loads((folder / "recipe.json").read_text()))
    with tempfile.TemporaryDirectory(prefix="askance-retraining-") as scratch:
        work = {"ours": _ours, "bare": _bare}[way](folder, recipe, Path(scratch) / "run")
        started, used = time.perf_counter(), time.process_time()
        work()
        taken = {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used}
    print("\n" + json.dumps(taken))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
