"""Images of any size into one square batch, and boxes back again."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_GREY = 114  # the padding that ultralytics trains with


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

    def restored(self, boxes: Tensor) -> Tensor:
        """Boxes (n, 4) `xyxy` of the square in pixels of the image, clipped to it."""
        offset = boxes.new_tensor([self.left, self.top, self.left, self.top])
        scale = boxes.new_tensor([self.scale_x, self.scale_y, self.scale_x, self.scale_y])
        limit = boxes.new_tensor([self.width, self.height, self.width, self.height])
        return ((boxes - offset) / scale).clamp(min=0.0).minimum(limit)


def letterboxed(images: Sequence[NDArray[np.uint8]], size: int) -> tuple[Tensor, list[Placement]]:
    """Each (H, W, 3) RGB uint8 image scaled to fit, centred on grey: (n, 3, size, size) float32 in [0, 1]."""
    batch = np.full((len(images), size, size, 3), _GREY, dtype=np.uint8)
    placements = [_place(image, canvas) for image, canvas in zip(images, batch, strict=True)]
    return torch.from_numpy(batch).permute(0, 3, 1, 2).float().div_(255.0), placements


def _place(image: NDArray[np.uint8], canvas: NDArray[np.uint8]) -> Placement:
    height, width = image.shape[:2]
    size = canvas.shape[0]
    scale = size / max(height, width)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size - new_width) // 2, (size - new_height) // 2
    if (new_width, new_height) != (width, height):
        # Linear, as in training: another filter would be a shift of its own.
        image = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
    canvas[top : top + new_height, left : left + new_width] = image
    return Placement(width, height, new_width / width, new_height / height, left, top)
