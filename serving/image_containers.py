"""What of a JPEG, PNG or WebP file reaches the decoder: the pixels' own parts, and nothing else.

Metadata is where image libraries are attacked and where privacy leaks: EXIF, XMP, colour profiles, text,
thumbnails, appended files. None of it is needed to see the pixels, but for the orientation, which is read here
with bounded work. All offsets are checked; no time or memory grows faster than the file.
"""

import re
import struct
import zlib
from dataclasses import dataclass

from loop.domain.errors import BadImage

# 20 MB in chunks of the usual 8 kB are 2,500; a flood of empty ones only costs time.
MAX_PNG_CHUNKS = 65_536
# Encoders write 10 or so; each costs a pass over all coefficients, however few bytes it has.
MAX_JPEG_SCANS = 50

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
# A marker is 0xFF and a code; 0xFF00 is data, and restarts and TEM carry nothing that matters here.
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\x01\xd0-\xd7\xff])")
_SOI, _EOI, _SOS, _APP1 = 0xD8, 0xD9, 0xDA, 0xE1
# APP0 (JFIF) and APP14 (Adobe) say how colours are coded; the others and comments are metadata.
_JPEG_DROPPED = frozenset({*range(0xE1, 0xEE), 0xEF, 0xFE})
_EXIF = b"Exif\x00\x00"
_ORIENTATION_TAG, _SHORT = 0x0112, 3

_OTHERS = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\x00", "a TIFF"),
    (b"MM\x00*", "a TIFF"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"<svg", "an SVG"),
    (b"<?xml", "XML, perhaps an SVG"),
    (b"<", "HTML or XML"),
    (b"{", "JSON"),
)
_HEIF_BRANDS = (b"avif", b"heic", b"heix", b"mif1")


@dataclass(frozen=True, slots=True)
class Bare:
    """A file without its metadata. orientation: EXIF's 1 to 8, 1 where none is given."""

    content: bytes
    orientation: int


def bared(content: bytes) -> Bare:
    """Raises BadImage for what is empty, neither JPEG, PNG nor WebP, cut short, or damaged in its structure."""
    if not content:
        raise BadImage("the image is empty (0 bytes).", hint="Send the bytes of a JPEG, PNG or WebP file as the body.")
    if content.startswith(b"\xff\xd8\xff"):
        return _bared_jpeg(content)
    if content.startswith(_PNG_SIGNATURE):
        return _bared_png(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        # Its metadata is never parsed. Its orientation is ignored, as browsers do: nothing would show it.
        return Bare(content, 1)
    raise BadImage(f"the {len(content):,} bytes are {_described(content)}.", hint="Send a JPEG, PNG or WebP file.")


def truncated(what: str) -> BadImage:
    return BadImage(
        f"the {what} file is truncated: it ends before its image does.",
        hint="Send the whole file; check that the upload was not cut short.",
    )


def damaged(what: str) -> BadImage:
    return BadImage(f"the image is damaged: {what}.", hint="Send it again, or save it anew with an image program.")


def _described(content: bytes) -> str:
    if content[4:8] == b"ftyp" and content[8:12] in _HEIF_BRANDS:
        return "an AVIF or HEIC image"
    start = content[:64].lstrip()
    for magic, name in _OTHERS:
        if start.startswith(magic):
            return name
    return "not an image that can be read"


def _bared_jpeg(content: bytes) -> Bare:
    kept: list[bytes] = []
    at = cursor = 2  # what lies between `cursor` and the present place is kept
    exif, scans = b"", 0
    while (marker := _JPEG_MARKER.search(content, at)) is not None:
        code, at = marker[1][0], marker.end()
        if code == _SOI:
            continue
        if code == _EOI:
            return Bare(b"".join([content[:2], *kept, content[cursor:at]]), _orientation(exif))
        start, at = at, at + int.from_bytes(content[at : at + 2])
        if at > len(content):
            break
        scans += code == _SOS
        if scans > MAX_JPEG_SCANS:
            raise damaged(f"the JPEG has more than {MAX_JPEG_SCANS} scans")
        if code in _JPEG_DROPPED:
            kept.append(content[cursor : marker.start()])
            cursor = at
            if code == _APP1 and not exif and content.startswith(_EXIF, start + 2):
                exif = content[start + 2 + len(_EXIF) : at]
    raise truncated("JPEG")


def _bared_png(content: bytes) -> Bare:
    kept = [_PNG_SIGNATURE]
    at, exif, pixels_begun = len(_PNG_SIGNATURE), b"", False
    for _ in range(MAX_PNG_CHUNKS):
        head, kind = content[at : at + 4], content[at + 4 : at + 8]
        end = at + 12 + int.from_bytes(head)
        if end > len(content) or len(kind) < 4:
            raise truncated("PNG")
        if kind in _PNG_KEPT:
            if zlib.crc32(memoryview(content)[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end]):
                raise damaged(f"the checksum of its {kind.decode()} chunk is wrong")
            kept.append(content[at:end])
        elif kind == b"eXIf" and not (exif or pixels_begun):
            exif = content[at + 8 : end - 4]
        if kind == b"IEND":
            return Bare(b"".join(kept), _orientation(exif))
        pixels_begun |= kind == b"IDAT"
        at = end
    raise damaged(f"the PNG has more than {MAX_PNG_CHUNKS:,} chunks")


def _orientation(tiff: bytes) -> int:
    """The orientation that an EXIF block names, 1 where it is absent or cannot be read."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind, values, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
            if (tag, kind, values) == (_ORIENTATION_TAG, _SHORT, 1):
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
