"""What is new to train on: the boxes of each label that one snapshot has and another has not."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.geometry import Box
from loop.domain.item import Split
from loop.domain.truth import Shape
from training.snapshot import Entries, Snapshot
from training.snapshot_columns import SPLITS, column


@dataclass(frozen=True, slots=True)
class Boxes:
    """Of one label, to train on. added: that are new; changed: drawn anew; removed: that are no more."""

    added: int = 0
    changed: int = 0
    removed: int = 0

    def __add__(self, other: "Boxes") -> "Boxes":
        return Boxes(self.added + other.added, self.changed + other.changed, self.removed + other.removed)


@dataclass(frozen=True, slots=True)
class LabelChanges:
    """Between two snapshots, of the items to train on. added, changed, removed: their digests, ascending; changed: with
    another version of their ground truth. One that was held out before counts as added. labels: boxes by label, those
    of `after` first."""

    added: list[str]
    changed: list[str]
    removed: list[str]
    labels: Mapping[str, Boxes]


def label_changes(before: Snapshot | None, after: Snapshot) -> LabelChanges:
    """before: None: there is none, and all is new. Of an image that was answered anew, boxes that are equal in both do
    not count; of the others as many of a label count as changed as both have, and the rest as added or removed."""
    if before is None:
        digests = after.of_split(Split.TRAIN).digests
        return LabelChanges(digests, [], [], {name: Boxes(added=n) for name, n in _boxes(after, digests).items()})
    was, becomes = (dict(zip(*_trained(one), strict=True)) for one in (before, after))
    added, removed = sorted(becomes.keys() - was), sorted(was.keys() - becomes)
    changed = sorted(digest for digest, version in becomes.items() if was.get(digest, version) != version)
    counts = dict.fromkeys((*after.labels, *before.labels), Boxes())
    for name, number in _boxes(after, added).items():
        counts[name] += Boxes(added=number)
    for name, number in _boxes(before, removed).items():
        counts[name] += Boxes(removed=number)
    for one, other in zip(before.entries.only(changed), after.entries.only(changed), strict=True):
        for name, boxes in _redrawn(_drawn(one.shapes), _drawn(other.shapes)).items():
            counts[name] += boxes
    return LabelChanges(added, changed, removed, counts)


def _trained(snapshot: Snapshot) -> tuple[list[str], list[int]]:
    """Digests and versions of the truth of the items to train on."""
    rows = np.flatnonzero(column(snapshot.items, "split") == SPLITS.index(Split.TRAIN))
    return Entries(snapshot, rows).digests, column(snapshot.items, "truth_version")[rows].tolist()


def _boxes(snapshot: Snapshot, digests: Collection[str]) -> dict[str, int]:
    """By label, of these items."""
    of_shape = np.repeat(snapshot.among(digests), column(snapshot.items, "shapes"))
    labels: NDArray[np.int32] = column(snapshot.shapes, "label")[of_shape]
    return dict(zip(snapshot.labels, np.bincount(labels, minlength=len(snapshot.labels)).tolist(), strict=True))


def _drawn(shapes: Collection[Shape]) -> "Counter[tuple[str, Box]]":
    return Counter((shape.label, shape.box) for shape in shapes)


def _redrawn(before: "Counter[tuple[str, Box]]", after: "Counter[tuple[str, Box]]") -> dict[str, Boxes]:
    gone, come = (_by_label(one) for one in (before - after, after - before))
    found = {}
    for name in {*gone, *come}:
        changed = min(gone[name], come[name])
        found[name] = Boxes(come[name] - changed, changed, gone[name] - changed)
    return found


def _by_label(drawn: "Counter[tuple[str, Box]]") -> "Counter[str]":
    found: Counter[str] = Counter()
    for (name, _), number in drawn.items():
        found[name] += number
    return found
