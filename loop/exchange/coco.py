"""COCO: JSON files with images, annotations and categories (Lin et al., ECCV 2014), beside folders of images."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from loop.domain.errors import BadDataset
from loop.domain.geometry import Point
from loop.domain.item import Split
from loop.domain.truth import Value
from loop.exchange.reading import (
    Dataset,
    Layout,
    ReadBox,
    ReadImage,
    Remark,
    inside,
    nothing_found,
    require_folder,
    shown,
    split_named,
)

_LOOKED_FOR = (
    "a JSON file with images, annotations and categories in the folder, in annotations/, or in train/, valid/, test/"
)
_PLACES = ("*.json", "annotations/*.json", "*/*.json", "*/annotations/*.json")

# Pixels. No image is as large; numbers that no float holds are beyond it.
_FARTHEST = 1e9

Record = Mapping[str, object]
Id = int | str  # numbers, says the format; some tools write text


def read_coco(folder: Path) -> Dataset:
    """Every COCO JSON in `folder` (only those called instances… where there are such). Raises BadDataset.

    A file's split is what its name, or its folder's, speaks of: train, val and test become train, val and
    golden. Crowd regions are left out: they are no objects. Images without annotations have no objects.
    """
    require_folder(folder)
    skipped: list[Remark] = []
    found = list(_bodies(folder, skipped))
    named = [(path, body) for path, body in found if path.name.startswith("instances")]
    found = named or found
    if not found:
        raise _unusable(folder, skipped)
    labels = _labels(body for _, body in found)
    images: list[ReadImage] = []
    seen: set[Path] = set()
    for path, body in found:
        for image, remarks in _read_body(path, body, folder):
            skipped += remarks
            if image is not None and image.path in seen:
                skipped.append(Remark(shown(image.path, folder), "image", f"is in {path.name} again"))
            elif image is not None:
                seen.add(image.path)
                images.append(image)
    return Dataset(folder, labels, tuple(images), tuple(skipped))


def _unusable(folder: Path, skipped: list[Remark]) -> BadDataset:
    if skipped:
        first = skipped[0]
        return BadDataset(
            f"no COCO file in {folder} can be read: {first.path} {first.why}.",
            hint="Mend it, or download it again; then import again.",
        )
    return nothing_found(folder, Layout.COCO, _LOOKED_FOR)


def _bodies(folder: Path, skipped: list[Remark]) -> Iterator[tuple[Path, Record]]:
    """The JSON files that are COCO's, in the order of their names; what cannot be read goes to `skipped`."""
    for path in sorted({path for place in _PLACES for path in folder.glob(place)}):
        try:
            body = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            skipped.append(Remark(shown(path, folder), "annotation", f"cannot be read as JSON ({error})"))
            continue
        if isinstance(body, dict) and all(isinstance(body.get(key), list) for key in ("images", "categories")):
            yield path, body


def _records(body: Record, key: str) -> list[Record]:
    values = body.get(key)
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _categories(body: Record) -> dict[Id, str]:
    """Names by id, in the order of the ids; what has no id or no name is as if it were not there."""
    named: dict[Id, str] = {}
    for record in _records(body, "categories"):
        number, name = _id(record.get("id")), record.get("name")
        if number is not None and isinstance(name, str) and name.strip():
            named[number] = name.strip()
    return dict(sorted(named.items(), key=lambda pair: (isinstance(pair[0], str), pair[0])))


def _labels(bodies: Iterable[Record]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for body in bodies for name in _categories(body).values()))


def _read_body(path: Path, body: Record, folder: Path) -> Iterator[tuple[ReadImage | None, list[Remark]]]:
    name = shown(path, folder)
    categories = _categories(body)
    annotations: dict[Id | None, list[Record]] = defaultdict(list)
    for record in _records(body, "annotations"):
        annotations[_id(record.get("image_id"))].append(record)
    split = split_named(path.stem) or (split_named(path.parent.name) if path.parent != folder else None)
    places = _image_places(path, folder)
    known: set[Id] = set()
    for record in _records(body, "images"):
        number, file = _id(record.get("id")), _located(record.get("file_name"), places)
        if number is None or number in known:
            yield None, [Remark(name, "image", f"{record.get('file_name')!r} has no id of its own")]
            continue
        known.add(number)
        if file is None:
            yield None, [Remark(name, "image", f"{record.get('file_name')!r} is missing")]
            continue
        boxes, bad = _boxes(annotations[number], categories, shown(file, folder))
        yield _image(record, file, boxes, split), bad
    if lost := sum(len(records) for number, records in annotations.items() if number not in known):
        yield None, [Remark(name, "box", "their image is not in the file", lost)]


def _image(record: Record, file: Path, boxes: tuple[ReadBox, ...], split: Split | None) -> ReadImage:
    group, source = record.get("group"), record.get("source")
    return ReadImage(
        path=file,
        boxes=boxes,
        width=_pixels(record.get("width")),
        height=_pixels(record.get("height")),
        split=split,
        group=group if isinstance(group, str) else "",
        source=source if isinstance(source, str) else "",
    )


def _boxes(
    records: Iterable[Record], categories: Mapping[Id, str], name: str
) -> tuple[tuple[ReadBox, ...], list[Remark]]:
    boxes: list[ReadBox] = []
    bad: list[Remark] = []
    for record in records:
        number = _id(record.get("category_id"))
        label = categories.get(number) if number is not None else None
        box = _numbers(record.get("bbox"))
        if label is None:
            bad.append(Remark(name, "box", f"category {record.get('category_id')!r} is not in the file"))
        elif record.get("iscrowd"):
            bad.append(Remark(name, "box", f"{label}: is a crowd region, not an object"))
        elif box is None:
            bad.append(Remark(name, "box", f"{label}: has no bbox of four numbers"))
        else:
            x, y, width, height = box
            corners = (x, y, x + width, y + height)
            boxes.append(ReadBox(label, corners, _polygon(record), _attributes(record)))
    return tuple(boxes), bad


def _polygon(record: Record) -> tuple[Point, ...]:
    """Of an object in one piece; none for several pieces, and for run lengths."""
    segmentation = record.get("segmentation")
    if not isinstance(segmentation, list) or len(segmentation) != 1 or not isinstance(segmentation[0], list):
        return ()
    values = segmentation[0]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if not numbers or len(values) % 2 or len(values) < 6 or any(abs(value) > _FARTHEST for value in values):
        return ()
    return tuple((float(x), float(y)) for x, y in zip(values[::2], values[1::2], strict=True))


def _attributes(record: Record) -> dict[str, Value]:
    """Those of a kind that there is here; the recipe has the last word."""
    attributes = record.get("attributes")
    if not isinstance(attributes, dict):
        return {}
    kept: dict[str, Value] = {}
    for name, value in attributes.items():
        if isinstance(value, str | bool | int | float):
            kept[name] = value
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            kept[name] = tuple(value)
    return kept


def _image_places(path: Path, folder: Path) -> list[Path]:
    """Where the images of a JSON file may lie, the likeliest first."""
    words = path.stem.split("_", 1)[-1]  # instances_train2017 → train2017
    above = path.parent.parent if path.parent.name == "annotations" else path.parent
    bases = [above, folder]
    names = ["", words, "images", f"images/{words}", "JPEGImages"]
    places = [base / name for base in dict.fromkeys(bases) for name in names]
    return [place for place in dict.fromkeys([*places, path.parent]) if place.is_dir()]


def _located(name: object, places: list[Path]) -> Path | None:
    if not isinstance(name, str):
        return None
    for place in places:
        path = inside(place, name)
        if path is not None and path.is_file():
            return path
    return None


def _id(value: object) -> Id | None:
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _pixels(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _numbers(value: object) -> tuple[float, float, float, float] | None:
    if not isinstance(value, list) or len(value) != 4:
        return None
    if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in value):
        return None
    try:
        x, y, width, height = (float(number) for number in value)
    except OverflowError:
        return None
    return (x, y, width, height)
