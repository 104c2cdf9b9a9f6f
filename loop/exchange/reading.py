"""What every reader of a data-set folder gives: images with boxes, and what it had to leave out and why.

Readers look at annotations only. Boxes meet the image's true size in `fitted`, when its bytes are read.
"""

import math
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from loop.domain.errors import BadDataset, Invalid
from loop.domain.geometry import Box, Point
from loop.domain.item import Split
from loop.domain.items.clips import GroupKind
from loop.domain.recipes.ontology import Label, LinkType
from loop.domain.recipes.recipe import Recipe, ShapeCheck
from loop.domain.truth import EDGE_TOLERANCE, Geometry, Shape, Value, drawn
from loop.exchange.texts import typed

# What the service can decode; anything else in a folder of images is reported and left out.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# A box with less than this share of its area inside the image is more likely in another unit than at an edge.
MIN_INSIDE = 0.5
# An annotation of one image; more is no annotation.
MAX_ANNOTATION_BYTES = 16 * 2**20

_SPLITS = {
    "train": Split.TRAIN,
    "val": Split.VAL,
    "valid": Split.VAL,
    "validation": Split.VAL,
    "test": Split.GOLDEN,
    "golden": Split.GOLDEN,
}


class Layout(StrEnum):
    """How a data set lies in its folder."""

    VOC = "voc"
    COCO = "coco"
    YOLO = "yolo"
    YOLO_SEGMENT = "yolo-segment"
    CVAT = "cvat"
    LABEL_STUDIO = "label-studio"
    ASKANCE = "askance"


# The digest of an image that the project has already, by the name that a data set without images gives it; of a frame
# of its clips by CLIP/frame_000012.
Known = Callable[[str], str | None]


def nothing_known(name: str) -> None:
    """No image is known."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing of a data set that did not come as it was. path: relative to its folder, with slashes;
    what: box | shape | attribute | annotation | image | file | split; count: how many boxes it speaks of, else 1."""

    path: str
    what: str
    why: str
    count: int = 1


class Outline(Collection[Point]):
    """The corners of a polygon, in a tenth of the memory of tuples: a data set has millions, and few are kept."""

    __slots__ = ("_flat",)

    def __init__(self, flat: Iterable[float]) -> None:
        """flat: x, y, x, y, …"""
        self._flat = array("d", flat)

    def __len__(self) -> int:
        return len(self._flat) // 2

    def __iter__(self) -> Iterator[Point]:
        return zip(self._flat[::2], self._flat[1::2], strict=True)

    def __contains__(self, point: object) -> bool:
        return point in tuple(self)


@dataclass(frozen=True, slots=True)
class ReadBox:
    """A labelled box as it was written: `xyxy` in pixels, or in fractions of the image's sides. polygon: what it is the
    box of, in the same unit, where the data set has one. keyframe: as in Shape."""

    label: str
    box: Box
    polygon: Collection[Point] = ()
    attributes: Mapping[str, Value] = field(default_factory=dict)
    track: str = ""
    keyframe: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadImage:
    """One annotated image of a data set. width, height: as the annotation says, None where it does not.
    relative: `boxes` are fractions. group, source: what the data set says, "" where it says nothing. shapes: in pixels,
    with all that the data set says of them; attributes may be text where the recipe has another type. exact: of a data
    set in Askance's own form: source, meta and shapes are kept as they are, or not at all. digest: the image itself is
    not in the data set, but in the project under it."""

    path: Path
    boxes: tuple[ReadBox, ...]
    width: int | None = None
    height: int | None = None
    relative: bool = False
    split: Split | None = None
    group: str = ""
    source: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)
    shapes: tuple[Shape, ...] = ()
    exact: bool = False
    digest: str = ""

    def labels(self) -> set[str]:
        """Of its boxes and shapes."""
        return {box.label for box in self.boxes} | {shape.label for shape in self.shapes}

    def counts(self) -> Counter[str]:
        """How many boxes and shapes have each label."""
        return Counter([box.label for box in self.boxes] + [shape.label for shape in self.shapes])


@dataclass(frozen=True, slots=True)
class ReadGroup:
    """A group as a data set has it. frames: digest, seconds, number of each, in their order."""

    id: str
    kind: GroupKind
    name: str
    meta: Mapping[str, Any]
    frames: tuple[tuple[str, float | None, int | None], ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a reader found. labels: in the order of the data set's class numbers, else of the alphabet. recipe: what
    the data set states of its labels; of one in Askance's own form, which has groups too, all of it (`exact`). untyped:
    attributes are text, whatever is meant."""

    folder: Path
    labels: tuple[str, ...]
    images: tuple[ReadImage, ...]
    skipped: tuple[Remark, ...]
    recipe: Recipe | None = None
    groups: tuple[ReadGroup, ...] = ()
    exact: bool = False
    untyped: bool = False


@dataclass(frozen=True, slots=True)
class Fitted:
    """The shapes of an image that can be kept, and what happened to the others. outlines: polygons by label of which
    the box alone is kept, since the recipe draws boxes."""

    shapes: tuple[Shape, ...]
    skipped: tuple[Remark, ...]
    repaired: tuple[Remark, ...]
    outlines: Mapping[str, int] = field(default_factory=dict)


def split_named(name: str) -> Split | None:
    """The split that a file or folder name speaks of (instances_val2017, valid, test), if any.

    A data set's test images become golden: trusted, and never trained on.
    """
    words = "".join(c if c.isalpha() else " " for c in name.lower()).split()
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)


def require_folder(folder: Path) -> None:
    """Raises BadDataset unless `folder` can be listed."""
    try:
        next(iter(folder.iterdir()), None)
    except OSError as error:
        raise BadDataset(
            f"{folder} cannot be read as a folder ({error.strerror or error}).",
            hint="Give the top folder of an unpacked data set.",
            folder=str(folder),
        ) from error


def nothing_found(folder: Path, layout: Layout, looked_for: str) -> BadDataset:
    """The error for a folder that holds no data set of this layout."""
    return BadDataset(
        f"{folder} holds no {layout.upper()} data set: it holds {contents_of(folder)}.",
        hint=f"Looked for {looked_for}. Give the folder that contains them, or another --format ({', '.join(Layout)}).",
        folder=str(folder),
    )


def contents_of(folder: Path) -> str:
    """The first names in it, for a message."""
    holds = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    return ", ".join(holds[:8]) + (", …" if len(holds) > 8 else "") if holds else "nothing"


def shown(path: Path, folder: Path) -> str:
    """`path` as a report names it: relative to the data set's folder, with slashes."""
    try:
        return path.relative_to(folder).as_posix()
    except ValueError:
        return path.name


def inside(base: Path, name: str) -> Path | None:
    """`base / name` where `name` stays inside `base`; None for absolute names and names that climb out."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if not name or "\0" in name or parts.is_absolute() or ".." in parts.parts or ":" in "".join(parts.parts[:1]):
        return None
    return base.joinpath(*parts.parts)


def image_files(folder: Path, root: Path, *, nested: bool) -> tuple[list[Path], list[Remark]]:
    """The images in a folder in the order of their names, and a remark for each file that is none."""
    images: list[Path] = []
    others: list[Remark] = []
    for path in sorted(folder.rglob("*") if nested else folder.iterdir()):
        if not path.is_file() or path.name.startswith("."):
            continue
        if path.suffix.lower() in IMAGE_SUFFIXES:
            images.append(path)
        else:
            others.append(Remark(shown(path, root), "file", f"is no {', '.join(IMAGE_SUFFIXES)} file"))
    return images, others


def fitted(image: ReadImage, *, width: int, height: int, check: ShapeCheck, name: str) -> Fitted:
    """The shapes of `image` at its true size in pixels, in their order; raises BadDataset where the
    annotation was made for an image of another size.

    Boxes are clipped to the image (reported as repaired beyond EDGE_TOLERANCE). Left out are boxes that are
    not finite, have no area, lie with less than MIN_INSIDE of their area inside, and what `check` does not allow.
    """
    _require_size(image, width, height)
    fit = _Fit(check, width, height, name)
    if not image.labels() <= fit.labels.keys():
        fit.leave_out_unknown(image.counts())
    boxes = fit.allowed(fit.boxes(image.boxes, image.relative), "box")
    given = [shape for shape in image.shapes if shape.label in fit.labels]
    if not image.exact:
        given = fit.allowed(fit.adapted(given), "shape")
    whole = fit.whole(given, {shape.id for shape in image.shapes})
    return Fitted((*boxes, *whole), tuple(fit.skipped), tuple(fit.repaired), fit.outlines)


class _Fit:
    """One image on its way into a recipe, and what happens to it there."""

    def __init__(self, check: ShapeCheck, width: int, height: int, name: str) -> None:
        self._check, self._width, self._height, self._name = check, width, height, name
        self.labels = check.labels
        self.skipped: list[Remark] = []
        self.repaired: list[Remark] = []
        self.outlines: Counter[str] = Counter()

    def _skip(self, what: str, why: str, count: int = 1) -> None:
        self.skipped.append(Remark(self._name, what, why, count))

    def leave_out_unknown(self, counts: Mapping[str, int]) -> None:
        for foreign in sorted(counts.keys() - self.labels.keys()):
            self._skip("box", f"the label {foreign!r} is not in the project's recipe", counts[foreign])

    def boxes(self, given: Iterable[ReadBox], relative: bool) -> list[Shape]:
        """As their labels are drawn, of those that the recipe has."""
        shapes: list[Shape] = []
        for read in given:
            label = self.labels.get(read.label)
            if label is None:
                continue
            try:
                shapes.append(self._drawn(read, label, relative))
            except BadDataset as error:
                self._skip("box", f"{read.label}: {error.detail}")
        return shapes

    def _drawn(self, read: ReadBox, label: Label, relative: bool) -> Shape:
        """Raises BadDataset."""
        attributes = self._attributes(read.attributes, label)
        if label.geometry is Geometry.POLYGON and read.polygon:
            more = {"attributes": attributes, "track": read.track, "keyframe": read.keyframe}
            across, down = (self._width, self._height) if relative else (1, 1)
            return drawn(Geometry.POLYGON, read.label, [(x * across, y * down) for x, y in read.polygon], **more)
        if read.polygon and label.geometry is Geometry.BOX and not _is_its_box(read.polygon, read.box):
            self.outlines[read.label] += 1
        box = _in_pixels(read.box, relative, self._width, self._height)
        return Shape(read.label, self._clipped(read.label, box), attributes=attributes, track=read.track,
                     keyframe=read.keyframe)  # fmt: skip

    def _clipped(self, label: str, box: Box) -> Box:
        """Raises BadDataset."""
        kept, note = _clipped(box, self._width, self._height)
        if note:
            self.repaired.append(Remark(self._name, "box", f"{label}: {note}"))
        return kept

    def _attributes(self, given: Mapping[str, Value], label: Label) -> Mapping[str, Value]:
        """Those that the label has, of the type that it has."""
        if not given:
            return given
        kept: dict[str, Value] = {}
        for name, value in given.items():
            attribute = label.attribute(name)
            if attribute is None:
                continue
            meant = typed(value, attribute.type)
            if not attribute.refuses(meant):
                kept[name] = meant
        if lost := given.keys() - kept.keys():
            why = f"{label.name}: the recipe does not allow its {', '.join(sorted(lost))}; the box is kept"
            self._skip("attribute", why, len(lost))
        return kept

    def adapted(self, given: Sequence[Shape]) -> list[Shape]:
        """Shapes of other tools: boxes where the recipe has boxes, without attributes and links that it has not."""
        types = self._check.link_types
        label_of = {shape.id: shape.label for shape in given}
        shapes: list[Shape] = []
        for shape in given:
            label = self.labels[shape.label]
            links = tuple(link for link in shape.links if _leads(types.get(link.type), shape.label, label_of, link.to))
            if len(links) < len(shape.links):
                self._skip("link", f"{shape.label}: the recipe does not allow it", len(shape.links) - len(links))
            try:
                box_only = self._by_its_box(shape, label)
            except BadDataset as error:
                self._skip("shape", f"{shape.label}: {error.detail}")
                continue
            shapes.append(replace(box_only, attributes=self._attributes(shape.attributes, label), links=links))
        return shapes

    def _by_its_box(self, shape: Shape, label: Label) -> Shape:
        """Raises BadDataset."""
        if shape.type is Geometry.POLYGON and label.geometry is Geometry.BOX:
            self.outlines[label.name] += 1
            shape = replace(shape, type=Geometry.BOX, points=())
        if shape.type is not Geometry.BOX:
            return shape
        return replace(shape, box=self._clipped(label.name, shape.box))

    def allowed(self, shapes: Sequence[Shape], what: str) -> list[Shape]:
        """Those that the recipe allows as they are, links aside."""
        if not shapes:
            return []
        try:
            return list(self._check.checked(shapes, self._width, self._height))
        except Invalid:
            return [kept for shape in shapes for kept in self._allowed(shape, what)]

    def _allowed(self, shape: Shape, what: str) -> list[Shape]:
        try:
            (kept,) = self._check.checked([replace(shape, links=())], self._width, self._height)
        except Invalid as error:
            self._skip(what, f"{shape.label}: {error.detail.removeprefix('shape 0 ')}")
            return []
        return [replace(kept, links=shape.links)]

    def whole(self, given: Sequence[Shape], known: set[str]) -> tuple[Shape, ...]:
        """What the recipe allows together. With a shape that it does not, the links to it are left out. known: the ids
        that links may have led to."""
        left = list(given)
        while left:
            left = _without_dangling(left, known)
            try:
                return self._check.checked(left, self._width, self._height)
            except Invalid as error:
                shape = left.pop(int(str(error.ids["shape"])))
                self._skip("shape", f"{shape.label}: {error.detail}")
        return ()


def _is_its_box(polygon: Collection[Point], box: Box) -> bool:
    """Whether a polygon says no more than the box around it."""
    x1, y1, x2, y2 = box
    return len(polygon) == 4 and set(polygon) == {(x1, y1), (x2, y1), (x2, y2), (x1, y2)}


def _leads(link_type: LinkType | None, source: str, label_of: Mapping[str, str], to: str) -> bool:
    """Whether a link of this type may lead from a shape of the label `source` to the shape `to`."""
    return link_type is not None and source in link_type.sources and label_of.get(to) in link_type.targets


def _without_dangling(shapes: list[Shape], known: set[str]) -> list[Shape]:
    """Without links to shapes that were `known` and are not there any more."""
    gone = known - {shape.id for shape in shapes}
    if not gone:
        return shapes
    return [replace(s, links=tuple(link for link in s.links if link.to not in gone)) if s.links else s for s in shapes]


def _require_size(image: ReadImage, width: int, height: int) -> None:
    if image.width and image.height and (image.width, image.height) != (width, height):
        raise BadDataset(
            f"annotated as {image.width} x {image.height} pixels, but the image has {width} x {height}.",
            hint="Annotate this image again, or restore the one that was annotated.",
        )


def _in_pixels(box: Box, relative: bool, width: int, height: int) -> Box:
    if not relative:
        return box
    x1, y1, x2, y2 = box
    return (x1 * width, y1 * height, x2 * width, y2 * height)


def _clipped(box: Box, width: int, height: int) -> tuple[Box, str]:
    """The part of `box` inside the image, and what was cut if it is worth a remark. Raises BadDataset."""
    x1, y1, x2, y2 = box
    if 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height:
        return box, ""
    written = f"[{x1:g}, {y1:g}, {x2:g}, {y2:g}]"
    if not all(math.isfinite(value) for value in box):
        raise BadDataset(f"the box {written} is not finite.")
    if x1 >= x2 or y1 >= y2:
        raise BadDataset(f"the box {written} has no area.")
    clipped = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
    sides = max(clipped[2] - clipped[0], 0.0), max(clipped[3] - clipped[1], 0.0)
    if sides[0] * sides[1] < MIN_INSIDE * (x2 - x1) * (y2 - y1):
        raise BadDataset(f"the box {written} lies mostly outside the {width} x {height} image.")
    cut = max(abs(a - b) for a, b in zip(box, clipped, strict=True))
    return clipped, f"the box {written} was clipped to the {width} x {height} image" if cut > EDGE_TOLERANCE else ""
