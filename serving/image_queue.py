"""Inside a detector replica: images of all callers stand in one queue, and the network's streams take from it.

Each image is decoded by itself before it is queued, so that a bad one is its caller's error and nobody else's. What
nobody waits for any more (its caller is gone, its deadline passed) is dropped before it is computed.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import AskanceError, DeadlinePassed, ModelGone
from loop.domain.item import ImageFacts
from loop.domain.ports import Detector
from loop.domain.prediction import Inference, Timed

_DECODED_AHEAD = 2  # passes of the network
# Facts of the whole image, and pixels that may be a smaller version of it.
Decode = Callable[[bytes], tuple[ImageFacts, NDArray[np.uint8]]]


@dataclass(slots=True)
class _Waiting:
    facts: ImageFacts
    pixels: NDArray[np.uint8]
    deadline: float  # time.monotonic
    answer: "Future[Timed]"
    decode_s: float
    since: float = field(default_factory=time.monotonic)


class ImageQueue:
    """Owns the threads that decode and those that call the detector; `close` ends them."""

    def __init__(
        self, detector: Detector, *, decode: Decode, score_floor: float, batch_wait_s: float, decoders: int
    ) -> None:
        """batch_wait_s: how long a stream that could take more images waits for them; 0 takes what is there.
        decoders: threads; decoding releases the interpreter's lock."""
        self._detector = detector
        self._decode = decode
        self._floor = score_floor
        self._batch_wait_s = batch_wait_s if detector.batch > 1 else 0.0
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        # Decoded are no more than the streams will take next: pixels are fifty times the bytes they come from, and
        # those that wait long are out of the processor's cache when their turn comes.
        self._room = threading.Semaphore(_DECODED_AHEAD * detector.streams * detector.batch)
        self._closed = False
        self._answered = float("-inf")
        self._decoders = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
        self._streams = [
            threading.Thread(target=self._stream, name=f"stream-{number}", daemon=True)
            for number in range(detector.streams)
        ]
        for stream in self._streams:
            stream.start()

    def submit(self, content: bytes, budget_s: float) -> "Future[Timed]":
        """The inference of an encoded image, in pixels of the whole image. budget_s: seconds that its caller waits.

        The future raises BadImage, PayloadTooLarge; DeadlinePassed; what the detector raises. Cancel it where its
        caller is gone.
        """
        answer: Future[Timed] = Future()
        deadline = time.monotonic() + budget_s
        try:
            self._decoders.submit(self._decoded, content, deadline, answer)
        except RuntimeError:
            answer.set_exception(ModelGone("the model made room for another just now.", hint="Try again."))
        return answer

    @property
    def idle_s(self) -> float:
        """Seconds since the network last answered; infinite before it ever did."""
        return time.monotonic() - self._answered

    def close(self) -> None:
        """Ends the threads; what is queued before is still answered. Again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._decoders.shutdown(wait=True)
        for _ in self._streams:
            self._queue.put(None)
        for stream in self._streams:
            stream.join()

    def __del__(self) -> None:
        """Ray Serve calls this, too, where a shared process unloads a model for another."""
        self.close()

    def _decoded(self, content: bytes, deadline: float, answer: "Future[Timed]") -> None:
        self._room.acquire()
        if answer.cancelled() or _late(deadline, answer):
            self._room.release()
            return
        begun = time.monotonic()
        try:
            facts, pixels = self._decode(content)
        except BaseException as error:
            self._room.release()
            _fail(answer, error)
            return
        self._queue.put(_Waiting(facts, pixels, deadline, answer, time.monotonic() - begun))

    def _stream(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, ended = self._joined(first)
            self._room.release(len(batch))
            self._infer([waiting for waiting in batch if self._wanted(waiting)])
            if ended:
                return

    def _joined(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """What shares a forward pass with `first`, and whether the end of the queue was met."""
        batch, until = [first], time.monotonic() + self._batch_wait_s
        while len(batch) < self._detector.batch:
            left = until - time.monotonic()
            try:
                other = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if other is None:
                return batch, True
            batch.append(other)
        return batch, False

    @staticmethod
    def _wanted(waiting: _Waiting) -> bool:
        return not _late(waiting.deadline, waiting.answer) and waiting.answer.set_running_or_notify_cancel()

    def _infer(self, batch: Sequence[_Waiting]) -> None:
        if not batch:
            return
        begun = time.monotonic()
        try:
            found = self._detector.predict([waiting.pixels for waiting in batch], score_floor=self._floor)
        except BaseException as error:
            for waiting in batch:
                _fail(waiting.answer, error)
            return
        self._answered = time.monotonic()
        network_s = self._answered - begun
        for waiting, inference in zip(batch, found, strict=True):
            whole = in_whole_image(inference, waiting.pixels, waiting.facts.width, waiting.facts.height)
            waiting.answer.set_result(Timed(whole, waiting.facts, waiting.decode_s, begun - waiting.since, network_s))


def _late(deadline: float, answer: "Future[Timed]") -> bool:
    if time.monotonic() < deadline:
        return False
    _fail(answer, DeadlinePassed("the deadline passed before the image was looked at.", hint="Allow more time."))
    return True


def _fail(answer: "Future[Timed]", error: BaseException) -> None:
    with suppress(Exception):  # cancelled meanwhile: nobody waits
        answer.set_exception(error)


def in_whole_image(inference: Inference, pixels: NDArray[np.uint8], width: int, height: int) -> Inference:
    """Boxes found on a reduced version, in pixels of the whole image."""
    seen_height, seen_width = pixels.shape[:2]
    if (seen_width, seen_height) == (width, height):
        return inference
    scale = np.array([width / seen_width, height / seen_height] * 2, dtype=np.float32)
    return replace(inference, boxes=inference.boxes * scale)


def outcome(answer: "Future[Timed]") -> Timed | AskanceError:
    """What crosses the wire for one image of a call; other errors than ours are raised."""
    error = answer.exception()
    if error is None:
        return answer.result()
    if isinstance(error, AskanceError):
        return error
    raise error
