"""How far people agree: of one image, and beyond chance over a batch of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from loop.domain.geometry import Box, iou_matrix
from loop.domain.policy.quality_rules import MATCH_IOU
from loop.domain.quality.answers import Answer, Cluster, Match, in_order, matched
from loop.domain.quality.likeness import likeness
from loop.domain.truth import Geometry, Shape

Floats = NDArray[np.float64]
Distance = Callable[[Floats, Floats], Floats]
# Of the matches of two answers, which are said to be the same.
Same = Callable[[Answer, Answer, Sequence[Match]], Sequence[bool]]

_ROWS_AT_ONCE = 256  # of the table of all pairs of values


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of an item. f1, box_f1: mean over pairs of reviewers, in [0, 1], with what was said of the shapes and without; 1
    where both of a pair marked nothing. iou: mean over the matches of all pairs, of those with an area, in [0, 1]; None
    where there is none. pairs: of reviewers; with none of them f1 is 1, as nobody disagrees."""

    f1: float
    box_f1: float
    iou: float | None
    pairs: int


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Of two reviewers on an item, as in Agreement. ious: of the matches."""

    reviewers: tuple[str, str]
    f1: float
    box_f1: float
    ious: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BatchAgreement:
    """Krippendorff's alpha over a batch: 1 is perfect, 0 what chance gives, below that is worse than chance; None where
    fewer than two people looked at anything, or all values are equal. boxes: of where shapes are, with 1 - IoU as the
    distance, of what is no box 1 - likeness (likeness.py); labels: of names. In both, "nothing there" is an answer of
    its own. items: in which two or more people looked, and somebody marked something."""

    boxes: float | None
    labels: float | None
    items: int


def same_label(one: Answer, other: Answer, matches: Sequence[Match]) -> Sequence[bool]:
    return [one.labels[match.row] == other.labels[match.other] for match in matches]


def pair_agreements(
    answers: Sequence[Answer], *, iou: float = MATCH_IOU, same: Same = same_label
) -> list[PairAgreement]:
    """Of every two answers of an item, by the reviewers' names. Two shapes are the same where they match (IoU of at
    least `iou`) and the same is said of them; F1 is 2 same / (shapes of one + shapes of the other), symmetric, so
    nobody has to be the truth. Raises Invalid where a reviewer answered twice."""
    found = []
    for one, other in combinations(in_order(answers), 2):
        matches = matched(one, other, iou=iou)
        right = sum(same(one, other, matches))
        shapes = len(one) + len(other)
        f1s = [2.0 * same / shapes if shapes else 1.0 for same in (right, len(matches))]
        ious = tuple(match.iou for match in matches if not one.shapes or one.shapes[match.row].type.is_region)
        found.append(PairAgreement((one.reviewer, other.reviewer), f1s[0], f1s[1], ious))
    return found


def agreement_of(answers: Sequence[Answer], *, iou: float = MATCH_IOU, same: Same = same_label) -> Agreement:
    """Of the answers of one item; `same` as for `pair_agreements`. Raises Invalid where a reviewer answered twice."""
    pairs = pair_agreements(answers, iou=iou, same=same)
    overlaps = [overlap for pair in pairs for overlap in pair.ious]
    return Agreement(
        f1=float(np.mean([pair.f1 for pair in pairs])) if pairs else 1.0,
        box_f1=float(np.mean([pair.box_f1 for pair in pairs])) if pairs else 1.0,
        iou=float(np.mean(overlaps)) if overlaps else None,
        pairs=len(pairs),
    )


def batch_agreement(items: Sequence[Sequence[Cluster]]) -> BatchAgreement:
    """Of items by their clusters (`clusters_of`). A unit is a cluster, its values what each who looked at the item
    said there. Those who did not look at it are missing, and do not count."""
    clusters = [cluster for item in items for cluster in item]
    names = sorted({label for cluster in clusters for label in cluster.labels})
    number = {name: float(at) for at, name in enumerate(names)}
    return BatchAgreement(
        boxes=_place_alpha(clusters),
        labels=krippendorff_alpha([_labels(cluster, number) for cluster in clusters], nominal_distance),
        items=sum(any(cluster.looked > 1 for cluster in item) for item in items),
    )


def krippendorff_alpha(units: Sequence[Floats], distance: Distance) -> float | None:
    """1 - observed / expected disagreement (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability").

    units: of each the values given, (m, k); missing ones are left out, units of fewer than two values do not count.
    distance: of values (a, k) and (b, k), (a, b), 0 for equal ones. Each value is compared with each: 10,000 boxes take
    some seconds. None where there is nothing to compare, or all values are equal, so that chance could not be told
    from agreement.
    """
    pairable = [unit for unit in units if len(unit) > 1]
    if not pairable:
        return None
    values = np.concatenate(pairable)
    observed = sum(float(distance(unit, unit).sum()) / (len(unit) - 1) for unit in pairable)
    starts = range(0, len(values), _ROWS_AT_ONCE)
    expected = sum(float(distance(values[at : at + _ROWS_AT_ONCE], values).sum()) for at in starts)
    return 1.0 - observed * (len(values) - 1) / expected if expected > 0.0 else None


def box_distance(a: Floats, b: Floats) -> Floats:
    """1 - IoU, in [0, 1]. An empty box stands for "nothing there": 0 from itself, 1 from any box."""
    apart = 1.0 - iou_matrix(a, b)
    apart[np.ix_(_empty(a), _empty(b))] = 0.0
    return apart


def nominal_distance(a: Floats, b: Floats) -> Floats:
    """0 for equal values, else 1."""
    return np.asarray((a[:, None, :] != b[None, :, :]).any(axis=2), dtype=np.float64)


def _place_alpha(clusters: Sequence[Cluster]) -> float | None:
    if not any(cluster.shapes for cluster in clusters):
        return krippendorff_alpha([_boxes(cluster) for cluster in clusters], box_distance)
    places = _Places.of(clusters)
    ends = np.cumsum([cluster.looked for cluster in clusters])
    rows = np.arange(ends[-1], dtype=np.float64)[:, None]
    return krippendorff_alpha(np.split(rows, ends[:-1]), places.distance)


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Values that are no numbers, by their rows: what each who looked drew in each cluster, or nothing.

    boxes: (n, 4), extents of shapes, empty for nothing. shapes: None for boxes and nothing. reaches: (n,) of their
    items, in pixels. known: likenesses that were asked for.
    """

    boxes: Floats
    shapes: Sequence[Shape | None]
    reaches: Floats
    known: dict[tuple[int, int], float]

    @classmethod
    def of(cls, clusters: Sequence[Cluster]) -> "_Places":
        shapes: list[Shape | None] = []
        for cluster in clusters:
            drawn = cluster.shapes or (None,) * len(cluster.reviewers)
            shapes += [None if shape is None or shape.type is Geometry.BOX else shape for shape in drawn]
            shapes += [None] * len(cluster.missing)
        boxes = np.concatenate([_boxes(cluster) for cluster in clusters])
        reaches = np.repeat([cluster.reach for cluster in clusters], [cluster.looked for cluster in clusters])
        return cls(boxes, shapes, reaches, {})

    def distance(self, a: Floats, b: Floats) -> Floats:
        """a, b: rows, (k, 1) each."""
        rows, columns = a[:, 0].astype(np.intp), b[:, 0].astype(np.intp)
        apart = box_distance(self.boxes[rows], self.boxes[columns])
        other = np.array([shape is not None for shape in self.shapes])
        # Where not even the extents touch, nothing is alike.
        for at in np.argwhere((apart < 1.0) & (other[rows][:, None] | other[columns])):
            apart[*at] = 1.0 - self._likeness(int(rows[at[0]]), int(columns[at[1]]), 1.0 - float(apart[*at]))
        return apart

    def _likeness(self, one: int, other: int, box_iou: float) -> float:
        """Each pair is asked for twice. Of two items the reach is the mean."""
        pair = (min(one, other), max(one, other))
        if pair not in self.known:
            shapes = [self.shapes[at] or Shape("", _box_of(self.boxes[at])) for at in pair]
            reach = float(self.reaches[list(pair)].mean())
            self.known[pair] = 1.0 if one == other else likeness(shapes[0], shapes[1], reach, box_iou)
        return self.known[pair]


def _box_of(row: Floats) -> Box:
    x1, y1, x2, y2 = row.tolist()
    return x1, y1, x2, y2


def _empty(boxes: Floats) -> NDArray[np.bool_]:
    return np.asarray((boxes[:, :2] >= boxes[:, 2:]).any(axis=1))


def _boxes(cluster: Cluster) -> Floats:
    return np.concatenate([cluster.boxes, np.zeros((len(cluster.missing), 4))])


def _labels(cluster: Cluster, number: dict[str, float]) -> Floats:
    given = [number[label] for label in cluster.labels] + [-1.0] * len(cluster.missing)
    return np.array(given)[:, None]
