"""Label Studio's JSON: tasks with what people answered or models predicted, and the labelling interface that fits them.

Shape: https://labelstud.io/guide/export and /guide/predictions. A task is {"data": {"image": …}, "annotations":
[{"result": [regions and relations]}], "predictions": [{"model_version", "score", "result": …}]}; regions are in percent
of the image's sides. Attributes are results of their own (choices, textarea, number) with their region's id.

Import tasks.json into a project with the interface of label_config.xml, and serve the images from local storage whose
root is the exported folder (LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT).
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from loop.domain.errors import BadDataset
from loop.domain.geometry import Box, Point, bounds_of
from loop.domain.identity import digest_of
from loop.domain.item import Split
from loop.domain.prediction import Detection
from loop.domain.recipes.ontology import Attribute, AttributeType, Label
from loop.domain.recipes.recipe import Recipe
from loop.domain.truth import Geometry, Link, Shape, Value, drawn
from loop.exchange.json_records import begins_with, records
from loop.exchange.markup import of_text
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
from loop.exchange.texts import as_text, fits_xml, typed
from loop.exchange.turned import corners_of_turned
from loop.exchange.writing import Exported, Holds
from training.snapshot import Entry

HOLDS = Holds(
    shapes=frozenset({Geometry.BOX, Geometry.POLYGON, Geometry.POINT}), groups=False, tracks=False, clips=False
)
_REGION = {"type": "rectanglelabels", "from_name": "label", "to_name": "image"}


def task(
    detections: Sequence[Detection],
    *,
    file: str,
    width: int,
    height: int,
    model: str,
    score: float,
    data: dict[str, str],
) -> dict[str, object]:
    """One image. file: relative to the exported folder. score: how sure the model is of the whole image, in [0, 1];
    Label Studio sorts by it. data: further columns of the task."""
    return {
        "data": {"image": f"/data/local-files/?d={file}", **data},
        "predictions": [prediction(detections, width=width, height=height, model=model, score=score)],
    }


def prediction(
    detections: Sequence[Detection], *, width: int, height: int, model: str, score: float
) -> dict[str, object]:
    """What a model says of one image, as a pre-annotation."""
    regions = [_region(index, one, width, height) for index, one in enumerate(detections)]
    return {"model_version": model, "score": score, "result": regions}


def _region(index: int, detection: Detection, width: int, height: int) -> dict[str, object]:
    return {
        **_REGION,
        "id": f"box{index}",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": detection.score,
        "value": _rectangle(detection.box, width, height) | {"rectanglelabels": [detection.label]},
    }


# --- the interface ---------------------------------------------------------------------------------------------

_TAGS = {Geometry.BOX: "RectangleLabels", Geometry.POLYGON: "PolygonLabels", Geometry.POINT: "KeyPointLabels"}
_FROM = {Geometry.BOX: "label", Geometry.POLYGON: "polygon", Geometry.POINT: "point"}


def label_config(labels: Sequence[tuple[str, str]]) -> str:
    """The labelling interface for boxes of (name, "#rrggbb") labels, as XML."""
    return _interface(Label(name, color, "") for name, color in labels)


def recipe_config(recipe: Recipe) -> str:
    """The labelling interface for a recipe, as far as Label Studio can draw it, as XML."""
    return _interface(label for label in recipe.labels if label.geometry in HOLDS.shapes)


def _interface(labels: Iterable[Label]) -> str:
    view = Element("View")
    SubElement(view, "Image", {"name": "image", "value": "$image", "zoom": "true"})
    listed = tuple(labels)
    for geometry, tag in _TAGS.items():
        drawn_so = [label for label in listed if label.geometry is geometry]
        if drawn_so:
            control = SubElement(view, tag, {"name": _FROM[geometry], "toName": "image"})
            for label in drawn_so:
                SubElement(control, "Label", {"value": label.name, "background": label.color})
    for label in listed:
        for attribute in label.attributes:
            if fits_xml(attribute.name) and all(map(fits_xml, attribute.options)):
                _ask(view, label, attribute)
    indent(view)
    return tostring(view, encoding="unicode") + "\n"


def _ask(view: Element, label: Label, attribute: Attribute) -> None:
    facts = {"name": _control(label.name, attribute.name), "toName": "image", "perRegion": "true"}
    facts |= {"whenTagName": _FROM[label.geometry], "whenLabelValue": label.name}
    if attribute.type is AttributeType.TEXT:
        SubElement(view, "TextArea", facts)
    elif attribute.type is AttributeType.NUMBER:
        SubElement(view, "Number", facts)
    else:
        several = attribute.type is AttributeType.MULTISELECT
        control = SubElement(view, "Choices", facts | {"choice": "multiple" if several else "single"})
        for option in attribute.options or ("true", "false"):
            SubElement(control, "Choice", {"value": option})


def _control(label: str, attribute: str) -> str:
    """Controls have names of their own, while two labels may have attributes of one name."""
    return f"{attribute}@{label}"


def controls_of(interface: str) -> dict[str, frozenset[str]]:
    """By the name of each control of a labelling interface (XML), the labels or choices that it has. Raises BadDataset
    for what is no XML; a DOCTYPE is refused, so that nothing in it is expanded."""
    found: dict[str, set[str]] = {}
    named = ""
    for element in of_text(interface).iter():
        if element.get("toName"):
            named = element.get("name") or ""
            found[named] = set()
        elif element.tag in ("Label", "Choice") and named:
            found[named].add(element.get("value") or "")
    return {name: frozenset(values) for name, values in found.items()}


# --- writing: tasks.json, label_config.xml, images/ ----------------------------------------------------------


def write_label_studio(folder: Path, given: Exported) -> None:
    """A task at a time."""
    (folder / "label_config.xml").write_text(recipe_config(given.recipe), encoding="utf-8")
    with (folder / "tasks.json").open("w", encoding="utf-8") as file:
        number = 0
        for split, entries in given.split_entries():
            for entry in entries:
                number += 1
                body = {"id": number} | _answered(entry, given.recipe, given.place(entry), split)
                text = json.dumps(body, ensure_ascii=True, allow_nan=False)
                file.write(("[\n" if number == 1 else ",\n") + text)
        file.write("\n]\n")


def _answered(entry: Entry, recipe: Recipe, file: str, split: str) -> dict[str, object]:
    shapes = [shape for shape in entry.shapes if shape.type in HOLDS.shapes]
    ids = [shape.id or f"{_NAMELESS}{number}" for number, shape in enumerate(shapes)]
    results = [one for shape, own in zip(shapes, ids, strict=True) for one in _results(shape, own, entry, recipe)]
    present = set(ids)
    relations = [
        {"type": "relation", "from_id": own, "to_id": link.to, "direction": "right", "labels": [link.type]}
        for shape, own in zip(shapes, ids, strict=True)
        for link in shape.links
        if link.to in present
    ]
    data = {"image": f"/data/local-files/?d={file}", "split": split}
    return {"data": data, "annotations": [{"id": 1, "ground_truth": True, "result": [*results, *relations]}]}


# Before the number of a shape that has no id: Label Studio wants one for each.
_NAMELESS = "nameless:"


def _results(shape: Shape, own: str, entry: Entry, recipe: Recipe) -> Iterator[dict[str, object]]:
    common = {"id": own, "to_name": "image", "original_width": entry.width, "original_height": entry.height}
    common |= {"image_rotation": 0, "origin": "manual"}
    place = _place(shape, entry.width, entry.height)
    kind = _TAGS[shape.type].lower()
    yield common | {"type": kind, "from_name": _FROM[shape.type], "value": place | {kind: [shape.label]}}
    label = recipe.label_of(shape.label)
    for name, value in shape.attributes.items():
        kind, meant = _answer(value, label.attribute(name) if label else None)
        control = _control(shape.label, name)
        yield common | {"type": kind, "from_name": control, "value": place | {_value_name(kind): meant}}


def _value_name(kind: str) -> str:
    """Under which name a control of this kind keeps its value."""
    return "text" if kind == "textarea" else kind


def _answer(value: Value, attribute: Attribute | None) -> tuple[str, object]:
    """As which kind of control, and as which value of it."""
    if isinstance(value, tuple):
        return "choices", list(value)
    if isinstance(value, bool) or (attribute is not None and attribute.type is AttributeType.SELECT):
        return "choices", [as_text(value)]
    return ("textarea", [value]) if isinstance(value, str) else ("number", value)


def _place(shape: Shape, width: int, height: int) -> dict[str, object]:
    if shape.type is Geometry.BOX:
        return _rectangle(shape.box, width, height)
    points = [(100 * x / width, 100 * y / height) for x, y in shape.points]
    if shape.type is Geometry.POINT:
        return {"x": points[0][0], "y": points[0][1], "width": _POINT_SIZE}
    return {"points": [list(point) for point in points], "closed": True}


_POINT_SIZE = 0.5  # percent of the width: how large Label Studio draws it


def _rectangle(box: Box, width: int, height: int) -> dict[str, object]:
    x1, y1, x2, y2 = box
    return {
        "x": 100 * x1 / width,
        "y": 100 * y1 / height,
        "width": 100 * (x2 - x1) / width,
        "height": 100 * (y2 - y1) / height,
        "rotation": 0,
    }


# --- reading -------------------------------------------------------------------------------------------------

_LOOKED_FOR = "a JSON file with a list of tasks, as Label Studio exports it (JSON, not JSON_MIN)"
# What an upload puts before the name of a file.
_UPLOAD = re.compile(r"[0-9a-f]{8}-")


def read_label_studio(folder: Path, known: Known = nothing_known) -> Dataset:
    """Every list of tasks in `folder`; images lie in it by their path, or by their name in it or in images/. Raises
    BadDataset.

    Of several answers to a task the one counts that is marked as ground truth, else the last; cancelled ones never,
    and predictions neither: nobody answered them. Rotated rectangles become the boxes around them. Left out, and
    told: brushes, ellipses, open polygons, and choices of the whole image.
    """
    require_folder(folder)
    paths = _paths(folder)
    if not paths:
        raise nothing_found(folder, Layout.LABEL_STUDIO, _LOOKED_FOR)
    reading = _Reading(folder, known)
    for path in paths:
        reading.read(path)
    return Dataset(folder, tuple(sorted(reading.used)), tuple(reading.images), tuple(reading.skipped), untyped=True)


def answer_read(result: Sequence[Any], recipe: Recipe, width: int, height: int) -> tuple[tuple[Shape, ...], list[str]]:
    """The shapes of one annotation, of an image of this size, with attributes typed as the recipe has them; and what
    of it cannot be kept, in words. Places are in percent, so that the size which the browser saw does not matter."""
    known = [one for one in result if isinstance(one, dict)]
    skipped: list[Remark] = []
    sized = [{**one, "original_width": width, "original_height": height} for one in known]
    shapes = _Regions(sized, "", skipped).shapes()
    lost = [f"{remark.what}: {remark.why}" for remark in skipped if remark.what != "rotation"]
    lost += [f"a result of the kind {one.get('type')!r} has no place here" for one in known if not _is_known(one)]
    return tuple(_typed(shape, recipe) for shape in shapes), lost


def _is_known(one: Mapping[str, Any]) -> bool:
    """Whether `_Regions` looks at it, if only to tell that it is left out."""
    kind = str(one.get("type"))
    region = isinstance(one.get("value"), dict) and _is_other_region(one)
    return kind in _REGIONS or kind == "relation" or kind in _SAID or region


def _typed(shape: Shape, recipe: Recipe) -> Shape:
    label = recipe.label_of(shape.label)
    if label is None:
        return shape
    types = {attribute.name: attribute.type for attribute in label.attributes}
    meant = {n: typed(value, types[n]) if n in types else value for n, value in shape.attributes.items()}
    return replace(shape, attributes=meant)


def looks_like_label_studio(folder: Path) -> bool:
    return bool(_paths(folder))


def _paths(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.json")) if begins_with(path) == "[" and _has_tasks(path)]


def _has_tasks(path: Path) -> bool:
    try:
        first = next(records(path), ("", None))[1]
    except BadDataset:
        return False
    return isinstance(first, dict) and isinstance(first.get("data"), dict)


@dataclass(slots=True)
class _Reading:
    folder: Path
    known: Known
    images: list[ReadImage] = field(default_factory=list)
    skipped: list[Remark] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    seen: set[Path] = field(default_factory=set)

    def read(self, path: Path) -> None:
        """A file that breaks off costs what lies behind the break."""
        name = shown(path, self.folder)
        number = 0
        try:
            for number, (_, task_body) in enumerate(records(path), start=1):
                self._task(task_body, f"{name}, task {number}")
        except BadDataset as error:
            self.skipped.append(Remark(name, "annotation", f"{error.detail} behind task {number}"))

    def _task(self, body: object, where: str) -> None:
        data = body.get("data") if isinstance(body, dict) else None
        reference = _image_of(data) if isinstance(data, dict) else ""
        if not isinstance(body, dict) or not isinstance(data, dict) or not reference:
            self._skip(where, "image", "names no image in its data")
            return
        place, digest = self._located(reference)
        if place is None or place in self.seen:
            why = f"{reference!r} is missing" if place is None else f"{reference!r} is there again"
            self._skip(where, "image", why)
            return
        result = self._answer_of(body, where)
        if result is None:
            return
        self.seen.add(place)
        shapes = _Regions(result, where, self.skipped).shapes()
        self.used.update(shape.label for shape in shapes)
        width, height = _size(result)
        self.images.append(
            ReadImage(
                path=place, boxes=(), shapes=shapes, width=width, height=height, split=_split(data), digest=digest
            )
        )

    def _skip(self, where: str, what: str, why: str) -> None:
        self.skipped.append(Remark(where, what, why))

    def _answer_of(self, body: Mapping[str, Any], where: str) -> list[Any] | None:
        """The results of the answer that counts; None where there is none, which is told."""
        given = body.get("annotations", body.get("completions"))
        answers = [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
        counted = [one for one in answers if not one.get("was_cancelled") and isinstance(one.get("result"), list)]
        if not counted:
            only = "has predictions, which nobody answered" if body.get("predictions") else "has no answer"
            self._skip(where, "annotation", only)
            return None
        chosen = next((one for one in counted if one.get("ground_truth")), counted[-1])
        if len(counted) > 1:
            which = "the one that is marked as ground truth" if chosen.get("ground_truth") else "the last one"
            self._skip(where, "annotation", f"has {len(counted)} answers, of which {which} is taken")
        result: list[Any] = chosen["result"]
        return result

    def _located(self, reference: str) -> tuple[Path | None, str]:
        """Where the image lies, or would lie, and its digest where only the project has it."""
        names = _names(reference)
        for name in names:
            for base in (self.folder, self.folder / "images"):
                place = inside(base, name)
                if place is not None and place.is_file():
                    return place, ""
        for name in names:
            if digest := self.known(name):
                return self.folder / digest, digest
        return None, ""


def _image_of(data: Mapping[str, Any]) -> str:
    """The text under `image`, else the first that is the name of an image."""
    texts = [data.get("image"), *data.values()]
    found = [text for text in texts if isinstance(text, str) and text]
    return next((text for text in found if re.search(r"\.(jpe?g|png|webp)($|\?)", text, re.IGNORECASE)), "")


def _names(reference: str) -> list[str]:
    """What a reference may be called here: its path as local storage has it, else its last part, with and without what
    an upload puts before it."""
    try:
        parts = urlsplit(reference)
        local = parse_qs(parts.query).get("d", [])
    except ValueError:
        return []
    last = unquote(parts.path).rsplit("/", 1)[-1]
    plain = [] if parts.scheme or parts.path.startswith("/") else [reference]
    named = [*local, *plain, *(name.rsplit("/", 1)[-1] for name in local), last]
    return list(dict.fromkeys(name for name in [*named, _UPLOAD.sub("", last, count=1)] if name))


def _split(data: Mapping[str, Any]) -> Split | None:
    name = data.get("split")
    return split_named(name) if isinstance(name, str) else None


def _size(result: Sequence[Any]) -> tuple[int | None, int | None]:
    for one in result:
        if isinstance(one, dict):
            sides = one.get("original_width"), one.get("original_height")
            if all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides):
                return sides
    return None, None


_SAID = ("choices", "textarea", "number", "rating")  # of a region


class _Regions:
    """The results of one answer: regions first, then what is said of them."""

    def __init__(self, result: Sequence[Any], where: str, skipped: list[Remark]) -> None:
        self._results = [one for one in result if isinstance(one, dict)]
        self._where, self._skipped = where, skipped
        self._found: dict[str, Shape] = {}

    def shapes(self) -> tuple[Shape, ...]:
        for number, one in enumerate(self._results):
            if str(one.get("type")) in _REGIONS or (isinstance(one.get("value"), dict) and _is_other_region(one)):
                self._region(one, number)
        for one in self._results:
            if one.get("type") == "relation":
                self._relation(one)
            elif str(one.get("type")) in _SAID:
                self._attribute(one)
        return tuple(self._found.values())

    def _skip(self, what: str, why: str) -> None:
        self._skipped.append(Remark(self._where, what, why))

    def _region(self, one: Mapping[str, Any], number: int) -> None:
        kind, value = str(one.get("type")), one.get("value")
        own = one.get("id") if isinstance(one.get("id"), str) and one.get("id") else f"region-{number}"
        try:
            if not isinstance(value, dict) or kind not in _REGIONS:
                raise BadDataset(f"a region of {kind} has no place here")
            label = _label(value.get(kind))
            width, height = _size([one])
            if not width or not height:
                raise BadDataset("has no original_width and original_height")
            shape, note = _REGIONS[kind](label, _Percent(value, width, height))
        except BadDataset as error:
            self._skip("shape", f"{own}: {error.detail}")
            return
        if note:
            self._skip("rotation", f"{label}: {note}")
        self._found[str(own)] = replace(shape, id=_own_id(str(own)))

    def _attribute(self, one: Mapping[str, Any]) -> None:
        shape, value = self._found.get(str(one.get("id"))), one.get("value")
        name = one.get("from_name")
        if shape is None or not isinstance(value, dict) or not isinstance(name, str):
            self._skip("attribute", f"{name!r} is said of no shape that is kept")
            return
        meant = _meant(str(one["type"]), value)
        if meant is None:
            self._skip("attribute", f"{shape.label}: {name!r} has no value that can be kept")
            return
        name = name.removesuffix(f"@{shape.label}")
        self._found[str(one["id"])] = replace(shape, attributes={**shape.attributes, name: meant})

    def _relation(self, one: Mapping[str, Any]) -> None:
        source, target = str(one.get("from_id")), str(one.get("to_id"))
        if source not in self._found or target not in self._found:
            self._skip("link", "leads from or to no shape that is kept")
            return
        listed = one.get("labels")
        names = (
            [name for name in listed if isinstance(name, str)] if isinstance(listed, list) and listed else ["relation"]
        )
        ways = {"left": [(target, source)], "bi": [(source, target), (target, source)]}
        for begin, end in ways.get(str(one.get("direction")), [(source, target)]):
            shape = self._found[begin]
            links = [Link(name, self._found[end].id) for name in names]
            self._found[begin] = replace(
                shape, links=(*shape.links, *(link for link in links if link not in shape.links))
            )


def _is_other_region(one: Mapping[str, Any]) -> bool:
    """Whether a result that is no kind of ours is drawn on the image all the same."""
    return str(one.get("type")).endswith("labels") or one.get("type") in ("rectangle", "polygon", "keypoint", "brush")


def _own_id(text: str) -> str:
    """An id that shapes may have: as it is, or a digest of it."""
    if text.startswith(_NAMELESS):
        return ""
    return text if re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", text) else digest_of(text.encode("utf-8", "replace"))[:32]


def _label(listed: object) -> str:
    if not isinstance(listed, list) or len(listed) != 1 or not isinstance(listed[0], str) or not listed[0].strip():
        raise BadDataset(f"has {len(listed) if isinstance(listed, list) else 0} labels, not one")
    return listed[0].strip()


def _meant(kind: str, value: Mapping[str, Any]) -> Value | None:
    given = value.get(_value_name(kind))
    if isinstance(given, int | float) and not isinstance(given, bool):
        return given if math.isfinite(given) else None
    if isinstance(given, str):
        return given
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        return None
    if kind == "textarea":
        return "\n".join(given)
    return given[0] if len(given) == 1 else tuple(given)


@dataclass(frozen=True, slots=True)
class _Percent:
    """A region's value, in percent of an image of this size; as pixels. Each raises BadDataset."""

    value: Mapping[str, Any]
    width: int
    height: int

    def number(self, name: str) -> float:
        given = self.value.get(name, 0 if name == "rotation" else None)
        return _finite(given, name)

    def point(self, x: object, y: object) -> Point:
        return _finite(x, "x") * self.width / 100, _finite(y, "y") * self.height / 100


def _finite(given: object, name: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) < 1e9:
        raise BadDataset(f"has no {name} that is a finite number")
    return float(given)


def _rectangle_read(label: str, percent: _Percent) -> tuple[Shape, str]:
    x, y, width, height = (percent.number(name) for name in ("x", "y", "width", "height"))
    (x1, y1), (x2, y2) = percent.point(x, y), percent.point(x + width, y + height)
    turn = percent.number("rotation") % 360
    if not turn:
        return Shape(label, (x1, y1, x2, y2)), ""
    corners = corners_of_turned((x1, y1, x2, y2), turn, around=(x1, y1))
    return Shape(label, bounds_of(corners)), "the box around the turned box is kept"


def _polygon_read(label: str, percent: _Percent) -> tuple[Shape, str]:
    listed = percent.value.get("points")
    if not isinstance(listed, list) or not all(isinstance(one, list) and len(one) == 2 for one in listed) or not listed:
        raise BadDataset("has no points")
    if percent.value.get("closed") is False:
        raise BadDataset("is a polygon that is not closed")
    return drawn(Geometry.POLYGON, label, [percent.point(x, y) for x, y in listed]), ""


def _point_read(label: str, percent: _Percent) -> tuple[Shape, str]:
    return drawn(Geometry.POINT, label, [percent.point(percent.value.get("x"), percent.value.get("y"))]), ""


_REGIONS = {"rectanglelabels": _rectangle_read, "polygonlabels": _polygon_read, "keypointlabels": _point_read}
