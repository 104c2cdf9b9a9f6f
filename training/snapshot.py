"""The data set of one cycle, frozen: which images, whose ground truth, on which side of which split.

A snapshot is a head, JSON that names its labels, counts and the Parquet files of its columns by their digests; it is
known by the SHA-256 of the head, so that a model can name exactly what it was trained and judged on. In memory it is
columns, and an Entry is made where one is asked for. Splits hang on groups (METHODS §7): a clip or a cluster of
near-duplicates is never on both sides.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loop.domain.errors import BadDataset, Invalid
from loop.domain.identity import digest_of
from loop.domain.item import Item, Split
from loop.domain.truth import GroundTruth
from training.snapshot_columns import (
    ITEMS,
    SHAPES,
    SIDES,
    SPLITS,
    canonical,
    column,
    content_of,
    from_parquet,
    has_digest,
    shape_of,
    to_parquet,
    whole,
)
from training.snapshot_entry import Entry as Entry
from training.snapshot_json import FORMAT as FIRST_FORMAT
from training.snapshot_json import entries_of
from training.snapshot_rows import NO_SPLIT, Rows

FORMAT = "askance-snapshot/2"
T = TypeVar("T")
_TOGETHER = 1024  # entries that are made at once


@dataclass(frozen=True, slots=True)
class SplitCount:
    """`boxes` holds every label of the snapshot, also those with no box."""

    images: int
    boxes: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is known of a snapshot without its columns. content: SHA-256 of labels, items and shapes, the same whatever
    wrote the Parquet files; items, shapes: the keys of these, "" in one that was kept as JSON. left_out: images that
    could have been trained on, by why they are not there."""

    labels: tuple[str, ...]
    val_share: float
    counts: Mapping[Split, SplitCount]
    content: str
    items: str = ""
    shapes: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Canonical: equal heads have equal bytes."""
        counts = {str(split): asdict(count) for split, count in self.counts.items()}
        return canonical({"format": FORMAT, **_fields(self), "counts": counts}).encode()

    @classmethod
    def from_json(cls, head: bytes) -> "Head":
        """Raises AttributeError, KeyError, TypeError or ValueError unless `to_json` would write the same bytes."""
        body = json.loads(head)
        counts = {split: SplitCount(**body["counts"][str(split)]) for split in SPLITS}
        made = cls(**{name: value for name, value in body.items() if name != "format"} | {"counts": counts})
        made = replace(made, labels=tuple(made.labels))
        if made.to_json() != head:
            raise ValueError("the head is not as it was written")
        return made


def read_head(key: str, get: Callable[[str], bytes]) -> Head:
    """Of the snapshot with this id, without its columns where it has its own head. Raises BadDataset."""

    def read() -> Head:
        document = _checked(key, get)
        first = json.loads(document)["format"] == FIRST_FORMAT
        return _from_first(document, key).head if first else Head.from_json(document)

    return _genuine(read)


def holds(key: str, digest: str, get: Callable[[str], bytes]) -> bool:
    """Whether the snapshot with this id has the image; without reading its shapes. Raises BadDataset."""

    def read() -> bool:
        document = _checked(key, get)
        if json.loads(document)["format"] == FIRST_FORMAT:
            return bool(_from_first(document, key).among([digest]).any())
        return has_digest(_checked(Head.from_json(document).items, get), bytes.fromhex(digest))

    return _genuine(read)


def _fields(head: Head) -> dict[str, object]:
    names = ("labels", "val_share", "content", "items", "shapes", "left_out")
    return {name: getattr(head, name) for name in names}


class Entries(Sequence[Entry]):
    """Some entries of a snapshot, made where they are asked for."""

    def __init__(self, snapshot: "Snapshot", rows: NDArray[np.int64]) -> None:
        """rows: (n,) of the snapshot's items."""
        self._snapshot = snapshot
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> "Entries": ...
    def __getitem__(self, place: int | slice) -> "Entry | Entries":
        if isinstance(place, slice):
            return Entries(self._snapshot, self._rows[place])
        return self._snapshot.made(self._rows[[place]])[0]

    def __iter__(self) -> Iterator[Entry]:
        for begin in range(0, len(self), _TOGETHER):
            yield from self._snapshot.made(self._rows[begin : begin + _TOGETHER])

    @property
    def digests(self) -> list[str]:
        return [digest.hex() for digest in self._values("digest")]

    @property
    def blocks(self) -> list[str]:
        """Of each its group, or its digest where it stands alone: equal ones are not independent."""
        groups = self._values("group")
        return [group or digest for group, digest in zip(groups, self.digests, strict=True)]

    @property
    def corrected(self) -> NDArray[np.bool_]:
        """(n,) whether people have answered it; the truth of the others was imported."""
        return self._snapshot.corrected[self._rows]

    def only(self, digests: Collection[str]) -> "Entries":
        return Entries(self._snapshot, self._rows[self._snapshot.among(digests)[self._rows]])

    def without(self, digests: Collection[str]) -> "Entries":
        kept = ~self._snapshot.among(digests)[self._rows]
        return Entries(self._snapshot, self._rows[kept])

    def most(self, limit: int) -> "Entries":
        """All that people corrected, and as many of the others as `limit` leaves room for: those with the smallest
        digests, so that the same snapshot trains on the same images."""
        corrected = self.corrected
        room = max(limit - int(corrected.sum()), 0)
        return Entries(self._snapshot, self._rows[corrected | (np.cumsum(~corrected) <= room)])

    def _values(self, name: str) -> list[Any]:
        values: list[Any] = self._snapshot.items[name].take(pa.array(self._rows)).to_pylist()
        return values


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Items in the order of their digests. Class indices of a model trained on it are indices into `labels`.

    items, shapes: columns as of training/snapshot_columns.py. left_out: see Head. kept_as, known: its id, and its head
    if it has one, where it was read.
    """

    labels: tuple[str, ...]
    val_share: float
    items: pa.Table
    shapes: pa.Table
    left_out: Mapping[str, int] = field(default_factory=dict)
    kept_as: str = ""
    known: Head | None = None

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same, however each was kept."""
        return isinstance(other, Snapshot) and (self.content, self.val_share) == (other.content, other.val_share)

    def __hash__(self) -> int:
        return hash(self.content)

    # --- as files ------------------------------------------------------------------------------------

    def keep(self, put: Callable[[bytes], str]) -> str:
        """The id of the snapshot. put: keeps bytes and gives their SHA-256; the head comes last, so that one that is
        there has its columns."""
        if self.kept_as:
            return self.kept_as
        head = replace(self.head, items=put(to_parquet(self.items)), shapes=put(to_parquet(self.shapes)))
        return put(head.to_json())

    @classmethod
    def read(cls, key: str, get: Callable[[str], bytes]) -> "Snapshot":
        """The snapshot with this id. get: the bytes with a SHA-256. Raises BadDataset for bytes that are not those of a
        snapshot, down to a single one."""
        return _genuine(lambda: cls._read(_checked(key, get), key, get))

    @classmethod
    def _read(cls, document: bytes, key: str, get: Callable[[str], bytes]) -> "Snapshot":
        if json.loads(document)["format"] == FIRST_FORMAT:
            return _from_first(document, key)
        head = Head.from_json(document)
        items = from_parquet(_checked(head.items, get), ITEMS)
        shapes = from_parquet(_checked(head.shapes, get), SHAPES)
        if int(column(items, "shapes").sum()) != len(shapes):
            raise ValueError("there are other shapes than the items have")
        return cls(head.labels, head.val_share, items, shapes, head.left_out, key, head)

    @cached_property
    def head(self) -> Head:
        """As it was read; else without the keys of the Parquet files, which are not made for it."""
        return self.known or Head(
            labels=self.labels,
            val_share=self.val_share,
            counts=self.counts(),
            content=self.content,
            left_out=self.left_out,
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the head: the id of the snapshot."""
        return self.keep(digest_of)

    @cached_property
    def content(self) -> str:
        """SHA-256 of labels, items and shapes: equal where these are, whoever wrote the files."""
        if self.known is not None:
            return self.known.content
        told = {"labels": self.labels, "items": content_of(self.items), "shapes": content_of(self.shapes)}
        return digest_of(canonical(told).encode())

    # --- what is in it ---------------------------------------------------------------------------------

    @property
    def entries(self) -> Entries:
        return Entries(self, np.arange(len(self.items)))

    def of_split(self, split: Split) -> Entries:
        return Entries(self, np.flatnonzero(self._splits == SPLITS.index(split)))

    @property
    def evaluation_split(self) -> Split:
        """Golden where there is at least one golden image, else val."""
        golden = bool((self._splits == SPLITS.index(Split.GOLDEN)).any())
        return Split.GOLDEN if golden else Split.VAL

    @property
    def evaluation_entries(self) -> Entries:
        """The images that champion and candidate are compared on. Raises BadDataset where there are none."""
        entries = self.of_split(self.evaluation_split)
        if not entries:
            raise BadDataset(
                f"none of the {len(self.items)} images with ground truth is there to evaluate on.",
                hint="Import a golden set (askance import --split golden), or review more images: "
                f"a share of {self.val_share:g} of their groups is held out for evaluation.",
                split=str(Split.VAL),
            )
        return entries

    @property
    def training_entries(self) -> Entries:
        """The images to train on. Raises BadDataset where there are none, or where none of them has a box."""
        entries = self.of_split(Split.TRAIN)
        if not column(self.items, "shapes")[self._splits == SPLITS.index(Split.TRAIN)].any():
            what = f"{len(entries)} images and not one box" if entries else "no images"
            left = "".join(f" {count} were left out as {why}." for why, count in self.left_out.items())
            raise BadDataset(
                f"there are {what} to train on ({len(self.items)} images with ground truth in all).{left}",
                hint="Review or import more images; golden images and the groups they belong to are never trained on.",
                split=str(Split.TRAIN),
            )
        return entries

    def counts(self) -> dict[Split, SplitCount]:
        """Images and boxes per label of each split, empty splits included."""
        of_shape = np.repeat(self._splits, column(self.items, "shapes")).astype(np.int64)
        flat = of_shape * len(self.labels) + column(self.shapes, "label")
        boxes = np.bincount(flat, minlength=len(SPLITS) * len(self.labels)).reshape(len(SPLITS), len(self.labels))
        images = np.bincount(self._splits, minlength=len(SPLITS))
        return {
            split: SplitCount(int(images[place]), dict(zip(self.labels, boxes[place].tolist(), strict=True)))
            for place, split in enumerate(SPLITS)
        }

    def among(self, digests: Collection[str]) -> NDArray[np.bool_]:
        """(n,) which of the items these are."""
        wanted = pa.array([bytes.fromhex(digest) for digest in digests], pa.binary(32))
        found: NDArray[np.bool_] = np.asarray(pc.is_in(self.items["digest"], wanted).to_numpy())
        return found

    def has(self, digest: str) -> bool:
        return self._row(digest) is not None

    def trains_on(self, digest: str) -> bool:
        row = self._row(digest)
        return row is not None and SPLITS[self._splits[row]] is Split.TRAIN

    def trained(self) -> NDArray[np.bytes_]:
        """Digests of 32 bytes of the items to train on, ascending; keeps nothing of the snapshot."""
        return np.asarray(self._digests[self._splits == SPLITS.index(Split.TRAIN)])

    def _row(self, digest: str) -> int | None:
        sought = np.array(bytes.fromhex(digest), dtype="S32")
        row = int(np.searchsorted(self._digests, sought))
        return row if row < len(self._digests) and self._digests[row] == sought else None

    def only(self, kept: NDArray[np.bool_], left_out: Mapping[str, int]) -> "Snapshot":
        """The snapshot of these of its items. kept: (n,). left_out: the others, by why they are not there."""
        if kept.all():
            return self
        of_shape = pa.array(np.repeat(kept, column(self.items, "shapes")))
        items, shapes = whole(self.items.filter(pa.array(kept))), whole(self.shapes.filter(of_shape))
        return Snapshot(self.labels, self.val_share, items, shapes, {**self.left_out, **left_out})

    @cached_property
    def corrected(self) -> NDArray[np.bool_]:
        """(n,) whether people have answered the item."""
        return np.asarray(pc.list_value_length(self.items["submission_ids"]).to_numpy()) > 0

    @cached_property
    def _splits(self) -> NDArray[np.int8]:
        return column(self.items, "split")

    @cached_property
    def _digests(self) -> NDArray[np.bytes_]:
        return digest_column(self.items)

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """(n + 1,) where the shapes of each item begin."""
        return np.concatenate([[0], np.cumsum(column(self.items, "shapes"), dtype=np.int64)])

    def made(self, rows: NDArray[np.int64]) -> list[Entry]:
        """The entries of these items."""
        images = self.items.take(pa.array(rows)).to_pylist()
        counts = self._starts[rows + 1] - self._starts[rows]
        ends = np.cumsum(counts)
        picked = np.repeat(self._starts[rows] - ends + counts, counts) + np.arange(counts.sum())
        shapes = self._shapes(picked)
        return [
            _entry(image, tuple(shapes[end - count : end]))
            for image, count, end in zip(images, counts.tolist(), ends.tolist(), strict=True)
        ]

    def _shapes(self, rows: NDArray[np.int64]) -> list[Any]:
        some = self.shapes.take(pa.array(rows))
        boxes = np.column_stack([column(some, side) for side in SIDES]).tolist()
        labels, more = some["label"].to_pylist(), some["more"].to_pylist()
        return [shape_of(self.labels[of], box, rest) for of, box, rest in zip(labels, boxes, more, strict=True)]


def freeze(rows: Iterable[tuple[Item, GroundTruth]], *, labels: tuple[str, ...], val_share: float) -> Snapshot:
    """The snapshot of `rows`: items with their current ground truth, in any order; they are read once, and held as
    columns.

    An item with a fixed split keeps it. Any other follows the fixed items of its group: with golden or val
    ones it is val (so no relative of an evaluation image is trained on, and golden stays what was trusted),
    with train ones train. Where the group has none, its SHA-256 decides: val with probability `val_share`
    in [0, 1]. So images that come later move nothing, unless they fix the split of a group.

    Raises Invalid for a `val_share` outside [0, 1], repeated images, labels outside `labels`.
    """
    if not 0.0 <= val_share <= 1.0:
        raise Invalid(f"val_share is {val_share:g}.", hint="Give a share between 0 and 1, such as 0.2.")
    taken = Rows(tuple(labels))
    taken.extend(rows)
    items, shapes = _in_order(*taken.tables())
    _require_distinct(items)
    place = ITEMS.get_field_index("split")
    items = items.set_column(place, ITEMS.field("split"), pa.array(_splits_of(items, val_share), pa.int8()))
    return Snapshot(tuple(labels), float(val_share), items, shapes)


def detectable(rows: Iterable[tuple[Item, GroundTruth]]) -> Iterator[tuple[Item, GroundTruth]]:
    """The same with those shapes only that a detector can learn and be judged by."""
    for item, truth in rows:
        if all(shape.type.is_region for shape in truth.shapes):
            yield item, truth
        else:
            yield item, replace(truth, shapes=tuple(shape for shape in truth.shapes if shape.type.is_region))


def digest_column(items: pa.Table) -> NDArray[np.bytes_]:
    """(n,) of 32 bytes, which compare as the digests do."""
    if not len(items):
        return np.empty(0, dtype="S32")
    (chunk,) = items["digest"].chunks
    begin = chunk.offset * 32
    return np.frombuffer(chunk.buffers()[1], dtype="S32", count=len(chunk), offset=begin)


def _in_order(items: pa.Table, shapes: pa.Table) -> tuple[pa.Table, pa.Table]:
    """By digest. The store gives them so, and then nothing is moved."""
    digests = digest_column(items)
    if (digests[1:] >= digests[:-1]).all():
        return items, shapes
    order = np.argsort(digests, kind="stable")
    counts = column(items, "shapes").astype(np.int64)
    starts = np.cumsum(counts) - counts
    counts, starts = counts[order], starts[order]
    picked = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    return whole(items.take(pa.array(order))), whole(shapes.take(pa.array(picked)))


def _require_distinct(items: pa.Table) -> None:
    digests = digest_column(items)
    again = np.flatnonzero(digests[1:] == digests[:-1])
    if len(again):
        digest = items["digest"][int(again[0])].as_py().hex()
        raise Invalid(f"the image {digest} is there twice.", hint="Give each image once.", item=digest)


def _splits_of(items: pa.Table, val_share: float) -> NDArray[np.int8]:
    """(n,) places in SPLITS, from those that are fixed."""
    splits: NDArray[np.int8] = column(items, "split").copy()
    groups = items["group"].combine_chunks().dictionary_encode()
    if isinstance(groups, pa.ChunkedArray):
        groups = pa.concat_arrays(groups.chunks) if groups.num_chunks else pa.array([""]).dictionary_encode()[:0]
    names, group = groups.dictionary.to_pylist(), groups.indices.to_numpy().astype(np.int64)
    open_ = splits == NO_SPLIT
    of_group = _of_groups(names, group, splits, val_share)
    splits[open_] = of_group[group[open_]]
    if "" in names:
        alone = np.flatnonzero(open_ & (group == names.index("")))
        for begin in range(0, len(alone), _TOGETHER):
            some = alone[begin : begin + _TOGETHER]
            digests = items["digest"].take(pa.array(some)).to_pylist()
            splits[some] = [_drawn(digest.hex(), val_share) for digest in digests]
    return splits


def _of_groups(names: list[str], group: NDArray[np.int64], splits: NDArray[np.int8], val_share: float) -> NDArray[Any]:
    """The split that the undecided items of each group follow."""
    train, val = SPLITS.index(Split.TRAIN), SPLITS.index(Split.VAL)
    fixed = np.full(len(names), NO_SPLIT, dtype=np.int8)
    fixed[group[splits == train]] = train
    fixed[group[splits > train]] = val
    for number in np.flatnonzero(fixed == NO_SPLIT):
        fixed[number] = _drawn(names[number], val_share)
    return fixed


def _drawn(name: str, val_share: float) -> int:
    drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return SPLITS.index(Split.VAL if drawn < val_share * 2**64 else Split.TRAIN)


def _entry(image: Mapping[str, Any], shapes: tuple[Any, ...]) -> Entry:
    more = {
        "digest": image["digest"].hex(),
        "submission_ids": tuple(image["submission_ids"]),
        "shapes": shapes,
        "split": SPLITS[image["split"]],
    }
    return Entry(**{**image, **more})


def _from_first(document: bytes, key: str) -> Snapshot:
    labels, val_share, entries = entries_of(document)
    taken = Rows(labels)
    for entry in entries:
        taken.add(entry, entry.truth_version, entry.submission_ids, entry.shapes, entry.split)
    return Snapshot(labels, val_share, *taken.tables(), kept_as=key)


def _checked(key: str, get: Callable[[str], bytes]) -> bytes:
    content = get(key)
    if digest_of(content) != key:
        raise ValueError(f"the bytes are not those of {key}")
    return content


def _genuine(read: Callable[[], T]) -> T:
    try:
        return read()
    except (AttributeError, KeyError, TypeError, ValueError, pa.ArrowException, Invalid) as error:
        raise BadDataset(
            "these bytes are not those of a snapshot.",
            hint=f"A snapshot is the files of {FORMAT} as they were written; take them from the blob store unchanged.",
        ) from error
