"""Images to compare runtimes on where a project has too few of its own: shapes on textured ground."""

import cv2
import numpy as np
from numpy.typing import NDArray


def synthetic_images(count: int, size: int, *, seed: int = 0) -> list[NDArray[np.uint8]]:
    """`count` pictures, (H, W, 3) RGB uint8, of various proportions, the longer side `size`. Equal seeds give equal
    pictures."""
    return [_picture(np.random.default_rng([seed, index]), size) for index in range(count)]


def _picture(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    sides = (size, max(8, int(size * rng.uniform(0.6, 1.0))))
    height, width = sides if rng.random() < 0.5 else sides[::-1]
    picture = _ground(rng, height, width)
    for _ in range(int(rng.integers(3, 9))):
        _draw(rng, picture)
    noise = rng.normal(0.0, 4.0, picture.shape)
    return np.clip(picture.astype(np.float32) + noise, 0, 255).astype(np.uint8)


def _ground(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Noise of several scales: structure for the embeddings to see."""
    ground = np.zeros((height, width, 3), dtype=np.float32)
    for cells in (3, 9, 27):
        coarse = rng.uniform(0, 160 / np.log2(cells), (cells, cells, 3)).astype(np.float32)
        ground += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(ground, 0, 255).astype(np.uint8)


def _draw(rng: np.random.Generator, picture: NDArray[np.uint8]) -> None:
    height, width = picture.shape[:2]
    x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
    side = int(min(height, width) * rng.uniform(0.05, 0.3)) + 2
    colour = [int(part) for part in rng.integers(0, 256, 3)]
    kind = int(rng.integers(0, 3))
    if kind == 0:
        cv2.ellipse(picture, (x, y), (side, max(2, side // 2)), float(rng.uniform(0, 180)), 0, 360, colour, -1)
    elif kind == 1:
        cv2.rectangle(picture, (x, y), (x + side, y + side), colour, -1)
    else:
        corners = rng.integers(-side, side, (5, 2)) + np.array([x, y])
        cv2.fillPoly(picture, [cv2.convexHull(corners.astype(np.int32))], colour)
