"""What every writer of a data set is given, and what a format can hold of it.

A format that cannot hold something says so before it writes (`Holds`), and the export counts it: nothing is lost in
silence.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from loop.domain.item import Item, Split
from loop.domain.items.clips import Frame
from loop.domain.recipes.recipe import Recipe
from loop.domain.truth import Geometry, GroundTruth, Shape
from loop.exchange.clips import CocoVideos, ExportedClips
from loop.exchange.texts import as_text, fits_xml
from training.snapshot import Entry, Snapshot

SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
# Other tools know no golden split: it is their test split, and comes back from there as golden.
SPLIT_NAMES = {Split.TRAIN: "train", Split.VAL: "val", Split.GOLDEN: "test"}
REGIONS = frozenset({Geometry.BOX, Geometry.POLYGON})


@dataclass(frozen=True)
class Exported:
    """A project's images with their ground truth, frozen. rows: reads those of the snapshot, before splits were drawn,
    by digest; while it is written only. images: the folder of the image files, with {split} where it depends on it.
    named: the digest of the whole snapshot, where this is a part of it."""

    recipe: Recipe
    rows: Callable[[], Iterable[tuple[Item, GroundTruth]]]
    snapshot: Snapshot
    clips: ExportedClips
    images: str
    named: str = ""

    @property
    def digest(self) -> str:
        return self.named or self.snapshot.digest

    @cached_property
    def places(self) -> Mapping[str, Frame]:
        """In clips, by item."""
        return self.clips.video_places()

    @cached_property
    def tracked(self) -> frozenset[str]:
        """The clips in which there are tracks, by id."""
        entries = self.snapshot.entries.only(self.places) if self.places else ()
        found = (entry.digest for entry in entries if any(shape.track for shape in entry.shapes))
        return frozenset(self.places[digest].group_id for digest in found)

    def is_tracked(self, digest: str) -> bool:
        """Whether the image is in one of these clips."""
        place = self.places.get(digest)
        return place is not None and place.group_id in self.tracked

    @cached_property
    def videos(self) -> CocoVideos:
        return CocoVideos(self.clips)

    @cached_property
    def label_numbers(self) -> Mapping[str, int]:
        """Each label's place among the snapshot's, from 0."""
        return {label: number for number, label in enumerate(self.snapshot.labels)}

    def split_entries(self) -> Iterator[tuple[str, Sequence[Entry]]]:
        """The name of each split that has images, as other tools call it, and they."""
        for split, name in SPLIT_NAMES.items():
            if entries := self.snapshot.of_split(split):
                yield name, entries

    def place(self, entry: Entry) -> str:
        """Of its file, in the data set's folder."""
        return f"{self.images.format(split=SPLIT_NAMES[entry.split])}/{file_name(entry)}"


def file_name(entry: Entry | Item) -> str:
    return entry.digest + SUFFIXES[entry.media_type]


@dataclass(frozen=True, slots=True)
class Holds:
    """Of which shapes a format has a place for what. tracks: also of images that are in no clip; clips: which frame of
    which clip an image is; untracked: also of clips without a track; xml: it holds text only as XML can."""

    shapes: frozenset[Geometry] = frozenset(Geometry)
    outlines: bool = True
    attributes: bool = True
    links: bool = True
    groups: bool = True
    tracks: bool = True
    clips: bool = True
    untracked: bool = True
    xml: bool = False

    def in_words(self) -> tuple[list[str], list[str]]:
        """What it has a place for besides shapes, and what it has none for."""
        parts = {
            "outlines of polygons": self.outlines or Geometry.POLYGON not in self.shapes,
            "attributes": self.attributes,
            "links": self.links,
            "groups": self.groups,
            "tracks": self.tracks,
            "clips": self.clips,
        }
        lost = [f"{shape}s" for shape in Geometry if shape not in self.shapes]
        return [name for name, has in parts.items() if has], [*lost, *(name for name, has in parts.items() if not has)]

    def left_out(self, given: Exported) -> dict[str, int]:
        """What the format cannot hold of it, in words, and how often that is there."""
        counts: Counter[str] = Counter()
        for entry in given.snapshot.entries:
            in_clip = entry.digest in given.places
            placed = self.clips and (self.untracked or given.is_tracked(entry.digest))
            counts["places of images in clips"] += in_clip and not placed
            gone = {shape.id for shape in entry.shapes if shape.type not in self.shapes}
            for shape in entry.shapes:
                counts.update(self._lost(shape, in_clip, gone))
        return {what: count for what, count in counts.items() if count}

    def _lost(self, shape: Shape, in_clip: bool, gone: set[str]) -> dict[str, int]:
        """gone: the ids of the image's shapes that have no place."""
        if shape.type not in self.shapes:
            return {f"shapes ({shape.type})": 1}
        return {
            "polygons but for their boxes": int(shape.type is Geometry.POLYGON and not self.outlines),
            "attributes": 0 if self.attributes else len(shape.attributes),
            "attributes of which XML cannot hold the text": self._unwritable(shape),
            "links": sum(not self.links or link.to in gone for link in shape.links),
            "groups and tracks": (bool(shape.group) and not self.groups) + self._loses_track(shape, in_clip),
        }

    def _loses_track(self, shape: Shape, in_clip: bool) -> bool:
        return bool(shape.track) and not self.tracks and not (self.clips and in_clip)

    def _unwritable(self, shape: Shape) -> int:
        return sum(not xml_holds(name, value) for name, value in shape.attributes.items()) if self.xml else 0


def xml_holds(name: str, value: object) -> bool:
    """Whether XML can hold an attribute of a shape."""
    texts = (name, *value) if isinstance(value, tuple) else (name, value)
    return all(fits_xml(text) for text in texts if isinstance(text, str))


def xml_attributes(shape: Shape) -> dict[str, str]:
    """Those of a shape that XML can hold, as text."""
    return {name: as_text(value) for name, value in shape.attributes.items() if xml_holds(name, value)}
