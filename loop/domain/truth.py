"""Shapes that people draw, and the ground truth that they resolve to."""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from loop.domain.errors import BadShape, UnknownLabel
from loop.domain.geometry import Box, Point, bounds_of, polygon_area

# Reviewers' tools round; a shape may stick out by this many pixels and is clipped.
EDGE_TOLERANCE = 1.0
# Square pixels. What rounding leaves of a polygon whose corners lie on one line is less.
_NO_AREA = 1e-6

# Of one shape. A polygon drawn by hand has tens of corners, one traced by a tool some hundreds.
MOST_POINTS = 10_000
MOST_LINKS = 1_000
MOST_ATTRIBUTES = 100
LONGEST_TEXT = 4_000

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


class Geometry(StrEnum):
    BOX = "box"
    POINT = "point"
    POLYGON = "polygon"
    POLYLINE = "polyline"

    @property
    def is_region(self) -> bool:
        """Whether it has an area. Only regions are compared with detections, and only they train a detector: by their
        box. A point has none, and the box around a line says little of the line."""
        return self in (Geometry.BOX, Geometry.POLYGON)


_FEWEST_POINTS = {Geometry.POINT: 1, Geometry.POLYGON: 3, Geometry.POLYLINE: 2}

# Of an attribute: text and one option are str, several options a tuple.
Value = str | float | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """From the shape that holds it to another of the same image. to: that one's id."""

    type: str
    to: str


@dataclass(frozen=True, slots=True)
class Shape:
    """Something that a person drew, in absolute pixels.

    box: `xyxy`; of other geometries their bounding box, so empty for a point. points: in the order drawn, none for a
    box; a polygon is closed without repeating its first. id: unique within the answer, "" where nothing needs one.
    group: shapes of one image that belong together; track: shapes of one object in several images; "" for none.
    frame: index in the clip, in an answer to a task of a clip; None everywhere else. keyframe: a person drew it; False:
    it lies between two that were drawn (loop/domain/items/tracks.py). outside: from this key frame to the next of its
    track the object is not to be seen; in answers only.
    """

    label: str
    box: Box
    type: Geometry = Geometry.BOX
    points: tuple[Point, ...] = ()
    id: str = ""
    attributes: Mapping[str, Value] = field(default_factory=dict, hash=False)
    links: tuple[Link, ...] = ()
    group: str = ""
    track: str = ""
    frame: int | None = None
    keyframe: bool = True
    outside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTruth:
    """The resolved shapes of an item, one version; `submission_ids` names where they came from
    (empty for an import)."""

    project_id: str
    item_digest: str
    version: int
    shapes: tuple[Shape, ...]
    submission_ids: tuple[str, ...]
    origin: str  # import | review | function:NAME
    created_at: datetime


def drawn(type: Geometry, label: str, points: Sequence[Point], **more: Any) -> Shape:  # noqa: A002 - the field's name
    """A shape of points, with the box around them. more: fields of Shape."""
    return Shape(label, bounds_of(points), type, tuple(points), **more)


# --- as JSON ---------------------------------------------------------------------------------------------


def shape_to_json(shape: Shape) -> dict[str, Any]:
    """A plain labelled box is {label, box} and no more: stored answers, manifests and digests from before there was
    anything else keep their bytes."""
    document: dict[str, Any] = {"label": shape.label, "box": [float(side) for side in shape.box]}
    if shape.type is not Geometry.BOX:
        document["type"] = shape.type.value
        document["points"] = [[float(x), float(y)] for x, y in shape.points]
    if shape.attributes:
        document["attributes"] = {
            name: list(value) if isinstance(value, tuple) else value for name, value in shape.attributes.items()
        }
    if shape.links:
        document["links"] = [{"type": link.type, "to": link.to} for link in shape.links]
    if shape.id or shape.group or shape.track:
        document |= {name: text for name in ("id", "group", "track") if (text := getattr(shape, name))}
    if shape.frame is not None:
        document["frame"] = shape.frame
    if not shape.keyframe:
        document["keyframe"] = False
    if shape.outside:
        document["outside"] = True
    return document


def shape_from_json(document: Mapping[str, Any]) -> Shape:
    """Undoes `shape_to_json`. Raises KeyError, TypeError or ValueError for what that never gives."""
    x1, y1, x2, y2 = map(float, document["box"])
    if len(document) == 2:  # a plain labelled box, as nearly all
        return Shape(document["label"], (x1, y1, x2, y2))
    return Shape(
        label=document["label"],
        box=(x1, y1, x2, y2),
        type=Geometry(document.get("type", Geometry.BOX)),
        points=tuple((float(x), float(y)) for x, y in document.get("points", ())),
        id=document.get("id", ""),
        attributes={
            name: tuple(value) if isinstance(value, list) else value
            for name, value in document.get("attributes", {}).items()
        },
        links=tuple(Link(link["type"], link["to"]) for link in document.get("links", ())),
        group=document.get("group", ""),
        track=document.get("track", ""),
        frame=document.get("frame"),
        keyframe=document.get("keyframe") is not False,
        outside=document.get("outside", False),
    )


# --- what can be kept ------------------------------------------------------------------------------------


def checked_shapes(shapes: Iterable[Shape], *, labels: Collection[str], width: int, height: int) -> tuple[Shape, ...]:
    """The shapes, clipped to the image, or the first that cannot be kept as an error.

    Raises UnknownLabel; BadShape for a box that is not finite, empty, or outside the image, for points that are, too
    few or without an area, for an id that is used twice, and a link to no other shape.
    """
    checked = tuple(_checked(shape, index, labels, width, height) for index, shape in enumerate(shapes))
    _require_own_ids(checked)
    _require_linked(checked)
    return checked


def _checked(shape: Shape, index: int, known: Collection[str], width: int, height: int) -> Shape:
    if shape.label not in known:
        raise UnknownLabel(
            f"shape {index} has the label {shape.label!r}, which this project does not know.",
            hint=f"Use one of: {', '.join(sorted(known))}.",
            shape=index,
            label=shape.label,
        )
    _require_bounded(shape, index)
    if shape.type is Geometry.BOX:
        box = _clipped_box(shape, index, width, height)
        return shape if box == shape.box else replace(shape, box=box)
    points = _clipped_points(shape, index, width, height)
    return replace(shape, points=points, box=bounds_of(points))


def _clipped_box(shape: Shape, index: int, width: int, height: int) -> Box:
    if shape.points:
        raise _bad(index, "is a box and has points.", "Leave the points out, or name its type.")
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
    return clipped


def _clipped_points(shape: Shape, index: int, width: int, height: int) -> tuple[Point, ...]:
    fewest = _FEWEST_POINTS[shape.type]
    most = 1 if shape.type is Geometry.POINT else MOST_POINTS
    if not fewest <= len(shape.points) <= most:
        wanted = "one point" if most == 1 else f"{fewest} to {most:,} points"
        raise _bad(index, f"is a {shape.type} of {len(shape.points)} points.", f"A {shape.type} has {wanted}.")
    for x, y in shape.points:
        if not (-EDGE_TOLERANCE <= x <= width + EDGE_TOLERANCE and -EDGE_TOLERANCE <= y <= height + EDGE_TOLERANCE):
            raise _bad(
                index,
                f"has the point [{x:g}, {y:g}], which does not lie in the {width} x {height} image.",
                "Send points as [x, y] in absolute pixels, inside the image.",
            )
    points = tuple((min(max(x, 0.0), float(width)), min(max(y, 0.0), float(height))) for x, y in shape.points)
    if len(set(points)) < fewest:
        raise _bad(
            index,
            f"is a {shape.type} of {len(set(points))} distinct points.",
            f"A {shape.type} needs at least {fewest} that differ.",
        )
    if shape.type is Geometry.POLYGON and polygon_area(points) < _NO_AREA:
        raise _bad(index, "is a polygon without an area.", "Move its corners off one line, and do not cross its sides.")
    return points


def _require_bounded(shape: Shape, index: int) -> None:
    """What could fill a database, or could not be written as JSON."""
    if not (shape.links or shape.attributes or shape.id or shape.group or shape.track):
        return  # a plain box, as nearly all of a data set
    for name, count, most in (
        ("links", len(shape.links), MOST_LINKS),
        ("attributes", len(shape.attributes), MOST_ATTRIBUTES),
    ):
        if count > most:
            raise _bad(index, f"has {count} {name}.", f"A shape has at most {most:,}.")
    for name, value in shape.attributes.items():
        texts = [name, *(value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ())]
        if len(texts) > MOST_ATTRIBUTES or any(len(text) > LONGEST_TEXT for text in texts):
            raise _bad(index, f"has too long a value of {name[:40]!r}.", f"At most {LONGEST_TEXT:,} characters.")
        if isinstance(value, float) and not math.isfinite(value):
            raise _bad(index, f"has a value of {name!r} that is not finite.", "Send a number, or leave it out.")
    for name, text in (("id", shape.id), ("group", shape.group), ("track", shape.track)):
        if text and not _ID.fullmatch(text):
            raise _bad(
                index, f"has the {name} {text[:80]!r}.", "Use 1 to 64 letters, digits, points, colons, _ and dashes."
            )


def _require_own_ids(shapes: Sequence[Shape]) -> None:
    first: dict[str, int] = {}
    for index, shape in enumerate(shapes):
        if shape.id and shape.id in first:
            raise _bad(
                index, f"has the id {shape.id!r}, as shape {first[shape.id]} has.", "Give each shape an id of its own."
            )
        first[shape.id] = index


def _require_linked(shapes: Sequence[Shape]) -> None:
    ids = {shape.id for shape in shapes if shape.id}
    for index, shape in enumerate(shapes):
        for link in shape.links:
            if link.to not in ids:
                raise _bad(
                    index,
                    f"has a {link.type!r} link to {link.to[:80]!r}, which no shape of this answer is called.",
                    "Link to the id of a shape that is sent along, or remove the link.",
                )
            if link.to == shape.id:
                raise _bad(index, f"has a {link.type!r} link to itself.", "Link to another shape, or remove the link.")
        if len(set(shape.links)) < len(shape.links):
            raise _bad(index, "has the same link twice.", "Send each link once.")


def _bad(index: int, what: str, hint: str) -> BadShape:
    return BadShape(f"shape {index} {what}", hint=hint, shape=index)
