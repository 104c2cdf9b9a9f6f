"""Scenes with known truth: handwritten digits on textured ground, by day and as production drifts.

The digits are real pen strokes: the 1,797 samples of 8 x 8 pixels that ship with scikit-learn (Alpaydin &
Kaynak 1998, UCI "Optical Recognition of Handwritten Digits"). They are divided once, for each digit, into
pools that share no stroke, so that nothing is ever evaluated on strokes that a model was trained on.
Same generator state, same scene.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from sklearn.datasets import load_digits

from loop.domain.geometry import Box
from loop.domain.truth import Shape

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]  # (H, W), usually in [0, 1]
Picture = NDArray[np.float32]  # (H, W, 3) RGB in [0, 1]

LABELS = tuple("0123456789")
KNOWN = LABELS[:7]  # the digits that the seed detector was taught
SIZE = 320  # side of a scene, pixels

# The division of the strokes must never change: the committed seed weights were trained on one part.
_DIVISION_SEED = 20_240_511
_INK = 0.35  # opacity from which a pixel belongs to the digit's box


class Pool(StrEnum):
    """Which pen strokes a scene may use."""

    SEED = "seed"  # the seed detector's training
    STREAM = "stream"  # what production sends, and people correct
    LATER = "later"  # what production sends once the service has learned from that
    HELD_OUT = "held-out"  # evaluation only


_SHARES = {Pool.SEED: 0.45, Pool.STREAM: 0.27, Pool.LATER: 0.1, Pool.HELD_OUT: 0.18}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How a scene was taken.

    digits: labels that may appear. fresh: how many digits of the scene come from outside KNOWN at least.
    night: 0 (daylight) to 1 (lamps only). grain: sensor noise, standard deviation in [0, 1] of full scale.
    blur: standard deviation in thousandths of the scene's side.
    """

    digits: tuple[str, ...] = KNOWN
    fresh: int = 0
    night: float = 0.0
    grain: float = 0.012
    blur: float = 0.0


DAY = Conditions()


@dataclass(frozen=True, slots=True)
class Scene:
    """image: (H, W, 3) RGB uint8. shapes: every digit in it, boxes tight around the ink."""

    image: Pixels
    shapes: tuple[Shape, ...]

    def jpeg(self, quality: int = 92) -> bytes:
        """The picture as a camera would send it; the same scene gives the same bytes."""
        buffer = io.BytesIO()
        Image.fromarray(self.image).save(buffer, format="JPEG", quality=quality, subsampling=0)
        return buffer.getvalue()


def drifted(rng: np.random.Generator, progress: float) -> Conditions:
    """Conditions of one scene of a stream that has drifted by `progress`, 0 (day only) to 1.

    Drift comes gradually: first single scenes differ, later most; dusk comes before night. At 1, about one
    scene in six is still like day.
    """
    night = float(rng.uniform(0.25, 0.85)) * (0.5 + 0.5 * progress) if rng.random() < 0.5 * progress else 0.0
    rough = rng.random() < 0.35 * progress
    fresh = int(rng.integers(1, 3)) if rng.random() < 0.45 * progress else 0
    return Conditions(
        digits=LABELS if fresh else KNOWN,
        fresh=fresh,
        night=night,
        grain=float(rng.uniform(0.03, 0.09)) if rough else DAY.grain,
        blur=float(rng.uniform(2.0, 6.0)) if rough else 0.0,
    )


def day_scenes(seed: int, count: int, pool: Pool, *, size: int = SIZE) -> Iterator[Scene]:
    """`count` scenes under day conditions."""
    rng = _generator(seed, 1, pool)
    for _ in range(count):
        yield compose(rng, conditions=DAY, pool=pool, size=size)


def drifting_scenes(
    seed: int, count: int, pool: Pool, *, start: float = 0.0, end: float = 1.0, size: int = SIZE
) -> Iterator[Scene]:
    """`count` scenes along which the drift goes evenly from `start` to `end`."""
    rng = _generator(seed, 2, pool)
    for progress in np.linspace(start, end, count):
        yield compose(rng, conditions=drifted(rng, float(progress)), pool=pool, size=size)


def _generator(seed: int, kind: int, pool: Pool) -> np.random.Generator:
    """Pools differ in all of a scene, not only in its strokes: else one would hold near-duplicates of another."""
    return np.random.default_rng([seed, kind, list(Pool).index(pool)])


def compose(rng: np.random.Generator, *, conditions: Conditions, pool: Pool, size: int = SIZE) -> Scene:
    """One scene of 2 to 4 digits that do not touch, drawn from `pool`, taken under `conditions`."""
    picture = ground(rng, size)
    shapes: list[Shape] = []
    for label in _labels(rng, conditions):
        ink = _stroke(rng, label, pool, size)
        corner = _free_corner(rng, ink, shapes, size)
        if corner is not None:
            shapes.append(Shape(label, _draw(rng, picture, ink, corner)))
    taken = _taken(rng, picture, conditions)
    return Scene((taken * 255.0 + 0.5).astype(np.uint8), tuple(shapes))


# --- digits ------------------------------------------------------------------------------------------


@cache
def strokes(pool: Pool) -> dict[str, NDArray[np.float32]]:
    """The pen strokes of `pool` by label, each (n, 8, 8) in [0, 1]."""
    data = load_digits()
    images = (data.images / 16.0).astype(np.float32)
    return {label: images[_part(np.flatnonzero(data.target == int(label)), pool)] for label in LABELS}


def _part(indices: NDArray[np.intp], pool: Pool) -> NDArray[np.intp]:
    shuffled = np.random.default_rng(_DIVISION_SEED).permutation(indices)
    bounds = np.cumsum([0.0, *_SHARES.values()]) * len(shuffled)
    position = list(_SHARES).index(pool)
    return shuffled[round(float(bounds[position])) : round(float(bounds[position + 1]))]


def _labels(rng: np.random.Generator, conditions: Conditions) -> list[str]:
    count = int(rng.integers(2, 5))
    new = [label for label in conditions.digits if label not in KNOWN]
    old = [label for label in conditions.digits if label in KNOWN]
    fresh = min(conditions.fresh, count) if new else 0
    labels = [str(x) for x in rng.choice(new, fresh)] if fresh else []
    return labels + [str(x) for x in rng.choice(old, count - fresh)]


def _stroke(rng: np.random.Generator, label: str, pool: Pool, size: int) -> Plane:
    """Opacity of one digit, cropped to its ink, in [0, 1]."""
    samples = strokes(pool)[label]
    sample = Image.fromarray(np.pad(samples[int(rng.integers(len(samples)))], 2))
    side = round(size * float(rng.uniform(0.24, 0.40)) / 8.0 * 12.0)
    turned = sample.resize((side, side), Image.Resampling.BICUBIC).rotate(
        float(rng.uniform(-12.0, 12.0)), Image.Resampling.BILINEAR
    )
    # A steep sigmoid gives the smooth upscaled grey levels the edge of a pen stroke.
    opacity = 1.0 / (1.0 + np.exp(-14.0 * (np.asarray(turned) - 0.42)))
    rows = np.flatnonzero((opacity > _INK).any(axis=1))
    columns = np.flatnonzero((opacity > _INK).any(axis=0))
    return np.asarray(opacity[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], dtype=np.float32)


def _free_corner(
    rng: np.random.Generator, ink: Plane, shapes: Sequence[Shape], size: int, attempts: int = 40
) -> tuple[int, int] | None:
    """Where the digit fits without touching another (row, column), or None after `attempts`."""
    height, width = ink.shape
    margin = size // 40
    for _ in range(attempts):
        row = int(rng.integers(margin, size - height - margin))
        column = int(rng.integers(margin, size - width - margin))
        around = (column - margin, row - margin, column + width + margin, row + height + margin)
        if not any(_touch(around, shape.box) for shape in shapes):
            return row, column
    return None


def _touch(a: Sequence[float], b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _draw(rng: np.random.Generator, picture: Picture, ink: Plane, corner: tuple[int, int]) -> Box:
    """Lay the digit on the picture in an ink that stands out from the ground there."""
    row, column = corner
    height, width = ink.shape
    patch = picture[row : row + height, column : column + width]
    colour = _ink_colour(rng, patch.mean(axis=(0, 1)))
    opacity = (ink * float(rng.uniform(0.85, 1.0)))[..., None]
    patch[...] = patch * (1.0 - opacity) + colour * opacity
    return (float(column), float(row), float(column + width), float(row + height))


def _ink_colour(rng: np.random.Generator, ground: NDArray[np.float32]) -> NDArray[np.float32]:
    """A colour whose brightness differs from the ground's by at least 0.3."""
    brightness = float(ground.mean())
    light = brightness < 0.35 or (brightness < 0.65 and rng.random() < 0.5)
    level = brightness + rng.uniform(0.32, 0.5) if light else brightness - rng.uniform(0.32, 0.5)
    colour = np.clip(level, 0.0, 1.0) + rng.uniform(-0.12, 0.12, 3)
    return np.asarray(np.clip(colour, 0.0, 1.0), dtype=np.float32)


# --- ground --------------------------------------------------------------------------------------------


def ground(rng: np.random.Generator, size: int) -> Picture:
    """A textured surface: noise of several octaves, a slope of light, and often stripes or tiles."""
    texture = _octaves(rng, size) * float(rng.uniform(0.10, 0.28)) + _slope(rng, size) * float(rng.uniform(0.0, 0.2))
    if rng.random() < 0.6:
        texture = texture + _stripes(rng, size) * float(rng.uniform(0.02, 0.07))
    base = (rng.uniform(0.25, 0.8) + rng.uniform(-0.1, 0.1, 3)).astype(np.float32)
    tint = (1.0 + rng.uniform(-0.15, 0.15, 3)).astype(np.float32)
    return np.asarray(np.clip(base + texture[..., None] * tint, 0.02, 0.98), dtype=np.float32)


def _octaves(rng: np.random.Generator, size: int) -> Plane:
    """Value noise: four octaves from 3 to 24 cells, each half as strong; roughly in [-1, 1]."""
    total = np.zeros((size, size), dtype=np.float32)
    for octave in range(4):
        cells = 3 * 2**octave
        coarse = rng.uniform(-1.0, 1.0, (cells, cells)).astype(np.float32)
        smooth = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
        total += np.asarray(smooth) * 0.5**octave
    return total


def _grid(size: int) -> tuple[Plane, Plane]:
    axis = np.linspace(-1.0, 1.0, size, dtype=np.float32)
    return axis[:, None], axis[None, :]


def _slope(rng: np.random.Generator, size: int) -> Plane:
    y, x = _grid(size)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    return np.asarray(np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y)


def _stripes(rng: np.random.Generator, size: int) -> Plane:
    """Sine stripes, or two sets of them crossed, as boards and tiles look."""
    waves = np.sin(_slope(rng, size) * float(rng.uniform(12.0, 45.0)) + float(rng.uniform(0.0, 6.0)))
    if rng.random() < 0.4:
        waves = np.maximum(waves, np.sin(_slope(rng, size) * float(rng.uniform(12.0, 45.0))))
    return np.asarray(waves, dtype=np.float32)


# --- camera --------------------------------------------------------------------------------------------


def _taken(rng: np.random.Generator, picture: Picture, conditions: Conditions) -> Picture:
    """The picture as the camera gives it: light, then optics, then the sensor."""
    size = picture.shape[0]
    lit = _by_night(rng, picture, conditions.night) if conditions.night > 0.0 else picture
    if conditions.blur > 0.0:
        sigma = conditions.blur * size / 1000.0
        lit = ndimage.gaussian_filter(lit, (sigma, sigma, 0.0))
    # Grain of half the resolution: visible at the size at which the detector looks.
    coarse = rng.standard_normal((size // 2, size // 2, 3), dtype=np.float32) * np.float32(conditions.grain)
    grain = np.repeat(np.repeat(coarse, 2, axis=0), 2, axis=1)
    return np.asarray(np.clip(lit + grain, 0.0, 1.0), dtype=np.float32)


def _by_night(rng: np.random.Generator, picture: Picture, night: float) -> Picture:
    """Little light, low contrast, a bluish cast, and one or two warm lamps that leave the corners dark."""
    size = picture.shape[0]
    y, x = _grid(size)
    lamps = np.zeros((size, size), dtype=np.float32)
    for _ in range(int(rng.integers(1, 3))):
        cy, cx = rng.uniform(-0.8, 0.8, 2)
        reach = rng.uniform(0.5, 0.9)
        lamps += np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2.0 * reach**2)).astype(np.float32)
    ambient = 1.0 - 0.86 * night
    light = ambient + night * 0.38 * np.minimum(lamps, 1.0)
    cast = np.array([1.0 - 0.15 * night, 1.0 - 0.08 * night, 1.0 + 0.12 * night], dtype=np.float32)
    flat = picture * (1.0 - 0.35 * night) + 0.35 * night * 0.45
    return np.asarray(np.clip(flat * light[..., None] * cast, 0.0, 1.0), dtype=np.float32)
