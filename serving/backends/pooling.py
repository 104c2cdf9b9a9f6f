"""The embedding of an image: what its detector's heads see, averaged."""

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
