"""Make loop/demo/seed.safetensors: the small detector with which the demonstration starts.

    python scripts/make_seed_model.py          about 15 minutes on two cores

It learns day scenes of the digits 0 to 6 from scratch, with pen strokes that no other part of the demonstration
uses for evaluation. Its ontology holds all ten digits, so that what people correct later fits its head.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from loop.demo.scenes import LABELS, Pool, Scene, day_scenes
from training.networks import import_ultralytics
from training.recipe import TrainingRecipe
from training.train import train
from training.training_image import TrainingImage
from training.weights import adopt, read_weights, write_weights

DEMO = Path(__file__).resolve().parents[1] / "loop" / "demo"
IMAGE_SIZE = 160
SCENES_SEED = 11
SCENES = 2000
# Every epoch shows each scene in other light, at another place and size: the demonstration's ground and inks
# are made anew for each scene, so mosaics would only shrink the digits, and mirrored digits are no digits.
RECIPE = TrainingRecipe(
    epochs=20,
    batch=32,
    learning_rate=0.004,
    final_learning_rate=0.02,
    mosaic=0.0,
    flip=0.0,
    scale=0.2,
    translate=0.1,
    hue=0.5,
    saturation=0.5,
    brightness=0.2,
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--out", type=Path, default=DEMO / "seed.safetensors")
    arguments.add_argument("--threads", type=int, default=2, help="CPU threads; another number, other weights")
    chosen = arguments.parse_args()
    out: Path = chosen.out
    import_ultralytics()
    console = Console()
    with tempfile.TemporaryDirectory() as folder, Progress(console=console) as progress:
        bar = progress.add_task("composing scenes", total=SCENES)
        images = []
        for image in _written(Path(folder) / "scenes", day_scenes(SCENES_SEED, SCENES, Pool.SEED)):
            images.append(image)
            progress.update(bar, completed=len(images))
        bar = progress.add_task("training", total=1.0)
        trained = train(
            start=adopt(DEMO / "seed.yaml", labels=LABELS, image_size=IMAGE_SIZE),
            images=images,
            val=[],
            labels=LABELS,
            recipe=replace(RECIPE, threads=chosen.threads),
            workdir=Path(folder) / "run",
            progress=lambda share, _figures: progress.update(bar, completed=share),
        )
    weights = write_weights(*read_weights(trained.weights), half=True)
    out.write_bytes(weights)
    console.print(f"{out}: {len(weights):,} bytes, {_said(trained.metrics)}")


def _written(folder: Path, scenes: Iterator[Scene]) -> Iterator[TrainingImage]:
    folder.mkdir(parents=True)
    for index, scene in enumerate(scenes):
        path = folder / f"{index:05d}.jpg"
        path.write_bytes(scene.jpeg())
        height, width = scene.image.shape[:2]
        yield TrainingImage(path, scene.shapes, width, height)


def _said(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())


if __name__ == "__main__":
    main()
