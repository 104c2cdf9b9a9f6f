"""Reading what callers send, never more of it than is allowed."""

from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loop.domain.errors import BadImage, Invalid, PayloadTooLarge, Unavailable
from serving.api.errors import response

# What a multipart envelope may add to the image itself.
_ENVELOPE_BYTES = 16_384


async def read_body(request: Request, limit: int) -> bytes:
    """The raw body, at most `limit` bytes. Raises PayloadTooLarge as soon as more arrives."""
    return b"".join([chunk async for chunk in _chunks(request, limit, _too_large(limit))])


async def body_to_file(
    request: Request, path: Path, limit: int, *, what: str = "video", setting: str = "limits.max_video_bytes"
) -> int:
    """The raw body, at most `limit` bytes, into a new file, a part at a time; how many there were. what, setting: for
    errors: what is sent, and where its limit stands. Raises PayloadTooLarge, and Unavailable where the disk is full."""
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise Invalid("a form is not read here.", hint="Send the file as the body (curl -X POST -T FILE).")
    error = PayloadTooLarge(
        f"the body is larger than {limit:,} bytes.",
        hint=f"Import it on the machine of the service ({_BY_HAND[what]}), or raise {setting}.",
        limit=limit,
    )
    size = 0
    try:
        with path.open("xb") as file:
            async for chunk in _chunks(request, limit, error):
                size += await run_in_threadpool(file.write, chunk)
    except OSError as problem:
        raise Unavailable(
            f"the {what} cannot be kept ({problem.strerror}).", hint="Make room in data_dir, and send it again."
        ) from problem
    return size


_BY_HAND = {"video": "askance clips import", "data set": "askance import"}


async def _chunks(request: Request, limit: int, too_large: PayloadTooLarge) -> AsyncIterator[bytes]:
    if (_declared(request) or 0) > limit:
        raise too_large
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise too_large
        yield chunk


def announced(request: Request, most: int) -> int:
    """How many bytes a request says that it has, at most `most`; `most` where it does not say."""
    declared = _declared(request)
    return most if declared is None else min(declared, most)


def _declared(request: Request) -> int | None:
    """Bytes of the body, as its sender says; None where it does not."""
    said = request.headers.get("content-length", "")
    return int(said) if said.isdigit() else None


async def read_image(request: Request, limit: int) -> bytes:
    """The image of a request: its whole body, or the one file of a multipart form."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        content = await read_body(request, limit)
    else:
        content = await _file_of_form(request, limit)
    if not content:
        raise BadImage(
            "the request holds no image.",
            hint="In the page: Items, Add images. A program sends a JPEG, PNG or WebP file as the body "
            "(curl --data-binary @file).",
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
    finally:
        request._body = b""  # whoever waits long for an answer does not hold the image all the while


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"the body is larger than {limit:,} bytes.",
        hint="Send a smaller file, or raise limits.max_image_bytes.",
        limit=limit,
    )


class BodyLimit:
    """ASGI middleware: at most `limit` bytes of a body are kept, whoever sends it and before any token is looked at.
    Routes that read images, weights and videos count for themselves, under limits of their own."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].endswith(_OWN_LIMITS):
            await self._app(scope, receive, send)
            return
        kept: list[Message] = []
        size = 0
        while not kept or kept[-1].get("more_body"):
            kept.append(await receive())
            size += len(kept[-1].get("body", b""))
            if size > self._limit:
                await self._refuse(scope, receive, send)
                return
        kept.reverse()

        async def replayed() -> Message:
            return kept.pop() if kept else await receive()

        await self._app(scope, replayed, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = _too_large(self._limit)
        answer = response(413, error.code, error.title, error.detail, "Send less at once.", {"limit": self._limit})
        await answer(scope, receive, send)


_OWN_LIMITS = ("/predictions", "/models", "/clips", "/imports", "/items")
