"""The embedding of an image: averages and spreads of what its detector's body sees."""

import torch
from torch import Tensor

from loop.domain.errors import BadWeights
from loop.domain.model import ModelHead

_LEAST = 1e-3  # of the other part's length: an even map has deviations that are rounding, and these are to stay small


def pooled(level: Tensor) -> Tensor:
    """Means and standard deviations of a feature map (n, c, h, w) over its places, L2-normalised: (n, 2c) float32.

    Means and deviations have the same share in it, 1/√2 each, unless one of them is next to nothing beside the other.
    Zeros where the whole map is, which only a dead network has. Exports to a graph as it stands.
    """
    level = level.float()
    # Relative to the largest first: squares of what is very small or very large are not numbers any more.
    largest = level.abs().amax(dim=(1, 2, 3), keepdim=True)
    level = torch.where(largest > 0, level / largest, level)
    means = level.mean(dim=(2, 3))
    deviations = (level - means[:, :, None, None]).square().mean(dim=(2, 3)).sqrt()
    of_means, of_deviations = _length(means), _length(deviations)
    parts = [
        means / torch.maximum(of_means, _LEAST * of_deviations).clamp_min(_TINY),
        deviations / torch.maximum(of_deviations, _LEAST * of_means).clamp_min(_TINY),
    ]
    return torch.nn.functional.normalize(torch.cat(parts, dim=1), dim=1)


_TINY = 1e-12


def _length(vectors: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return length


def checked_dim(head: ModelHead, dim: int) -> None:
    """Raises BadWeights where `head` promises embeddings of another length than `dim`, that of the network's."""
    if head.embedding_dim != dim:
        raise BadWeights(
            f"the model file says that its embeddings have {head.embedding_dim} numbers; they have {dim}.",
            hint="An earlier version wrote it: add the file to the project again, then promote the new version.",
        )
