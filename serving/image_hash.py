"""What an image looks like in 64 bits, whatever its size and encoding: a perceptual hash (pHash).

After Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), as `imagehash.phash` makes
it: the 8 × 8 lowest frequencies of the brightness, each above or below their median. Copies that were scaled or encoded
again differ in a few bits, other images in about half of them.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE = 32
_LOWEST = 8


def image_hash(pixels: NDArray[np.uint8]) -> int:
    """Of (h, w, 3) RGB, as a signed number of 64 bits. Decoded at a part of its size, an image may differ in a few: who
    compares hashes decodes all with the same `enough` of `decode_image`."""
    grey = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    lowest = np.asarray(cv2.dct(grey.astype(np.float32)))[:_LOWEST, :_LOWEST].ravel()
    return int.from_bytes(np.packbits(lowest > np.median(lowest)).tobytes(), "big", signed=True)
