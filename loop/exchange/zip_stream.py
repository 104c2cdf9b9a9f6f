"""A ZIP that is written from front to back while it is sent, in memory that does not grow with the number of its files.

The directory at the end of a ZIP names each of its files; until then it waits in a file. Sizes stand before the
content, so that every reader copes; ZIP64 where numbers are too large for less (PKWARE's APPNOTE 6.3.10).
"""

import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_PIECE = 1 << 18
_HELD = 1 << 20  # bytes of a compressed file that are kept in memory
_STORED, _DEFLATED = 0, 8
_OLD, _ZIP64 = 20, 45  # versions of the format
_UNIX = 3
_MODE = 0o100644 << 16
_UTF8 = 1 << 11
_TIME, _DATE = 0, 0x21  # the earliest there is: the same data set makes the same bytes
_MOST, _MOST_FILES = 0xFFFFFFFF, 0xFFFF


class ZipStream:
    """listed: an empty file that can be read and written, where the directory waits. within: a folder for compressed
    files on their way."""

    def __init__(self, listed: BinaryIO, within: Path) -> None:
        self._listed = listed
        self._within = within
        self._count = 0
        self._at = 0

    def stored(self, name: str, content: bytes) -> Iterator[bytes]:
        """A file that is as small as it gets, such as an image."""
        yield self._header(name, _STORED, zlib.crc32(content), len(content), len(content))
        yield self._passed(content)

    def packed(self, name: str, path: Path) -> Iterator[bytes]:
        """A text."""
        with tempfile.SpooledTemporaryFile(max_size=_HELD, dir=str(self._within)) as packed, path.open("rb") as file:
            crc = size = 0
            deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            while piece := file.read(_PIECE):
                crc, size = zlib.crc32(piece, crc), size + len(piece)
                packed.write(deflate.compress(piece))
            packed.write(deflate.flush())
            length = packed.tell()
            packed.seek(0)
            yield self._header(name, _DEFLATED, crc, length, size)
            while piece := packed.read(_PIECE):
                yield self._passed(piece)

    def end(self) -> Iterator[bytes]:
        begin, size = self._at, self._listed.tell()
        self._listed.seek(0)
        while piece := self._listed.read(_PIECE):
            yield self._passed(piece)
        if begin > _MOST or size > _MOST or self._count > _MOST_FILES:
            yield struct.pack(
                "<4sQ2H2L4Q", b"PK\6\6", 44, _ZIP64, _ZIP64, 0, 0, self._count, self._count, size, begin
            ) + struct.pack("<4sLQL", b"PK\6\7", 0, begin + size, 1)
        count = min(self._count, _MOST_FILES)
        yield struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, min(size, _MOST), min(begin, _MOST), 0)

    def _header(self, name: str, method: int, crc: int, length: int, size: int) -> bytes:
        """What stands before the content; its line in the directory is put by."""
        coded = name.encode()
        flags = 0 if name.isascii() else _UTF8
        large = [size, length] if max(size, length) >= _MOST else []
        far = [self._at] if self._at >= _MOST else []
        lengths = (_MOST, _MOST) if large else (length, size)
        version = _ZIP64 if large or far else _OLD
        common = struct.pack("<4H3L", flags, method, _TIME, _DATE, crc, *lengths)
        more = _extra(large + far)
        self._listed.write(
            struct.pack("<4s2BH", b"PK\1\2", _ZIP64, _UNIX, version)
            + common
            + struct.pack("<5H2L", len(coded), len(more), 0, 0, 0, _MODE, min(self._at, _MOST))
            + coded
            + more
        )
        self._count += 1
        more = _extra(large)
        local = struct.pack("<4sH", b"PK\3\4", version) + common + struct.pack("<2H", len(coded), len(more))
        return self._passed(local + coded + more)

    def _passed(self, piece: bytes) -> bytes:
        self._at += len(piece)
        return piece


def _extra(numbers: list[int]) -> bytes:
    """Those that are too large for their place elsewhere."""
    return struct.pack(f"<2H{len(numbers)}Q", 1, 8 * len(numbers), *numbers) if numbers else b""
