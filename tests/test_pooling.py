"""The embedding of an image: what its detector's body sees, averaged."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

from loop.domain.errors import BadWeights
from serving.backends.load import load_detector
from serving.backends.pooling import pooled
from tests.tiny_models import tiny_weights
from training import networks
from training.head import read_head
from training.weights import adopt, read_weights, write_weights

MAPS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 5), st.integers(1, 5)),
    elements=st.floats(-100, 100, width=16),
).map(torch.from_numpy)


@given(MAPS)
def test_it_has_two_numbers_for_each_channel_and_length_one(level: Tensor) -> None:
    """Zeros only where the whole map is: a dead network."""
    embeddings = pooled(level)
    assert embeddings.shape == (len(level), 2 * level.shape[1]) and embeddings.dtype == torch.float32
    alive = level.abs().amax(dim=(1, 2, 3)) > 0
    lengths = torch.linalg.vector_norm(embeddings, dim=1)
    torch.testing.assert_close(lengths, alive.float(), atol=1e-5, rtol=0)


@given(MAPS, st.floats(0.01, 100), st.integers(0, 1000))
def test_neither_the_scale_of_the_map_nor_the_order_of_its_places_matters(
    level: Tensor, scale: float, seed: int
) -> None:
    order = torch.randperm(level.shape[2] * level.shape[3], generator=torch.Generator().manual_seed(seed))
    moved = level.flatten(2)[:, :, order].reshape(level.shape)
    torch.testing.assert_close(pooled(moved * scale), pooled(level), atol=1e-3, rtol=0)


def test_means_and_deviations_have_the_same_share() -> None:
    """Whatever their sizes: deviations tell fine ground from even ground, means tell light from dark."""
    level = 10.0 + torch.rand(4, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    means, deviations = pooled(level).split(8, dim=1)
    for part in (means, deviations):
        torch.testing.assert_close(torch.linalg.vector_norm(part, dim=1), torch.full((4,), 0.5**0.5))


def test_an_even_map_has_no_deviation() -> None:
    assert not pooled(torch.full((1, 3, 4, 4), 2.5))[:, 3:].any()


@pytest.mark.parametrize("name", ["yolov5n.yaml", "yolov8n.yaml", "yolov10n.yaml", "yolo11n.yaml", "yolo12n.yaml"])
def test_it_is_made_of_the_last_layer_with_a_place_for_8_pixels(name: str) -> None:
    """Deeper layers know what an object is, and hide what the ground looks like."""
    head, state = read_weights(adopt(name, labels=("a",), image_size=64))
    network = networks.ultralytics_network(head.architecture, 1, state)
    layer, channels = networks.body_layer(network)
    assert layer is network.model[4] and head.embedding_dim == 2 * channels  # type: ignore[index]


def test_a_model_file_that_promises_other_embeddings_is_refused_and_mended_by_adding_it_again(tmp_path: Path) -> None:
    """Files of versions that averaged other layers."""
    head, state = read_weights(tiny_weights(("a", "b")))
    path = tmp_path / "of-before.safetensors"
    path.write_bytes(write_weights(replace(head, embedding_dim=head.embedding_dim + 1), state))
    with pytest.raises(BadWeights) as raised:
        load_detector(path.read_bytes())
    assert "add the file" in str(raised.value.hint)
    again = adopt(path)
    assert read_head(again).embedding_dim == head.embedding_dim
    load_detector(again)
