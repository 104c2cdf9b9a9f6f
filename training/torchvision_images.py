"""Images and boxes as detectors of torchvision learn from them: the square that serving makes, then changed at random.

All that is drawn comes from torch's global random state.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from training.fine_tuning import Tuning, decoded, read_all
from training.letterbox import GREY, letterboxed
from training.recipe import TrainingRecipe
from training.training_image import TrainingImage

# What is left of a box at the edge counts as an object if it has this share of its area, and so many pixels a side
# (ultralytics' limits).
_LEAST_SHARE = 0.1
_LEAST_SIDE = 2.0
# Of squares that are read once; of what is beyond, each look reads the file. 870 squares of 640 pixels.
_KEPT_BYTES = 1 << 30

Scene = tuple[tv_tensors.Image, tv_tensors.BoundingBoxes, Tensor]
Sample = tuple[Tensor, dict[str, Tensor]]


class Scenes(Dataset[Sample]):
    """Of each image: (3, S, S) float RGB in [0, 1], and `boxes` (n, 4) `xyxy` in its pixels with `labels` (n,), from 1
    on as 0 is the background. changed: anew at each look, as the recipe says. mosaic: by composing four, too."""

    def __init__(self, run: Tuning, images: Sequence[TrainingImage], *, changed: bool) -> None:
        self._run = run
        self._images = list(images)
        self._index = {label: index for index, label in enumerate(run.labels, start=1)}
        self._change = Change(run.recipe) if changed else None
        self.mosaic = changed
        kept = _KEPT_BYTES // (3 * run.image_size**2)
        self._kept = list(read_all(self._read, self._images[:kept], run.recipe))

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        composed = self.mosaic and float(torch.rand(())) < self._run.recipe.mosaic
        scene = self._four(index) if composed else self._scene(index)
        if self._change is not None:
            scene = self._change(scene, self._run.image_size)
        pixels, boxes, labels = scene
        return pixels.float() / 255.0, {"boxes": boxes.as_subclass(Tensor), "labels": labels}

    def _scene(self, index: int) -> Scene:
        return self._kept[index] if index < len(self._kept) else self._read(self._images[index])

    def _read(self, image: TrainingImage) -> Scene:
        (square,), (placement,) = letterboxed([decoded(image, self._run.decode)], self._run.image_size)
        corners = np.array([shape.box for shape in image.shapes], dtype=np.float32).reshape(-1, 4)
        boxes = torch.from_numpy(placement.placed(corners))
        labels = torch.tensor([self._index[shape.label] for shape in image.shapes], dtype=torch.int64)
        keep = (boxes[:, 2:] - boxes[:, :2]).amin(dim=1) >= _LEAST_SIDE
        return _scene(torch.from_numpy(square).permute(2, 0, 1).contiguous(), boxes[keep], labels[keep])

    def _four(self, index: int) -> Scene:
        """This image and three others, side by side in a square of twice the size."""
        others = torch.randint(len(self._images), (3,)).tolist()
        parts, size = [self._scene(one) for one in (index, *others)], self._run.image_size
        rows = [torch.cat([left[0], right[0]], dim=2) for left, right in (parts[:2], parts[2:])]
        offsets = [torch.tensor([x, y, x, y]) for y in (0, size) for x in (0, size)]
        boxes = torch.cat([part[1].as_subclass(Tensor) + offset for part, offset in zip(parts, offsets, strict=True)])
        return _scene(torch.cat(rows, dim=1), boxes, torch.cat([part[2] for part in parts]))


class Change:
    """Turned, zoomed, moved, mirrored and coloured at random, and cut to a square."""

    def __init__(self, recipe: TrainingRecipe) -> None:
        self._recipe = recipe
        self._flip = v2.RandomHorizontalFlip(recipe.flip)
        self._color = v2.ColorJitter(
            brightness=recipe.brightness, saturation=recipe.saturation, hue=min(recipe.hue, 0.5)
        )

    def __call__(self, scene: Scene, size: int) -> Scene:
        """Of a scene of any size, moved so that any part of it may come into the square."""
        pixels, boxes, labels = scene
        recipe, room = self._recipe, (pixels.shape[-1] - size) / 2
        zoom = 1.0 + _drawn(recipe.scale)
        shift = [_drawn(recipe.translate * size + room), _drawn(recipe.translate * size + room)]
        geometry: dict[str, Any] = {
            "angle": _drawn(recipe.degrees), "translate": shift, "scale": zoom, "shear": [0.0, 0.0]
        }  # fmt: skip
        before = _areas(boxes) * zoom**2
        pixels = functional.affine(pixels, **geometry, interpolation=v2.InterpolationMode.BILINEAR, fill=[GREY] * 3)
        boxes = functional.affine(boxes, **geometry)
        pixels, boxes = functional.center_crop(pixels, [size]), functional.center_crop(boxes, [size])
        pixels, boxes = self._flip(pixels, functional.clamp_bounding_boxes(boxes))
        kept = (_areas(boxes) >= _LEAST_SHARE * before) & (_sides(boxes).amin(dim=1) >= _LEAST_SIDE)
        return _scene(self._color(pixels), boxes[kept], labels[kept])


def together(samples: Sequence[Sample]) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """A batch as torchvision's detectors take it."""
    return [pixels for pixels, _ in samples], [target for _, target in samples]


def on(device: torch.device, target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.to(device) for name, tensor in target.items()}


def _scene(pixels: Tensor, boxes: Tensor, labels: Tensor) -> Scene:
    height, width = pixels.shape[-2:]
    box_format: Any = tv_tensors.BoundingBoxFormat.XYXY
    corners = tv_tensors.BoundingBoxes(boxes.reshape(-1, 4), format=box_format, canvas_size=(height, width))
    return tv_tensors.Image(pixels), corners, labels


def _drawn(limit: float) -> float:
    """Evenly from [-limit, limit]."""
    return (2.0 * float(torch.rand(())) - 1.0) * limit


def _sides(boxes: Tensor) -> Tensor:
    corners = boxes.as_subclass(Tensor)
    return corners[:, 2:] - corners[:, :2]


def _areas(boxes: Tensor) -> Tensor:
    return _sides(boxes).prod(dim=1)
