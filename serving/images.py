"""Untrusted bytes → facts and pixels, or one clear error.

Width, height and pixels are those of the image as a browser shows it: the EXIF orientation of a JPEG or PNG is
applied (Chromium ignores that of a WebP, and so do we), so that reviewers' boxes and the model's boxes are in the
same coordinates. Transparency is laid over black. Of an animation the first picture counts. Colour profiles are not
applied. Sizes are checked against the caller's cap before a pixel is decoded.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from loop.domain.errors import BadImage, PayloadTooLarge
from loop.domain.item import ImageFacts
from serving.image_containers import Bare, bared, damaged, truncated

# Named here, and so imported once: Pillow would otherwise load its plug-ins at the first call, in some thread.
_FORMATS = {
    JpegImagePlugin.JpegImageFile.format: "image/jpeg",
    PngImagePlugin.PngImageFile.format: "image/png",
    WebPImagePlugin.WebPImageFile.format: "image/webp",
}
_UPRIGHT = {  # EXIF orientation → what undoes it
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED: Mapping[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {  # the same, for arrays
    2: lambda seen: seen[:, ::-1],
    3: lambda seen: seen[::-1, ::-1],
    4: lambda seen: seen[::-1],
    5: lambda seen: seen.transpose(1, 0, 2),
    6: lambda seen: np.rot90(seen, -1),
    7: lambda seen: np.rot90(seen, 2).transpose(1, 0, 2),
    8: lambda seen: np.rot90(seen),
}
_SIDES_SWAPPED = frozenset({5, 6, 7, 8})


def inspect_image(content: bytes, *, max_pixels: int) -> ImageFacts:
    """Read the headers and check the structure, without decoding: what is damaged inside shows only in
    `decode_image`.

    Raises BadImage; PayloadTooLarge for more than `max_pixels` (width x height).
    """
    with _only_our_errors(max_pixels):
        return _inspected(bared(content), max_pixels)


def decode_image(content: bytes, *, max_pixels: int, enough: int | None = None) -> tuple[ImageFacts, NDArray[np.uint8]]:
    """The facts and the pixels, (height, width, 3) RGB, contiguous.

    enough: pixels that the longer side must have; a JPEG at least twice as large is decoded at a half, a quarter or
    an eighth of its size (the decoder leaves out the high frequencies, at a fraction of the cost). The facts are
    those of the whole image all the same.

    Memory: at most some 12 bytes for each pixel, and only up to `max_pixels`. Safe to call from threads.
    Raises BadImage; PayloadTooLarge for more than `max_pixels` (width x height).
    """
    with _only_our_errors(max_pixels):
        bare = bared(content)
        facts = _inspected(bare, max_pixels)
        with _opened(bare) as image:  # again: `verify` uses an image up
            if facts.media_type == "image/jpeg" and image.mode in ("RGB", "L"):
                return facts, _jpeg(bare, _reduction(facts, enough))
            image.load()
            return facts, _rgb(image, bare.orientation)


_REDUCED = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def _reduction(facts: ImageFacts, enough: int | None) -> int:
    longer = max(facts.width, facts.height)
    return 1 if enough is None else max(factor for factor in _REDUCED if factor == 1 or longer // factor >= enough)


def _jpeg(bare: Bare, factor: int) -> NDArray[np.uint8]:
    """By libjpeg-turbo through OpenCV, which costs a third of Pillow's way to an array."""
    encoded = np.frombuffer(bare.content, dtype=np.uint8)
    decoded = cv2.imdecode(encoded, _REDUCED[factor] | cv2.IMREAD_IGNORE_ORIENTATION)
    if decoded is None:
        raise damaged("its contents cannot be decoded")
    pixels = np.asarray(decoded if factor == 1 else cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    upright = _TURNED[bare.orientation](pixels) if bare.orientation in _TURNED else pixels
    return np.ascontiguousarray(upright, dtype=np.uint8)


def _opened(bare: Bare) -> Image.Image:
    return Image.open(BytesIO(bare.content), formats=list(_FORMATS))


def _inspected(bare: Bare, max_pixels: int) -> ImageFacts:
    with _opened(bare) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise _too_many_pixels(f"{width:,} x {height:,} = {width * height:,}", max_pixels)
        if width < 1 or height < 1:
            raise damaged("it has no pixels")
        image.verify()
        if bare.orientation in _SIDES_SWAPPED:
            width, height = height, width
        return ImageFacts(width, height, _FORMATS[str(image.format)])


def _rgb(image: Image.Image, orientation: int) -> NDArray[np.uint8]:
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion clips at 255 rather than scaling.
        grey = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        image = Image.new("RGB", seen.size)
        image.paste(seen, mask=seen.getchannel("A"))
    return np.array(image.convert("RGB"), dtype=np.uint8)


@contextmanager
def _only_our_errors(max_pixels: int) -> Iterator[None]:
    """Decoders fail on hostile bytes in every way that Python knows; the caller's mistake is one all the same."""
    try:
        yield
    except (BadImage, PayloadTooLarge, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow's own cap lies above ours, and is a warning or an error as the process's filters say.
        count = re.search(r"\d+", str(error))
        raise _too_many_pixels(f"{int(count[0]):,}" if count else "far too many", max_pixels) from error
    except Exception as error:
        if "truncated" in str(error):
            raise truncated("image") from error
        raise damaged("its contents cannot be decoded") from error


def _too_many_pixels(size: str, max_pixels: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the image has {size} pixels; at most {max_pixels:,} are read.",
        hint="Send a smaller image, or raise limits.max_image_pixels.",
        max_pixels=max_pixels,
    )


def _blank() -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, "PNG")
    return buffer.getvalue()


BLANK = _blank()  # for asking whether a model answers at all
