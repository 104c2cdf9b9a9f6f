"""Every format there is, in one table: its reader, its writer, what it can hold, and how it is recognised."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from loop.domain.errors import BadDataset, Invalid
from loop.exchange import coco, cvat, label_studio, own, voc, yolo
from loop.exchange.reading import Dataset, Known, Layout, contents_of, require_folder
from loop.exchange.writing import Exported, Holds


@dataclass(frozen=True, slots=True)
class Format:
    """read: a folder, and how to find images that are not in it. write: all but the image files, which lie in `images`,
    with {split} where it depends on it. looks_like: whether a folder seems to hold it; cheap. xml: whether labels are
    written into XML."""

    title: str
    read: Callable[[Path, Known], Dataset]
    write: Callable[[Path, Exported], None]
    holds: Holds
    looks_like: Callable[[Path], bool]
    images: str = "images"
    xml: bool = False


FORMATS: dict[Layout, Format] = {
    Layout.VOC: Format(
        "Pascal VOC", voc.read_voc, voc.write_voc, voc.HOLDS, voc.looks_like_voc, "JPEGImages", xml=True
    ),
    Layout.COCO: Format("COCO", coco.read_coco, coco.write_coco, coco.HOLDS, coco.looks_like_coco),
    Layout.YOLO: Format(
        "YOLO detect", yolo.read_yolo, yolo.write_yolo, yolo.HOLDS, yolo.looks_like_yolo, "images/{split}"
    ),
    Layout.YOLO_SEGMENT: Format(
        "YOLO segment", yolo.read_yolo, yolo.write_yolo_segments, yolo.HOLDS_SEGMENTS, lambda _: False, "images/{split}"
    ),
    Layout.CVAT: Format(
        "CVAT for images and video 1.1", cvat.read_cvat, cvat.write_cvat, cvat.HOLDS, cvat.looks_like_cvat, xml=True
    ),
    Layout.LABEL_STUDIO: Format(
        "Label Studio", label_studio.read_label_studio, label_studio.write_label_studio, label_studio.HOLDS,
        label_studio.looks_like_label_studio, xml=True,
    ),
    Layout.ASKANCE: Format("Askance", own.read_own, own.write_own_form, Holds(), own.looks_like_own),
}  # fmt: skip


def layout_named(name: Layout | str) -> Layout:
    """Raises Invalid."""
    try:
        return Layout(name)
    except ValueError:
        raise Invalid(f"{name!r} is no format.", hint=f"Use one of: {', '.join(Layout)}.") from None


def recognised(folder: Path) -> Layout:
    """The one format that `folder` holds, by what lies in it. Raises BadDataset for none and for several."""
    require_folder(folder)
    found = [layout for layout, one in FORMATS.items() if one.looks_like(folder)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise BadDataset(
            f"{folder.name} holds no data set that is recognised: it holds {contents_of(folder)}.",
            hint="Give the top folder of a data set. With --format you hear what it lacks, or where a file is damaged: "
            f"{', '.join(Layout)}.",
            folder=str(folder),
        )
    raise BadDataset(
        f"{folder} looks like {' and like '.join(found)}.",
        hint=f"Say which is meant with --format: {' or '.join(found)}.",
        folder=str(folder),
        formats=list(found),
    )
