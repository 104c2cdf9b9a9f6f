"""Shapes that people draw, and the ground truth that they resolve to."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from loop.domain.errors import BadShape, UnknownLabel
from loop.domain.geometry import Box

# Reviewers' tools round; a box may stick out by this many pixels and is clipped.
EDGE_TOLERANCE = 1.0


@dataclass(frozen=True, slots=True)
class Shape:
    """A labelled box in absolute pixels `xyxy`. Other geometries join in the recipe work."""

    label: str
    box: Box


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTruth:
    """The resolved shapes of an item, one version; `submission_ids` names where they came from
    (empty for an import)."""

    project_id: str
    item_digest: str
    version: int
    shapes: tuple[Shape, ...]
    submission_ids: tuple[str, ...]
    origin: str  # import | review
    created_at: datetime


def checked_shapes(shapes: Iterable[Shape], *, labels: Iterable[str], width: int, height: int) -> tuple[Shape, ...]:
    """The shapes, clipped to the image, or the first that cannot be kept as an error.

    Raises UnknownLabel, or BadShape for a box that is not finite, empty, or outside the image.
    """
    known = set(labels)
    return tuple(_checked(shape, index, known, width, height) for index, shape in enumerate(shapes))


def _checked(shape: Shape, index: int, known: set[str], width: int, height: int) -> Shape:
    if shape.label not in known:
        raise UnknownLabel(
            f"shape {index} has the label {shape.label!r}, which this project does not know.",
            hint=f"Use one of: {', '.join(sorted(known))}.",
            shape=index,
            label=shape.label,
        )
    x1, y1, x2, y2 = shape.box
    inside_x = -EDGE_TOLERANCE <= x1 < x2 <= width + EDGE_TOLERANCE
    inside_y = -EDGE_TOLERANCE <= y1 < y2 <= height + EDGE_TOLERANCE
    clipped = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
    if not (inside_x and inside_y) or clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
        raise BadShape(
            f"shape {index} has the box [{x1:g}, {y1:g}, {x2:g}, {y2:g}], "
            f"which does not lie in the {width} x {height} image.",
            hint="Send xyxy in absolute pixels with x1 < x2 and y1 < y2, inside the image.",
            shape=index,
            box=list(shape.box),
        )
    return Shape(shape.label, clipped)
