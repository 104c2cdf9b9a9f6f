"""The embedding of an image: what its detector's heads see, averaged; and the map that its objects' embeddings are
averaged from."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def pooled(levels: Sequence[Tensor]) -> Tensor:
    """Global averages of the feature maps (n, c, h, w) side by side, L2-normalised: (n, d) float32.

    Zeros where all averages are zero, which only a dead network has. Exports to a graph as it stands.
    """
    averages = torch.cat([level.mean(dim=(2, 3), dtype=torch.float32) for level in levels], dim=1)
    # Relative to the largest first: torch's `normalize` takes vectors shorter than 1e-12 for zero.
    largest = averages.abs().amax(dim=1, keepdim=True)
    relative = torch.where(largest > 0, averages / largest, averages)
    return torch.nn.functional.normalize(relative, dim=1)


_OBJECT_STRIDE = 8.0  # pixels: the finest level of YOLO's necks, into which the coarser ones are mixed


def object_level(levels: Sequence[Tensor], image_size: int) -> Tensor:
    """The feature map (n, c, h, w) in float32 that `serving.backends.objects` averages over boxes: of the levels of a
    network with inputs of `image_size` pixels that with a stride nearest to 8 pixels."""

    def octaves_off(level: Tensor) -> float:
        return abs(math.log2(image_size / int(level.shape[-1]) / _OBJECT_STRIDE))

    return min(levels, key=octaves_off).float()
