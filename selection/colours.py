"""What an image looks like before there is any model: its colours, as a descriptor that needs no download.

A histogram of hue and saturation and one of brightness, of which the square root is compared (Hellinger). On FOD-A it
finds images of the same class in other sequences more often than thumbnails, gradient histograms (HOG) and grids of
colours do (docs/selection.md, Cold start). It says nothing of shapes: with the first model comes that model's
embedding, which is another space and is never mixed with this one.
"""

import numpy as np
from numpy.typing import NDArray

from selection.embeddings import units

SPACE = "colours-1"  # another number where the same image would get another descriptor
DIM = 40

_HUES, _SATURATIONS, _LEVELS = 8, 4, 8
_SIDE = 64  # pixels of the longer side that are looked at
_MOST = 32  # directions that are compared
_SHARE = 0.9  # of the spread that these have; what is left is noise, which whitening would make as loud


def described(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(DIM,) of (h, w, 3) RGB: square roots of shares, so that its length is 1."""
    step = max(1, -(-max(pixels.shape[:2]) // _SIDE))
    rgb = pixels[::step, ::step].reshape(-1, 3).astype(np.float32) / 255.0
    hue, saturation, value = _hsv(rgb)
    colours = _bin(hue, _HUES) * _SATURATIONS + _bin(saturation, _SATURATIONS)
    counts = np.concatenate(
        [
            np.bincount(colours, minlength=_HUES * _SATURATIONS),
            np.bincount(_bin(value, _LEVELS), minlength=_LEVELS),
        ]
    )
    return np.asarray(np.sqrt(counts / counts.sum()), dtype=np.float32)


def compared(descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, d) of (n, DIM), L2-normalised, d at most 32: whitened by what varies among these images.

    Each colour counts by its spread, directions that vary together count once. Of the same images always the same.
    """
    if not len(descriptors):
        return np.empty((0, 1), dtype=np.float32)
    centred = descriptors.astype(np.float64) - descriptors.mean(axis=0)
    scaled = centred / np.maximum(centred.std(axis=0), 1e-6)
    spread, directions = np.linalg.eigh(scaled.T @ scaled / len(scaled))
    if spread[-1] < 1e-6:  # all alike
        return np.ones((len(descriptors), 1), dtype=np.float32)
    spread, directions = spread[::-1], directions[:, ::-1]  # the largest first
    kept = min(_MOST, 1 + int(np.searchsorted(np.cumsum(spread) / spread.sum(), _SHARE)))
    return units(scaled @ (directions[:, :kept] / np.sqrt(spread[:kept])))


def _bin(values: NDArray[np.float32], bins: int) -> NDArray[np.intp]:
    """values in [0, 1] → 0 … bins − 1."""
    return np.minimum((values * bins).astype(np.intp), bins - 1)


def _hsv(rgb: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Each (n,) in [0, 1], of (n, 3) in [0, 1]; the hue of a grey is 0."""
    value, chroma = rgb.max(axis=1), np.ptp(rgb, axis=1)
    safe = np.where(chroma > 0.0, chroma, np.float32(1.0))
    red, green, blue = rgb.T
    sector = np.select(
        [value == red, value == green],
        [((green - blue) / safe) % 6.0, (blue - red) / safe + 2.0],
        (red - green) / safe + 4.0,
    )
    hue = np.where(chroma > 0.0, sector / 6.0, np.float32(0.0))
    saturation = chroma / np.where(value > 0.0, value, np.float32(1.0))
    return hue.astype(np.float32), saturation.astype(np.float32), value
