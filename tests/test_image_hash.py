"""A perceptual hash: copies of an image are near each other, other images are not."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from loop.demo.scenes import Pool, day_scenes
from serving.image_hash import image_hash
from serving.images import decode_image

BITS = 4  # of training.leak_bits


def hash_of(pixels: NDArray[np.uint8], quality: int = 92) -> int:
    done, encoded = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return image_hash(decode_image(encoded.tobytes(), max_pixels=10**7, enough=64)[1])


def apart(a: int, b: int) -> int:
    return ((a ^ b) % 2**64).bit_count()


@pytest.fixture(scope="module")
def scenes() -> list[NDArray[np.uint8]]:
    return [scene.image for scene in day_scenes(1, 40, Pool.STREAM)]


def test_a_copy_is_near_its_image(scenes: list[NDArray[np.uint8]]) -> None:
    """Encoded at half the quality, scaled to a half, or brighter: of ten nine at least, of each kind."""
    copies = {
        "encoded": lambda pixels: hash_of(pixels, 46),
        "scaled": lambda pixels: hash_of(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)),
        "brighter": lambda pixels: hash_of(np.minimum(pixels.astype(np.int32) + 8, 255).astype(np.uint8)),
    }
    for kind, copy in copies.items():
        near = [apart(hash_of(pixels), copy(pixels)) <= BITS for pixels in scenes]
        assert sum(near) >= 0.9 * len(near), kind


def test_other_images_are_not_near(scenes: list[NDArray[np.uint8]]) -> None:
    """They differ in about half of the bits."""
    hashes = [hash_of(pixels) for pixels in scenes]
    between = [apart(a, b) for n, a in enumerate(hashes) for b in hashes[:n]]
    assert min(between) > BITS and 24 < np.mean(between) < 40


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (31, 33), (400, 7)])
def test_an_image_of_any_shape_has_a_signed_number_of_64_bits(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(3)
    for _ in range(8):
        value = image_hash(rng.integers(0, 256, (*shape, 3), dtype=np.uint8))
        assert -(2**63) <= value < 2**63
