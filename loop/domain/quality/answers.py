"""What several people said of one image, and which of their shapes mean the same object."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy  # loads its parts when they are first used: what serves imports this module and needs none of them
from numpy.typing import NDArray

from loop.domain.errors import BadShape, Invalid
from loop.domain.geometry import iou_matrix
from loop.domain.policy.quality_rules import MATCH_IOU
from loop.domain.quality.likeness import likeness
from loop.domain.truth import Geometry, Shape, shape_to_json

Floats = NDArray[np.float64]

# Between places that overlap about as well, the one with the same label is meant: worth this much IoU, so that a label
# seldom outweighs a place, and two objects in one place are told apart by their labels.
SAME_LABEL = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """All that one reviewer marked in one image: n labels and boxes (n, 4), absolute pixels `xyxy`; n may be 0.

    shapes: what was drawn, where it is more than boxes; then boxes are the `extent` of each. reach: of the item, in
    pixels (likeness.py). Raises BadShape where boxes are not (n, 4), not finite, or empty.
    """

    reviewer: str
    labels: tuple[str, ...]
    boxes: Floats
    shapes: tuple[Shape, ...] = ()
    reach: float = 0.0

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes, dtype=np.float64)
        object.__setattr__(self, "boxes", boxes.reshape(0, 4) if boxes.size == 0 else boxes)
        if self.boxes.shape != (len(self.labels), 4):
            raise BadShape(
                f"an answer of {len(self.labels)} labels has boxes of shape {self.boxes.shape}.",
                hint="Give one xyxy box for each label.",
                reviewer=self.reviewer,
            )
        if not np.isfinite(self.boxes).all() or (self.boxes[:, :2] >= self.boxes[:, 2:]).any():
            raise BadShape(
                "an answer has a box that is empty or not finite.",
                hint="Give xyxy in absolute pixels with x1 < x2 and y1 < y2.",
                reviewer=self.reviewer,
            )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Match:
    """One object, as two answers have it: rows of either, and how far they overlap, or lie alike, in (0, 1]."""

    row: int
    other: int
    iou: float


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """One object as some reviewers marked it, or what one or more of them took for an object.

    reviewers, labels, boxes: of those who marked it, in the order of their names; boxes (m, 4), m >= 1.
    missing: those who looked at the image and did not. shapes: what was drawn, where the answers have it; reach: of the
    item then, in pixels (likeness.py).
    """

    reviewers: tuple[str, ...]
    labels: tuple[str, ...]
    boxes: Floats
    missing: tuple[str, ...]
    shapes: tuple[Shape, ...] = ()
    reach: float = 0.0

    @property
    def disputed(self) -> bool:
        """Those who marked it named it differently."""
        return len(set(self.labels)) > 1

    @property
    def agreed(self) -> bool:
        """All who looked marked it, under one label."""
        return not self.missing and not self.disputed

    @property
    def looked(self) -> int:
        """How many people."""
        return len(self.reviewers) + len(self.missing)


def matched(one: Answer, other: Answer, *, iou: float = MATCH_IOU) -> tuple[Match, ...]:
    """Which shapes mean the same object: one to one, with an IoU (of what is no box: a likeness) of at least `iou`, by
    ascending row of `one`.

    Of all ways the one with the largest sum of IoU and SAME_LABEL (Kuhn 1955, Hungarian method). Only where two ways
    are exactly as good does the order of shapes and answers matter; `in_order` makes it always the same.
    """
    overlap = _overlap(one, other)
    same = np.array([[a == b for b in other.labels] for a in one.labels], dtype=bool).reshape(overlap.shape)
    value = np.where(overlap >= iou, overlap + SAME_LABEL * same, 0.0)
    rows, columns = scipy.optimize.linear_sum_assignment(value, maximize=True)
    return tuple(
        Match(int(r), int(c), float(overlap[r, c])) for r, c in zip(rows, columns, strict=True) if value[r, c] > 0.0
    )


def in_order(answers: Sequence[Answer]) -> list[Answer]:
    """By the reviewers' names, and the shapes of each by their boxes: whatever order they came in.

    Raises Invalid where a reviewer answered twice.
    """
    names = sorted(answer.reviewer for answer in answers)
    if len(set(names)) != len(names):
        raise Invalid("a reviewer has two answers of one item.", hint="Give the last of them.", reviewers=names)
    return [_sorted(answer) for answer in sorted(answers, key=lambda answer: answer.reviewer)]


def clusters_of(answers: Sequence[Answer], *, iou: float = MATCH_IOU) -> tuple[Cluster, ...]:
    """The objects of an image: each box of each answer is in one cluster, each reviewer at most once in each.

    Boxes of every two reviewers are matched one to one; then matches join clusters from the closest to the loosest,
    unless both have the same reviewer (single linkage with constraints). With two reviewers these are the matches.
    The order of answers and of shapes does not matter. Clusters come from top to bottom, left to right.
    Raises Invalid where a reviewer answered twice.
    """
    ordered = in_order(answers)
    groups = {(who, row): {who: row} for who, answer in enumerate(ordered) for row in range(len(answer))}
    for first, second in _closest_first(ordered, iou):
        one, other = groups[first], groups[second]
        if not one.keys() & other.keys():
            one |= other
            groups.update(dict.fromkeys(other.items(), one))
    distinct = {id(group): group for group in groups.values()}.values()
    return tuple(sorted((_cluster(ordered, group) for group in distinct), key=_place))


def votes_of(clusters: Sequence[Cluster], reviewers: Sequence[str], labels: Sequence[str]) -> NDArray[np.intp]:
    """(clusters, reviewers): the number of the label that each gave, -1 where they gave none.

    Raises Invalid for a label that is not one of `labels`.
    """
    number: Mapping[str, int] = {label: at for at, label in enumerate(labels)}
    column: Mapping[str, int] = {name: at for at, name in enumerate(reviewers)}
    votes = np.full((len(clusters), len(reviewers)), -1, dtype=np.intp)
    for row, cluster in enumerate(clusters):
        for reviewer, label in zip(cluster.reviewers, cluster.labels, strict=True):
            if label not in number:
                raise Invalid(f"an answer has the label {label!r}.", hint=f"There are: {', '.join(labels)}.")
            votes[row, column[reviewer]] = number[label]
    return votes


def _overlap(one: Answer, other: Answer) -> Floats:
    """(n, m) in [0, 1]: IoU of boxes, likeness of all else."""
    overlap = iou_matrix(one.boxes, other.boxes)
    if not (one.shapes and other.shapes):
        return overlap
    boxes, others = (np.array([s.type is Geometry.BOX for s in answer.shapes]) for answer in (one, other))
    # Where not even the extents touch, nothing is alike.
    for row, column in np.argwhere((overlap > 0.0) & ~(boxes[:, None] & others)):
        alike = likeness(one.shapes[row], other.shapes[column], one.reach, float(overlap[row, column]))
        overlap[row, column] = alike
    return overlap


def _sorted(answer: Answer) -> Answer:
    """Rows in an order that depends on what they say alone."""
    said = [json.dumps(shape_to_json(shape), sort_keys=True) for shape in answer.shapes] or [""] * len(answer)
    order = sorted(range(len(answer)), key=lambda row: (tuple(answer.boxes[row]), answer.labels[row], said[row]))
    return Answer(
        answer.reviewer,
        tuple(answer.labels[row] for row in order),
        answer.boxes[order],
        tuple(answer.shapes[row] for row in order) if answer.shapes else (),
        answer.reach,
    )


def _closest_first(answers: Sequence[Answer], iou: float) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of (answer, row) that were matched, by falling overlap, those of one label before others."""
    edges = [
        (-match.iou - SAME_LABEL * (answers[a].labels[match.row] == answers[b].labels[match.other]), a, b, match)
        for a, b in combinations(range(len(answers)), 2)
        for match in matched(answers[a], answers[b], iou=iou)
    ]
    for _, a, b, match in sorted(edges, key=lambda edge: (*edge[:3], edge[3].row)):
        yield (a, match.row), (b, match.other)


def _cluster(answers: Sequence[Answer], group: Mapping[int, int]) -> Cluster:
    members = sorted(group.items())
    return Cluster(
        reviewers=tuple(answers[who].reviewer for who, _ in members),
        labels=tuple(answers[who].labels[row] for who, row in members),
        boxes=np.array([answers[who].boxes[row] for who, row in members]),
        missing=tuple(answer.reviewer for who, answer in enumerate(answers) if who not in group),
        shapes=tuple(answers[who].shapes[row] for who, row in members) if answers[members[0][0]].shapes else (),
        reach=answers[members[0][0]].reach,
    )


def _place(cluster: Cluster) -> tuple[object, ...]:
    middle = np.median(cluster.boxes, axis=0)
    return float(middle[1]), float(middle[0]), *middle[2:].tolist(), cluster.labels, cluster.reviewers
