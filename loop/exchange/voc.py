"""Pascal VOC: one XML per image (Everingham et al., IJCV 2010).

Coordinates are the edges of the box from 0, read and written as they are: what labelling tools that write VOC mean.
(The original devkit counted pixels from 1, and some readers take one pixel off; nothing in a file tells which.)
Attributes: difficult, truncated and occluded have elements of their own, others are <attributes>, as CVAT has them.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from loop.domain.errors import BadDataset
from loop.domain.geometry import Box
from loop.domain.item import Split
from loop.domain.truth import Shape, Value
from loop.exchange.markup import document, written
from loop.exchange.reading import (
    IMAGE_SUFFIXES,
    Dataset,
    Known,
    Layout,
    ReadBox,
    ReadImage,
    Remark,
    image_files,
    nothing_found,
    nothing_known,
    require_folder,
    shown,
)
from loop.exchange.writing import REGIONS, Exported, Holds, file_name, xml_attributes
from training.snapshot import Entry

HOLDS = Holds(
    shapes=REGIONS, outlines=False, links=False, groups=False, tracks=False,
    clips=False, xml=True,
)  # fmt: skip
# Elements of <object> that are attributes; 0 or 1.
_FLAGS = ("difficult", "truncated", "occluded")

_LOOKED_FOR = "a folder Annotations with .xml files beside a folder JPEGImages, here or up to three folders below"
_DEPTH = 3
# The strictest first: a name that is in several lists belongs to the one that is farthest from training.
_SETS = (("test", Split.GOLDEN), ("val", Split.VAL), ("train", Split.TRAIN))


def read_voc(folder: Path, known: Known = nothing_known) -> Dataset:
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
        found, left_out = _read_root(root, folder, known)
        images += found
        skipped += left_out
    labels = sorted({box.label for image in images for box in image.boxes})
    return Dataset(folder, tuple(labels), tuple(images), tuple(skipped), untyped=True)


def looks_like_voc(folder: Path) -> bool:
    return any(any((root / "Annotations").glob("*.xml")) for root in _roots(folder))


def _roots(folder: Path) -> Iterator[Path]:
    for depth in range(_DEPTH + 1):
        yield from sorted(path.parent for path in folder.glob("*/" * depth + "Annotations") if path.is_dir())


def _read_root(root: Path, folder: Path, known: Known) -> tuple[list[ReadImage], list[Remark]]:
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
        digest = known(named or annotation.stem) if path is None else None
        path = folder / digest if digest else path
        if path is None or path in seen:
            why = f"its image {named or annotation.stem} is missing" if path is None else f"{path.name} has another one"
            skipped.append(Remark(shown(annotation, folder), "annotation", why))
            continue
        seen.add(path)
        skipped += [Remark(shown(annotation, folder), "box", why) for why in bad]
        split = splits.get(annotation.stem)
        images.append(ReadImage(path=path, boxes=boxes, width=width, height=height, split=split, digest=digest or ""))
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
    root = document(path)
    if root.tag != "annotation":
        raise BadDataset(f"its root is <{root.tag}>, not <annotation>.")
    boxes: list[ReadBox] = []
    bad: list[str] = []
    for element in root.iter("object"):
        label = (element.findtext("name") or "").strip()
        box = _box(element.find("bndbox"))
        if label and box is not None:
            boxes.append(ReadBox(label, box, attributes=_attributes(element)))
        else:
            bad.append(f"{label or 'an object'}: has no {'readable <bndbox>' if label else '<name>'}")
    named = (root.findtext("filename") or "").strip().replace("\\", "/").rsplit("/", 1)[-1]
    return named, _pixels(root, "width"), _pixels(root, "height"), tuple(boxes), bad


def _pixels(root: Element, side: str) -> int | None:
    text = (root.findtext(f"size/{side}") or "").strip()
    return int(text) or None if text.isascii() and text.isdigit() else None


def _box(element: Element | None) -> Box | None:
    if element is None:
        return None
    try:
        x1, y1, x2, y2 = (float(element.findtext(key) or "") for key in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError:
        return None
    return (x1, y1, x2, y2)


def _attributes(element: Element) -> dict[str, Value]:
    """Flags that are raised, and what <attributes> has, as text; the recipe knows the types."""
    raised = {name: "true" for name in _FLAGS if (element.findtext(name) or "").strip() == "1"}
    named = {
        one.findtext("name") or "": one.findtext("value") or "" for one in element.iterfind("attributes/attribute")
    }
    return {**raised, **{name: value for name, value in named.items() if name}}


# --- writing: Annotations/, JPEGImages/, ImageSets/Main/{train,val,test}.txt, labelmap.txt ----------------


def write_voc(folder: Path, given: Exported) -> None:
    (folder / "Annotations").mkdir()
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    # Where CVAT and datumaro look for labels that are not the original twenty: label:colour:parts:actions.
    listed = "".join(f"{label}:::\n" for label in given.snapshot.labels if ":" not in label)
    (folder / "labelmap.txt").write_text(f"# label:color_rgb:parts:actions\n{listed}", encoding="utf-8")
    for name, entries in given.split_entries():
        with (folder / "ImageSets" / "Main" / f"{name}.txt").open("w", encoding="ascii", newline="\n") as stems:
            for entry in entries:
                stems.write(f"{entry.digest}\n")
                (folder / "Annotations" / f"{entry.digest}.xml").write_bytes(written(_annotation(entry)))


def _annotation(entry: Entry) -> Element:
    root = Element("annotation")
    _texts(root, folder="JPEGImages", filename=file_name(entry))
    _texts(SubElement(root, "size"), width=entry.width, height=entry.height, depth=3)
    _texts(root, segmented=0)
    for shape in entry.shapes:
        if shape.type in HOLDS.shapes:
            _object(SubElement(root, "object"), shape)
    return root


def _object(element: Element, shape: Shape) -> None:
    """A flag that is not raised is an attribute like others: as an element it could not be told from none."""
    attributes = xml_attributes(shape)
    raised = {name: int(shape.attributes.get(name) is True) for name in _FLAGS}
    _texts(element, name=shape.label, pose="Unspecified", **raised)
    x1, y1, x2, y2 = shape.box
    _texts(
        SubElement(element, "bndbox"), xmin=_shortest(x1), ymin=_shortest(y1), xmax=_shortest(x2), ymax=_shortest(y2)
    )
    others = {name: value for name, value in attributes.items() if not raised.get(name)}
    if others:
        listed = SubElement(element, "attributes")
        for name, value in others.items():
            _texts(SubElement(listed, "attribute"), name=name, value=value)


def _texts(element: Element, **texts: object) -> None:
    for name, text in texts.items():
        SubElement(element, name).text = str(text)


def _shortest(value: float) -> str:
    """Whole numbers without a point, since many readers of VOC know no others."""
    return str(int(value)) if value == int(value) else repr(float(value))
