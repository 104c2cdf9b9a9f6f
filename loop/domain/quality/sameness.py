"""Whether two answers to one image say the same, whatever was drawn; and how far."""

from collections.abc import Sequence

import numpy as np

from loop.domain.corrections import corrections
from loop.domain.prediction import Detection
from loop.domain.quality.agreement import Same, pair_agreements, same_label
from loop.domain.quality.answers import Answer, Match
from loop.domain.quality.attributes import Attributes, same_attributes
from loop.domain.quality.likeness import extent
from loop.domain.quality.relations import same_groups, same_links
from loop.domain.review.tasks import is_plain
from loop.domain.truth import Geometry, Shape


def read_answer(reviewer: str, shapes: Sequence[Shape], reach: float) -> Answer:
    """With all that was drawn, of whatever geometry."""
    boxes = np.array([extent(shape, reach) for shape in shapes], dtype=np.float64).reshape(-1, 4)
    return Answer(reviewer, tuple(shape.label for shape in shapes), boxes, tuple(shapes), reach)


def sameness(attributes: Attributes) -> Same:
    """Of matched shapes those are the same of which all that is said is: label, attributes, links from them, groups."""

    def same(one: Answer, other: Answer, matches: Sequence[Match]) -> list[bool]:
        said = (
            same_label(one, other, matches),
            [
                same_attributes(
                    one.labels[m.row], one.shapes[m.row].attributes, other.shapes[m.other].attributes, attributes
                )
                for m in matches
            ],
            same_links(one, other, matches),
            same_groups(one, other, matches),
        )
        return [all(each) for each in zip(*said, strict=True)]

    return same


def alike(one: Sequence[Shape], other: Sequence[Shape], *, iou: float, attributes: Attributes, reach: float) -> bool:
    """Whether two answers say the same: each shape of the one is matched, with an IoU or likeness (likeness.py) of at
    least `iou`, by one of the other of which all that is said is the same. Answers to clips are alike only where they
    are equal.

    attributes: of the recipe; what is not among them does not count. reach: of the item, in pixels.
    """
    shapes = (*one, *other)
    if not all(is_still(shape) for shape in shapes):
        return tuple(one) == tuple(other)
    if all(is_plain_box(shape) for shape in shapes):  # by what is an error everywhere else
        return not corrections([Detection(shape.label, 1.0, shape.box) for shape in one], other, iou=iou)
    read = [read_answer(name, said, reach) for name, said in (("one", one), ("other", other))]
    (pair,) = pair_agreements(read, iou=iou, same=sameness(attributes))
    return pair.f1 == 1.0


def is_plain_box(shape: Shape) -> bool:
    """A labelled box and no more, as nearly all."""
    return shape.type is Geometry.BOX and is_plain(shape)


def is_still(shape: Shape) -> bool:
    """Of an answer to one image, without frames or tracks."""
    return not shape.track and shape.frame is None
