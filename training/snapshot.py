"""The data set of one cycle, frozen: which images, whose ground truth, on which side of which split.

A snapshot is known by the SHA-256 of its manifest, so that a model can name exactly what it was trained and
judged on. Splits hang on groups (METHODS §7): a clip or a cluster of near-duplicates is never on both sides.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from loop.domain.errors import BadDataset, Invalid
from loop.domain.identity import digest_of
from loop.domain.item import Item, Split
from loop.domain.truth import GroundTruth, Shape, shape_from_json, shape_to_json

FORMAT = "askance-snapshot/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One image of a snapshot. digest: SHA-256 of its bytes; width, height: pixels; `truth_version` and
    `submission_ids` say whose answer `shapes` is; group: "" where the image stands alone."""

    digest: str
    width: int
    height: int
    media_type: str
    group: str
    truth_version: int
    submission_ids: tuple[str, ...]
    shapes: tuple[Shape, ...]
    split: Split


@dataclass(frozen=True, slots=True)
class SplitCount:
    """`boxes` holds every label of the snapshot, also those with no box."""

    images: int
    boxes: Mapping[str, int]


@dataclass(frozen=True)
class Snapshot:
    """Entries in the order of their digests. Class indices of a model trained on it are indices into `labels`."""

    labels: tuple[str, ...]
    val_share: float
    entries: tuple[Entry, ...]

    def manifest(self) -> bytes:
        """Canonical JSON (UTF-8, sorted keys, no spaces): equal snapshots have equal bytes."""
        body = {
            "format": FORMAT,
            "labels": list(self.labels),
            "val_share": self.val_share,
            "entries": [_entry_to_json(entry) for entry in self.entries],
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

    @classmethod
    def read(cls, manifest: bytes) -> "Snapshot":
        """The snapshot with this manifest. Raises BadDataset unless `manifest()` would write the same bytes."""
        try:
            body = json.loads(manifest)
            snapshot = cls(
                labels=tuple(body["labels"]),
                val_share=body["val_share"],
                entries=tuple(_entry_from_json(entry) for entry in body["entries"]),
            )
            genuine = body["format"] == FORMAT and snapshot.manifest() == manifest
        except (AttributeError, KeyError, TypeError, ValueError):
            genuine = False
        if not genuine:
            raise BadDataset(
                "these bytes are not the manifest of a snapshot.",
                hint=f"A manifest is the JSON of {FORMAT} as it was written; take it from the blob store unchanged.",
            )
        return snapshot

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the manifest: the id of the snapshot."""
        return digest_of(self.manifest())

    def of_split(self, split: Split) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.split is split)

    @property
    def evaluation_split(self) -> Split:
        """Golden where there is at least one golden image, else val."""
        golden = any(entry.split is Split.GOLDEN for entry in self.entries)
        return Split.GOLDEN if golden else Split.VAL

    @property
    def evaluation_entries(self) -> tuple[Entry, ...]:
        """The images that champion and candidate are compared on. Raises BadDataset where there are none."""
        entries = self.of_split(self.evaluation_split)
        if not entries:
            raise BadDataset(
                f"none of the {len(self.entries)} images with ground truth is there to evaluate on.",
                hint="Import a golden set (askance import --split golden), or review more images: "
                f"a share of {self.val_share:g} of their groups is held out for evaluation.",
                split=str(Split.VAL),
            )
        return entries

    @property
    def training_entries(self) -> tuple[Entry, ...]:
        """The images to train on. Raises BadDataset where there are none, or where none of them has a box."""
        entries = self.of_split(Split.TRAIN)
        if not any(entry.shapes for entry in entries):
            what = f"{len(entries)} images and not one box" if entries else "no images"
            raise BadDataset(
                f"there are {what} to train on ({len(self.entries)} images with ground truth in all).",
                hint="Review or import more images; golden images and the groups they belong to are never trained on.",
                split=str(Split.TRAIN),
            )
        return entries

    def counts(self) -> dict[Split, SplitCount]:
        """Images and boxes per label of each split, empty splits included."""
        return {split: self._count(split) for split in Split}

    def _count(self, split: Split) -> SplitCount:
        entries = self.of_split(split)
        boxes = Counter(shape.label for entry in entries for shape in entry.shapes)
        return SplitCount(images=len(entries), boxes={label: boxes[label] for label in self.labels})


def freeze(rows: Iterable[tuple[Item, GroundTruth]], *, labels: tuple[str, ...], val_share: float) -> Snapshot:
    """The snapshot of `rows`: items with their current ground truth, in any order.

    An item with a fixed split keeps it. Any other follows the fixed items of its group: with golden or val
    ones it is val (so no relative of an evaluation image is trained on, and golden stays what was trusted),
    with train ones train. Where the group has none, its SHA-256 decides: val with probability `val_share`
    in [0, 1]. So images that come later move nothing, unless they fix the split of a group.

    Raises Invalid for a `val_share` outside [0, 1], repeated images, labels outside `labels`.
    """
    if not 0.0 <= val_share <= 1.0:
        raise Invalid(f"val_share is {val_share:g}.", hint="Give a share between 0 and 1, such as 0.2.")
    pairs = sorted(rows, key=lambda row: row[0].digest)
    _require_known_labels(pairs, labels)
    _require_distinct(pairs)
    fixed = _fixed_groups(item for item, _ in pairs)
    entries = tuple(_entry(item, truth, _split_of(item, fixed, val_share)) for item, truth in pairs)
    return Snapshot(labels=tuple(labels), val_share=float(val_share), entries=entries)


def detectable(rows: Iterable[tuple[Item, GroundTruth]]) -> Iterator[tuple[Item, GroundTruth]]:
    """The same with those shapes only that a detector can learn and be judged by."""
    for item, truth in rows:
        yield item, replace(truth, shapes=tuple(shape for shape in truth.shapes if shape.type.is_region))


def _require_known_labels(pairs: list[tuple[Item, GroundTruth]], labels: tuple[str, ...]) -> None:
    unknown = Counter(shape.label for _, truth in pairs for shape in truth.shapes)
    for label in labels:
        unknown.pop(label, None)
    if unknown:
        named = ", ".join(f"{label!r} ({count} boxes)" for label, count in sorted(unknown.items()))
        raise Invalid(
            f"the ground truth has labels that are not among the model's: {named}.",
            hint=f"Add them to the recipe, or relabel those boxes as one of: {', '.join(labels)}.",
            labels=sorted(unknown),
        )


def _require_distinct(pairs: list[tuple[Item, GroundTruth]]) -> None:
    seen: set[str] = set()
    for item, truth in pairs:
        if truth.item_digest != item.digest:
            raise ValueError(f"item {item.digest} came with the ground truth of {truth.item_digest}")
        if item.digest in seen:
            raise Invalid(f"the image {item.digest} is there twice.", hint="Give each image once.", item=item.digest)
        seen.add(item.digest)


def _fixed_groups(items: Iterable[Item]) -> dict[str, Split]:
    """The split that the undecided items of a group follow, for each group with a fixed item."""
    fixed: dict[str, Split] = {}
    for item in items:
        if item.group and item.split is not None:
            held_out = item.split is not Split.TRAIN or fixed.get(item.group) is Split.VAL
            fixed[item.group] = Split.VAL if held_out else Split.TRAIN
    return fixed


def _split_of(item: Item, fixed: Mapping[str, Split], val_share: float) -> Split:
    if item.split is not None:
        return item.split
    if item.group in fixed:
        return fixed[item.group]
    drawn = int.from_bytes(hashlib.sha256((item.group or item.digest).encode()).digest()[:8], "big")
    return Split.VAL if drawn < val_share * 2**64 else Split.TRAIN


def _entry(item: Item, truth: GroundTruth, split: Split) -> Entry:
    return Entry(
        digest=item.digest,
        width=item.width,
        height=item.height,
        media_type=item.media_type,
        group=item.group,
        truth_version=truth.version,
        submission_ids=tuple(truth.submission_ids),
        shapes=tuple(_canonical(shape) for shape in truth.shapes),
        split=split,
    )


def _canonical(shape: Shape) -> Shape:
    """Coordinates as floats, no negative zero: equal shapes are written with equal bytes."""
    x1, y1, x2, y2 = (float(value) + 0.0 for value in shape.box)
    points = tuple((float(x) + 0.0, float(y) + 0.0) for x, y in shape.points)
    return replace(shape, box=(x1, y1, x2, y2), points=points)


def _entry_to_json(entry: Entry) -> dict[str, object]:
    return {
        "digest": entry.digest,
        "width": entry.width,
        "height": entry.height,
        "media_type": entry.media_type,
        "group": entry.group,
        "truth_version": entry.truth_version,
        "submission_ids": list(entry.submission_ids),
        "shapes": [shape_to_json(shape) for shape in entry.shapes],
        "split": str(entry.split),
    }


def _entry_from_json(body: Mapping[str, Any]) -> Entry:
    return Entry(
        digest=body["digest"],
        width=body["width"],
        height=body["height"],
        media_type=body["media_type"],
        group=body["group"],
        truth_version=body["truth_version"],
        submission_ids=tuple(body["submission_ids"]),
        shapes=tuple(shape_from_json(shape) for shape in body["shapes"]),
        split=Split(body["split"]),
    )
