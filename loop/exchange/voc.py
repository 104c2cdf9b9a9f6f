"""Pascal VOC: one XML per image (Everingham et al., IJCV 2010).

Coordinates are taken as they are written, as the edges of the box: what today's tools that write VOC mean.
(The original devkit counted pixels from 1; the difference is one pixel.)
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from loop.domain.errors import BadDataset
from loop.domain.geometry import Box
from loop.domain.item import Split
from loop.exchange.reading import (
    IMAGE_SUFFIXES,
    MAX_ANNOTATION_BYTES,
    Dataset,
    Layout,
    ReadBox,
    ReadImage,
    Remark,
    image_files,
    nothing_found,
    require_folder,
    shown,
)

_LOOKED_FOR = "a folder Annotations with .xml files beside a folder JPEGImages, here or up to three folders below"
_DEPTH = 3
# The strictest first: a name that is in several lists belongs to the one that is farthest from training.
_SETS = (("test", Split.GOLDEN), ("val", Split.VAL), ("train", Split.TRAIN))


def read_voc(folder: Path) -> Dataset:
    """Every data set (Annotations, JPEGImages, ImageSets/Main) in `folder`. Raises BadDataset for none.

    ImageSets' train, val and test become train, val and golden. Images without an annotation are reported, as
    nobody said that they are empty; annotations without an object are images without objects.
    """
    require_folder(folder)
    images: list[ReadImage] = []
    skipped: list[Remark] = []
    roots = [root for root in _roots(folder) if any((root / "Annotations").glob("*.xml"))]
    if not roots:
        raise nothing_found(folder, Layout.VOC, _LOOKED_FOR)
    for root in roots:
        found, left_out = _read_root(root, folder)
        images += found
        skipped += left_out
    labels = sorted({box.label for image in images for box in image.boxes})
    return Dataset(folder, tuple(labels), tuple(images), tuple(skipped))


def _roots(folder: Path) -> Iterator[Path]:
    for depth in range(_DEPTH + 1):
        yield from sorted(path.parent for path in folder.glob("*/" * depth + "Annotations") if path.is_dir())


def _read_root(root: Path, folder: Path) -> tuple[list[ReadImage], list[Remark]]:
    files, skipped = (
        image_files(root / "JPEGImages", folder, nested=False) if (root / "JPEGImages").is_dir() else ([], [])
    )
    by_name = {path.name: path for path in files}
    by_stem = {path.stem: path for path in files}
    splits = _splits(root)
    images: list[ReadImage] = []
    seen: set[Path] = set()
    for annotation in sorted((root / "Annotations").glob("*.xml")):
        try:
            named, width, height, boxes, bad = _read_xml(annotation)
        except BadDataset as error:
            skipped.append(Remark(shown(annotation, folder), "annotation", error.detail))
            seen.update(path for path in [by_stem.get(annotation.stem)] if path)
            continue
        # <filename> may lie in any folder of another machine: only its last part can be meant.
        path = by_name.get(named) or by_stem.get(annotation.stem)
        if path is None or path in seen:
            why = f"its image {named or annotation.stem} is missing" if path is None else f"{path.name} has another one"
            skipped.append(Remark(shown(annotation, folder), "annotation", why))
            continue
        seen.add(path)
        skipped += [Remark(shown(annotation, folder), "box", why) for why in bad]
        split = splits.get(annotation.stem)
        images.append(ReadImage(path=path, boxes=boxes, width=width, height=height, split=split))
    skipped += [Remark(shown(path, folder), "image", "has no annotation") for path in files if path not in seen]
    return images, skipped


def _splits(root: Path) -> dict[str, Split]:
    splits: dict[str, Split] = {}
    for name, split in reversed(_SETS):
        listed = root / "ImageSets" / "Main" / f"{name}.txt"
        if listed.is_file():
            lines = listed.read_text(encoding="utf-8", errors="replace").splitlines()
            splits.update({_stem(line.split()[0]): split for line in lines if line.strip()})
    return splits


def _stem(name: str) -> str:
    return next((name[: -len(suffix)] for suffix in IMAGE_SUFFIXES if name.lower().endswith(suffix)), name)


def _read_xml(path: Path) -> tuple[str, int | None, int | None, tuple[ReadBox, ...], list[str]]:
    """File name, width, height, boxes, and why others were left out. Raises BadDataset."""
    root = _parsed(path)
    if root.tag != "annotation":
        raise BadDataset(f"its root is <{root.tag}>, not <annotation>.")
    boxes: list[ReadBox] = []
    bad: list[str] = []
    for element in root.iter("object"):
        label = (element.findtext("name") or "").strip()
        box = _box(element.find("bndbox"))
        if label and box is not None:
            boxes.append(ReadBox(label, box))
        else:
            bad.append(f"{label or 'an object'}: has no {'readable <bndbox>' if label else '<name>'}")
    named = (root.findtext("filename") or "").strip().replace("\\", "/").rsplit("/", 1)[-1]
    return named, _pixels(root, "width"), _pixels(root, "height"), tuple(boxes), bad


def _parsed(path: Path) -> ElementTree.Element:
    """The root element. Entities and other encodings are refused before the parser sees them: entity expansion
    needs a DOCTYPE, and a DOCTYPE could hide only in an encoding that is not a superset of ASCII."""
    try:
        if path.stat().st_size > MAX_ANNOTATION_BYTES:
            raise BadDataset(f"is larger than {MAX_ANNOTATION_BYTES // 2**20} MB.")
        content = path.read_bytes()
        if b"\0" in content or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise BadDataset("declares a DOCTYPE or is not UTF-8 text.")
        return ElementTree.fromstring(content)  # noqa: S314 - see above
    except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
        raise BadDataset(f"cannot be read as XML ({error}).") from error


def _pixels(root: ElementTree.Element, side: str) -> int | None:
    text = (root.findtext(f"size/{side}") or "").strip()
    return int(text) or None if text.isascii() and text.isdigit() else None


def _box(element: ElementTree.Element | None) -> Box | None:
    if element is None:
        return None
    try:
        x1, y1, x2, y2 = (float(element.findtext(key) or "") for key in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError:
        return None
    return (x1, y1, x2, y2)
