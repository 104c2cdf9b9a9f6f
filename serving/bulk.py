"""Bulk inference on Ray Data: read → decode and infer in a pool of detectors → stream back, with bounded memory.

The only place that knows Ray Data. Ray is imported inside the functions, so that whoever imports this module does not
pay for it. Bytes pass from stage to stage as Arrow columns, arrays inside them as safetensors: nothing is unpickled.
"""

import logging
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load, save

from loop.domain.annotation import SourceEntry
from loop.domain.errors import AnnotationFailed, AskanceError, Invalid, Unavailable
from loop.domain.identity import digest_of
from loop.domain.model import ModelVersion
from loop.domain.prediction import Inference
from loop.exchange.sources import read_bytes
from loop.items.annotation import Answer
from loop.routing.router import ReceivedImage
from loop.settings import Settings, serving_of
from loop.store.blobs import FsspecBlobs
from serving.images import decode_image
from serving.runtimes import fastest_detector

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger("askance.annotation")

_NICENESS = 10
# Entries of one block: small beside the object store even if every image is as large as may be.
_BLOCK = 32
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
            ),
            compute=ActorPoolStrategy(size=annotation.detectors),
            num_cpus=annotation.num_cpus,
            num_gpus=annotation.num_gpus,
        )


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
    """One copy of a model in an actor of its own, with lower priority than what serves on the same cores."""

    def __init__(self, settings: Settings, digest: str, objects: bool) -> None:
        """objects: answers have embeddings of their objects."""
        os.nice(_NICENESS)
        self._detector = fastest_detector(
            settings,
            FsspecBlobs.open(settings.blobs_url).get(digest),
            device=settings.annotation.device,
            max_batch_size=settings.annotation.batch_size,
            consistency=settings.annotation.consistency,
            objects=objects,
        )
        self._floor = settings.serving.score_floor
        self._max_pixels = settings.limits.max_image_pixels

    def __call__(self, batch: "pa.Table") -> "pa.Table":
        """(position, content, reason) → the columns of `_SCHEMA`."""
        import pyarrow as pa

        rows = [self._decoded(row) for row in batch.to_pylist()]
        pixels = [row.pop("pixels") for row in rows]
        readable = [index for index, image in enumerate(pixels) if image is not None]
        found = self._detector.predict([pixels[i] for i in readable], score_floor=self._floor) if readable else []
        for index, inference in zip(readable, found, strict=True):
            rows[index]["inference"] = packed(inference)
        return pa.Table.from_pylist(rows, schema=_schema())

    def _decoded(self, row: dict[str, Any]) -> dict[str, Any]:
        row |= {"pixels": None, "digest": "", "media_type": "", "width": 0, "height": 0, "inference": b""}
        if row["reason"]:
            return row
        try:
            facts, row["pixels"] = decode_image(row["content"], max_pixels=self._max_pixels)
        except Invalid as error:
            return row | {"reason": error.detail, "content": b""}
        return row | {
            "digest": digest_of(row["content"]),
            "media_type": facts.media_type,
            "width": facts.width,
            "height": facts.height,
        }


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
