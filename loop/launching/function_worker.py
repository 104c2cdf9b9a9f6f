"""One call of a custom function, in the process that a launcher starts for it. See `loop.launching.functions`.

The process may be ended at any moment, and holds nothing.
"""

import io
import logging
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import AskanceError, NotFound
from loop.domain.functions import GROUP, Context, FunctionItem, Result
from loop.domain.functions.calls import (
    LONGEST_MESSAGE,
    MOST_MESSAGES,
    MOST_SHAPES,
    Asked,
    Ending,
    NewImage,
    Returned,
)
from loop.domain.item import Item
from loop.domain.truth import Shape

log = logging.getLogger("askance.functions")

# Seconds beyond its limit after which a process ends itself that nobody is left to end.
_FORSAKEN = 10

# What the launcher is told: "started", then an ending with its reason, or with what was returned.
Told = tuple[str, str | Returned]


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """seconds: that the function may take. max_pixels, max_bytes: of images."""

    blobs_url: str
    seconds: float
    max_pixels: int
    max_bytes: int


class BadResult(Exception):
    """What a function returned cannot be used."""


def registered() -> dict[str, EntryPoint]:
    """By name; of two packages that register one name, the first that Python finds."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, point)
    return found


def package_of(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else ""


def told(asked: Asked, limits: WorkerLimits) -> Iterator[Told]:
    """First that it has begun, then what came of it."""
    yield "started", ""
    signal.alarm(int(limits.seconds) + _FORSAKEN)
    try:
        yield _answer(registered().get(asked.function), asked, limits)
    finally:
        signal.alarm(0)


def _answer(point: EntryPoint | None, asked: Asked, limits: WorkerLimits) -> Told:
    if point is None:
        return Ending.MISSING, f"no installed package registers it under {GROUP}"
    try:
        function = point.load()
    except BaseException as error:  # whatever a foreign module does while it is imported
        return Ending.MISSING, f"it cannot be imported ({_words(error)})"
    try:
        result = function(_context(asked, limits))
    except BaseException as error:  # SystemExit too
        log.exception("function %s raised", asked.function)
        return Ending.RAISED, f"it raised {_words(error)}"
    try:
        return Ending.DONE, _returned(result, limits)
    except BadResult as error:
        return Ending.BAD_RESULT, str(error)
    except Exception as error:  # what is returned may be anything, also what raises when it is looked at
        return Ending.BAD_RESULT, f"what it returned cannot be read ({_words(error)})"


def _words(error: BaseException) -> str:
    said = error.detail if isinstance(error, AskanceError) else str(error)
    return f"{type(error).__name__}: {said}"[:LONGEST_MESSAGE]


def _context(asked: Asked, limits: WorkerLimits) -> Context:
    return Context(
        project=asked.project_id,
        trigger=asked.trigger,
        event=asked.event,
        item=None if asked.item is None else _item(asked.item, limits),
        shapes=asked.shapes,
        selected=asked.selected,
        options=asked.options,
    )


def _item(item: Item, limits: WorkerLimits) -> FunctionItem:
    def read() -> NDArray[np.uint8]:
        # Most functions look at shapes alone: only who wants the image waits for these.
        from loop.store.blobs import FsspecBlobs
        from serving.images import decode_image

        blobs = FsspecBlobs.open(limits.blobs_url)
        if not blobs.has(item.digest):
            raise NotFound(f"the image of item {item.digest} is not kept.", hint="See retain in the project's policy.")
        return decode_image(blobs.get(item.digest), max_pixels=limits.max_pixels)[1]

    return FunctionItem(item.digest, item.width, item.height, item.meta, read)


# --- what it returned ------------------------------------------------------------------------------------


def _returned(result: Any, limits: WorkerLimits) -> Returned:
    if result is None:
        return Returned()
    if not isinstance(result, Result):
        raise BadResult(f"it returned {type(result).__name__}, not a Result or None")
    shapes = None if result.shapes is None else _shapes(result.shapes)
    return Returned(shapes, _messages(result.messages), _image(result.image, limits))


def _shapes(given: Sequence[Shape]) -> tuple[Shape, ...]:
    shapes = tuple(islice(given, MOST_SHAPES + 1))
    if len(shapes) > MOST_SHAPES:
        raise BadResult(f"it returned more than {MOST_SHAPES:,} shapes")
    for index, shape in enumerate(shapes):
        if not isinstance(shape, Shape):
            raise BadResult(f"shape {index} of its result is {type(shape).__name__}, not a Shape")
        _require_plain(shape, index)
    return shapes


def _require_plain(shape: Shape, index: int) -> None:
    """That it survives being written as JSON; whether the recipe knows it is looked at by the service."""
    import json

    from loop.domain.truth import shape_from_json, shape_to_json

    try:
        same = shape_from_json(json.loads(json.dumps(shape_to_json(shape), allow_nan=False)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadResult(f"shape {index} of its result cannot be kept ({_words(error)})") from error
    if not isinstance(same.label, str):
        raise BadResult(f"shape {index} of its result has the label {same.label!r}, which is no text")


def _messages(given: Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given[:LONGEST_MESSAGE],)
    return tuple(str(message)[:LONGEST_MESSAGE] for message in islice(given, MOST_MESSAGES))


def _image(given: bytes | NDArray[np.uint8] | None, limits: WorkerLimits) -> NewImage | None:
    if given is None:
        return None
    from serving.images import decode_image

    content = given if isinstance(given, bytes) else _encoded(given)
    if len(content) > limits.max_bytes:
        raise BadResult(f"its image has {len(content):,} bytes; at most {limits.max_bytes:,} are kept")
    try:
        facts, _ = decode_image(content, max_pixels=limits.max_pixels)  # whole: what is damaged must not be kept
    except AskanceError as error:
        raise BadResult(f"its image cannot be used: {error.detail}") from error
    return NewImage(content, facts)


def _encoded(pixels: Any) -> bytes:
    from PIL import Image

    if not (isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3):
        shape, dtype = getattr(pixels, "shape", type(pixels).__name__), getattr(pixels, "dtype", "")
        raise BadResult(
            f"its image is {shape} {dtype}; it must be bytes, or (height, width, 3) uint8".replace("  ", " ")
        )
    if not pixels.size:
        raise BadResult("its image has no pixels")
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()
