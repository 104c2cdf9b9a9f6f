"""Which runtime and precision serve a model on this machine: the fastest that answers as torch in float32 does.

Measured once per network, machine and library versions, since how fast it runs does not depend on its weights; whether
its answers are the same does, and is compared for each model. The outcome is kept with its graph.
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import AskanceError, BadWeights
from loop.domain.model import ModelHead
from loop.domain.ports import Detector
from loop.domain.prediction import Inference
from serving.backends.graph_detector import SPARSE_BACKENDS
from serving.backends.parity import ParityLimits, compared, floor_for_sure, is_unsure
from serving.backends.runtimes import REFERENCE, Candidate, Place, opened, prepared

log = logging.getLogger("askance.runtime")

Images = Sequence[NDArray[np.uint8]]
OpenReference = Callable[[str], Detector]  # by torch, in a precision

_ROUNDS = 3  # of timings, of which the best counts: other work on the machine only ever slows one down
_ROUND_SECONDS = 0.1  # of one timing, about; at least an image per stream
_HOPELESS = 0.6  # slower than this share of the fastest after a round: not timed again
_WORTHWHILE = 0.9  # of the rate of a lower precision counts: what is within the noise does not outweigh precision
# Compared are at least limits.images, and more until this many detections are among them (1 % of fewer would be less
# than one) or the reference has taken this long.
_ENOUGH_DETECTIONS = 200
_REFERENCE_SECONDS = 3.0
_TIMING_FLOOR = 0.05  # score floor while timing, as in service


@dataclass(frozen=True, slots=True)
class Chosen:
    """artifact: the graph or engine, None where torch runs the model file itself. report: one line. ranking: of all
    that could be timed, best first; none where nothing was."""

    candidate: Candidate
    artifact: bytes | None
    detector: Detector
    report: str
    ranking: tuple[Candidate, ...] = ()


@dataclass(slots=True)
class _Attempt:
    """One candidate, how fast it is and what speaks against it."""

    candidate: Candidate
    detector: Detector | None = None
    artifact: bytes | None = None
    rate: float = 0.0  # images/s
    against: str = ""

    @property
    def worth(self) -> float:
        """The rate, of lower precisions discounted: within the noise of a measurement precision wins."""
        return self.rate if self.candidate.precision == "fp32" else self.rate * _WORTHWHILE

    def __str__(self) -> str:
        rate = f"{self.rate:.1f} images/s" if self.rate else "not timed"
        return f"{self.candidate} {rate}" + (f", refused: {self.against}" if self.against else "")


@dataclass(slots=True)
class Measuring:
    """What is needed to try candidates.

    head: of the model. graph: makes its ONNX graph when first needed. torch: opens it in torch. images: to compare and
    time on, limits.images or more, of which the first count most. calibration: real images for int8, at least
    limits.calibration_images or int8 is refused.
    """

    head: ModelHead
    graph: Callable[[], bytes]
    torch: OpenReference
    images: Images
    calibration: Images
    place: Place
    limits: ParityLimits
    _int8: bytes = field(default=b"", repr=False)

    def artifact(self, candidate: Candidate) -> bytes | None:
        """Raises BadWeights where the model cannot be exported or quantised."""
        if candidate.runtime == "torch":
            return None
        graph = self._quantized() if candidate.precision == "int8" else self.graph()
        return prepared(candidate, self.head, graph, self.place)

    def open(self, candidate: Candidate, artifact: bytes | None) -> Detector:
        if artifact is None:
            return self.torch(candidate.precision)
        return opened(candidate, self.head, artifact, self.place)

    def _quantized(self) -> bytes:
        if not self._int8:
            needed = self.limits.calibration_images
            if len(self.calibration) < needed:
                raise BadWeights(f"int8 needs {needed} images to calibrate on, {len(self.calibration)} are here")
            from serving.backends.quantize import quantized

            sparse = self.head.backend in SPARSE_BACKENDS
            self._int8 = quantized(self.graph(), self.calibration[:needed], self.head.image_size, sparse=sparse)
        return self._int8


@contextmanager
def said() -> Iterator[list[str]]:
    """What this process says meanwhile of the runtimes of its models, a line each."""
    heard = _Heard()
    level = log.level
    log.addHandler(heard)
    log.setLevel(logging.INFO)
    try:
        yield heard.lines
    finally:
        log.removeHandler(heard)
        log.setLevel(level)


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def choose(candidates: Sequence[Candidate], measuring: Measuring, ranking: Sequence[Candidate] = ()) -> Chosen:
    """The fastest of the candidates that passes parity. Raises BadWeights, with each one's reason, where none does.

    ranking: of another model of the same network, so that nothing is timed: its candidates are opened and compared one
    after the other, until one passes. Logs one line. torch in float32 needs no comparison; where it is the only
    candidate nothing is measured.
    """
    if list(candidates) == [REFERENCE]:
        return Chosen(REFERENCE, None, measuring.torch(REFERENCE.precision), "torch fp32, as set")
    started = time.monotonic()
    reference, floor, answers = _reference(measuring)
    images = measuring.images[: len(answers)]
    # What another model could not be timed with may do for this one: last.
    ordered = [*ranking, *(one for one in candidates if one not in ranking)] if ranking else candidates
    attempts = [reference if one == REFERENCE else _Attempt(one) for one in ordered]
    if not ranking:
        _time(attempts, measuring, images)
        attempts.sort(key=lambda one: one.worth, reverse=True)
    winner = _first_alike(attempts, measuring, images, floor, answers)
    report = "; ".join(str(attempt) for attempt in attempts if attempt.against or not ranking)
    if winner is None or winner.detector is None:
        raise BadWeights(
            f"the model cannot be served as set: {report}.",
            hint="Set serving.runtime and serving.precision to auto, or name others.",
        )
    how = "ranked as others of its network, compared" if ranking else "measured"
    report = f"serving by {winner.candidate}, {how} in {time.monotonic() - started:.1f} s" + (
        f": {report}" if report else ""
    )
    log.info("%s", report)
    timed = tuple(attempt.candidate for attempt in attempts if attempt.rate)
    return Chosen(winner.candidate, winner.artifact, winner.detector, report, timed)


def _reference(measuring: Measuring) -> tuple[_Attempt, float, list[Inference]]:
    """torch in float32, its answers to the first of the images, and the score floor they were given with."""
    detector = measuring.torch(REFERENCE.precision)
    # A torchvision model computes an overlap for all that passes the floor, others only for the best of them.
    floor = floor_for_sure(measuring.limits) if measuring.head.backend in SPARSE_BACKENDS else 0.0
    answers = _reference_answers(detector, measuring, floor)
    if floor and is_unsure(answers, measuring.limits):
        floor = 0.0
        answers = _answers(detector, measuring.images[: len(answers)], floor)
    return _Attempt(REFERENCE, detector), floor, answers


def _reference_answers(detector: Detector, measuring: Measuring, floor: float) -> list[Inference]:
    limits, started = measuring.limits, time.monotonic()
    answers: list[Inference] = []
    sure = 0
    for start in range(0, len(measuring.images), detector.batch):
        enough = sure >= _ENOUGH_DETECTIONS or time.monotonic() - started >= _REFERENCE_SECONDS
        if len(answers) >= limits.images and enough:
            break
        more = detector.predict(measuring.images[start : start + detector.batch], score_floor=floor)
        sure += sum(int((one.scores > limits.score).sum()) for one in more)
        answers += more
    return answers


def _open(attempt: _Attempt, measuring: Measuring) -> None:
    """Opened and warm, or with what is against it."""
    try:
        attempt.artifact = measuring.artifact(attempt.candidate)
        attempt.detector = measuring.open(attempt.candidate, attempt.artifact)
        warm_up(attempt.detector, measuring.head.image_size)
    except AskanceError as error:
        attempt.against = error.detail


def _time(attempts: Sequence[_Attempt], measuring: Measuring, images: Images) -> None:
    """Open them and set their rates. In rounds over all, so that what else the machine does meets each of them."""
    for attempt in attempts:
        if attempt.detector is None:
            _open(attempt, measuring)
    timed = [attempt for attempt in attempts if not attempt.against]
    for _ in range(_ROUNDS):
        fastest = max((attempt.rate for attempt in timed), default=0.0)
        timed = [attempt for attempt in timed if attempt.rate >= _HOPELESS * fastest]
        for attempt in timed:
            attempt.rate = max(attempt.rate, _rate(attempt, images))


def _rate(attempt: _Attempt, images: Images) -> float:
    """Images/s of one timing, with as many callers as the detector has streams."""
    detector = attempt.detector
    assert detector is not None  # noqa: S101 - only attempts that opened are timed
    together = detector.streams * detector.batch
    passes = max(1, round(attempt.rate * _ROUND_SECONDS / together))
    timed = [images[index % len(images)] for index in range(passes * together)]
    started = time.perf_counter()
    _answers(detector, timed, _TIMING_FLOOR)
    return len(timed) / (time.perf_counter() - started)


def _first_alike(
    attempts: Sequence[_Attempt], measuring: Measuring, images: Images, floor: float, answers: Sequence[Inference]
) -> _Attempt | None:
    """The first that opens and passes; those after it are not compared."""
    for attempt in attempts:
        if attempt.detector is None and not attempt.against:
            _open(attempt, measuring)
        if attempt.detector is None or attempt.against:
            continue
        if attempt.candidate == REFERENCE:
            return attempt
        try:
            verdict = compared(answers, _answers(attempt.detector, images, floor), measuring.limits)
        except AskanceError as error:
            attempt.against = error.detail
            continue
        if verdict.passed:
            log.debug("%s: %s", attempt.candidate, verdict)
            return attempt
        attempt.against = "; ".join(verdict.reasons)
    return None


def _answers(detector: Detector, images: Images, floor: float) -> list[Inference]:
    """Of all images in their order, by as many callers as the detector has streams."""
    chunks = [images[start : start + detector.batch] for start in range(0, len(images), detector.batch)]
    with ThreadPoolExecutor(detector.streams, thread_name_prefix="measure") as pool:
        answered = pool.map(lambda chunk: detector.predict(chunk, score_floor=floor), chunks)
        return list(itertools.chain.from_iterable(answered))


def warm_up(detector: Detector, image_size: int) -> None:
    """One pass of each shape that will be seen, in every stream: what is built or allocated at first use is there
    before the first request."""
    blank = np.zeros((image_size, image_size, 3), dtype=np.uint8)
    together = threading.Barrier(detector.streams)

    def pass_once() -> None:
        together.wait()  # each caller holds a stream of its own
        for count in sorted({1, detector.batch}):
            detector.predict([blank] * count, score_floor=0.5)

    with ThreadPoolExecutor(detector.streams, thread_name_prefix="warm-up") as pool:
        for done in [pool.submit(pass_once) for _ in range(detector.streams)]:
            done.result()
