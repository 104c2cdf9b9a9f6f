"""What two snapshots differ in."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loop.domain.item import Split
from training.snapshot import Snapshot
from training.snapshot_columns import SPLITS, column


@dataclass(frozen=True, slots=True)
class Named:
    """n items by ascending digest, as (n,) binary(32)."""

    digests: pa.Array

    def __len__(self) -> int:
        return len(self.digests)

    def first(self, limit: int) -> list[str]:
        return [digest.hex() for digest in self.digests[:limit].to_pylist()]


@dataclass(frozen=True, slots=True)
class Altered(Named):
    """before, after: (n,) what each item has in the two."""

    before: NDArray[np.integer]
    after: NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """From one snapshot to another. equal: both hold the same. added, removed: items of only one. changed: with another
    version of their ground truth. moved: on another side of the split, as places in SPLITS. shapes: by label, before
    and after. images: by split, before and after."""

    equal: bool
    added: Named
    removed: Named
    changed: Altered
    moved: Altered
    shapes: Mapping[str, tuple[int, int]]
    images: Mapping[Split, tuple[int, int]]


def diff(before: Snapshot, after: Snapshot) -> Diff:
    """In time and memory linear in the number of items; shapes are counted, not compared: versions
    tell what changed."""
    one, other = before.items["digest"].combine_chunks(), after.items["digest"].combine_chunks()
    row = np.asarray(pc.fill_null(pc.index_in(one, value_set=other), -1).to_numpy(zero_copy_only=False))
    shared = np.flatnonzero(row >= 0)
    new = np.ones(len(after.items), dtype=bool)
    new[row[shared]] = False
    return Diff(
        equal=before.content == after.content,
        added=Named(other.filter(pa.array(new))),
        removed=Named(one.filter(pa.array(row < 0))),
        changed=_altered(before, after, shared, row[shared], "truth_version"),
        moved=_altered(before, after, shared, row[shared], "split"),
        shapes=_shapes(before, after),
        images={split: (before.head.counts[split].images, after.head.counts[split].images) for split in SPLITS},
    )


def _altered(
    before: Snapshot, after: Snapshot, rows: NDArray[np.int64], places: NDArray[np.int64], name: str
) -> Altered:
    """rows, places: of the items that both have, in the one and in the other."""
    was, becomes = column(before.items, name)[rows], column(after.items, name)[places]
    differ = was != becomes
    digests = before.items["digest"].combine_chunks().take(pa.array(rows[differ]))
    return Altered(digests, was[differ], becomes[differ])


def _shapes(before: Snapshot, after: Snapshot) -> dict[str, tuple[int, int]]:
    labels = dict.fromkeys((*before.labels, *after.labels))
    sums = [
        {label: sum(count.boxes.get(label, 0) for count in one.head.counts.values()) for label in labels}
        for one in (before, after)
    ]
    return {label: (sums[0][label], sums[1][label]) for label in labels}
