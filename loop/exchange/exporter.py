"""A project's images and present ground truth as a data set, in any format of loop/exchange/formats.py.

What is exported is a snapshot, so the splits are those that a cycle started now would train and evaluate on.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loop.domain.errors import BadDataset, Conflict, Invalid, Unavailable
from loop.domain.ports import Blobs, Store
from loop.exchange.clips import ExportedClips
from loop.exchange.formats import FORMATS, layout_named
from loop.exchange.reading import Layout
from loop.exchange.texts import fits_xml
from loop.exchange.writing import SPLIT_NAMES, Exported
from training.snapshot import Snapshot, freeze

if TYPE_CHECKING:
    from rich.text import Text

_WITHOUT_RECIPE = (Layout.COCO, Layout.YOLO, Layout.YOLO_SEGMENT, Layout.VOC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """snapshot: digest of what was exported; splits: images in each of train, val, test; boxes: shapes that were
    written; left_out: what the format cannot hold, in words, and how often that was there; dropped: images of the
    snapshot that are not there any more."""

    project_id: str
    folder: Path
    format: Layout
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
    images: bool = True,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ExportReport:
    """Write every item that has ground truth to `folder`, which appears complete or not at all. images: with the image
    files; without, an import finds them in the project by their names.

    Undecided items get the split that a snapshot with this `val_share` gives them. `on_progress` hears of
    (images written, images in all). Raises NotFound for the project, Conflict for a folder that is not empty,
    BadDataset where there is nothing to export, Unavailable where it cannot be written.
    """
    layout = layout_named(format)
    require_free(folder)
    with new_folder(folder) as partial:
        given, report = dataset(store, project_id=project_id, layout=layout, folder=partial, val_share=val_share)
        if images:
            _write_images(partial, given, blobs, on_progress)
    return replace(report, folder=folder)


def dataset(
    store: Store, *, project_id: str, layout: Layout, folder: Path, val_share: float = 0.2
) -> tuple[Exported, ExportReport]:
    """Write all of it but the images, one item after the other."""
    with _frozen(store, project_id, layout, val_share) as given:
        FORMATS[layout].write(folder, given)
    return given, _report(project_id, folder, layout, given)


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
    """Write a snapshot as it was to `folder`, in a format that needs no recipe, without the images that were dropped
    since.

    link: images as hard links where the disk allows it; whoever writes into one then damages what the service keeps.
    Raises as `export_dataset`.
    """
    layout = layout_named(format)
    _require_plain(layout)
    require_free(folder)
    with new_folder(folder) as partial:
        given, report = snapshot_dataset(store, snapshot, project_id=project_id, layout=layout, folder=partial)
        _write_images(partial, given, blobs, on_progress, link=link)
    return replace(report, folder=folder)


def snapshot_dataset(
    store: Store, snapshot: Snapshot, *, project_id: str, layout: Layout, folder: Path
) -> tuple[Exported, ExportReport]:
    """Write all of it but the images."""
    _require_plain(layout)
    with store.read() as tx:
        recipe = tx.projects.get(project_id).recipe
        gone = snapshot.among(tx.items.dropped(project_id))
        left = snapshot.only(~gone, {"dropped": int(gone.sum())})
        clips = ExportedClips.of(tx, project_id, left.has)
    if not left.entries:
        raise BadDataset("the snapshot has no image that is still there.", hint="Export another one.")
    given = Exported(recipe, tuple, left, clips, FORMATS[layout].images, named=snapshot.digest)
    FORMATS[layout].write(folder, given)
    return given, replace(_report(project_id, folder, layout, given), dropped=int(gone.sum()))


def _require_plain(layout: Layout) -> None:
    if layout not in _WITHOUT_RECIPE:
        hint = f"Use one of: {', '.join(_WITHOUT_RECIPE)}."
        raise Invalid(f"a snapshot has no recipe, which {FORMATS[layout].title} needs.", hint=hint)


def preview_export(
    store: Store,
    *,
    project_id: str,
    format: Layout | str,  # noqa: A002
    val_share: float = 0.2,
) -> ExportReport:
    """What `export_dataset` would say, without writing anything. Raises as it does."""
    layout = layout_named(format)
    with _frozen(store, project_id, layout, val_share) as given:
        return _report(project_id, Path(), layout, given)


def _report(project_id: str, folder: Path, layout: Layout, given: Exported) -> ExportReport:
    snapshot, holds = given.snapshot, FORMATS[layout].holds
    counts = snapshot.counts()
    return ExportReport(
        project_id=project_id,
        folder=folder,
        format=layout,
        snapshot=given.digest,
        images=len(snapshot.entries),
        boxes=sum(shape.type in holds.shapes for entry in snapshot.entries for shape in entry.shapes),
        splits={name: counts[split].images for split, name in SPLIT_NAMES.items()},
        left_out=holds.left_out(given),
    )


@contextmanager
def _frozen(store: Store, project_id: str, layout: Layout, val_share: float) -> Iterator[Exported]:
    """Its rows are read again where a format wants them, as of the same moment, within the block.

    Raises Invalid where the format cannot write the name of a label, BadDataset where there is nothing.
    """
    kind = FORMATS[layout]
    with store.read() as tx:
        recipe = tx.projects.get(project_id).recipe
        if kind.xml and (bad := [name for name in recipe.label_names if not fits_xml(name)]):
            hint = "Rename it in the recipe."
            raise Invalid(f"{kind.title} is XML, which cannot hold the label {bad[0]!r}.", hint=hint)
        snapshot = freeze(tx.truths.all_current(project_id), labels=recipe.label_names, val_share=val_share)
        if not snapshot.entries:
            raise BadDataset(
                f"{project_id} has no image with ground truth.",
                hint="Import a data set or review some images first.",
                project=project_id,
            )
        clips = ExportedClips.of(tx, project_id, snapshot.has)
        yield Exported(recipe, lambda: tx.truths.all_current(project_id), snapshot, clips, kind.images)


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


def _write_images(
    folder: Path, given: Exported, blobs: Blobs, on_progress: Callable[[int, int], None], *, link: bool = False
) -> None:
    total = len(given.snapshot.entries)
    on_progress(0, total)
    for done, entry in enumerate(given.snapshot.entries, start=1):
        place = folder / given.place(entry)
        place.parent.mkdir(parents=True, exist_ok=True)
        blobs.place(entry.digest, place, link=link)
        on_progress(done, total)
