"""Images of any size into one square batch, and boxes back again. NumPy and OpenCV only: runtimes other than torch
share it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

GREY = 114  # the padding that ultralytics trains with


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image of `width` x `height` pixels lies in the square: scaled by `scale_x`, `scale_y`, then
    moved by `left`, `top` pixels."""

    width: int
    height: int
    scale_x: float
    scale_y: float
    left: int
    top: int

    def restored(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (n, 4) `xyxy` of the square in pixels of the image, clipped to it."""
        offset = np.array([self.left, self.top, self.left, self.top], dtype=np.float32)
        scale = np.array([self.scale_x, self.scale_y, self.scale_x, self.scale_y], dtype=np.float32)
        limit = np.array([self.width, self.height, self.width, self.height], dtype=np.float32)
        restored: NDArray[np.float32] = np.clip((boxes - offset) / scale, np.float32(0.0), limit)
        return restored

    def placed(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (n, 4) `xyxy` of the image in pixels of the square: undoes `restored` for boxes within the image."""
        offset = np.array([self.left, self.top, self.left, self.top], dtype=np.float32)
        scale = np.array([self.scale_x, self.scale_y, self.scale_x, self.scale_y], dtype=np.float32)
        return np.asarray(boxes * scale + offset, dtype=np.float32)


def letterboxed(images: Sequence[NDArray[np.uint8]], size: int) -> tuple[NDArray[np.uint8], list[Placement]]:
    """Each (H, W, 3) RGB uint8 image scaled to fit, centred on grey: (n, size, size, 3) uint8.

    An image whose longer side is `size` is only padded.
    """
    batch = np.empty((len(images), size, size, 3), dtype=np.uint8)
    return batch, [_place(image, canvas) for image, canvas in zip(images, batch, strict=True)]


def _place(image: NDArray[np.uint8], canvas: NDArray[np.uint8]) -> Placement:
    height, width = image.shape[:2]
    size = canvas.shape[0]
    scale = size / max(height, width)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size - new_width) // 2, (size - new_height) // 2
    if (new_width, new_height) != (width, height):
        # Linear, as in training: another filter would be a shift of its own.
        image = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    canvas[:top] = canvas[top + new_height :] = GREY
    canvas[:, :left] = canvas[:, left + new_width :] = GREY
    canvas[top : top + new_height, left : left + new_width] = image
    return Placement(width, height, new_width / width, new_height / height, left, top)
