"""What the embedding of an image knows, beside others that the same pass could give.

    python -m benchmarks.embedding            some ten minutes, and up to ten more once, for training on FOD-A
    QUICK=1 python -m benchmarks.embedding    fewer images

On FOD-A by the detector of benchmarks.routing: how surely frames in the dark and in the wet are told from usual ones by
their distance to the training set, and how often the nearest frame of another sequence shows the same class; on the
demo's scenes by its seed model: night, and noise with blur. Then which cosines near-duplicates have: pairs of frames of
one sequence rather than of two, and pictures that were saved again or made smaller.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.drift import DAY, KINDS, scenes
from benchmarks.fod import Frame, coco_start, frames
from benchmarks.objects import pixels_of, sized
from benchmarks.report import QUICK, Figure, at_least, publish, reading
from benchmarks.routing import NEIGHBOURS, detector_of, stream_of, trained_on
from selection.duplicates import NEAR_DUPLICATE
from selection.embeddings import units
from serving.backends.pooling import pooled
from serving.backends.ultralytics import UltralyticsForward
from serving.images import decode_image
from training.letterbox import letterboxed
from training.networks import body_layer, detect_head
from training.weights import read_weights

NOVELTY_BAR, ALONE_BAR = 0.85, 0.95
THRESHOLDS = (0.9995, 0.999, 0.998, 0.995, 0.99, 0.98)
SCENES = 150 if QUICK else 600
_AT_ONCE = 32

Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float32]


def _means(levels: Sequence[Tensor]) -> Tensor:
    return torch.cat([level.mean(dim=(2, 3)) for level in levels], dim=1)


# Of the body's map, and of the maps that the detection head sees.
WAYS: Mapping[str, Callable[[Tensor, Sequence[Tensor]], Tensor]] = {
    "as served": lambda body, _: pooled(body),
    "means of the body's map": lambda body, _: _means([body]),
    "deviations of the body's map": lambda body, _: body.std(dim=(2, 3)),
    "means of the neck's maps": lambda _, neck: _means(neck),
    "means of the neck's finest map": lambda _, neck: _means(neck[:1]),
}


class Looker:
    """What a network sees of images, in each of the ways."""

    def __init__(self, weights: bytes) -> None:
        head, state = read_weights(weights)
        self._size = head.image_size
        self._forward = UltralyticsForward(head, state)
        self._body: list[Tensor] = []
        self._neck: list[Tensor] = []
        body_layer(self._forward.network)[0].register_forward_hook(self._keep_body)
        detect_head(self._forward.network).register_forward_pre_hook(self._keep_neck)

    def __call__(self, images: Sequence[Pixels]) -> dict[str, Vectors]:
        """(n, d) float32 by way, L2-normalised."""
        found: dict[str, list[Vectors]] = {name: [] for name in WAYS}
        for start in range(0, len(images), _AT_ONCE):
            pixels, _ = letterboxed(images[start : start + _AT_ONCE], self._size)
            with torch.inference_mode():
                self._forward(torch.from_numpy(pixels))
                for name, way in WAYS.items():
                    found[name].append(way(self._body[0], self._neck).numpy())
        return {name: units(np.concatenate(parts)) for name, parts in found.items()}

    def _keep_body(self, _module: object, _inputs: object, output: Tensor) -> None:
        self._body = [output]

    def _keep_neck(self, _module: object, inputs: tuple[list[Tensor], ...]) -> None:
        self._neck = list(inputs[0])


def told_apart(references: Vectors, usual: Vectors, new: Vectors) -> float:
    """AUROC of the distance to the `NEIGHBOURS`th nearest reference."""
    near = np.concatenate([usual, new]) @ references.T
    distance = -np.partition(near, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS]
    return float(roc_auc_score([0] * len(usual) + [1] * len(new), distance))


def same_class(vectors: Vectors, shown: Sequence[Frame]) -> float:
    """How often the nearest of another sequence shows a class of this one's."""
    sequences = np.array([frame.sequence for frame in shown])
    near = vectors @ vectors.T
    near[sequences[:, None] == sequences[None, :]] = -2.0
    pairs = zip(shown, near.argmax(axis=1), strict=True)
    return float(np.mean([bool(frame.labels & shown[other].labels) for frame, other in pairs]))


def frame_figures(weights: bytes, fit: Sequence[Frame], stream: Sequence[Frame]) -> Iterator[Figure]:
    look = Looker(weights)
    references, seen = look([pixels_of(f) for f in fit]), look([pixels_of(f) for f in stream])
    usual = np.array([(f.weather, f.light) == ("Dry", "Bright") for f in stream])
    kinds = {"dark": [f.light == "Dark" for f in stream], "wet": [f.weather == "Wet" for f in stream]}
    for way in WAYS:
        for kind, new in kinds.items():
            told = told_apart(references[way], seen[way][usual], seen[way][np.array(new)])
            what, n = f"FOD-A, {way}: {kind} told from dry and bright, AUROC", int(usual.sum() + sum(new))
            yield at_least(what, told, NOVELTY_BAR, "", n) if way == "as served" else reading(what, told, "", n)
        share = same_class(seen[way], stream)
        yield reading(f"FOD-A, {way}: nearest of another sequence shows the class", share, "share", len(stream))


def scene_figures() -> Iterator[Figure]:
    look = Looker(files("loop.demo").joinpath("seed.safetensors").read_bytes())
    kinds = {"reference": lambda _: DAY, "day": lambda _: DAY, **KINDS}
    seen = {
        kind: look([decode_image(one, max_pixels=10**6)[1] for one in scenes(drawn, SCENES, 50 + number)])
        for number, (kind, drawn) in enumerate(kinds.items())
    }
    for way in WAYS:
        for kind in KINDS:
            told = told_apart(seen["reference"][way], seen["day"][way], seen[kind][way])
            yield reading(f"digit scenes, {way}: {kind} told from day, AUROC", told, "", 2 * SCENES)


def _saved_again(pixels: Pixels) -> Pixels:
    written = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return np.ascontiguousarray(cv2.imdecode(written, cv2.IMREAD_COLOR)[:, :, ::-1])


def _made_smaller(pixels: Pixels) -> Pixels:
    return cv2.resize(pixels, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def duplicate_figures(name: str, weights: bytes, shown: Sequence[Frame]) -> Iterator[Figure]:
    look, pixels = Looker(weights), [pixels_of(frame) for frame in shown]
    vectors = look(pixels)["as served"]
    copies = {"saved again": _saved_again, "made smaller": _made_smaller}
    alike = {
        kind: (look([change(p) for p in pixels])["as served"] * vectors).sum(axis=1) for kind, change in copies.items()
    }
    sequences = np.unique([frame.sequence for frame in shown], return_inverse=True)[1]
    one, other = np.triu_indices(len(shown), 1)
    cosine = (vectors @ vectors.T)[one, other]
    for threshold in THRESHOLDS:
        near = cosine >= threshold
        together = sequences[one[near]] == sequences[other[near]]
        where = f"{name}, cosine {threshold}"
        share = float(together.mean()) if near.any() else 1.0
        what = f"{where}: pairs of one sequence"
        usual = threshold == NEAR_DUPLICATE
        yield (
            at_least(what, share, ALONE_BAR, "share", int(near.sum()))
            if usual
            else reading(what, share, "share", int(near.sum()))
        )
        gone = len(np.unique(other[near])) / len(shown)
        yield reading(f"{where}: images like one before", gone, "share", len(shown))
        for kind, own in alike.items():
            yield reading(f"{where}: copies found, {kind}", float((own >= threshold).mean()), "share", len(shown))


def main() -> int:
    torch.set_num_threads(1)
    every = frames()
    labels = tuple(sorted({label for frame in every for label in frame.labels}))
    fit, stream = trained_on(every), stream_of(every)
    trained = detector_of(fit, labels)
    thinned = every[:: 4 if QUICK else 1]
    found = [
        *frame_figures(trained, fit, stream[:: 4 if QUICK else 1]),
        *scene_figures(),
        *duplicate_figures("trained, 160 px", trained, thinned),
        *duplicate_figures("COCO body, 320 px", sized(coco_start(labels, 160), 320), thinned),
    ]
    return publish("embedding", found, Console(width=150))


if __name__ == "__main__":
    sys.exit(main())
