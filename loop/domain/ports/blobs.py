"""Bytes under their digest."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class Staged(Protocol):
    """Content on its way to its key, which it may or may not get. Not for several threads at once."""

    def keep(self) -> str:
        """The key, as of `Blobs.put`. May be repeated. Raises Unavailable."""
        ...

    def drop(self) -> None:
        """Nobody will keep it. Does nothing once it is kept."""
        ...


class Blobs(Protocol):
    """Content-addressed bytes. A key is the SHA-256 of the content."""

    def put(self, content: bytes) -> str:
        """Durable when it returns: temp file, fsync, rename, fsync of the folder. Idempotent."""
        ...

    def stage(self, content: bytes) -> Staged:
        """What takes longest of a put, before it is known whether it is wanted; no key shows it. Must end in `keep`
        or `drop`; what a crash leaves is cleared away. Raises Unavailable."""
        ...

    def get(self, key: str) -> bytes:
        """Checks the digest. Raises NotFound, or Unavailable where the bytes do not match their key."""
        ...

    def pieces(self, key: str) -> Iterator[bytes]:
        """The same bytes, a part at a time, so that large ones need not be held. Raises as `get`; damage is told only
        at the end, in place of the last part."""
        ...

    def place(self, key: str, path: Path, *, link: bool) -> None:
        """The same bytes as the new file `path`, checked. link: as a hard link to the blob, where both are on one local
        disk. Raises as `get`, and OSError where the file cannot be written."""
        ...

    def has(self, key: str) -> bool: ...
    def remove(self, key: str) -> None:
        """Only for content that nobody else can have put, such as a drawing with its time in it. Who is reading it may
        fail. Does nothing where there is none. Raises Unavailable."""
        ...
