"""A project's images and present ground truth as a data set: COCO or YOLO for other tools, or Askance's own form.

What is exported is a snapshot, so the splits are those that a cycle started now would train and evaluate on.
"""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from loop.domain.errors import BadDataset, Conflict, Invalid, Unavailable
from loop.domain.geometry import Box, polygon_area
from loop.domain.item import Item, Split
from loop.domain.ports import Blobs, Store
from loop.domain.recipe import Recipe
from loop.domain.truth import Geometry, GroundTruth, Shape
from loop.exchange.clips import CocoVideos, ExportedClips
from loop.exchange.own import write_own
from loop.exchange.reading import Layout
from training.snapshot import Entry, Snapshot, freeze

if TYPE_CHECKING:
    from rich.text import Text

SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
# Other tools know no golden split: it is their test split, and comes back from there as golden.
_NAMES = {Split.TRAIN: "train", Split.VAL: "val", Split.GOLDEN: "test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """snapshot: digest of what was exported; splits: images in each of train, val, test; boxes: shapes that were
    written; left_out: what the format cannot hold, in words, and how often that was there; dropped: images of the
    snapshot that are not there any more."""

    project_id: str
    folder: Path
    snapshot: str
    images: int
    boxes: int
    splits: Mapping[str, int]
    left_out: Mapping[str, int]
    dropped: int = 0

    def lines(self) -> list[str]:
        """For a person."""
        splits = ", ".join(f"{count} {name}" for name, count in self.splits.items())
        return [
            f"exported {self.project_id} to {self.folder}: {self.images} images ({splits}), {self.boxes} boxes",
            f"snapshot {self.snapshot}",
            *(f"left out: {count} {what}, which this format cannot hold" for what, count in self.left_out.items()),
            *([f"left out: {self.dropped} images that were dropped since"] if self.dropped else []),
        ]

    def __rich__(self) -> "Text":
        from rich.text import Text

        return Text("\n".join(self.lines()))


def export_dataset(
    store: Store,
    blobs: Blobs,
    *,
    project_id: str,
    format: Layout | str,  # noqa: A002 - the word that people use
    folder: Path,
    val_share: float = 0.2,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ExportReport:
    """Write every item that has ground truth to `folder`, which appears complete or not at all.

    Undecided items get the split that a snapshot with this `val_share` gives them. `on_progress` hears of
    (images written, images in all). Raises NotFound for the project, Conflict for a folder that is not empty,
    BadDataset where there is nothing to export, Unavailable where it cannot be written.
    """
    layout = _layout(format)
    require_free(folder)
    recipe, rows, clips = _present(store, project_id)
    videos = CocoVideos(clips)
    snapshot = freeze(rows, labels=recipe.label_names, val_share=val_share)
    with new_folder(folder) as partial:
        if layout is Layout.ASKANCE:
            files = {entry.digest: f"images/{_file_name(entry)}" for entry in snapshot.entries}
            write_own(partial, recipe, ((item, truth, files[item.digest]) for item, truth in rows))
            clips.write(partial)
        else:
            _write_for_others(partial, snapshot, snapshot.digest, layout, videos)
        _write_images(partial, snapshot, layout, blobs, on_progress)
    return _report(project_id, folder, snapshot, snapshot.digest, layout, videos)


def export_snapshot(
    store: Store,
    blobs: Blobs,
    snapshot: Snapshot,
    *,
    project_id: str,
    format: Layout | str,  # noqa: A002 - the word that people use
    folder: Path,
    link: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ExportReport:
    """Write a snapshot as it was to `folder`, as COCO or YOLO, without the images that were dropped since.

    link: images as hard links where the disk allows it; whoever writes into one then damages what the service keeps.
    Raises as `export_dataset`.
    """
    layout = _layout(format)
    if layout is Layout.ASKANCE:
        raise Invalid("a snapshot has no recipe, which Askance's own form needs.", hint="Use one of: coco, yolo.")
    require_free(folder)
    with store.read() as tx:
        gone = snapshot.among(tx.items.dropped(project_id))
        left = snapshot.only(~gone, {"dropped": int(gone.sum())})
        videos = CocoVideos(ExportedClips.of(tx, project_id, left.entries.digests))
    if not left.entries:
        raise BadDataset("the snapshot has no image that is still there.", hint="Export another one.")
    with new_folder(folder) as partial:
        _write_for_others(partial, left, snapshot.digest, layout, videos)
        _write_images(partial, left, layout, blobs, on_progress, link=link)
    report = _report(project_id, folder, left, snapshot.digest, layout, videos)
    return replace(report, dropped=int(gone.sum()))


def _write_for_others(folder: Path, snapshot: Snapshot, digest: str, layout: Layout, videos: CocoVideos) -> None:
    """digest: of the snapshot that is named; what is written may be a part of it."""
    if layout is Layout.COCO:
        _write_coco(folder, snapshot, digest, videos)
    else:
        _write_yolo(folder, snapshot, digest)


def _report(
    project_id: str, folder: Path, snapshot: Snapshot, digest: str, layout: Layout, videos: CocoVideos
) -> ExportReport:
    written = _HELD[layout]
    counts = snapshot.counts()
    return ExportReport(
        project_id=project_id,
        folder=folder,
        snapshot=digest,
        images=len(snapshot.entries),
        boxes=sum(shape.type in written for entry in snapshot.entries for shape in entry.shapes),
        splits={name: counts[split].images for split, name in _NAMES.items()},
        left_out=_left_out(layout, snapshot, videos),
    )


def _left_out(layout: Layout, snapshot: Snapshot, videos: CocoVideos) -> dict[str, int]:
    """What a format cannot hold of these shapes, in words."""
    if layout is Layout.ASKANCE:
        return {}
    counts: Counter[str] = Counter()
    if layout is Layout.YOLO:
        counts["places of images in clips"] = sum(videos.holds(entry.digest) for entry in snapshot.entries)
    for digest, shape in ((entry.digest, shape) for entry in snapshot.entries for shape in entry.shapes):
        if shape.type not in _HELD[layout]:
            counts[f"shapes ({shape.type})"] += 1
            continue
        if layout is Layout.YOLO:
            counts["polygons but for their boxes"] += shape.type is Geometry.POLYGON
            counts["attributes"] += len(shape.attributes)
        counts["links"] += len(shape.links)
        tracked = layout is Layout.COCO and videos.holds(digest)
        counts["groups and tracks"] += bool(shape.group) + (bool(shape.track) and not tracked)
    return {what: count for what, count in counts.items() if count}


def _layout(name: Layout | str) -> Layout:
    try:
        layout = Layout(name)
    except ValueError:
        layout = Layout.VOC
    if layout not in _HELD:
        raise Invalid(f"{name!r} is no format to export.", hint=f"Use one of: {', '.join(_HELD)}.")
    return layout


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A place to write to, which becomes `folder` when the block ends and vanishes when it raises.

    Raises Unavailable where it cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
        try:
            yield partial
            partial.chmod(0o755)  # mkdtemp keeps it to oneself
            partial.replace(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    except OSError as error:
        raise Unavailable(
            f"{folder} cannot be written ({error.strerror or error}).",
            hint="Choose a folder that you may write to, with space for the images.",
            folder=str(folder),
        ) from error


def require_free(folder: Path) -> None:
    """Raises Conflict unless `folder` is missing or empty."""
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise Conflict(
            f"{folder} is there already and not an empty folder.",
            hint="Name a new folder; nothing is ever overwritten.",
            folder=str(folder),
        )


def _present(store: Store, project_id: str) -> tuple[Recipe, list[tuple[Item, GroundTruth]], ExportedClips]:
    with store.read() as tx:
        project = tx.projects.get(project_id)
        rows = list(tx.truths.all_current(project_id))
        clips = ExportedClips.of(tx, project_id, (item.digest for item, _ in rows))
    if not rows:
        raise BadDataset(
            f"{project_id} has no image with ground truth.",
            hint="Import a data set or review some images first.",
            project=project_id,
        )
    return project.recipe, rows, clips


def _file_name(entry: Entry) -> str:
    return entry.digest + SUFFIXES[entry.media_type]


def _write_images(
    folder: Path,
    snapshot: Snapshot,
    layout: Layout,
    blobs: Blobs,
    on_progress: Callable[[int, int], None],
    *,
    link: bool = False,
) -> None:
    total = len(snapshot.entries)
    on_progress(0, total)
    for done, entry in enumerate(snapshot.entries, start=1):
        place = folder / "images" / (_NAMES[entry.split] if layout is Layout.YOLO else "")
        place.mkdir(parents=True, exist_ok=True)
        blobs.place(entry.digest, place / _file_name(entry), link=link)
        on_progress(done, total)


# --- COCO: annotations/instances_{train,val,test}.json, images/ ------------------------------------------


def _write_coco(folder: Path, snapshot: Snapshot, digest: str, videos: CocoVideos) -> None:
    (folder / "annotations").mkdir()
    categories = [{"id": number, "name": label} for number, label in enumerate(snapshot.labels, start=1)]
    for split, name in _NAMES.items():
        entries = snapshot.of_split(split)
        if not entries:
            continue
        body = {
            "info": {"description": f"Askance snapshot {digest}"},
            "categories": categories,
            "images": [
                _coco_image(number, entry) | videos.image_fields(entry.digest)
                for number, entry in enumerate(entries, start=1)
            ],
            "annotations": _coco_annotations(entries, snapshot.labels, videos),
        }
        if clips := videos.videos(entry.digest for entry in entries):
            body["videos"] = clips
        text = json.dumps(body, ensure_ascii=False, allow_nan=False)
        (folder / "annotations" / f"instances_{name}.json").write_text(text, encoding="utf-8")


def _coco_image(number: int, entry: Entry) -> dict[str, object]:
    image = {"id": number, "file_name": _file_name(entry), "width": entry.width, "height": entry.height}
    return {**image, "group": entry.group} if entry.group else image


def _coco_annotations(entries: Sequence[Entry], labels: tuple[str, ...], videos: CocoVideos) -> list[dict[str, object]]:
    shapes = [
        (number, entry.digest, shape)
        for number, entry in enumerate(entries, start=1)
        for shape in entry.shapes
        if shape.type in _HELD[Layout.COCO]
    ]
    return [
        {
            "id": index,
            "image_id": number,
            "category_id": labels.index(shape.label) + 1,
            "iscrowd": 0,
            **_coco_shape(shape),
            **videos.shape_fields(digest, shape),
        }
        for index, (number, digest, shape) in enumerate(shapes, start=1)
    ]


def _coco_shape(shape: Shape) -> dict[str, object]:
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


# --- YOLO: data.yaml, images/{train,val,test}, labels/{train,val,test} ------------------------------------


def _write_yolo(folder: Path, snapshot: Snapshot, digest: str) -> None:
    # ultralytics wants train and val even where they are empty; `path` is left out: it means the yaml's folder.
    splits = [name for split, name in _NAMES.items() if split is not Split.GOLDEN or snapshot.of_split(split)]
    for kind in ("images", "labels"):
        for name in splits:
            (folder / kind / name).mkdir(parents=True)
    described = {**{name: f"images/{name}" for name in splits}, "names": dict(enumerate(snapshot.labels))}
    text = yaml.safe_dump(described, sort_keys=False, allow_unicode=True)
    (folder / "data.yaml").write_text(f"# Askance snapshot {digest}\n{text}", encoding="utf-8")
    for entry in snapshot.entries:
        rows = "".join(
            yolo_row(snapshot.labels.index(shape.label), shape.box, entry.width, entry.height)
            for shape in entry.shapes
            if shape.type in _HELD[Layout.YOLO]
        )
        (folder / "labels" / _NAMES[entry.split] / f"{entry.digest}.txt").write_text(rows, encoding="utf-8")


def yolo_row(label: int, box: Box, width: int, height: int) -> str:
    """A line of a label file: class and centre, width and height as shares of the image's sides."""
    x1, y1, x2, y2 = box
    values = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
    return " ".join([str(label), *(f"{value:.10g}" for value in values)]) + "\n"


# Which shapes a format has a place for.
_HELD: dict[Layout, frozenset[Geometry]] = {
    Layout.COCO: frozenset({Geometry.BOX, Geometry.POLYGON}),
    Layout.YOLO: frozenset({Geometry.BOX, Geometry.POLYGON}),
    Layout.ASKANCE: frozenset(Geometry),
}
