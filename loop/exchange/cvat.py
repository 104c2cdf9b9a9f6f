"""CVAT for images 1.1: one XML file with an <image> for each image, and images/ (CVAT: "CVAT for images 1.1"). Files of
"CVAT for video 1.1" are read as well (loop/exchange/cvat_tracks.py), and one is written for each clip with tracks
(loop/exchange/cvat_clips.py): annotations/001-drive.mp4.xml.

    <annotations><version>1.1</version><meta>…</meta>
      <image id name width height subset><box|polygon|polyline|points label occluded z_order group_id …>
        <attribute name="…">text</attribute>…

Shape: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/. Coordinates are pixels, edges from 0. CVAT
knows groups by number, so that their names change; what it knows as occluded is here the attribute of that name.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from loop.domain.errors import BadDataset
from loop.domain.geometry import Box, Point, bounds_of
from loop.domain.recipes.ontology import Attribute, AttributeType, Label, labels_named
from loop.domain.recipes.recipe import Recipe
from loop.domain.truth import Geometry, Shape, Value, drawn
from loop.exchange.cvat_clips import Clip, film, track_elements, tracked_clips
from loop.exchange.cvat_tracks import VideoFile
from loop.exchange.markup import children, root_of, written
from loop.exchange.reading import (
    Dataset,
    Known,
    Layout,
    ReadImage,
    Remark,
    inside,
    nothing_found,
    nothing_known,
    require_folder,
    shown,
    split_named,
)
from loop.exchange.texts import as_text, fits_xml
from loop.exchange.turned import corners_of_turned
from loop.exchange.writing import Exported, Holds, file_name, xml_attributes
from training.snapshot import Entry

HOLDS = Holds(links=False, tracks=False, untracked=False, xml=True)

_LOOKED_FOR = "an XML file whose root is <annotations>, in the folder or in annotations/"
_PLACES = ("*.xml", "annotations/*.xml")
_OCCLUDED, _Z_ORDER = "occluded", "z_order"


def read_cvat(folder: Path, known: Known = nothing_known) -> Dataset:
    """Every CVAT XML in `folder`, images beside it or in images/. Raises BadDataset.

    Splits are the images' subsets. Rotated boxes become the boxes around them. Left out, and told: masks, ellipses,
    cuboids, skeletons, tags. Frames of a video are the images that <frames> names, else images/frame_000012.png, or
    `known` by VIDEO/frame_000012.
    """
    require_folder(folder)
    paths = _paths(folder, ("annotations", ""))
    if not paths:
        raise nothing_found(folder, Layout.CVAT, _LOOKED_FOR)
    reading = _Reading(folder, known)
    for path in paths:
        reading.read(path)
    labels = tuple(dict.fromkeys([*reading.declared, *sorted(reading.used)]))
    recipe = _recipe(labels, reading.declared) if reading.declared else None
    return Dataset(folder, labels, tuple(reading.images), tuple(reading.skipped), recipe, untyped=True)


def looks_like_cvat(folder: Path) -> bool:
    return bool(_paths(folder, ("annotations",)))


def _digest(path: Path) -> str:
    """The first digits of it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def _paths(folder: Path, roots: tuple[str, ...]) -> list[Path]:
    """XML files with one of these roots; "" is one that cannot be read, which is then told."""
    found = sorted({path for place in _PLACES for path in folder.glob(place)})
    return [path for path in found if root_of(path) in roots]


@dataclass(slots=True)
class _Reading:
    """declared: what <meta> says of labels."""

    folder: Path
    known: Known
    images: list[ReadImage] = field(default_factory=list)
    skipped: list[Remark] = field(default_factory=list)
    declared: dict[str, Label] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    tracks: int = 0  # in all files, which number theirs from 0 each

    def read(self, path: Path) -> None:
        """A file that breaks off costs what lies behind the break."""
        name = shown(path, self.folder)
        own = ""  # of a file without tracks never asked for
        video = VideoFile(path, self.folder, self.known, self._located, self._shapes, self.skipped)
        try:
            for line, element in children(path, "annotations"):
                if element.tag == "meta":
                    self.declared |= _declared(element)
                    video.declare(element)
                elif element.tag == "image":
                    self._image(element, path, f"{name}, line {line}")
                elif element.tag == "track":
                    # Tracks of another file, of this import or of one before, are other objects.
                    own = own or f"track-{_digest(path)}"
                    video.add(element, f"{own}-{self.tracks}", f"{name}, line {line}")
                    self.tracks += 1
        except BadDataset as error:
            self.skipped.append(Remark(name, "annotation", error.detail))
        for frame, image in video.images():
            if self._is_new(frame, name):
                self._keep(image)

    def _image(self, element: Element, path: Path, where: str) -> None:
        written_name = element.get("name", "")
        if not self._is_new(written_name, where):
            return
        place = self._located(written_name, path)
        digest = self.known(written_name) if place is None else None
        if place is None and digest is None:
            self.skipped.append(Remark(where, "image", f"{written_name!r} is missing"))
            return
        shapes = [shape for child in _stacked(element) for shape in self._shapes(child, where)]
        self._keep(
            ReadImage(
                path=place or self.folder / str(digest),
                boxes=(),
                shapes=tuple(shapes),
                width=_pixels(element, "width"),
                height=_pixels(element, "height"),
                split=split_named(element.get("subset", "")),
                digest=digest or "",
            )
        )

    def _is_new(self, name: str, where: str) -> bool:
        if name in self.seen:
            self.skipped.append(Remark(where, "image", f"{name!r} is there again"))
            return False
        self.seen.add(name)
        return True

    def _keep(self, image: ReadImage) -> None:
        self.used |= image.labels()
        self.images.append(image)

    def _located(self, name: str, path: Path) -> Path | None:
        bases = dict.fromkeys([path.parent, self.folder])
        places = (inside(base / part, name) for base in bases for part in ("images", "."))
        return next((place for place in places if place is not None and place.is_file()), None)

    def _shapes(self, element: Element, where: str) -> Iterator[Shape]:
        label = element.get("label", "").strip()
        read = _SHAPES.get(element.tag)
        try:
            if read is None:
                raise BadDataset(f"a {element.tag} has no place here")
            if not label:
                raise BadDataset("has no label")
            found = list(read(element, label))
        except (BadDataset, ValueError) as error:
            detail = error.detail if isinstance(error, BadDataset) else "has coordinates that are no numbers"
            self.skipped.append(Remark(where, "shape", f"{label or element.tag}: {detail}"))
            return
        if element.tag == "box" and float(element.get("rotation", 0)) % 360:
            self.skipped.append(Remark(where, "rotation", f"{label}: the box around the turned box is kept"))
        if len(found) > 1:
            self.skipped.append(Remark(where, "points", f"{label}: {len(found)} points in one are shapes of their own"))
        yield from (replace(shape, attributes=_attributes(element), group=_group(element)) for shape in found)


def _stacked(image: Element) -> list[Element]:
    """The shapes from the lowest to the highest, in the order of the file where CVAT says nothing."""
    return sorted(image, key=lambda child: _whole(child.get(_Z_ORDER, "0")))


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0


def _group(element: Element) -> str:
    number = _whole(element.get("group_id", "0"))
    return f"group-{number}" if number else ""


def _attributes(element: Element) -> dict[str, Value]:
    """As text; the recipe knows the types."""
    found: dict[str, Value] = {one.get("name", ""): one.text or "" for one in element.iterfind("attribute")}
    found.pop("", None)
    return found | ({_OCCLUDED: "true"} if element.get(_OCCLUDED) == "1" else {})


# --- shapes: each raises BadDataset or ValueError ------------------------------------------------------------


def _box(element: Element, label: str) -> Iterator[Shape]:
    x1, y1, x2, y2 = (_number(element.get(name, "")) for name in ("xtl", "ytl", "xbr", "ybr"))
    turn = _number(element.get("rotation", "0")) % 360
    middle = ((x1 + x2) / 2, (y1 + y2) / 2)
    around = bounds_of(corners_of_turned((x1, y1, x2, y2), turn, middle)) if turn else (x1, y1, x2, y2)
    yield Shape(label, around)


def _polygon(element: Element, label: str) -> Iterator[Shape]:
    yield drawn(Geometry.POLYGON, label, _points(element))


def _polyline(element: Element, label: str) -> Iterator[Shape]:
    yield drawn(Geometry.POLYLINE, label, _points(element))


def _each_point(element: Element, label: str) -> Iterator[Shape]:
    yield from (drawn(Geometry.POINT, label, [point]) for point in _points(element))


def _points(element: Element) -> list[Point]:
    pairs = [pair.split(",") for pair in element.get("points", "").split(";")]
    if any(len(pair) != 2 for pair in pairs):
        raise BadDataset("has no points of the form x,y;x,y")
    return [(_number(x), _number(y)) for x, y in pairs]


def _number(text: str) -> float:
    """Raises ValueError."""
    value = float(text)
    if not math.isfinite(value):
        raise BadDataset(f"the coordinate {text} is not finite")
    return value


_SHAPES: Mapping[str, Callable[[Element, str], Iterator[Shape]]] = {
    "box": _box,
    "polygon": _polygon,
    "polyline": _polyline,
    "points": _each_point,
}


def _pixels(element: Element, side: str) -> int | None:
    return _whole(element.get(side, "")) or None


# --- labels: what <meta> says --------------------------------------------------------------------------------

_TYPES = {
    "rectangle": Geometry.BOX,
    "polygon": Geometry.POLYGON,
    "polyline": Geometry.POLYLINE,
    "points": Geometry.POINT,
}
_INPUTS = {
    AttributeType.SELECT: "select",
    AttributeType.MULTISELECT: "text",  # CVAT has none: a list as text
    AttributeType.TEXT: "text",
    AttributeType.NUMBER: "number",
    AttributeType.BOOLEAN: "checkbox",
}


def _declared(meta: Element) -> dict[str, Label]:
    """Labels of a task or a project; a type that says "any" leaves the shapes to say it."""
    found: dict[str, Label] = {}
    for element in meta.iter("label"):
        name = (element.findtext("name") or "").strip()
        if name:
            attributes = (_attribute(one) for one in element.iterfind("attributes/attribute"))
            geometry = _TYPES.get(element.findtext("type") or "", Geometry.BOX)
            found[name] = Label(name, "", "", geometry, tuple(one for one in attributes if one))
    return found


def _attribute(element: Element) -> Attribute | None:
    name, kind = (element.findtext("name") or "").strip(), element.findtext("input_type")
    values = [value.strip() for value in (element.findtext("values") or "").split("\n") if value.strip()]
    if not name:
        return None
    if kind in ("select", "radio") and values:
        return Attribute(name, AttributeType.SELECT, tuple(dict.fromkeys(values)))
    if kind == "checkbox":
        return Attribute(name, AttributeType.BOOLEAN)
    return Attribute(name, AttributeType.NUMBER) if kind == "number" else Attribute(name, AttributeType.TEXT)


def _recipe(names: tuple[str, ...], declared: Mapping[str, Label]) -> Recipe:
    labels = (replace(declared.get(one.name, one), color=one.color, key=one.key) for one in labels_named(names))
    return Recipe(version=1, labels=tuple(labels))


# --- writing: annotations.xml, annotations/, images/ ----------------------------------------------------------


def write_cvat(folder: Path, given: Exported) -> None:
    """An <image> at a time; of clips with tracks, which have no images in annotations.xml, a clip at a time."""
    alone = len(given.snapshot.entries) - sum(place.group_id in given.tracked for place in given.places.values())
    if alone:
        task = {"name": "Askance", "size": alone, "mode": "annotation"}
        _write_file(folder / "annotations.xml", _meta(given, task, mutable=False), _images(given))
    for clip in tracked_clips(given):
        (folder / "annotations").mkdir(exist_ok=True)
        _write_file(folder / "annotations" / clip.file, _video_meta(given, clip), track_elements(clip, _shape))


def _write_file(path: Path, meta: Element, elements: Iterable[Element]) -> None:
    with path.open("wb") as file:
        file.write(b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n')
        for element in chain([meta], elements):
            file.write(written(element) + b"\n")
        file.write(b"</annotations>\n")


def _images(given: Exported) -> Iterator[Element]:
    number = 0
    for subset, entries in given.split_entries():
        for entry in entries:
            if not given.is_tracked(entry.digest):
                yield _image(entry, number, subset)
                number += 1


def _video_meta(given: Exported, clip: Clip) -> Element:
    texts, more = film(clip)
    meta = _meta(given, texts, mutable=True)
    meta[0].extend(more)
    return meta


def _meta(given: Exported, texts: Mapping[str, object], *, mutable: bool) -> Element:
    """texts: of the task. mutable: whether attributes may differ from frame to frame of a track."""
    meta = Element("meta")
    task = SubElement(meta, "task")
    _texts(task, texts)
    labels = SubElement(task, "labels")
    kinds = {geometry: name for name, geometry in _TYPES.items()}
    for label in given.recipe.labels:
        element = SubElement(labels, "label")
        _texts(element, {"name": label.name, "color": label.color, "type": kinds[label.geometry]})
        listed = SubElement(element, "attributes")
        for attribute in label.attributes:
            if fits_xml("".join([attribute.name, *attribute.options, str(attribute.default)])):
                _texts(SubElement(listed, "attribute"), _attribute_texts(attribute, mutable))
    return meta


def _attribute_texts(attribute: Attribute, mutable: bool) -> dict[str, object]:
    default = "" if attribute.default is None else as_text(attribute.default)
    values = "\n".join(attribute.options) if attribute.type is AttributeType.SELECT else ""
    kind = _INPUTS[attribute.type]
    return {"name": attribute.name, "mutable": mutable, "input_type": kind, "default_value": default, "values": values}


def _texts(element: Element, texts: Mapping[str, object]) -> None:
    for name, text in texts.items():
        SubElement(element, name).text = str(text)


def _image(entry: Entry, number: int, subset: str) -> Element:
    facts = {"name": file_name(entry), "subset": subset, "width": str(entry.width), "height": str(entry.height)}
    image = Element("image", {"id": str(number), **facts})
    groups = {name: number for number, name in enumerate(dict.fromkeys(s.group for s in entry.shapes if s.group), 1)}
    for shape in entry.shapes:
        image.append(_shape(shape, groups.get(shape.group, 0)))
    return image


_TAGS = {Geometry.BOX: "box", Geometry.POLYGON: "polygon", Geometry.POLYLINE: "polyline", Geometry.POINT: "points"}


def _shape(shape: Shape, group: int) -> Element:
    hidden = shape.attributes.get(_OCCLUDED) is True
    facts = {"label": shape.label, "source": "manual", _OCCLUDED: str(int(hidden)), _Z_ORDER: "0"}
    places = _corners(shape.box) if shape.type is Geometry.BOX else {"points": _pairs(shape.points)}
    element = Element(_TAGS[shape.type], facts | places | ({"group_id": str(group)} if group else {}))
    for name, value in xml_attributes(shape).items():
        if not (hidden and name == _OCCLUDED):
            SubElement(element, "attribute", {"name": name}).text = value
    return element


def _corners(box: Box) -> dict[str, str]:
    return {name: repr(float(side)) for name, side in zip(("xtl", "ytl", "xbr", "ybr"), box, strict=True)}


def _pairs(points: Iterable[Point]) -> str:
    return ";".join(f"{float(x)!r},{float(y)!r}" for x, y in points)
