"""Bulk inference on Ray Data: read → decode and infer in a pool of detectors → stream back, with bounded memory.

The only place that knows Ray Data. Ray is imported inside the functions, so that whoever imports this module does not
pay for it. Bytes pass from stage to stage as Arrow columns, arrays inside them as safetensors: nothing is unpickled.
"""

import logging
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from loop.domain.errors import AnnotationFailed, AskanceError, Invalid, Unavailable
from loop.domain.identity import digest_of
from loop.domain.items.annotation import SourceEntry
from loop.domain.model import ModelVersion
from loop.domain.prediction import Inference
from loop.exchange.sources import read_bytes
from loop.items.annotation import Answer
from loop.routing.router import ReceivedImage
from loop.settings import Settings, serving_of
from loop.store.blobs import FsspecBlobs
from serving.image_queue import in_whole_image
from serving.images import decode_image
from serving.runtimes import fastest_detector
from training.head import read_head

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("askance.annotation")

_NICENESS = 10
# Entries of one block: small beside the object store even if every image is as large as may be.
_BLOCK = 32
# Images in a row on which the network fails, though it answers for a blank one: then it is not the images. Three
# batches of the usual size; of those that a sound network cannot look at no folder has so many beside each other.
_HOPELESS = 24
_ARRAYS = ("boxes", "scores", "classes", "class_scores", "embedding", "objects")
_CONSISTENCY = "consistency"


@dataclass(frozen=True, slots=True)
class RayBulk:
    """Implements `loop.items.annotation.Bulk` in this process's Ray."""

    settings: Settings

    def infer(self, model: ModelVersion, entries: Sequence[SourceEntry]) -> Generator[list[Answer], None, None]:
        """At most `annotation.group_size` answers at a time. Raises Unavailable where this process is not connected
        to Ray, AnnotationFailed where the detectors cannot run."""
        import ray
        from ray.exceptions import RayError

        if not ray.is_initialized():
            raise Unavailable("this process is not connected to Ray.", hint="Start the service with `askance up`.")
        known = {entry.position: entry for entry in entries}
        dataset = self._pipeline(model, entries)
        try:
            for table in dataset.iter_batches(
                batch_size=self.settings.annotation.group_size, batch_format="pyarrow", prefetch_batches=1
            ):
                yield [_answer(row, known) for row in table.to_pylist()]
        except (RayError, RuntimeError) as error:
            raise _failure(error) from error

    def _pipeline(self, model: ModelVersion, entries: Sequence[SourceEntry]) -> Any:
        import ray
        from ray.data import ActorPoolStrategy, TaskPoolStrategy

        _quiet(ray.data.DataContext.get_current())
        annotation = self.settings.annotation
        rows = [{"position": entry.position, "url": entry.url} for entry in entries]
        listed = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // _BLOCK))
        read = listed.map_batches(
            read_batch,
            batch_size=annotation.batch_size,
            batch_format="pyarrow",
            fn_kwargs={"max_bytes": self.settings.limits.max_image_bytes},
            compute=TaskPoolStrategy(size=annotation.readers),
            num_cpus=0.25,
        )
        return read.map_batches(
            BulkDetector,
            batch_size=annotation.batch_size,
            batch_format="pyarrow",
            fn_constructor_args=(
                self.settings,
                model.digest,
                # As its online predictions, or one pool would have both kinds; the rest is settled by `annotation`.
                serving_of(self.settings, model.serving).object_embeddings,
                [entry.url for entry in entries[: self._wanted_images]],
            ),
            compute=ActorPoolStrategy(size=annotation.detectors),
            num_cpus=annotation.num_cpus,
            num_gpus=annotation.num_gpus,
        )

    @property
    def _wanted_images(self) -> int:
        """That runtimes are compared on, and calibrated with: as many as online, or int8 never serves."""
        return max(self.settings.parity.images, self.settings.parity.calibration_images)


def _quiet(context: Any) -> None:
    """The service has a log and a progress of its own."""
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)


# --- in Ray's processes ------------------------------------------------------------------------------


def read_batch(batch: "pa.Table", *, max_bytes: int) -> "pa.Table":
    """(position, url) → (position, content, reason): the bytes of each image, or why there are none."""
    import pyarrow as pa

    positions, contents, reasons = [], [], []
    for row in batch.to_pylist():
        content, reason = b"", ""
        try:
            content = read_bytes(row["url"], max_bytes=max_bytes)
        except AskanceError as error:
            reason = error.detail
        positions.append(row["position"])
        contents.append(content)
        reasons.append(reason)
    return pa.table(
        {
            "position": pa.array(positions, pa.int64()),
            "content": pa.array(contents, pa.large_binary()),
            "reason": pa.array(reasons, pa.string()),
        }
    )


class BulkDetector:
    """One copy of a model in an actor of its own, with lower priority than what serves on the same cores.

    An image that the network fails on by itself is bad, as one that cannot be read is, and the others are answered.
    Where a blank image fails right after it, or it is the last of `_HOPELESS` in a row, the model or the machine is at
    fault: that ends the work, rather than that all images are called bad.
    """

    def __init__(self, settings: Settings, digest: str, objects: bool, urls: Sequence[str] = ()) -> None:
        """objects: answers have embeddings of their objects. urls: of images to choose the runtime by; those that
        cannot be read are left out."""
        os.nice(_NICENESS)
        weights = FsspecBlobs.open(settings.blobs_url).get(digest)
        size = read_head(weights).image_size
        self._decode = partial(decode_image, max_pixels=settings.limits.max_image_pixels, enough=size)
        self._blank = np.zeros((size, size, 3), dtype=np.uint8)
        self._floor = settings.serving.score_floor
        self._failed_in_a_row = 0
        self._detector = fastest_detector(
            settings,
            weights,
            device=settings.annotation.device,
            max_batch_size=settings.annotation.batch_size,
            consistency=settings.annotation.consistency,
            objects=objects,
            images=list(self._real_images(urls, settings.limits.max_image_bytes)),
        )

    def __call__(self, batch: "pa.Table") -> "pa.Table":
        """(position, content, reason) → the columns of `_schema`. Raises AnnotationFailed where it is not the
        images."""
        import pyarrow as pa

        rows = [self._decoded(row) for row in batch.to_pylist()]
        pixels = [row.pop("pixels") for row in rows]
        readable = [index for index, image in enumerate(pixels) if image is not None]
        for index, answer in zip(readable, self._answers([pixels[i] for i in readable]), strict=True):
            row = rows[index]
            if isinstance(answer, Inference):
                row["inference"] = packed(in_whole_image(answer, pixels[index], row["width"], row["height"]))
            else:
                row |= {"reason": answer, "content": b""}
        return pa.Table.from_pylist(rows, schema=_schema())

    def _answers(self, images: Sequence[NDArray[np.uint8]]) -> Sequence[Inference | str]:
        """Of each image, or why there is none."""
        if not images:
            return []
        try:
            found = self._predict(images)
        except Exception as error:
            log.warning("of %d images at least one fails, and each is tried by itself: %s", len(images), error)
            return [self._answer(image) for image in images]
        self._failed_in_a_row = 0
        return found

    def _answer(self, image: NDArray[np.uint8]) -> Inference | str:
        try:
            (found,) = self._predict([image])
        except Exception as error:
            self._require_hope(error)
            return _why(error)
        self._failed_in_a_row = 0
        return found

    def _require_hope(self, error: Exception) -> None:
        """error: of an image. Raises AnnotationFailed where it is not the image's."""
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= _HOPELESS:
            raise _at_fault(f"it fails on {_HOPELESS} images in a row, the last time with: {_why(error)}") from error
        try:
            self._predict([self._blank])
        except Exception as other:
            raise _at_fault(f"it fails on a blank image, too: {_why(other)}") from error

    def _predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Inference]:
        return self._detector.predict(images, score_floor=self._floor)

    def _real_images(self, urls: Sequence[str], max_bytes: int) -> Iterator[NDArray[np.uint8]]:
        for url in urls:
            with suppress(AskanceError, MemoryError):  # its own answer will say why
                yield self._decode(read_bytes(url, max_bytes=max_bytes))[1]

    def _decoded(self, row: dict[str, Any]) -> dict[str, Any]:
        """pixels: None where there are none; of a large image a smaller version, as online."""
        row |= {"pixels": None, "digest": "", "media_type": "", "width": 0, "height": 0, "inference": b""}
        if row["reason"]:
            return row
        try:
            facts, row["pixels"] = self._decode(row["content"])
        except (Invalid, MemoryError) as error:
            return row | {"reason": _why(error), "content": b""}
        return row | {
            "digest": digest_of(row["content"]),
            "media_type": facts.media_type,
            "width": facts.width,
            "height": facts.height,
        }


def _why(error: Exception) -> str:
    """A reason in a line, for who looks at what became of an image."""
    if isinstance(error, AskanceError):
        return error.detail
    if isinstance(error, MemoryError):
        return "memory does not suffice for it."
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def _at_fault(how: str) -> AnnotationFailed:
    return AnnotationFailed(
        f"the network does not work any more; {how}",
        hint="It is the model or the machine, not the images: what was answered stays. Mend it and start again.",
    )


def _schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema(
        [
            ("position", pa.int64()),
            ("reason", pa.string()),
            ("content", pa.large_binary()),
            ("digest", pa.string()),
            ("media_type", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("inference", pa.large_binary()),
        ]
    )


def packed(inference: Inference) -> bytes:
    """An inference as safetensors: what it has of arrays, and a number as one of (1,)."""
    given = {name: getattr(inference, name) for name in _ARRAYS}
    arrays = {name: np.ascontiguousarray(array) for name, array in given.items() if array is not None}
    if inference.consistency is not None:
        arrays[_CONSISTENCY] = np.array([inference.consistency])
    content: bytes = save(arrays)
    return content


def unpacked(content: bytes) -> Inference:
    arrays = load(content)
    consistency = arrays.pop(_CONSISTENCY, None)
    return Inference(**arrays, consistency=None if consistency is None else float(consistency[0]))


# --- back in the process that asked ------------------------------------------------------------------


def _answer(row: dict[str, Any], known: dict[int, SourceEntry]) -> Answer:
    entry = known[row["position"]]
    if row["reason"]:
        return Answer(entry, reason=row["reason"])
    image = ReceivedImage(
        content=row["content"],
        digest=row["digest"],
        media_type=row["media_type"],
        width=row["width"],
        height=row["height"],
        source=entry.source,
        group=entry.group,
    )
    return Answer(entry, image, unpacked(row["inference"]))


def _failure(error: Exception) -> AskanceError:
    """Ray wraps what a detector raised, several times over."""
    cause: BaseException | None = error
    for cause in _causes(error):
        if isinstance(cause, AskanceError):
            return cause
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return AnnotationFailed(
        f"the detectors could not go on: {lines[-1] if lines else type(error).__name__}",
        hint="The service's log has more; what was answered stays. Start the annotation again.",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [getattr(cause, "cause", None), cause.__cause__]
