"""Data sets as ZIP files that are put together while they are sent: annotations wait on the disk, images come one by
one."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from loop.domain.errors import Unavailable
from loop.domain.ports import Blobs, Store
from loop.exchange.exporter import ExportReport, dataset, snapshot_dataset
from loop.exchange.predicted import PredictionFormat, PredictionReport, write_predictions
from loop.exchange.reading import Layout
from loop.exchange.writing import Exported
from loop.exchange.zip_stream import ZipStream
from training.snapshot import Snapshot

Report = TypeVar("Report")


class Archive:
    """A data set that is ready to be sent. What waits on the disk is gone when it is closed, or when nobody has it any
    more."""

    def __init__(self, within: Path) -> None:
        """within: a folder with room for the annotations. Raises Unavailable."""
        try:
            self._place = Path(tempfile.mkdtemp(prefix="export-", dir=within))
            self.folder = self._place / "set"
            self.folder.mkdir()
        except OSError as error:
            raise Unavailable(f"{within} cannot be written ({error.strerror or error}).", hint="Make room.") from error
        self.close = weakref.finalize(self, shutil.rmtree, self._place, ignore_errors=True)

    @property
    def images(self) -> Path:
        """Where names of images may wait that follow."""
        return self._place / "images"

    def pieces(self, images: Iterable[tuple[str, str]], blobs: Blobs) -> Iterator[bytes]:
        """The bytes of the ZIP, once; then it is closed. images: (path in the ZIP, digest) of each that it has.

        Raises NotFound or Unavailable where an image is not as it was, in the middle: what was sent by then lacks its
        end, and no reader takes it for a ZIP.
        """
        try:
            with (self._place / "listed").open("w+b") as listed:
                archive = ZipStream(listed, self._place)
                for path in _files(self.folder):
                    yield from archive.packed(path.relative_to(self.folder).as_posix(), path)
                for place, digest in images:
                    yield from archive.stored(place, blobs.get(digest))
                yield from archive.end()
        finally:
            self.close()


class Sent(Generic[Report]):
    """report: what is in it. note: adds a text to it. pieces: its bytes; close: where nobody wants them."""

    def __init__(self, archive: Archive, report: Report, images: Iterable[tuple[str, str]], blobs: Blobs) -> None:
        """images: see Archive.pieces."""
        self.report = report
        self.close = archive.close
        self._archive, self._images, self._blobs = archive, images, blobs

    def note(self, name: str, text: str) -> None:
        (self._archive.folder / name).write_text(text, encoding="utf-8")

    def pieces(self) -> Iterator[bytes]:
        return self._archive.pieces(self._images, self._blobs)


def sent_dataset(
    store: Store, blobs: Blobs, *, project_id: str, layout: Layout, within: Path, images: bool = True
) -> Sent[ExportReport]:
    """The project's images and present ground truth. within: a folder with room for the annotations. Raises as
    `loop.exchange.exporter.export_dataset`."""
    archive = Archive(within)
    try:
        given, report = dataset(store, project_id=project_id, layout=layout, folder=archive.folder)
    except BaseException:
        archive.close()
        raise
    return Sent(archive, report, _images_of(given) if images else (), blobs)


def sent_snapshot(
    store: Store,
    blobs: Blobs,
    snapshot: Snapshot,
    *,
    project_id: str,
    layout: Layout,
    within: Path,
    images: bool = True,
) -> Sent[ExportReport]:
    """A snapshot as it was, without the images that were dropped since. Raises as
    `loop.exchange.exporter.export_snapshot`."""
    archive = Archive(within)
    try:
        given, report = snapshot_dataset(store, snapshot, project_id=project_id, layout=layout, folder=archive.folder)
    except BaseException:
        archive.close()
        raise
    return Sent(archive, report, _images_of(given) if images else (), blobs)


def sent_predictions(
    store: Store,
    blobs: Blobs,
    *,
    project_id: str,
    job_id: str,
    format: PredictionFormat | str,  # noqa: A002 - the word that people use
    within: Path,
    images: bool = True,
) -> Sent[PredictionReport]:
    """What a bulk annotation found. Raises as `loop.exchange.predicted.export_predictions`."""
    archive = Archive(within)
    try:
        with archive.images.open("w", encoding="ascii") as waiting:

            def there(digest: str) -> bool:
                return not images or blobs.has(digest)

            def listed(place: str, digest: str) -> None:
                if images:
                    waiting.write(f"{place} {digest}\n")

            report = write_predictions(
                store, project_id=project_id, job_id=job_id, format=format, folder=archive.folder, there=there,
                keep=listed,
            )  # fmt: skip
    except BaseException:
        archive.close()
        raise
    return Sent(archive, report, _waiting(archive.images), blobs)


def _images_of(given: Exported) -> Iterator[tuple[str, str]]:
    return ((given.place(entry), entry.digest) for entry in given.snapshot.entries)


def _waiting(listed: Path) -> Iterator[tuple[str, str]]:
    with listed.open(encoding="ascii") as lines:
        for line in lines:
            place, digest = line.split()
            yield place, digest


def _files(folder: Path) -> Iterator[Path]:
    """All below it, one after the other: a folder may hold one for each image."""
    with os.scandir(folder) as found:
        for one in found:
            if one.is_dir():
                yield from _files(Path(one.path))
            else:
                yield Path(one.path)
