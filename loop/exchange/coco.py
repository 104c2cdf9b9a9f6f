"""COCO: JSON files with images, annotations and categories (Lin et al., ECCV 2014), beside folders of images."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Self, TextIO

from loop.domain.errors import BadDataset
from loop.domain.geometry import Box, Point, polygon_area
from loop.domain.item import Split
from loop.domain.truth import Geometry, Shape, Value
from loop.exchange.json_records import begins_with, records
from loop.exchange.reading import (
    Dataset,
    Known,
    Layout,
    Outline,
    ReadBox,
    ReadImage,
    Remark,
    inside,
    nothing_found,
    nothing_known,
    require_folder,
    shown,
    split_named,
)
from loop.exchange.writing import REGIONS, Exported, Holds, file_name
from training.snapshot import Entry

HOLDS = Holds(shapes=REGIONS, links=False, groups=False, tracks=False)

_LOOKED_FOR = (
    "a JSON file with images, annotations and categories in the folder, in annotations/, or in train/, valid/, test/"
)
_PLACES = ("*.json", "annotations/*.json", "*/*.json", "*/annotations/*.json")

# Pixels. No image is as large; numbers that no float holds are beyond it.
_FARTHEST = 1e9

Record = Mapping[str, object]
Id = int | str  # numbers, says the format; some tools write text


@dataclass(slots=True)
class _File:
    """What one JSON file holds. annotations: by image; lists: the keys that it has a list under."""

    path: Path
    images: list[Record] = field(default_factory=list)
    categories: list[Record] = field(default_factory=list)
    annotations: dict[Id | None, list["_Annotation"]] = field(default_factory=lambda: defaultdict(list))

    def names(self) -> dict[Id, str]:
        """Of the categories, in the order of their ids; what has no id or no name is as if it were not there."""
        named: dict[Id, str] = {}
        for record in self.categories:
            number, name = _id(record.get("id")), record.get("name")
            if number is not None and isinstance(name, str) and name.strip():
                named[number] = name.strip()
        return dict(sorted(named.items(), key=lambda pair: (isinstance(pair[0], str), pair[0])))


@dataclass(slots=True)
class _Annotation:
    """As it is written, before its category has a name. bbox: xywh; more: what cannot be kept of it."""

    category: object
    crowd: bool
    bbox: Box | None
    polygon: Collection[Point]
    attributes: Mapping[str, Value]
    track: str
    keyframe: bool
    more: str


def read_coco(folder: Path, known: Known = nothing_known) -> Dataset:
    """Every COCO JSON in `folder` (only those called instances… where there are such). Raises BadDataset.

    A file's split is what its name, or its folder's, speaks of: train, val and test become train, val and
    golden. Crowd regions are left out: they are no objects. Images without annotations have no objects.
    """
    require_folder(folder)
    skipped: list[Remark] = []
    found = list(_files(folder, skipped))
    if not found:
        raise _unusable(folder, skipped)
    labels = tuple(dict.fromkeys(name for file in found for name in file.names().values()))
    images: list[ReadImage] = []
    seen: set[Path] = set()
    for file in found:
        for image, remarks in _read_file(file, folder, known):
            skipped += remarks
            if image is not None and image.path in seen:
                skipped.append(Remark(shown(image.path, folder), "image", f"is in {file.path.name} again"))
            elif image is not None:
                seen.add(image.path)
                images.append(image)
    return Dataset(folder, labels, tuple(images), tuple(skipped))


def looks_like_coco(folder: Path) -> bool:
    return any(begins_with(path) == "{" and _is_coco(path) for path in _paths(folder))


def _is_coco(path: Path) -> bool:
    """As far as its first list goes that COCO has."""
    try:
        return any(key in ("images", "annotations", "categories") and isinstance(r, dict) for key, r in records(path))
    except BadDataset:
        return False


def _paths(folder: Path) -> list[Path]:
    """The strictest first: a folder of COCO's own has captions and keypoints of the same images beside instances."""
    paths = sorted({path for place in _PLACES for path in folder.glob(place)})
    return [path for path in paths if path.name.startswith("instances")] or paths


def _unusable(folder: Path, skipped: list[Remark]) -> BadDataset:
    if skipped:
        first = skipped[0]
        return BadDataset(
            f"no COCO file in {folder} can be read: {first.path} {first.why}.",
            hint="Mend it, or download it again; then import again.",
        )
    return nothing_found(folder, Layout.COCO, _LOOKED_FOR)


def _files(folder: Path, skipped: list[Remark]) -> Iterator[_File]:
    """The JSON files that are COCO's, in the order of their names; what cannot be read goes to `skipped`."""
    for path in _paths(folder):
        file = _File(path)
        try:
            lists = {key for key, record in records(path) if _take(file, key, record)}
        except BadDataset as error:
            skipped.append(Remark(shown(path, folder), "annotation", error.detail))
            continue
        if "images" in lists or file.categories:
            yield file


def _take(file: _File, key: str, record: object) -> bool:
    """Keep what is needed of a record; whether it is one that COCO has."""
    if not isinstance(record, dict):
        return False
    if key == "annotations":
        file.annotations[_id(record.get("image_id"))].append(_annotation(record))
    elif key == "images":
        file.images.append({name: record[name] for name in _OF_IMAGE if name in record})
    elif key == "categories":
        file.categories.append(record)
    else:
        return False
    return True


_OF_IMAGE = ("id", "file_name", "width", "height", "group", "source")


def _annotation(record: Record) -> _Annotation:
    polygon = _polygon(record.get("segmentation"))
    track = record.get("track_id")
    return _Annotation(
        category=record.get("category_id"),
        crowd=bool(record.get("iscrowd")),
        bbox=_bbox(record.get("bbox")),
        polygon=polygon,
        attributes=_attributes(record.get("attributes")),
        track=str(track) if isinstance(track, int) and not isinstance(track, bool) and 0 <= track < 2**63 else "",
        keyframe=record.get("keyframe") is not False,
        more=_not_kept(record, polygon),
    )


def _not_kept(record: Record, polygon: Collection[Point]) -> str:
    """What is written of the object beyond its box and has no place here, in words."""
    outline, keypoints = not polygon and record.get("segmentation"), record.get("num_keypoints")
    if not outline and not keypoints:
        return ""
    return ", ".join(["an outline that is not one polygon"] * bool(outline) + ["keypoints"] * bool(keypoints))


def _read_file(file: _File, folder: Path, known: Known) -> Iterator[tuple[ReadImage | None, list[Remark]]]:
    name = shown(file.path, folder)
    categories = file.names()
    split = split_named(file.path.stem) or (split_named(file.path.parent.name) if file.path.parent != folder else None)
    places = _image_places(file.path, folder)
    seen: set[Id] = set()
    more: Counter[str] = Counter()
    for record in file.images:
        number, written = _id(record.get("id")), record.get("file_name")
        if number is None or number in seen:
            yield None, [Remark(name, "image", f"{written!r} has no id of its own")]
            continue
        seen.add(number)
        path = _located(written, places)
        digest = known(written) if path is None and isinstance(written, str) else None
        if path is None and digest is None:
            yield None, [Remark(name, "image", f"{written!r} is missing")]
            continue
        place = path or folder / str(digest)
        found = file.annotations.pop(number, [])
        more.update(one.more for one in found if one.more)
        boxes, bad = _boxes(found, categories, place, folder)
        yield _image(record, place, boxes, split, digest or ""), bad
    yield None, [Remark(name, "outline", f"{lost}: the box alone is kept", count) for lost, count in more.items()]
    lost_images = {number for number in file.annotations if number not in seen}
    if lost := sum(len(file.annotations[number]) for number in lost_images):
        yield None, [Remark(name, "box", "their image is not in the file", lost)]


def _image(record: Record, file: Path, boxes: tuple[ReadBox, ...], split: Split | None, digest: str) -> ReadImage:
    group, source = record.get("group"), record.get("source")
    return ReadImage(
        path=file,
        boxes=boxes,
        width=_pixels(record.get("width")),
        height=_pixels(record.get("height")),
        split=split,
        group=group if isinstance(group, str) else "",
        source=source if isinstance(source, str) else "",
        digest=digest,
    )


def _boxes(
    found: Iterable[_Annotation], categories: Mapping[Id, str], place: Path, folder: Path
) -> tuple[tuple[ReadBox, ...], list[Remark]]:
    boxes: list[ReadBox] = []
    bad: list[str] = []
    for one in found:
        number = _id(one.category)
        label = categories.get(number) if number is not None else None
        if label is None:
            bad.append(f"category {one.category!r} is not in the file")
        elif one.crowd:
            bad.append(f"{label}: is a crowd region, not an object")
        elif one.bbox is None:
            bad.append(f"{label}: has no bbox of four numbers")
        else:
            x, y, width, height = one.bbox
            corners = (x, y, x + width, y + height)
            boxes.append(ReadBox(label, corners, one.polygon, one.attributes, one.track, one.keyframe))
    name = shown(place, folder) if bad else ""
    return tuple(boxes), [Remark(name, "box", why) for why in bad]


def _polygon(segmentation: object) -> Collection[Point]:
    """Of an object in one piece; none for several pieces, and for run lengths."""
    if not isinstance(segmentation, list) or len(segmentation) != 1 or not isinstance(segmentation[0], list):
        return ()
    values = segmentation[0]
    if len(values) % 2 or len(values) < 6 or not _NUMBERS.issuperset(map(type, values)):
        return ()
    if max(values) > _FARTHEST or min(values) < -_FARTHEST:  # no float holds all integers
        return ()
    return Outline(values)


_NUMBERS = frozenset({int, float})


def _attributes(attributes: object) -> Mapping[str, Value]:
    """Those of a kind that there is here; the recipe has the last word."""
    if not isinstance(attributes, dict) or not attributes:
        return _NO_ATTRIBUTES
    kept: dict[str, Value] = {}
    for name, value in attributes.items():
        if isinstance(value, str | bool | int | float):
            kept[name] = value
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            kept[name] = tuple(value)
    return kept


_NO_ATTRIBUTES: Mapping[str, Value] = {}


def _image_places(path: Path, folder: Path) -> list[Path]:
    """Where the images of a JSON file may lie, the likeliest first."""
    words = path.stem.split("_", 1)[-1]  # instances_train2017 → train2017
    above = path.parent.parent if path.parent.name == "annotations" else path.parent
    bases = [above, folder]
    names = ["", words, "images", f"images/{words}", "JPEGImages"]
    places = [base / name for base in dict.fromkeys(bases) for name in names]
    return [place for place in dict.fromkeys([*places, path.parent]) if place.is_dir()]


def _located(name: object, places: list[Path]) -> Path | None:
    within = inside(_HERE, name) if isinstance(name, str) else None
    if within is None:
        return None
    return next((place / within for place in places if os.path.isfile(f"{place}/{within}")), None)  # noqa: PTH113


_HERE = Path()


def _id(value: object) -> Id | None:
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _pixels(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _bbox(value: object) -> Box | None:
    if not isinstance(value, list) or len(value) != 4 or not _NUMBERS.issuperset(map(type, value)):
        return None
    try:
        x, y, width, height = map(float, value)
    except OverflowError:
        return None
    return (x, y, width, height)


# --- writing: annotations/instances_{train,val,test}.json, images/ ----------------------------------------


def write_coco(folder: Path, given: Exported) -> None:
    """An image, then an annotation at a time."""
    (folder / "annotations").mkdir()
    categories = [{"id": number + 1, "name": label} for label, number in given.label_numbers.items()]
    for name, entries in given.split_entries():
        with CocoFile(folder / "annotations" / f"instances_{name}.json") as file:
            file.value("info", {"description": f"Askance snapshot {given.digest}"})
            file.value("categories", categories)
            images = enumerate(entries, start=1)
            file.records("images", (_image_record(n, one) | given.videos.image_fields(one.digest) for n, one in images))
            file.records("annotations", _annotation_records(entries, given))
            if clips := given.videos.videos(entry.digest for entry in entries):
                file.value("videos", clips)


class CocoFile:
    """A JSON object, written a record at a time; whole when its block has ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._first = True

    def __enter__(self) -> Self:
        self._file = self._path.open("w", encoding="utf-8", newline="\n")
        self._file.write("{")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._file is not None  # noqa: S101 - opened on entry
        with self._file:
            self._file.write("}")

    def value(self, name: str, value: object) -> None:
        self._write(f"{self._key(name)}{as_json(value)}")

    def records(self, name: str, records: Iterable[Mapping[str, object]]) -> None:
        self._write(f"{self._key(name)}[")
        for number, record in enumerate(records):
            self._write((", " if number else "") + as_json(record))
        self._write("]")

    def _key(self, name: str) -> str:
        comma, self._first = ("" if self._first else ", "), False
        return f"{comma}{as_json(name)}: "

    def _write(self, text: str) -> None:
        assert self._file is not None  # noqa: S101 - opened on entry
        self._file.write(text)


def as_json(value: object) -> str:
    """In a line."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _image_record(number: int, entry: Entry) -> dict[str, object]:
    image = {"id": number, "file_name": file_name(entry), "width": entry.width, "height": entry.height}
    return {**image, "group": entry.group} if entry.group else image


def _annotation_records(entries: Iterable[Entry], given: Exported) -> Iterator[dict[str, object]]:
    index = 0
    for number, entry in enumerate(entries, start=1):
        for shape in entry.shapes:
            if shape.type in HOLDS.shapes:
                index += 1
                yield {
                    "id": index,
                    "image_id": number,
                    "category_id": given.label_numbers[shape.label] + 1,
                    "iscrowd": 0,
                    **_shape_record(shape),
                    **given.videos.shape_fields(entry.digest, shape),
                }


def _shape_record(shape: Shape) -> dict[str, object]:
    """A polygon is COCO's segmentation of one piece; attributes are where CVAT has them."""
    body = coco_box(shape.box)
    if shape.type is Geometry.POLYGON:
        body |= {"segmentation": [[*chain(*shape.points)]], "area": polygon_area(shape.points)}
    if shape.attributes:
        body["attributes"] = {k: list(v) if isinstance(v, tuple) else v for k, v in shape.attributes.items()}
    return body


def coco_box(box: Box) -> dict[str, object]:
    """`xyxy` as COCO's bbox and area, pixels."""
    x1, y1, x2, y2 = box
    return {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
