"""Models that must never take traffic, as somebody might send them."""

import pickle
from collections.abc import Mapping
from dataclasses import replace

import safetensors.torch
import torch
from torch import Tensor

from loop.domain.model import ModelHead
from training.head import HEAD_KEY, head_json
from training.weights import read_weights


def broken_candidates(weights: bytes) -> Mapping[str, bytes]:
    """Five variants of a good model file, by what is wrong with them."""
    head, state = read_weights(weights)
    scaled = {name: t * 1e18 if t.is_floating_point() and t.ndim == 4 else t for name, t in state.items()}
    first = next(name for name, tensor in state.items() if tensor.is_floating_point())
    return {
        "a pickle": pickle.dumps({"weights": b"x" * 100}),
        "weights that are NaN": _file(head, {**state, first: torch.full_like(state[first], float("nan"))}),
        "finite weights with NaN answers": _file(head, scaled),
        "labels of another project": _file(replace(head, labels=("cat", "dog", "bird")), state),
        "a missing tensor": _file(head, {name: tensor for name, tensor in state.items() if name != first}),
    }


def _file(head: ModelHead, state: Mapping[str, Tensor]) -> bytes:
    """Without the checks of `write_weights`."""
    content: bytes = safetensors.torch.save(
        {name: tensor.contiguous() for name, tensor in state.items()}, metadata={HEAD_KEY: head_json(head)}
    )
    return content
