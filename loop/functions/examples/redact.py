"""Regions of given labels are made unrecognisable in a copy of the image.

It finds nothing by itself: what nobody has drawn and no model has detected stays as it is. It is no face detector.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loop.domain.functions import Context, Result
from loop.domain.truth import Shape

_DEFAULT_CELLS = 6
_DEFAULT_MARGIN = 0.1


def redact(context: Context) -> Result:
    """Options: labels (which regions, required); cells (default 6): what is left of a region along its longer side;
    margin (default 0.1): so much more of its size on each side."""
    labels = context.options.get("labels")
    if not isinstance(labels, list | tuple) or not labels:
        raise ValueError('the option labels is missing; give the labels to redact, as ["face"]')
    cells = int(context.options.get("cells", _DEFAULT_CELLS))
    margin = float(context.options.get("margin", _DEFAULT_MARGIN))
    if not 1 <= cells <= 32 or not 0 <= margin <= 1:
        raise ValueError("cells must be 1 to 32, and margin 0 to 1")
    regions = [shape for shape in context.shapes if shape.label in labels and shape.type.is_region]
    if context.item is None or not regions:
        return Result(messages=["There is nothing to redact."])
    pixels = context.item.image().copy()
    for shape in regions:
        _blur(pixels, shape, cells, margin)
    return Result(context.shapes, [f"{len(regions)} regions were redacted."], pixels)


def _blur(pixels: NDArray[np.uint8], shape: Shape, cells: int, margin: float) -> None:
    """In place. Averages of few cells, drawn smoothly: a blur by a known kernel could be undone, an average cannot."""
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = shape.box
    dx, dy = margin * (x2 - x1), margin * (y2 - y1)
    left, top = max(math.floor(x1 - dx), 0), max(math.floor(y1 - dy), 0)
    right, bottom = min(math.ceil(x2 + dx), width), min(math.ceil(y2 + dy), height)
    if left >= right or top >= bottom:
        return
    region = Image.fromarray(pixels[top:bottom, left:right])
    longest = max(region.size)
    few = tuple(max(1, min(side, round(cells * side / longest))) for side in region.size)
    coarse = region.resize((few[0], few[1]), Image.Resampling.BOX)
    pixels[top:bottom, left:right] = np.asarray(coarse.resize(region.size, Image.Resampling.BICUBIC))
