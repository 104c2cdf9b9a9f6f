"""Boxes that stand at an angle, which have no place here but by the box around them."""

import math

from loop.domain.geometry import Box, Point


def corners_of_turned(box: Box, degrees: float, around: Point) -> list[Point]:
    """The corners of `box` (xyxy), turned around a point, clockwise as seen."""
    x1, y1, x2, y2 = box
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    arms = [(x - around[0], y - around[1]) for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))]
    return [(around[0] + x * cos - y * sin, around[1] + x * sin + y * cos) for x, y in arms]
