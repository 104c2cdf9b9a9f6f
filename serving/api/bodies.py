"""Reading what callers send, never more of it than is allowed."""

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from loop.domain.errors import BadImage, Invalid, PayloadTooLarge

# What a multipart envelope may add to the image itself.
_ENVELOPE_BYTES = 16_384


async def read_body(request: Request, limit: int) -> bytes:
    """The raw body, at most `limit` bytes. Raises PayloadTooLarge as soon as more arrives."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


async def read_image(request: Request, limit: int) -> bytes:
    """The image of a request: its whole body, or the one file of a multipart form."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        content = await read_body(request, limit)
    else:
        content = await _file_of_form(request, limit)
    if not content:
        raise BadImage(
            "the request holds no image.", hint="Send a JPEG, PNG or WebP file as the body (curl --data-binary @file)."
        )
    return content


async def _file_of_form(request: Request, limit: int) -> bytes:
    request._body = await read_body(request, limit + _ENVELOPE_BYTES)  # bounded here; the parser reads it from there
    try:
        async with request.form(max_files=1, max_fields=8) as form:
            files = [value for value in form.values() if isinstance(value, UploadFile)]
            if len(files) != 1:
                raise Invalid("the form holds no file.", hint="Send one file field (curl -F image=@file).")
            return await files[0].read()
    except MultiPartException as error:
        raise Invalid(
            f"the form cannot be read: {error.message}", hint="Send one file field (curl -F image=@file)."
        ) from error


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the body is larger than {limit:,} bytes.",
        hint="Send a smaller file, or raise limits.max_image_bytes.",
        limit=limit,
    )
