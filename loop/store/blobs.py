"""Bytes by the SHA-256 of their content: images, weights, manifests, reference embeddings.

Layout under the root: `ab/abcd…`, 64 hex digits. A key is visible only with all of its content: on a local disk by a
file in `.staged` and a rename, on an object store because uploads appear whole.
"""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from loop.domain.errors import NotFound, SettingsError, Unavailable
from loop.domain.identity import digest_of

_KEY = re.compile(r"[0-9a-f]{64}")
_PIECE = 1 << 20


class _Draft(Protocol):
    """Content without a name."""

    def name(self, name: str) -> None:
        """Whole and durable under `name` when this returns. Raises OSError; then it is gone."""
        ...

    def drop(self) -> None: ...


class _Folder(Protocol):
    """Where the bytes lie, by names below the root."""

    def has(self, name: str) -> bool: ...
    def read(self, name: str) -> bytes: ...
    def open(self, name: str) -> BinaryIO: ...
    def remove(self, name: str) -> None: ...
    def path(self, name: str) -> Path | None:
        """Of its file, where it is one of this machine's."""
        ...

    def draft(self, content: bytes) -> _Draft: ...
    def settle(self, name: str) -> None:
        """Make a name durable that another process may have given a moment ago."""
        ...


class FsspecBlobs:
    """Implements `loop.domain.ports.Blobs` on a local folder or any file system that fsspec knows.

    Safe for threads and processes: all that can be written under a key is the same bytes.
    """

    def __init__(self, folder: _Folder, url: str) -> None:
        self._folder = folder
        self._url = url

    @classmethod
    def open(cls, url: str) -> "FsspecBlobs":
        """`/absolute/folder` or `file:///absolute/folder` (made where missing), or a URL such as s3://bucket/path.

        Raises SettingsError for a URL that fsspec does not know or whose package is not installed,
        Unavailable where the folder cannot be made.
        """
        try:
            system, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise SettingsError(
                f"the blob URL cannot be used: {error}.",
                hint="Set blobs.url to a folder, or install the fsspec package for its scheme.",
            ) from error
        if isinstance(system, LocalFileSystem):
            return cls(_LocalFolder.make(Path(root)), url)
        return cls(_RemoteFolder(system, root), url)

    def put(self, content: bytes) -> str:
        """The key of `content`, which is durable when this returns.

        Idempotent; content that was damaged in place is written anew. Raises Unavailable.
        """
        return self.stage(content).keep()

    def stage(self, content: bytes) -> "StagedBlob":
        """See `loop.domain.ports.Blobs`. On an object store nothing is sent before it is kept."""
        key = digest_of(content)
        try:
            draft = None if self._holds(key) else self._folder.draft(content)
        except OSError as error:
            raise _unavailable("written", error) from error
        return StagedBlob(self._folder, key, content, draft)

    def get(self, key: str) -> bytes:
        """The bytes of `key`. Raises NotFound, or Unavailable where they cannot be read or do not match."""
        content = self._read(key)
        if content is None:
            raise _absent(key)
        if digest_of(content) != key:
            raise _damaged(key)
        return content

    def pieces(self, key: str) -> Iterator[bytes]:
        """See `loop.domain.ports.Blobs`."""
        if not self.has(key):
            raise _absent(key)
        try:
            return _read_in_pieces(self._folder.open(_name(key)), key)
        except FileNotFoundError as error:
            raise _absent(key) from error
        except OSError as error:
            raise _unavailable("read", error) from error

    def place(self, key: str, path: Path, *, link: bool) -> None:
        """See `loop.domain.ports.Blobs`."""
        source = self._folder.path(_name(key)) if link and self.has(key) else None
        if source is not None:
            for _ in self.pieces(key):
                pass  # all of it is right when this ends
            with suppress(OSError):  # another disk, or one without hard links
                path.hardlink_to(source)
                return
        pieces = self.pieces(key)
        try:
            with path.open("xb") as file:
                file.writelines(pieces)
        except Unavailable:
            path.unlink()
            raise

    def remove(self, key: str) -> None:
        """See `loop.domain.ports.Blobs`."""
        try:
            if self.has(key):
                self._folder.remove(_name(key))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _unavailable("removed", error) from error

    def has(self, key: str) -> bool:
        """Whether there is content under `key`; it is not read."""
        try:
            return _is_key(key) and self._folder.has(_name(key))
        except OSError as error:
            raise _unavailable("read", error) from error

    def _holds(self, key: str) -> bool:
        content = self._read(key)
        return content is not None and digest_of(content) == key

    def _read(self, key: str) -> bytes | None:
        if not self.has(key):
            return None
        try:
            return self._folder.read(_name(key))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unavailable("read", error) from error


class StagedBlob:
    """Implements `loop.domain.ports.Staged`."""

    def __init__(self, folder: _Folder, key: str, content: bytes, draft: _Draft | None) -> None:
        """draft: None where the key has its content already."""
        self._folder = folder
        self._key = key
        self._content = content
        self._draft = draft
        self._there = draft is None

    def keep(self) -> str:
        """The key, whose content is durable when this returns. Raises Unavailable; may be tried again, and after a
        `drop`, too: then it is written anew."""
        try:
            if self._there:
                self._folder.settle(_name(self._key))
            else:
                draft, self._draft = self._draft or self._folder.draft(self._content), None
                draft.name(_name(self._key))
                self._there = True
        except OSError as error:
            raise _unavailable("written", error) from error
        return self._key

    def drop(self) -> None:
        draft, self._draft = self._draft, None
        if draft is not None:
            draft.drop()


def _read_in_pieces(file: BinaryIO, key: str) -> Iterator[bytes]:
    """One behind what was read, so that the last is given only where all of them are right."""
    checksum, before = hashlib.sha256(), b""
    try:
        with file:
            while piece := file.read(_PIECE):
                checksum.update(piece)
                if before:
                    yield before
                before = piece
    except OSError as error:
        raise _unavailable("read", error) from error
    if checksum.hexdigest() != key:
        raise _damaged(key)
    yield before


def _absent(key: str) -> NotFound:
    return NotFound(f"there is no blob {key!r}.", hint="Check that blobs.url is right.", blob=key)


def _damaged(key: str) -> Unavailable:
    return Unavailable(
        f"the bytes of blob {key} do not match their digest: they were damaged.",
        hint="Restore this file from a backup, or send the same content again.",
        blob=key,
    )


def _unavailable(done: str, error: OSError) -> Unavailable:
    return Unavailable(
        f"blobs cannot be {done}: {error.strerror or type(error).__name__}.",
        hint="Check blobs.url, its permissions, and that the disk is not full.",
    )


def _is_key(key: str) -> bool:
    """Whatever a caller sends as a key, nothing outside the layout is touched."""
    return _KEY.fullmatch(key) is not None


def _name(key: str) -> str:
    return f"{key[:2]}/{key}"  # few folders, so that most writes find theirs there; large ones are no burden today


# Where contents lie that have no name yet, and how old they get only by a crash.
_STAGED = ".staged"
_ABANDONED_SECONDS = 3600


class _LocalFolder:
    """A folder on a local disk. Written with `os`, since fsspec's local file system never calls fsync."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._durable: set[Path] = set()  # folders whose own names this process has synced; at most 256

    @classmethod
    def make(cls, root: Path) -> "_LocalFolder":
        try:
            (root / _STAGED).mkdir(parents=True, exist_ok=True)
            _sync_folder(root.parent)
            _require_present_layout(root)
            _clear_away(root / _STAGED)
        except OSError as error:
            raise Unavailable(
                f"the blob folder {root} cannot be made: {error.strerror}.",
                hint="Check blobs.url and the permissions of the folder above it.",
            ) from error
        return cls(root)

    def has(self, name: str) -> bool:
        return (self._root / name).is_file()

    def read(self, name: str) -> bytes:
        return (self._root / name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        return (self._root / name).open("rb")

    def remove(self, name: str) -> None:
        (self._root / name).unlink()

    def path(self, name: str) -> Path:
        return self._root / name

    def draft(self, content: bytes) -> "_File":
        """A file of its own, whose bytes are durable."""
        path = self._root / _STAGED / secrets.token_hex(16)
        try:
            try:
                file = path.open("xb")
            except FileNotFoundError:  # somebody removed the folder
                path.parent.mkdir(parents=True, exist_ok=True)
                file = path.open("xb")
            with file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return _File(self, path)

    def move(self, file: Path, name: str) -> None:
        """Rename, and fsync of the folders."""
        path = self._root / name
        if path.parent not in self._durable:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(file, path)  # noqa: PTH105 - the system call that the promise rests on
        except FileNotFoundError:  # somebody removed the folder
            self._durable.discard(path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, path)  # noqa: PTH105
        self.settle(name)

    def settle(self, name: str) -> None:
        """The names of the folders, too."""
        folder = (self._root / name).parent
        _sync_folder(folder)
        if folder not in self._durable:
            _sync_folder(self._root)
            self._durable.add(folder)


class _File:
    """A draft on a local disk."""

    def __init__(self, folder: _LocalFolder, path: Path) -> None:
        self._folder = folder
        self._path = path

    def name(self, name: str) -> None:
        try:
            self._folder.move(self._path, name)
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        with suppress(OSError):  # then it is cleared away later
            self._path.unlink(missing_ok=True)


def _clear_away(staged: Path) -> None:
    """What processes have left that were killed."""
    for path in staged.iterdir():
        with suppress(OSError):  # another process starts, too; or it has to stay
            if path.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                path.unlink()


_MOVE = 'for d in ??/??; do mv "$d"/* "${d%/*}"/ && rmdir "$d"; done'


def _require_present_layout(root: Path) -> None:
    """Raises SettingsError where the contents lie two folders deep, as they did before."""
    for folder in root.glob("??"):
        if folder.is_dir() and any(entry.is_dir() for entry in islice(folder.iterdir(), 1)):
            raise SettingsError(
                f"the blobs in {root} are laid out as by an earlier version.",
                hint=f"Stop the service, then: cd {root} && {_MOVE}",
            )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _RemoteFolder:
    """A prefix of an object store, whose uploads are atomic and durable when they return.

    Client libraries raise what they like; all of it becomes OSError here.
    """

    def __init__(self, system: Any, root: str) -> None:
        self._system = system
        self._root = root.rstrip("/")

    def has(self, name: str) -> bool:
        return bool(self._call("exists", name))

    def read(self, name: str) -> bytes:
        return bytes(self._call("cat_file", name))

    def open(self, name: str) -> BinaryIO:
        return cast(BinaryIO, self._call("open", name))

    def remove(self, name: str) -> None:
        self._call("rm_file", name)

    def path(self, name: str) -> None:
        return None

    def draft(self, content: bytes) -> "_Upload":
        return _Upload(self, content)

    def upload(self, name: str, content: bytes) -> None:
        self._call("pipe_file", name, content)

    def settle(self, name: str) -> None:
        """Nothing to do: what can be seen is durable."""

    def _call(self, method: str, name: str, *arguments: bytes) -> Any:
        try:
            return getattr(self._system, method)(f"{self._root}/{name}", *arguments)
        except OSError:
            raise
        except Exception as error:
            raise OSError(None, f"{type(error).__name__}: {error}") from error


class _Upload:
    """A draft that is on its way to an object store: sent when it has its name."""

    def __init__(self, folder: _RemoteFolder, content: bytes) -> None:
        self._folder = folder
        self._content = content

    def name(self, name: str) -> None:
        self._folder.upload(name, self._content)

    def drop(self) -> None:
        """Nothing was sent."""
