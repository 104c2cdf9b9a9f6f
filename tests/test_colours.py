"""The descriptor that stands for a model where there is none."""

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from selection.colours import DIM, _hsv, compared, described

PIXELS = arrays(np.uint8, st.tuples(st.integers(1, 90), st.integers(1, 90), st.just(3)))


def plain(colour: tuple[int, int, int], side: int = 20) -> np.ndarray:
    return np.full((side, side, 3), colour, dtype=np.uint8)


@given(PIXELS)
def test_a_descriptor_has_length_one(pixels):
    """Whatever the image, of whatever size: square roots of shares, finite."""
    descriptor = described(pixels)
    assert descriptor.shape == (DIM,)
    assert descriptor.dtype == np.float32
    assert np.linalg.norm(descriptor) == pytest.approx(1.0, abs=1e-5)


@given(arrays(np.float32, (6, 3), elements=st.floats(0, 1, width=16)))
def test_hues_are_those_of_the_standard_library(rgb):
    for one, *found in zip(rgb, *_hsv(rgb), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*map(float, one))
        assert abs(found[0] - hue) % 1.0 == pytest.approx(0.0, abs=1e-4) or abs(found[0] - hue) > 0.9999
        assert found[1:] == pytest.approx([saturation, value], abs=1e-4)


def test_where_things_are_does_not_matter_and_how_large_the_image_is_neither():
    """The same colours in other places, and four times as many pixels, are the same."""
    half = np.concatenate([plain((250, 20, 20)), plain((20, 20, 250))])
    assert described(half) == pytest.approx(described(half[::-1]), abs=1e-6)
    assert described(half) == pytest.approx(described(half.repeat(4, axis=0).repeat(4, axis=1)), abs=1e-6)


def test_images_of_one_colour_are_nearer_than_those_of_two():
    """Compared by their cosine, as strategies compare embeddings."""
    rng = np.random.default_rng(0)
    reds = [plain((230, 30, 30)) + rng.integers(0, 20, (20, 20, 3), dtype=np.uint8) for _ in range(5)]
    blues = [plain((30, 30, 230)) + rng.integers(0, 20, (20, 20, 3), dtype=np.uint8) for _ in range(5)]
    points = compared(np.stack([described(one) for one in reds + blues]))
    similar = points @ points.T
    assert similar[:5, :5].min() > similar[:5, 5:].max()


@given(st.integers(0, 12), st.integers(0, 3))
def test_compared_descriptors_are_finite_and_of_length_one_or_none(count, seed):
    """Of no images, one, or many; images that are all alike too. An image that is exactly the mean of all has none."""
    rng = np.random.default_rng(seed)
    one = described(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
    for rows in (np.tile(one, (count, 1)), rng.random((count, DIM), dtype=np.float32)):
        points = compared(rows)
        assert len(points) == count
        assert np.isfinite(points).all()
        lengths = np.linalg.norm(points, axis=1)
        assert all(length == pytest.approx(1.0, abs=1e-4) or length == 0.0 for length in lengths)
