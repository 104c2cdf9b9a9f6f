"""Scenes as a data set in YOLO's folder layout, as `askance import --format yolo` and ultralytics read it."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from loop.demo.scenes import LABELS, Scene
from loop.domain.truth import Shape


def write_dataset(folder: Path, scenes: Iterable[Scene], split: str) -> int:
    """Add `scenes` to `folder` as images/{split}/*.jpg with labels/{split}/*.txt and a data.yaml that names
    every split there. Returns how many were written. A split that is written again is numbered from 0 anew."""
    images, labels = folder / "images" / split, folder / "labels" / split
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    count = 0
    for count, scene in enumerate(scenes, start=1):
        name = f"{split}-{count - 1:05d}"
        (images / f"{name}.jpg").write_bytes(scene.jpeg())
        height, width = scene.image.shape[:2]
        rows = [_row(shape, width, height) for shape in scene.shapes]
        (labels / f"{name}.txt").write_text("".join(rows), encoding="utf-8")
    _name_splits(folder)
    return count


def _row(shape: Shape, width: int, height: int) -> str:
    x1, y1, x2, y2 = shape.box
    values = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
    return f"{LABELS.index(shape.label)} " + " ".join(f"{value:.6f}" for value in values) + "\n"


def _name_splits(folder: Path) -> None:
    splits = sorted(path.name for path in (folder / "images").iterdir() if path.is_dir())
    described: dict[str, object] = {"path": str(folder.resolve()), **{split: f"images/{split}" for split in splits}}
    described["names"] = dict(enumerate(LABELS))
    (folder / "data.yaml").write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
