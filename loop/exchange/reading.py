"""What every reader of a data-set folder gives: images with boxes, and what it had to leave out and why.

Readers look at annotations only. Boxes meet the image's true size in `fitted`, when its bytes are read.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from loop.domain.clips import GroupKind
from loop.domain.errors import BadDataset, Invalid
from loop.domain.geometry import Box, Point
from loop.domain.item import Split
from loop.domain.ontology import Label
from loop.domain.recipe import Recipe
from loop.domain.truth import EDGE_TOLERANCE, Geometry, Shape, Value, drawn

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
    ASKANCE = "askance"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing of a data set that did not come as it was. path: relative to its folder, with slashes;
    what: box | shape | attribute | annotation | image | file | split; count: how many boxes it speaks of, else 1."""

    path: str
    what: str
    why: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class ReadBox:
    """A labelled box as it was written: `xyxy` in pixels, or in fractions of the image's sides. polygon: what it is the
    box of, in pixels, where the data set has one."""

    label: str
    box: Box
    polygon: tuple[Point, ...] = ()
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadImage:
    """One annotated image of a data set. width, height: as the annotation says, None where it does not.
    relative: `boxes` are fractions. group, source: what the data set says, "" where it says nothing. shapes: whole
    ones, in pixels, of a data set in Askance's own form. exact: source and meta are kept as they are."""

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
    """What a reader found. labels: in the order of the data set's class numbers, else of the alphabet. recipe, groups:
    of a data set in Askance's own form."""

    folder: Path
    labels: tuple[str, ...]
    images: tuple[ReadImage, ...]
    skipped: tuple[Remark, ...]
    recipe: Recipe | None = None
    groups: tuple[ReadGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class Fitted:
    """The shapes of an image that can be kept, and what happened to the others."""

    shapes: tuple[Shape, ...]
    skipped: tuple[Remark, ...]
    repaired: tuple[Remark, ...]


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
    holds = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    shown = ", ".join(holds[:8]) + (", …" if len(holds) > 8 else "") if holds else "nothing"
    return BadDataset(
        f"{folder} holds no {layout.upper()} data set: it holds {shown}.",
        hint=f"Looked for {looked_for}. Give the folder that contains them, or another --format ({', '.join(Layout)}).",
        folder=str(folder),
    )


def shown(path: Path, folder: Path) -> str:
    """`path` as a report names it: relative to the data set's folder, with slashes."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


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


def fitted(image: ReadImage, *, width: int, height: int, recipe: Recipe, name: str) -> Fitted:
    """The shapes of `image` at its true size in pixels, in their order; raises BadDataset where the
    annotation was made for an image of another size.

    Boxes are clipped to the image (reported as repaired beyond EDGE_TOLERANCE). Left out are boxes that are
    not finite, have no area, lie with less than MIN_INSIDE of their area inside, and what the recipe does not allow.
    """
    _require_size(image, width, height)
    unknown = image.counts()
    for known in recipe.label_names:
        unknown.pop(known, None)
    skipped = [
        Remark(name, "box", f"the label {foreign!r} is not in the project's recipe", count)
        for foreign, count in sorted(unknown.items())
    ]
    shapes: list[Shape] = []
    repaired: list[Remark] = []
    for read in image.boxes:
        label = next((label for label in recipe.labels if label.name == read.label), None)
        if label is None:
            continue
        try:
            shape, note = _shape_of(read, label, image.relative, width, height)
            shapes += recipe.checked([shape], width, height)
        except Invalid as error:
            skipped.append(Remark(name, "box", f"{read.label}: {error.detail}"))
            continue
        if note:
            repaired.append(Remark(name, "box", f"{read.label}: {note}"))
        if lost := set(read.attributes) - set(shape.attributes):
            why = f"{read.label}: the recipe does not allow its {', '.join(sorted(lost))}; the box is kept"
            skipped.append(Remark(name, "attribute", why))
    whole, refused = _whole(image, recipe, width, height, name)
    return Fitted((*shapes, *whole), (*skipped, *refused), tuple(repaired))


def _shape_of(read: ReadBox, label: Label, relative: bool, width: int, height: int) -> tuple[Shape, str]:
    """As its label is drawn, with the attributes that the label has; and what was cut. Raises BadDataset."""
    attributes = {
        name: value
        for name, value in read.attributes.items()
        if (attribute := label.attribute(name)) is not None and not attribute.refuses(value)
    }
    if label.geometry is Geometry.POLYGON and read.polygon:
        return drawn(Geometry.POLYGON, read.label, read.polygon, attributes=attributes), ""
    box, note = _clipped(_in_pixels(read.box, relative, width, height), width, height)
    return Shape(read.label, box, attributes=attributes), note


def _whole(
    image: ReadImage, recipe: Recipe, width: int, height: int, name: str
) -> tuple[tuple[Shape, ...], list[Remark]]:
    """The whole shapes that the recipe allows. With one that it does not, the links to it are left out."""
    left = [shape for shape in image.shapes if shape.label in recipe.label_names]
    refused: list[Remark] = []
    while True:
        left = _without_dangling(left, {shape.id for shape in image.shapes})
        try:
            return recipe.checked(left, width, height), refused
        except Invalid as error:
            shape = left.pop(int(str(error.ids["shape"])))
            refused.append(Remark(name, "shape", f"{shape.label}: {error.detail}"))


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
