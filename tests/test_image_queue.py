"""The queue inside a detector replica: who shares a forward pass, who is dropped, whose error it is."""

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, wait

import numpy as np
import pytest

from loop.domain.errors import BadImage, DeadlinePassed, Unavailable
from loop.domain.item import ImageFacts
from loop.domain.prediction import Inference
from serving.image_queue import ImageQueue, outcome


class Recording:
    """A detector that tells what it was given, and waits at a door that the test opens."""

    labels = ("thing",)
    embedding_dim = 2

    def __init__(self, *, streams: int = 1, batch: int = 1) -> None:
        self.streams, self.batch = streams, batch
        self.passes: list[list[int]] = []
        self.inside = threading.Semaphore(0)
        self.door = threading.Semaphore(0)

    def predict(self, images: Sequence[np.ndarray], *, score_floor: float) -> list[Inference]:
        self.passes.append([int(image[0, 0, 0]) for image in images])
        self.inside.release()
        self.door.acquire()
        if any(image[0, 0, 0] == 99 for image in images):
            raise Unavailable("not finite.", hint="Roll back.")
        return [_inference() for _ in images]


def _inference() -> Inference:
    return Inference(
        boxes=np.array([[1.0, 2.0, 3.0, 4.0]], dtype=np.float32),
        scores=np.array([0.5], dtype=np.float32),
        classes=np.zeros(1, dtype=np.int64),
        class_scores=np.array([[0.5]], dtype=np.float32),
        embedding=np.array([1.0, 0.0], dtype=np.float32),
    )


def _decode(content: bytes) -> tuple[ImageFacts, np.ndarray]:
    """One byte is an image of that grey, 8 x 4, decoded at half of its size; none is damaged."""
    if not content:
        raise BadImage("the image is empty.", hint="Send one.")
    return ImageFacts(8, 4, "image/png"), np.full((2, 4, 3), content[0], dtype=np.uint8)


def queue_of(detector: Recording, batch_wait_s: float = 0.0) -> ImageQueue:
    return ImageQueue(detector, decode=_decode, score_floor=0.05, batch_wait_s=batch_wait_s, decoders=1)


def test_a_bad_image_is_its_own_callers_error() -> None:
    """Those beside it are answered."""
    detector = Recording()
    queue = queue_of(detector)
    detector.door.release(2)
    answers = [queue.submit(content, 60.0) for content in (b"\x01", b"", b"\x02")]
    wait(answers)
    assert isinstance(outcome(answers[1]), BadImage)
    assert detector.passes == [[1], [2]]
    queue.close()


def test_boxes_are_in_pixels_of_the_whole_image() -> None:
    """However small a version of it the network saw."""
    detector = Recording()
    queue = queue_of(detector)
    detector.door.release()
    assert queue.submit(b"\x01", 60.0).result().inference.boxes.tolist() == [[2.0, 4.0, 6.0, 8.0]]
    queue.close()


def test_what_waits_shares_a_forward_pass_up_to_the_batch() -> None:
    """A detector that gains from batches gets what is there, never more than it gains from."""
    detector = Recording(batch=3)
    queue = queue_of(detector)
    first = queue.submit(b"\x00", 60.0)
    detector.inside.acquire()
    others = [queue.submit(bytes([n]), 60.0) for n in range(1, 6)]
    while queue._queue.qsize() < 5:
        threading.Event().wait(0.001)
    detector.door.release(3)
    wait([first, *others])
    assert detector.passes == [[0], [1, 2, 3], [4, 5]]
    queue.close()


def test_no_more_is_decoded_than_the_network_will_take_next() -> None:
    """Twice what all streams take at once: a crowd of large photographs waits as the bytes they came in."""
    detector = Recording()
    decoded: list[bytes] = []

    def decode(content: bytes) -> tuple[ImageFacts, np.ndarray]:
        decoded.append(content)
        return _decode(content)

    queue = ImageQueue(detector, decode=decode, score_floor=0.05, batch_wait_s=0.0, decoders=2)
    answers = [queue.submit(bytes([n]), 60.0) for n in range(10)]
    detector.inside.acquire()
    while queue._queue.qsize() < 2:
        threading.Event().wait(0.001)
    assert len(decoded) == 3
    detector.door.release(10)
    wait(answers)
    assert len(decoded) == 10
    queue.close()


def test_as_many_passes_at_once_as_the_detector_has_streams() -> None:
    """Each stream is a caller of its own."""
    detector = Recording(streams=2)
    queue = queue_of(detector)
    answers = [queue.submit(bytes([n]), 60.0) for n in range(3)]
    assert all(detector.inside.acquire(timeout=60) for _ in range(2))
    assert len(detector.passes) == 2
    detector.door.release(3)
    wait(answers)
    queue.close()


def test_what_nobody_waits_for_is_not_computed() -> None:
    """Cancelled (its caller is gone) or past its deadline: neither reaches the network."""
    detector = Recording()
    queue = queue_of(detector)
    first = queue.submit(b"\x01", 60.0)
    detector.inside.acquire()
    gone, late, last = queue.submit(b"\x02", 60.0), queue.submit(b"\x03", 0.0), queue.submit(b"\x04", 60.0)
    gone.cancel()
    detector.door.release(2)
    wait([first, last])
    assert detector.passes == [[1], [4]]
    with pytest.raises(DeadlinePassed):
        late.result()
    with pytest.raises(CancelledError):
        gone.result()
    queue.close()


def test_a_network_that_fails_is_an_error_for_its_pass_only() -> None:
    """The next pass is tried as usual."""
    detector = Recording()
    queue = queue_of(detector)
    detector.door.release(2)
    broken, fine = queue.submit(b"\x63", 60.0), queue.submit(b"\x01", 60.0)
    wait([broken, fine])
    assert isinstance(outcome(broken), Unavailable)
    assert not isinstance(outcome(fine), Exception)
    queue.close()


def test_closing_answers_what_is_queued() -> None:
    """Draining loses nothing."""
    detector = Recording(batch=2)
    queue = queue_of(detector)
    detector.door.release(10)
    answers = [queue.submit(bytes([n]), 60.0) for n in range(5)]
    queue.close()
    assert all(answer.done() for answer in answers)
