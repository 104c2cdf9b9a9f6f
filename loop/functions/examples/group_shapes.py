"""Selected shapes get one group id."""

from dataclasses import replace
from itertools import count

from loop.domain.functions import Context, Result


def group_shapes(context: Context) -> Result:
    """That of the first of them that has one, else the next free of g1, g2 and so on. No options."""
    selected = [shape for shape in context.shapes if shape.id and shape.id in context.selected]
    if len(selected) < 2:
        return Result(messages=["Select two shapes or more to group them."])
    taken = {shape.group for shape in context.shapes}
    group = next((shape.group for shape in selected if shape.group), "") or next(
        name for name in (f"g{number}" for number in count(1)) if name not in taken
    )
    ids = {shape.id for shape in selected}
    shapes = [replace(shape, group=group) if shape.id in ids else shape for shape in context.shapes]
    return Result(shapes, [f"{len(selected)} shapes are the group {group}."])
