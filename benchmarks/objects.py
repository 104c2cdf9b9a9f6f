"""Embeddings of objects: what they cost, whether all runtimes give the same, and whether they find more like a box.

    python -m benchmarks.objects            some ten minutes where the models of other benchmarks are cached
    QUICK=1 python -m benchmarks.objects    fewer images

Cost is CPU time of the process, with and without in turns, so that other work on the machine counts little. Likeness is
measured on FOD-A by the detector of benchmarks.routing: of each object that it found, the ten most alike in other
sequences, by the embedding of the object and by that of the image; hits are of the same class.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.answers import answers
from benchmarks.fod import Frame, frames
from benchmarks.report import QUICK, Figure, at_least, at_most, publish, reading
from benchmarks.routing import detector_of, stream_of, trained_on
from loop.demo.scenes import Pool, day_scenes
from loop.domain.geometry import iou_matrix
from loop.domain.ports import Detector
from loop.domain.prediction import Inference
from selection.embeddings import units
from serving.backends.graph import graph_of
from serving.backends.load import load_detector
from serving.backends.parity import ParityLimits, compared
from serving.backends.runtimes import REFERENCE, Candidate, Place, candidates, opened, prepared
from serving.images import decode_image
from training.head import read_head
from training.weights import read_weights, write_weights

THRESHOLD, FLOOR, IOU = 0.25, 0.05, 0.5
NEAREST = 10
IMAGES = 12 if QUICK else 40
ROUNDS = 2 if QUICK else 5
COST_BAR, COSINE_BAR = 1.05, 0.999
_SMALL_MS, _FIXED_MS = 10.0, 0.3
PLACE = Place("cpu", 1, 1)

Pixels = NDArray[np.uint8]


def sized(weights: bytes, image_size: int) -> bytes:
    """The same model for another input."""
    head, state = read_weights(weights)
    return write_weights(replace(head, image_size=image_size), state)


def pixels_of(frame: Frame) -> Pixels:
    return decode_image(frame.image.path.read_bytes(), max_pixels=10**8)[1]


def opened_by(candidate: Candidate, weights: bytes, *, objects: bool) -> Detector:
    if candidate.runtime == "torch":
        return load_detector(weights, threads=1, precision=candidate.precision, objects=objects)
    head, graph = graph_of(weights, objects=objects)
    return opened(candidate, head, prepared(candidate, head, graph, PLACE), PLACE)


def milliseconds(detector: Detector, image: Pixels) -> float:
    begun = time.process_time()
    detector.predict([image], score_floor=FLOOR)
    return 1000 * (time.process_time() - begun)


def cost_figures(name: str, weights: bytes, images: Sequence[Pixels]) -> Iterator[Figure]:
    """Of each runtime: CPU ms of an image without, and what embeddings add; and how alike the embeddings are."""
    reference = load_detector(weights, threads=1, objects=True).predict(images, score_floor=FLOOR)
    limits = ParityLimits(images=len(images))
    for candidate in candidates("auto", "auto", "cpu"):
        with_objects, without = (opened_by(candidate, weights, objects=objects) for objects in (True, False))
        taken = np.array(
            [
                [milliseconds(without, image), milliseconds(with_objects, image)]
                for _ in range(ROUNDS + 1)
                for image in images
            ][len(images) :]
        )
        plain, more = float(np.median(taken[:, 0])), float(np.median(taken[:, 1] - taken[:, 0]))
        what, n = f"{name}, {candidate}", len(taken)
        yield reading(f"{what}: CPU of an image", plain, "ms", n)
        yield reading(f"{what}: CPU that embeddings of objects add", more, "ms", n)
        # What they cost whatever the network is much beside the smallest of networks, and nothing beside others.
        bar = COST_BAR if plain > _SMALL_MS else COST_BAR + _FIXED_MS / plain
        yield at_most(f"{what}: with embeddings of objects ÷ without", (plain + more) / plain, bar, "ratio", n)
        if candidate != REFERENCE:
            verdict = compared(reference, with_objects.predict(images, score_floor=FLOOR), limits)
            yield at_least(
                f"{what}: cosine of objects to torch's", verdict.objects_cosine, COSINE_BAR, "", verdict.compared
            )


def likeness_figures(weights: bytes, stream: Sequence[Frame]) -> Iterator[Figure]:
    """Of frames that it was not trained on."""
    detector = load_detector(weights, threads=2, objects=True)
    seen = answers(detector, [pixels_of(frame) for frame in stream], score_floor=FLOOR)
    rows, classes = _objects(seen, stream)
    sequences = np.array([frame.sequence for frame in stream])
    right = np.array([one is not None for one in classes])
    vectors = units(np.concatenate([one.objects[: _count(one)] for one in seen if one.objects is not None]))
    by_object, by_image = [], []
    image_vectors = np.stack([one.embedding for one in seen])
    truths = [frame.labels for frame in stream]
    for at in np.flatnonzero(right):
        others = np.flatnonzero(sequences[rows] != sequences[rows[at]])
        near = others[np.argsort(-(vectors[others] @ vectors[at]))[:NEAREST]]
        by_object.append(np.mean([classes[one] == classes[at] for one in near]))
        frames_elsewhere = np.flatnonzero(sequences != sequences[rows[at]])
        order = np.argsort(-(image_vectors[frames_elsewhere] @ image_vectors[rows[at]]))
        by_image.append(np.mean([classes[at] in truths[one] for one in frames_elsewhere[order[:NEAREST]]]))
    n, chance = len(by_object), _chance(classes, right)
    of_objects, of_images = float(np.mean(by_object)), float(np.mean(by_image))
    yield at_least(
        "ten most alike objects of the same class ÷ the same of images", of_objects / of_images, 1.0, "ratio", n
    )
    yield reading("ten most alike objects of the same class, by the object's embedding", of_objects, "share", n)
    yield reading("images with an object of the class, by the image's embedding", of_images, "share", n)
    yield reading("objects drawn at random", chance, "share", n)


def _count(inference: Inference) -> int:
    """Detections that are answered; FOD-A has few an image."""
    return int((inference.scores >= THRESHOLD).sum())


def _objects(seen: Sequence[Inference], stream: Sequence[Frame]) -> tuple[NDArray[np.intp], list[str | None]]:
    """Of all detections: the frame of each, and the class of what is there; None for nothing."""
    rows, classes = [], []
    for row, (one, frame) in enumerate(zip(seen, stream, strict=True)):
        shapes = frame.image.shapes
        overlap = iou_matrix(one.boxes[: _count(one)], np.array([shape.box for shape in shapes]).reshape(-1, 4))
        for own in overlap:
            rows.append(row)
            classes.append(shapes[int(own.argmax())].label if len(own) and own.max() >= IOU else None)
    return np.array(rows, dtype=np.intp), classes


def _chance(classes: Sequence[str | None], right: NDArray[np.bool_]) -> float:
    named = [one for one in classes if one is not None]
    shares = {name: named.count(name) / len(classes) for name in set(named)}
    return float(np.mean([shares[classes[at]] for at in np.flatnonzero(right)]))


def main() -> int:
    all_frames = frames()
    labels = tuple(sorted({label for frame in all_frames for label in frame.labels}))
    trained = detector_of(trained_on(all_frames), labels)
    stream = stream_of(all_frames)
    pictures = [pixels_of(frame) for frame in stream[:: max(1, len(stream) // IMAGES)]]
    seed = files("loop.demo").joinpath("seed.safetensors").read_bytes()
    found = [
        *likeness_figures(trained, stream[:: 4 if QUICK else 1]),
        *cost_figures(
            f"seed model, {read_head(seed).image_size} px",
            seed,
            [scene.image for scene in day_scenes(3, IMAGES, Pool.STREAM)],
        ),
        *cost_figures("YOLOv5n, 320 px", sized(trained, 320), pictures),
        *cost_figures("YOLOv5n, 640 px", sized(trained, 640), pictures),
    ]
    return publish("objects", found, Console(width=150))


if __name__ == "__main__":
    sys.exit(main())
