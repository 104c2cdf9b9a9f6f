"""What may be sent as an image, as the bytes of a file."""

import io
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from loop.domain.errors import BadImage
from serving.client.calls import Steps, Work

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Picture: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO | Image.Image
    Pixels: TypeAlias = NDArray[np.uint8]

_FAST = 1  # of 0 to 9: half as large again as at the most, and many times as fast


def content_of(image: "Picture | Pixels") -> Steps[bytes]:
    """As `encoded`, which may take its time, so that no event loop waits for it."""
    return image if isinstance(image, bytes) else (yield from Work(partial(encoded, image)))


def encoded(image: "Picture | Pixels") -> bytes:
    """The bytes of an image file: as they are, of a path or of an open file; or a PNG of pixels, of a PIL image or of a
    numpy array (height, width, 3) of uint8 in the order red, green, blue. Raises BadImage, and OSError of files."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | os.PathLike):
        return Path(image).read_bytes()
    pillow = sys.modules.get("PIL.Image")  # whoever has such an image has loaded it
    if pillow is not None and isinstance(image, pillow.Image):
        return _png(image)
    if hasattr(image, "__array_interface__"):
        return _png(_of_pixels(image))
    read: Callable[[], object] | None = getattr(image, "read", None)
    content = read() if callable(read) else None
    if isinstance(content, bytes):
        return content
    raise BadImage(
        f"a {type(image).__name__} is no image.",
        hint="Send the bytes of a file, a path, a file opened with 'rb', a PIL image or an RGB array of uint8.",
    )


def _of_pixels(array: Any) -> "Image.Image":
    from PIL import Image

    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != "uint8" or 0 in array.shape:
        raise BadImage(
            f"an array of shape {tuple(array.shape)} and type {array.dtype} is no image.",
            hint="Send (height, width, 3) of uint8 in the order red, green, blue; OpenCV's order is the reverse.",
        )
    return Image.fromarray(array)


def _png(image: "Image.Image") -> bytes:
    buffer = io.BytesIO()
    plain = image if image.mode in ("RGB", "L") else image.convert("RGB")
    plain.save(buffer, "PNG", compress_level=_FAST)
    return buffer.getvalue()
