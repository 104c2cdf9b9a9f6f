"""From JPEG bytes to boxes in one process: the bare runtimes, and what the peers are given to serve.

usual   ultralytics.YOLO.predict on torch, as its users run it
ours    this project's runtime and precision, with its decoding, letterbox and NMS
"""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from serving.backends.choice import said
from serving.backends.load import load_fastest
from serving.backends.runtimes import AUTO
from training.head import read_head

Boxes = dict[str, Any]  # boxes: [[x1, y1, x2, y2]], scores, labels
Detect = Callable[[Sequence[bytes]], list[Boxes]]

RUNTIMES = Path(__file__).resolve().parents[1] / ".cache" / "runtimes"  # graphs, by model and machine
SCORE_THRESHOLD = 0.25
SCORE_FLOOR = 0.05  # serving.score_floor


@dataclass(frozen=True, slots=True)
class Chosen:
    """How this project runs the model: names of `serving.backends.runtimes`. threads: CPU threads in all, 0 for as
    many as there are cores."""

    runtime: str
    precision: str
    threads: int = 0

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision}"


def usual(weights: Path) -> Detect:
    """`ultralytics.YOLO.predict` with its defaults (its own threads, NMS and thresholds), quiet."""
    size, model = yolo(weights)

    def detect(pictures: Sequence[bytes]) -> list[Boxes]:
        pixels = [cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) for picture in pictures]
        found = model.predict(pixels, imgsz=size, conf=SCORE_THRESHOLD, verbose=False)
        return [_boxes(one.boxes.xyxy.numpy(), one.boxes.conf.numpy(), one.boxes.cls.numpy()) for one in found]

    return detect


def yolo(weights: Path) -> tuple[int, Any]:
    """Input size and `ultralytics.YOLO` with the weights of one of our model files."""
    from training.networks import import_ultralytics, ultralytics_network
    from training.weights import read_weights

    import_ultralytics()
    from ultralytics import YOLO

    head, state = read_weights(weights.read_bytes())
    model = YOLO("yolo11n.yaml", task="detect", verbose=False)
    network: Any = ultralytics_network(head.architecture, len(head.labels), state)
    network.names = dict(enumerate(head.labels))
    network.args = dict(model.model.args)
    network.task = "detect"
    network.pt_path = "yolo11n.pt"  # exports are named after it
    model.model = network
    return head.image_size, model


def chosen_for(weights: Path, asked: Chosen) -> Chosen:
    """`asked`, its autos replaced by what this project measures to be the fastest for this model here."""
    if AUTO not in (asked.runtime, asked.precision):
        return asked
    with said() as lines:
        Ours(weights, asked)
    chosen = re.search(r"serving by (\w+) (\w+)", "\n".join(lines))
    # Without a word there was nothing to choose from: torch.
    return (
        replace(asked, runtime=chosen[1], precision=chosen[2])
        if chosen
        else replace(asked, runtime="torch", precision="fp32")
    )


class Ours:
    """A `Detect` by this project's own detector, with as many images at once as the runtime has streams.

    A single picture is looked at in the caller's thread; up to `streams` callers gain from calling at once.
    """

    def __init__(self, weights: Path, chosen: Chosen) -> None:
        content = weights.read_bytes()
        self._size = read_head(content).image_size
        self._detector = load_fastest(
            content, cache=RUNTIMES, runtime=chosen.runtime, precision=chosen.precision, threads=chosen.threads
        )
        self.streams = self._detector.streams
        self._pool = ThreadPoolExecutor(self.streams)

    def __call__(self, pictures: Sequence[bytes]) -> list[Boxes]:
        return [self._one(pictures[0])] if len(pictures) == 1 else list(self._pool.map(self._one, pictures))

    def _one(self, picture: bytes) -> Boxes:
        (one,) = self._detector.predict([decoded(picture, self._size)], score_floor=SCORE_FLOOR)
        kept = one.scores >= SCORE_THRESHOLD
        return _boxes(one.boxes[kept], one.scores[kept], one.classes[kept])


def decoded(picture: bytes, size: int) -> NDArray[np.uint8]:
    """(H, W, 3) RGB; at half the width and height where the picture is at least twice as large as the input."""
    data = np.frombuffer(picture, np.uint8)
    width, height = _jpeg_size(picture)
    half = max(width, height) >= 2 * size
    pixels = cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_2 if half else cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("not a picture")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _jpeg_size(picture: bytes) -> tuple[int, int]:
    """Width and height of a JPEG, from its frame header."""
    at = 2
    while picture[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(picture[at + 2 : at + 4], "big")
    height, width = (int.from_bytes(picture[at + i : at + i + 2], "big") for i in (5, 7))
    return width, height


def _boxes(boxes: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any]) -> Boxes:
    return {"boxes": boxes.tolist(), "scores": scores.tolist(), "labels": classes.astype(int).tolist()}
