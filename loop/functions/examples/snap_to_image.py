"""Shapes are clipped to the image, and edges of boxes that nearly reach its border are moved there."""

from dataclasses import replace

from loop.domain.functions import Context, Result
from loop.domain.geometry import bounds_of, polygon_area
from loop.domain.truth import Geometry, Shape

_DEFAULT_PIXELS = 5.0
_NO_AREA = 1e-6  # square pixels, below which a polygon cannot be kept


def snap_to_image(context: Context) -> Result:
    """Options: pixels (default 5), how near to the border an edge of a box must be. Corners of other shapes that lie
    outside are moved onto the border. What lies outside as a whole is left out, with the links to it."""
    if context.item is None:
        return Result(messages=["There is no image to snap to."])
    pixels = float(context.options.get("pixels", _DEFAULT_PIXELS))
    if not 0 <= pixels <= 1000:
        raise ValueError(f"the option pixels is {pixels:g}; give 0 to 1000")
    width, height = context.item.width, context.item.height
    snapped = [_snapped(shape, width, height, pixels) for shape in context.shapes]
    kept = [shape for shape in snapped if shape is not None]
    gone = {shape.id for shape in context.shapes} - {shape.id for shape in kept}
    kept = [replace(one, links=tuple(link for link in one.links if link.to not in gone)) for one in kept]
    moved = sum(new is not None and new != old for old, new in zip(context.shapes, snapped, strict=True))
    messages = [f"{moved} shapes were moved."]
    if len(kept) < len(snapped):
        messages.append(f"{len(snapped) - len(kept)} shapes lay outside the image and were left out.")
    return Result(kept, messages)


def _snapped(shape: Shape, width: float, height: float, pixels: float) -> Shape | None:
    if shape.type is not Geometry.BOX:
        return _clipped(shape, width, height)
    x1, y1, x2, y2 = shape.box
    x1, x2 = _edge(x1, width, pixels), _edge(x2, width, pixels)
    y1, y2 = _edge(y1, height, pixels), _edge(y2, height, pixels)
    if x1 >= x2 or y1 >= y2:
        # A box thinner than that, beside the border: clipped is all that it can be.
        x1, y1, x2, y2 = (_edge(side, size, 0) for side, size in zip(shape.box, (width, height) * 2, strict=True))
    return replace(shape, box=(x1, y1, x2, y2)) if x1 < x2 and y1 < y2 else None


def _edge(at: float, size: float, pixels: float) -> float:
    if at <= pixels:
        return 0.0
    return float(size) if at >= size - pixels else at


def _clipped(shape: Shape, width: float, height: float) -> Shape | None:
    points = tuple((min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))) for x, y in shape.points)
    if not any(before == after for before, after in zip(shape.points, points, strict=True)):
        return None  # no corner of it lies in the image
    if shape.type is Geometry.POLYGON and polygon_area(points) < _NO_AREA:
        return None
    return replace(shape, points=points, box=bounds_of(points))
