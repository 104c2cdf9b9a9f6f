"""Data sets as they are sent: a folder, a ZIP of one, or a single file of annotations; always read as a folder.

What a ZIP claims is not believed: names are kept inside the folder, links are no files, and bytes are counted as they
come out.
"""

import stat
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loop.domain.errors import BadDataset, PayloadTooLarge, Unavailable
from loop.exchange.reading import inside, require_folder

MOST_FILES = 1_000_000
_PIECE = 1 << 20
_ALONE = (".xml", ".json")


@contextmanager
def opened(source: Path, *, max_bytes: int, within: Path | None = None) -> Iterator[Path]:
    """`source` as a folder, which is gone afterwards where it had to be made (below `within`, else where temporary
    files are). max_bytes: of all that a ZIP unpacks to.

    Raises BadDataset for nothing at all, for a file that is neither ZIP, XML nor JSON and for one that is damaged;
    PayloadTooLarge, Unavailable.
    """
    if not source.is_file():
        require_folder(source)
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="dataset-", dir=within) as made:
        folder = Path(made) / source.stem
        try:
            folder.mkdir()
            _fill(folder, source, max_bytes)
        except OSError as error:
            raise Unavailable(
                f"{source.name} cannot be unpacked ({error.strerror or error}).", hint="Make room on the disk."
            ) from error
        yield _without_wrapping(folder)


def unpacked(source: Path, folder: Path) -> None:
    """Into a folder that is there, without limits: of a service that is trusted. Raises BadDataset."""
    _unpack(source, folder, sys.maxsize, most_files=sys.maxsize)


def _fill(folder: Path, source: Path, max_bytes: int) -> None:
    if zipfile.is_zipfile(source):
        _unpack(source, folder, max_bytes)
    elif source.suffix.lower() in _ALONE:
        (folder / source.name).symlink_to(source.resolve())
    else:
        raise BadDataset(
            f"{source.name} is no data set.", hint="Give a folder, a .zip of one, or a .json or .xml of annotations."
        )


def _unpack(source: Path, folder: Path, max_bytes: int, most_files: int = MOST_FILES) -> None:
    try:
        with zipfile.ZipFile(source) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            if len(infos) > most_files:
                raise _too_large(source, f"holds more than {MOST_FILES:,} files", max_bytes)
            left = max_bytes
            for info in infos:
                left = _unpack_one(archive, info, _place(info, folder), left)
                if left < 0:
                    raise _too_large(source, f"unpacks to more than {max_bytes:,} bytes", max_bytes)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BadDataset(f"{source.name} cannot be unpacked ({error}).", hint="Make the ZIP again.") from error


def _place(info: zipfile.ZipInfo, folder: Path) -> Path:
    place = inside(folder, info.filename)
    if place is None or stat.S_ISLNK(info.external_attr >> 16):
        raise BadDataset(
            f"the archive holds {info.filename[:200]!r}, which leads out of it.",
            hint="Pack the data set's folder itself, without links.",
        )
    return place


def _unpack_one(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: Path, left: int) -> int:
    """How many bytes may still come; below 0 it was stopped."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as packed, place.open("xb") as file:
        while left >= 0 and (piece := packed.read(_PIECE)):
            left -= len(piece)
            if left >= 0:
                file.write(piece)
    return left


def _too_large(source: Path, what: str, limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"{source.name} {what}.",
        hint="Send it in parts, unpack it and import the folder, or raise limits.max_unpacked_bytes.",
        limit=limit,
    )


def _without_wrapping(folder: Path) -> Path:
    """The folder that an archive wraps its data set in, where it holds nothing else."""
    inner = [path for path in folder.iterdir() if path.name != "__MACOSX"]
    lonely = len(inner) == 1 and inner[0].is_dir() and inner[0].name not in ("annotations", "Annotations")
    return inner[0] if lonely else folder
