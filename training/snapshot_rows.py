"""Rows of items and ground truth, taken in one after the other and kept as columns."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from loop.domain.item import Item, Split
from loop.domain.truth import GroundTruth, Shape
from training.snapshot_columns import ITEMS, SHAPES, SPLITS, more_of, whole

_PIECE = 16_384  # items that are held as objects
NO_SPLIT = -1
_PLACE: Mapping[Split | None, int] = {None: NO_SPLIT} | {split: place for place, split in enumerate(SPLITS)}


@dataclass(slots=True)
class _Shapes:
    label: "array[int]" = field(default_factory=lambda: array("i"))
    sides: "array[float]" = field(default_factory=lambda: array("d"))
    more: list[str] = field(default_factory=list)


class Rows:
    """`items` has fixed splits, or NO_SPLIT, where ITEMS has splits; both tables in the order of adding."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        self._place = {label: place for place, label in enumerate(labels)}
        self._unknown: Counter[str] = Counter()
        self._values: dict[str, list[Any]] = {name: [] for name in ITEMS.names}
        self._shapes = _Shapes()
        self._items: list[pa.RecordBatch] = []
        self._drawn: list[pa.RecordBatch] = []

    def extend(self, rows: Iterable[tuple[Item, GroundTruth]]) -> None:
        for item, truth in rows:
            if truth.item_digest != item.digest:
                raise ValueError(f"item {item.digest} came with the ground truth of {truth.item_digest}")
            self.add(item, truth.version, truth.submission_ids, truth.shapes, item.split)

    def add(
        self, item: Any, version: int, submission_ids: Iterable[str], shapes: tuple[Shape, ...], split: Split | None
    ) -> None:
        """item: with the fields of an image that Item and Entry share."""
        values = (
            bytes.fromhex(item.digest), item.width, item.height, item.media_type, item.group, version,
            list(submission_ids), _PLACE[split], len(shapes),
        )  # fmt: skip
        for column, value in zip(self._values.values(), values, strict=True):
            column.append(value)
        drawn = self._shapes
        for shape in shapes:
            place = self._place.get(shape.label)
            if place is None:
                self._unknown[shape.label] += 1
                place = 0
            drawn.label.append(place)
            drawn.sides.extend(shape.box)
            drawn.more.append(more_of(shape))
        if len(self._values["digest"]) >= _PIECE:
            self._put_by()

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """ITEMS and SHAPES. Raises Invalid for labels that are not among the snapshot's, ValueError for a coordinate
        that is not finite."""
        self._put_by()
        self._require_known_labels()
        items, shapes = pa.Table.from_batches(self._items, ITEMS), pa.Table.from_batches(self._drawn, SHAPES)
        self._items, self._drawn = [], []
        return whole(items), whole(shapes)

    def _put_by(self) -> None:
        arrays = [pa.array(self._values[kind.name], kind.type) for kind in ITEMS]
        self._items.append(pa.RecordBatch.from_arrays(arrays, schema=ITEMS))
        drawn = self._shapes
        sides: NDArray[np.float64] = np.array(drawn.sides, dtype=np.float64).reshape(-1, 4) + 0.0  # no negative zero
        if not np.isfinite(sides).all():
            raise ValueError("a box of the ground truth is not finite")
        columns = [pa.array(np.array(drawn.label, dtype=np.int32)), *(pa.array(side) for side in sides.T.copy())]
        more = pa.array(drawn.more, pa.large_string())
        self._drawn.append(pa.RecordBatch.from_arrays([*columns, more], schema=SHAPES))
        self._values = {name: [] for name in ITEMS.names}
        self._shapes = _Shapes()

    def _require_known_labels(self) -> None:
        unknown = self._unknown
        if unknown:
            named = ", ".join(f"{label!r} ({count} boxes)" for label, count in sorted(unknown.items()))
            raise Invalid(
                f"the ground truth has labels that are not among the model's: {named}.",
                hint=f"Add them to the recipe, or relabel those boxes as one of: {', '.join(self._labels)}.",
                labels=sorted(unknown),
            )
