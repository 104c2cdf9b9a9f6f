"""Pools to choose from, with the truth of every image, and images to test on.

Two kinds: images that say as much one as the other (bccd), and what production sends (fod_a by its video sequences,
digit scenes along a drift): neighbouring frames, rare classes, changing light, many images of nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.fod import Frame, frames, solid
from loop.demo.scenes import LABELS as DIGITS
from loop.demo.scenes import Pool as Strokes
from loop.demo.scenes import drifting_scenes
from loop.domain.item import Split
from loop.domain.truth import Shape
from loop.exchange.reading import ReadBox
from loop.exchange.voc import read_voc
from serving.images import decode_image
from tests.requirements import DATA

_TAIL = 0.7  # of the frames of the class before
_LEAST = 16  # frames of the rarest class
_FOD_BUDGETS = (32, 64, 128, 256, 512, 1024)
_EMPTY_SIDE = 96  # pixels, of the smallest piece of a frame that counts as an image of nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """pixels: (H, W, 3) RGB uint8. shapes: all that is to be found in it."""

    pixels: NDArray[np.uint8]
    shapes: tuple[Shape, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPool:
    """tests: what the learner is measured on, by name. budgets: labels at which it is; the first is the start, the same
    for each strategy. mirrored: a mirrored image means the same."""

    name: str
    labels: tuple[str, ...]
    pool: Sequence[Picture]
    tests: Mapping[str, Sequence[Picture]]
    budgets: tuple[int, ...]
    mirrored: bool


def blood_cells() -> LabelledPool:
    """bccd: each image shows a dozen cells of three classes, and is as good as any other."""
    read = read_voc(DATA / "bccd").images
    made = [(image.split, _picture(image.path.read_bytes(), _shapes(image.boxes))) for image in read]
    return LabelledPool(
        name="bccd", labels=("Platelets", "RBC", "WBC"), mirrored=True, budgets=(8, 16, 32, 64, 128),
        pool=[one for split, one in made if split is not Split.GOLDEN],
        tests={"test": [one for split, one in made if split is Split.GOLDEN]},
    )  # fmt: skip


def pavement() -> LabelledPool:
    """fod_a as it was filmed."""
    kept = _filmed()
    return LabelledPool(
        name="fod-sequences", labels=_labels(kept), mirrored=True, budgets=_FOD_BUDGETS,
        pool=[_of_frame(frame) for frame in kept], tests=_fod_tests(),
    )  # fmt: skip


def pavement_long_tail() -> LabelledPool:
    """As it was filmed, but each class has fewer frames than the one before, and twice as many show nothing."""
    kept = _filmed()
    labels = _labels(kept)
    allowed = {label: max(_LEAST, round(300 * _TAIL**rank)) for rank, label in enumerate(_by_hash(labels))}
    thinned = [frame for label in labels for frame in _first(kept, label, allowed[label])]
    pictures = [_of_frame(frame) for frame in thinned]
    nothing = [piece for frame in kept if (piece := _nothing(_of_frame(frame))) is not None]
    step = max(1, len(nothing) // (2 * len(pictures)))
    return LabelledPool(
        name="fod-long-tail", labels=labels, mirrored=True, budgets=_FOD_BUDGETS,
        pool=[*pictures, *nothing[::step][: 2 * len(pictures)]], tests=_fod_tests(),
    )  # fmt: skip


def digit_scenes() -> LabelledPool:
    """The demo's stream: by day at first, then dusk, night, grain, and digits that were not there before."""
    scenes = drifting_scenes(1, 1200, Strokes.STREAM, end=0.6)
    tested = drifting_scenes(2, 300, Strokes.HELD_OUT, start=1.0)
    return LabelledPool(
        name="digit-scenes", labels=DIGITS, mirrored=False, budgets=(32, 64, 128, 256, 512),
        pool=[Picture(pixels=one.image, shapes=one.shapes) for one in scenes],
        tests={"after the drift": [Picture(pixels=one.image, shapes=one.shapes) for one in tested]},
    )  # fmt: skip


POOLS: Mapping[str, Callable[[], LabelledPool]] = {
    "bccd": blood_cells,
    "fod-sequences": pavement,
    "fod-long-tail": pavement_long_tail,
    "digit-scenes": digit_scenes,
}


def _picture(content: bytes, shapes: tuple[Shape, ...]) -> Picture:
    return Picture(pixels=decode_image(content, max_pixels=10**8)[1], shapes=shapes)


def _shapes(boxes: Sequence[ReadBox]) -> tuple[Shape, ...]:
    return tuple(Shape(one.label, one.box) for one in boxes if solid(one.box))


def _of_frame(frame: Frame) -> Picture:
    return _picture(frame.image.path.read_bytes(), tuple(frame.image.shapes))


def _filmed() -> list[Frame]:
    return [frame for frame in frames() if not frame.held_out and not frame.later]


def _fod_tests() -> dict[str, list[Picture]]:
    """How the sequences of the pool end, behind a gap; and sequences of which the pool has nothing."""
    later = [_of_frame(frame) for frame in frames() if frame.later and not frame.held_out]
    return {"same cameras later": later, "new sequences": [_of_frame(frame) for frame in frames() if frame.held_out]}


def _labels(some: Sequence[Frame]) -> tuple[str, ...]:
    return tuple(sorted({label for frame in some for label in frame.labels}))


def _by_hash(labels: Sequence[str]) -> list[str]:
    """In an order that has nothing to do with how many there are of each."""
    return [labels[at] for at in np.random.default_rng(7).permutation(len(labels))]


def _first(some: Sequence[Frame], label: str, count: int) -> list[Frame]:
    """So many frames of a class, whole sequences as long as they last: what is rare was filmed once or twice."""
    return [frame for frame in some if min(frame.labels, default="") == label][:count]


def _nothing(picture: Picture) -> Picture | None:
    """The largest square beside all objects, as large as the frame; None where it would be too small."""
    height, width = picture.pixels.shape[:2]
    left = min((shape.box[0] for shape in picture.shapes), default=width)
    right = max((shape.box[2] for shape in picture.shapes), default=0)
    top = min((shape.box[1] for shape in picture.shapes), default=height)
    bottom = max((shape.box[3] for shape in picture.shapes), default=0)
    areas = [(0, 0, left, height), (right, 0, width, height), (0, 0, width, top), (0, bottom, width, height)]
    x, y, side = max(((x, y, min(x2 - x, y2 - y)) for x, y, x2, y2 in areas), key=lambda one: one[2])
    if side < _EMPTY_SIDE:
        return None
    piece = picture.pixels[int(y) : int(y + side), int(x) : int(x + side)]
    return Picture(pixels=cv2.resize(piece, (width, height)).astype(np.uint8, copy=False), shapes=())
