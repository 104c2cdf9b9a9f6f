"""What bulk work reads: a folder, a manifest or a URL → the images it names, and whether they may be read.

A manifest is a text file: .txt (one path or URL a line, # begins a comment), .jsonl ({"url": …, "source": …,
"group": …} a line) or .csv (a header with url, and source and group where wanted). Relative names are relative to
the manifest. Anything else is a folder, or a prefix of a store that fsspec knows, in which images are found by
their suffix; or a single image.

Who may read what: an operator any local folder; everybody what lies below `allowed`. URLs are compared as they are
written, local paths with every link resolved, when they are listed and again when they are read.
"""

import csv
import io
import json
import os
import posixpath
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from loop.domain.errors import BadDataset, BadImage, Invalid, PayloadTooLarge, SourceNotAllowed
from loop.domain.items.annotation import SourceEntry
from loop.exchange.reading import IMAGE_SUFFIXES

MANIFEST_SUFFIXES = (".txt", ".jsonl", ".csv")
# A million lines; more is better cut into several jobs.
_MAX_MANIFEST_BYTES = 256 * 2**20
_TRIES = 3
_FIRST_WAIT_SECONDS = 0.2
_FIELDS = ("url", "source", "group")


@dataclass(frozen=True, slots=True)
class _Named:
    """An image as a source names it, before it is resolved. where: for the error, e.g. `line 3 of images.csv`."""

    url: str
    where: str
    source: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class FsspecSources:
    """Implements `loop.items.annotation.Sources`. allowed: folders and URL prefixes that anybody may read below."""

    allowed: tuple[str, ...]

    def check(self, source: str, *, any_folder: bool) -> str:
        """The source with its path made plain; cheap. any_folder: every local folder is allowed.

        Raises SourceNotAllowed, Invalid for a name that is no absolute path and no URL, BadDataset where a local
        one is missing.
        """
        place = self._permitted(source, any_folder)
        if _is_local(place) and not os.path.exists(place):  # noqa: PTH110 - beside realpath, which Path lacks
            raise BadDataset(
                f"there is no {place}.", hint="Give a folder, a manifest or a URL that the service can read."
            )
        return place

    def list(self, source: str, *, any_folder: bool) -> list[SourceEntry]:
        """Every image that the source names, each once, folders in the order of their names.

        Raises as `check`, and BadDataset for a source that cannot be listed or names no image, and for a line of a
        manifest that cannot be used, by its number.
        """
        place = self.check(source, any_folder=any_folder)
        entries: dict[str, SourceEntry] = {}
        for named in _named(place):
            url = self._entry(named, any_folder)
            if url not in entries:
                entries[url] = SourceEntry(len(entries), url, named.source, named.group)
        if not entries:
            raise BadDataset(
                f"{place} names no image.",
                hint=f"Looked for {', '.join(IMAGE_SUFFIXES)} in it and all below it.",
                source=place,
            )
        return list(entries.values())

    def _entry(self, named: _Named, any_folder: bool) -> str:
        try:
            return self._permitted(named.url, any_folder)
        except (SourceNotAllowed, Invalid) as error:
            if not named.where:
                raise
            raise type(error)(f"{named.where}: {error.detail}", hint=error.hint, **error.ids) from error

    def _permitted(self, source: str, any_folder: bool) -> str:
        place = _plain(source)
        if (_is_local(place) and any_folder) or any(_lies_below(place, _plain(prefix)) for prefix in self.allowed):
            return place
        raise SourceNotAllowed(
            f"{place} may not be read.",
            hint="An operator allows it by adding its folder or prefix to annotation.allowed_sources.",
            source=place,
        )


# --- names ---------------------------------------------------------------------------------------


def _plain(source: str) -> str:
    """An absolute local path without links, or a URL whose path does not climb."""
    if "\0" in source or "::" in source:
        raise Invalid(f"{source!r} is no path and no plain URL.", hint="Chained URLs (a::b) are not read.")
    scheme, separator, rest = source.partition("://")
    if separator and scheme.lower() not in ("file", "local"):
        return _plain_url(scheme.lower(), rest)
    path = rest if separator else source
    if not os.path.isabs(path):  # noqa: PTH117
        raise Invalid(f"{source!r} is not absolute.", hint="Send an absolute path or a URL: the service reads it.")
    return os.path.realpath(path)


def _plain_url(scheme: str, rest: str) -> str:
    lowered = rest.lower().replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\").replace("\\", "/")
    if ".." in lowered.split("?")[0].split("/"):
        raise Invalid(f"{scheme}://{rest} climbs with '..'.", hint="Write the URL without it.")
    if "@" in rest.split("/", 1)[0]:
        raise Invalid(
            f"a {scheme} URL with a user or a password is not kept.",
            hint="Give the service its credentials in its environment, as the fsspec package of the scheme reads them.",
        )
    return f"{scheme}://{rest}"


def _is_local(place: str) -> bool:
    return "://" not in place


def _lies_below(place: str, prefix: str) -> bool:
    bare = prefix.rstrip("/")
    return place in (prefix, bare) or place.startswith(bare + "/")


# --- listing ---------------------------------------------------------------------------------------


def _named(place: str) -> Iterator[_Named]:
    suffix = posixpath.splitext(place)[1].lower()
    if suffix in MANIFEST_SUFFIXES and not (_is_local(place) and Path(place).is_dir()):
        yield from _manifest(place, suffix)
    elif _is_local(place):
        yield from (_Named(str(path), "") for path in _local_images(Path(place)))
    else:
        yield from (_Named(url, "") for url in _remote_images(place))


def _local_images(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
        return

    def refused(error: OSError) -> None:
        raise _unlistable(str(place), error) from error

    for folder, folders, names in os.walk(place, onerror=refused):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if _is_image(name):
                yield Path(folder, name)


def _remote_images(place: str) -> list[str]:
    """As URLs that begin as `place` does: what fsspec makes of a name may be spelled otherwise (gs, gcs)."""
    try:
        system, root = _system(place)
        if _is_image(place) and system.isfile(root):  # on the web every page is a file
            return [place]
        names = sorted(name for name in system.find(root) if _is_image(name))
    except (OSError, ValueError, ImportError) as error:
        raise _unlistable(place, error) from error
    root, place = root.rstrip("/"), place.rstrip("/")
    return [place + name[len(root) :] for name in names if name.startswith(f"{root}/")]


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES) and not posixpath.basename(name).startswith(".")


def _unlistable(place: str, error: Exception) -> BadDataset:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return BadDataset(
        f"{place} cannot be read ({reason}).",
        hint="Check the name, that the service may read it, and that the fsspec package of its scheme is installed.",
        source=place,
    )


# --- manifests -------------------------------------------------------------------------------------


def _manifest(place: str, suffix: str) -> Iterator[_Named]:
    name = posixpath.basename(place)
    try:
        text = read_bytes(place, max_bytes=_MAX_MANIFEST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _bad_line(name, line, "is not UTF-8") from error
    except Invalid as error:
        raise BadDataset(f"the manifest {error.detail}", hint=error.hint, source=place) from error
    base = posixpath.dirname(place)
    for number, fields in _READERS[suffix](name, text):
        url = fields["url"]
        if "://" not in url and not posixpath.isabs(url):
            url = posixpath.join(base, url)
        yield _Named(url, f"line {number} of {name}", fields.get("source", ""), fields.get("group", ""))


Row = tuple[int, dict[str, str]]


def _text_rows(_: str, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, {"url": line.strip()}


def _json_rows(name: str, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _bad_line(name, number, f"is not JSON: {line.strip()[:60]}") from error
        if not isinstance(row, dict):
            raise _bad_line(name, number, f"is no object: {line.strip()[:60]}")
        yield number, _checked_row(name, number, row)


def _csv_rows(name: str, text: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if "url" not in (reader.fieldnames or ()):
            raise _bad_line(name, 1, "must be a header that names the column url")
        for row in reader:
            yield reader.line_num, _checked_row(name, reader.line_num, {k: v for k, v in row.items() if v is not None})
    except csv.Error as error:
        raise _bad_line(name, reader.line_num, f"is not CSV: {error}") from error


def _checked_row(name: str, number: int, row: dict[Any, Any]) -> dict[str, str]:
    unknown = sorted(str(key) for key in row if key not in _FIELDS)
    if unknown:
        raise _bad_line(name, number, f"has the unknown field {unknown[0]!r} (known: {', '.join(_FIELDS)})")
    if not isinstance(row.get("url"), str) or not row["url"].strip():
        raise _bad_line(name, number, "has no url")
    if not all(isinstance(value, str) for value in row.values()):
        raise _bad_line(name, number, "holds a value that is no text")
    return {key: value.strip() for key, value in row.items()}


_READERS: dict[str, Callable[[str, str], Iterable[Row]]] = {
    ".txt": _text_rows,
    ".jsonl": _json_rows,
    ".csv": _csv_rows,
}


def _bad_line(name: str, number: int, problem: str) -> BadDataset:
    return BadDataset(
        f"line {number} of {name} {problem}.",
        hint="Mend that line and start again; docs/bulk.md shows the three forms of a manifest.",
        line=number,
    )


# --- reading ---------------------------------------------------------------------------------------


def read_bytes(url: str, *, max_bytes: int) -> bytes:
    """The bytes of a listed entry. A store that stumbles is asked again; a link that was put in the way of a local
    file since it was listed is not followed. Raises BadImage, PayloadTooLarge."""
    try:
        content = _local_bytes(url, max_bytes) if _is_local(url) else _remote_bytes(url, max_bytes)
    except (OSError, ValueError, ImportError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        raise BadImage(f"{url} cannot be read ({reason}).", hint="Check that it is there and may be read.") from error
    if len(content) > max_bytes:
        raise PayloadTooLarge(
            f"{url} is larger than {max_bytes:,} bytes.",
            hint="Leave it out, or raise limits.max_image_bytes.",
            limit=max_bytes,
        )
    return content


def _local_bytes(path: str, max_bytes: int) -> bytes:
    if os.path.realpath(path) != path:
        raise OSError("it is a link")
    with Path(path).open("rb") as file:
        return file.read(max_bytes + 1)


def _remote_bytes(url: str, max_bytes: int) -> bytes:
    wait = _FIRST_WAIT_SECONDS
    for attempt in range(1, _TRIES + 1):
        try:
            system, name = _system(url)
            with system.open(name, "rb") as file:
                content: bytes = file.read(max_bytes + 1)
                return content
        except (FileNotFoundError, PermissionError, IsADirectoryError):
            raise
        except OSError:
            if attempt == _TRIES:
                raise
        time.sleep(wait)
        wait *= 2
    raise AssertionError("the last try returns or raises")


def _system(url: str) -> tuple[Any, str]:
    """The file system of a URL. What the web redirects to may be anywhere, so that redirects are not followed."""
    options = {"allow_redirects": False} if url.startswith(("http://", "https://")) else {}
    system, name = fsspec.core.url_to_fs(url, **options)
    return system, str(name)
