"""Where the heavy work of a cycle runs: Ray tasks in processes of their own, with images from the blob store."""

import collections
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loop.cycle.work import (
    CYCLE_ONLY,
    EVALUATION_FLOOR,
    Examined,
    Latency,
    Progress,
    Subject,
    Timing,
    TrainedWeights,
    TrainingJob,
)
from loop.domain.embedding_map import Drawn
from loop.domain.errors import AskanceError, Conflict, CycleFailed, MapFailed, OutOfMemory
from loop.domain.identity import digest_of
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Detector
from loop.domain.prediction import Inference
from loop.settings import Settings, serving_of
from loop.store.blobs import FsspecBlobs
from serving.images import decode_image
from serving.memory_watch import MemoryWatch, watched_place
from training.head import read_head
from training.launch import get_ready, gpus_for, on_each_machine, run_in_ray
from training.recipe import TrainingRecipe
from training.snapshot import Entry

log = logging.getLogger("askance.cycle")

_SUFFIX = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
_BATCH = 16
_SOON_SECONDS = 8.0  # in which a process that looks at models has got ready, on a machine that is busy


@dataclass(frozen=True, slots=True)
class RayWorkshop:
    settings: Settings
    blobs: Blobs

    def train(self, job: TrainingJob, progress: Progress) -> TrainedWeights:
        """Where memory does not suffice, again with half as many images a step, in a process of its own each time."""
        settings = self.settings.training
        given = {name: value for name, value in job.recipe.items() if name not in CYCLE_ONLY}
        recipe = TrainingRecipe.from_json(given | {"device": settings.device, "workers": settings.workers})
        while True:
            try:
                return replace(self._trained(job, recipe, progress), batch=recipe.batch)
            except OutOfMemory as error:
                if recipe.batch == 1:
                    raise
                recipe = replace(recipe, batch=recipe.batch // 2)
                log.warning("%s: %s It is tried again with %d images a step.", job.cycle_id, error.detail, recipe.batch)

    def _trained(self, job: TrainingJob, recipe: TrainingRecipe, progress: Progress) -> TrainedWeights:
        settings = self.settings.training
        trained: TrainedWeights = run_in_ray(
            train_entries,
            blobs_url=self.settings.blobs_url,
            start=self.blobs.get(job.start_key) if job.start_key else None,
            base=settings.base,
            labels=job.labels,
            renamed=job.renamed,
            entries=job.train,
            recipe=recipe,
            folder=self._folder(job.cycle_id),
            max_pixels=self.settings.limits.max_image_pixels,
            **self._reserved,
            on_progress=_foreseen(progress, lambda: get_ready(_ready_to_examine)),
        )
        return trained

    def infer(self, weights_key: str, image_keys: Sequence[str], progress: Progress) -> list[Inference]:
        watch = self._memory_watch()
        try:
            found: list[Inference] = run_in_ray(
                infer_blobs,
                blobs_url=self.settings.blobs_url,
                weights_key=weights_key,
                image_keys=list(image_keys),
                device=self.settings.training.device,
                max_pixels=self.settings.limits.max_image_pixels,
                **self._reserved,
                on_progress=progress,
                begin=watched_place,
                on_begun=watch.begin,
            )
        except CycleFailed as error:
            if excess := watch.excess():
                raise _too_large(weights_key, excess) from error
            raise
        return found

    def examine(self, subjects: Sequence[Subject], timing: Timing | None, progress: Progress) -> Examined:
        """See `loop.cycle.work.Workshop`. What was found is handed over before anything is timed, so that it is kept
        even where the process dies of a runtime, or is ended since it took too much memory (CycleFailed before)."""
        found: list[list[Inference]] = []
        watch = self._memory_watch()
        try:
            measured: list[Latency] = run_in_ray(
                examine_models,
                settings=self.settings,
                subjects=subjects,
                timing=timing,
                **self._reserved,
                on_progress=progress,
                on_part=found.append,
                begin=watched_place,
                on_begun=watch.begin,
            )
        except Conflict:  # somebody cancelled the cycle
            raise
        except AskanceError as error:
            excess = watch.excess()
            if len(found) == len(subjects):
                reason = excess or error.detail
                log.warning("latency was not measured: %s", reason)
                return Examined(found, unmeasured=reason)
            if excess:
                raise _too_large(subjects[len(found)].model.digest, excess) from error
            raise
        return Examined(found, measured)

    def draw_map(self, project_id: str, *, refit: bool, stopping: Callable[[], bool]) -> Drawn:
        """See `loop.selecting.maps.Cartographer`."""

        def go_on(_share: float, _figures: Mapping[str, float]) -> None:
            if stopping():
                raise MapFailed("the service stops.", hint="The next start draws it.")

        try:
            drawn: Drawn = run_in_ray(
                draw_map, settings=self.settings, project_id=project_id, refit=refit, on_progress=go_on
            )
        except CycleFailed as error:
            hint = "The service's log has more. With too little memory, lower map.representatives."
            raise MapFailed(error.detail, hint=hint) from error
        return drawn

    def _memory_watch(self) -> MemoryWatch:
        return MemoryWatch(self.settings.training.examination_memory, "training.examination_memory")

    def clean(self, cycle_id: str) -> None:
        shutil.rmtree(self._folder(cycle_id), ignore_errors=True)
        if self.settings.training.anywhere:
            on_each_machine(_emptied, self._folder(cycle_id))
        get_ready(_started)  # which the next training then need not wait for

    def left(self) -> list[str]:
        cycles = self._folders
        return [folder.name for folder in cycles.iterdir()] if cycles.is_dir() else []

    @property
    def _folders(self) -> Path:
        return self.settings.data_dir / "cycles"

    def _folder(self, cycle_id: str) -> Path:
        return self._folders / cycle_id

    @property
    def _reserved(self) -> dict[str, Any]:
        """Of Ray, for what trains or looks at models; and where that may be."""
        training = self.settings.training
        gpus = training.num_gpus
        if gpus is None:
            serving = self.settings.serving
            kept = serving.num_gpus * (serving.shared_replicas or serving.detector_replicas)
            gpus = gpus_for(training.device, anywhere=training.anywhere, beside=kept)
        return {"num_cpus": training.num_cpus, "num_gpus": gpus, "anywhere": training.anywhere}


def _foreseen(progress: Progress, soon: Callable[[], None]) -> Progress:
    """`progress`, which also calls `soon` once, where the rest is to take _SOON_SECONDS at the pace until then."""
    begun, foreseen = time.monotonic(), False

    def told(share: float, figures: Mapping[str, float]) -> None:
        nonlocal foreseen
        if not foreseen and share > 0.0 and (time.monotonic() - begun) * (1.0 - share) / share <= _SOON_SECONDS:
            foreseen = True
            soon()
        progress(share, figures)

    return told


def _pixels(content: bytes, *, max_pixels: int, enough: int | None = None) -> NDArray[np.uint8]:
    """As the service decodes an image, so that training sees what serving sees. enough: see `decode_image`."""
    return decode_image(content, max_pixels=max_pixels, enough=enough)[1]


def _too_large(weights: str, excess: str) -> CycleFailed:
    return CycleFailed(
        f"the process that looked at images was ended at the model {weights[:12]}: {excess}",
        hint="The champion stays. If the model needs as much, raise training.examination_memory, free memory on the "
        "machine, or give it more; then ask again.",
    )


# The functions below run in Ray's processes. They import torch, numba and the database themselves, so that neither the
# processes which only ask for the work (the service, the gateway) nor those of other work wait for them, or hold them
# in memory.


def _started() -> None:
    """All that is wanted is a process, with what Ray has in each."""


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _materialised(blobs: Blobs, folder: Path, entry: Entry) -> Path:
    """The image as a file, with the suffix that libraries go by."""
    path = folder / "images" / f"{entry.digest}{_SUFFIX[entry.media_type]}"
    if not path.is_file() or digest_of(path.read_bytes()) != entry.digest:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blobs.get(entry.digest))
    return path


def _ready_to_examine() -> None:
    import torch  # noqa: F401

    from serving.backends import latency, load  # noqa: F401


def train_entries(
    *,
    blobs_url: str,
    start: bytes | None,
    base: str,
    labels: tuple[str, ...],
    renamed: Mapping[str, str],
    entries: Sequence[Entry],
    recipe: TrainingRecipe,
    folder: Path,
    max_pixels: int,
    progress: Progress,
) -> TrainedWeights:
    """Fine-tune `start` (None: fresh weights of the architecture `base`); goes on where a cut run stopped. folder: for
    images and checkpoints, of the machine that this runs on."""
    from training.device import device_of
    from training.train import train
    from training.training_image import TrainingImage
    from training.weights import adopt

    blobs, device = FsspecBlobs.open(blobs_url), device_of(recipe.device)
    trained = train(
        start=start if start is not None else adopt(base, labels=labels),
        images=[TrainingImage(_materialised(blobs, folder, e), e.shapes, e.width, e.height) for e in entries],
        val=[],
        labels=labels,
        renamed=renamed,
        recipe=replace(recipe, device=device),
        workdir=folder / "run",
        progress=progress,
        resume=True,
        decode=partial(_pixels, max_pixels=max_pixels),
    )
    return TrainedWeights(trained.weights, trained.head, trained.metrics, trained.curves, device=device)


def infer_blobs(
    *,
    blobs_url: str,
    weights_key: str,
    image_keys: list[str],
    device: str,
    max_pixels: int,
    progress: Progress,
) -> list[Inference]:
    """One inference per image of the blob store, in their order."""
    from serving.backends.load import load_detector
    from training.device import device_of

    blobs = FsspecBlobs.open(blobs_url)
    detector = load_detector(blobs.get(weights_key), device=device_of(device))
    return _inferred(blobs, detector, image_keys, max_pixels, lambda done: progress(done / len(image_keys), {}))


def _inferred(
    blobs: Blobs, detector: Detector, image_keys: Sequence[str], max_pixels: int, went_on: Callable[[int], None]
) -> list[Inference]:
    """went_on: called with the number of images that are done."""
    found: list[Inference] = []
    for images in _decoded_ahead(blobs, image_keys, max_pixels):
        found += detector.predict(images, score_floor=EVALUATION_FLOOR)
        went_on(len(found))
    return found


def _decoded_ahead(blobs: Blobs, image_keys: Sequence[str], max_pixels: int) -> Iterator[list[NDArray[np.uint8]]]:
    """The images in their order, _BATCH at a time. The next ones are decoded, which takes longer than to look at them
    where they are large or there is a GPU, while somebody looks at those before."""
    ahead: collections.deque[list[Future[NDArray[np.uint8]]]] = collections.deque()
    with ThreadPoolExecutor(os.cpu_count(), "decode") as threads:
        for begin in range(0, len(image_keys), _BATCH):
            chunk = image_keys[begin : begin + _BATCH]
            ahead.append([threads.submit(_stored_pixels, blobs, key, max_pixels) for key in chunk])
            if len(ahead) > 1:
                yield [one.result() for one in ahead.popleft()]
        for last in ahead:
            yield [one.result() for one in last]


def _stored_pixels(blobs: Blobs, key: str, max_pixels: int) -> NDArray[np.uint8]:
    return _pixels(blobs.get(key), max_pixels=max_pixels)


_TIMING = 0.3  # of an examination, about, as its progress counts it


def examine_models(
    *,
    settings: Settings,
    subjects: Sequence[Subject],
    timing: Timing | None,
    hand_over: Callable[[list[Inference]], None],
    progress: Progress,
) -> list[Latency]:
    """Hands over the inferences of each subject; gives their latencies, without a `timing` none."""
    blobs, max_pixels = FsspecBlobs.open(settings.blobs_url), settings.limits.max_image_pixels
    looking = 1.0 if timing is None else 1.0 - _TIMING
    images, done = sum(len(subject.image_keys) for subject in subjects), 0

    def went_on(more: int) -> None:
        progress(looking * (done + more) / images, {})

    references: list[Detector | None] = []
    for subject in subjects:
        detector, serves = _in_torch(settings, blobs, subject.model)
        found = _inferred(blobs, detector, subject.image_keys, max_pixels, went_on)
        references.append(detector if serves else None)
        done += len(found)
        hand_over(found)
    if timing is None:
        return []
    models = [subject.model for subject in subjects]
    return _timed(settings, models, references, timing, lambda share: progress(looking + _TIMING * share, {}))


def _in_torch(settings: Settings, blobs: Blobs, model: ModelVersion) -> tuple[Detector, bool]:
    """And whether its runtimes can be compared with it: with other options it would have to be opened again."""
    from serving.backends.load import load_detector
    from training.device import device_of

    serving, device = serving_of(settings, model.serving), device_of(settings.training.device)
    detector = load_detector(blobs.get(model.digest), device=device, max_batch_size=serving.max_batch_size)
    return detector, serving.device == device and not serving.threads and not serving.object_embeddings


def _timed(
    settings: Settings,
    models: Sequence[ModelVersion],
    references: Sequence[Detector | None],
    timing: Timing,
    went_on: Callable[[float], None],
) -> list[Latency]:
    """Runtimes are chosen and remembered as for serving, so that a candidate that is promoted starts with its own
    known. references: see `load_fastest`, of each model."""
    from serving.backends.latency import interleaved

    blobs, max_pixels = FsspecBlobs.open(settings.blobs_url), settings.limits.max_image_pixels

    def decoded(keys: Sequence[str], enough: int) -> list[NDArray[np.uint8]]:
        return [_pixels(blobs.get(key), max_pixels=max_pixels, enough=enough) for key in keys]

    opened, sizes = [], []
    for model, reference in zip(models, references, strict=True):
        weights = blobs.get(model.digest)
        sizes.append(read_head(weights).image_size)
        opened.append(_served(settings, weights, model.serving, decoded(timing.choose_by, sizes[-1]), reference))
    went_on(0.5)
    seconds = interleaved(
        [detector for detector, _ in opened],
        decoded(timing.image_keys, max(sizes)),
        score_floor=settings.serving.score_floor,
        went_on=lambda share: went_on(0.5 + share / 2),
    )
    return [
        Latency(runtime, float(np.median(taken)), float(np.quantile(taken, 0.9)))
        for (_, runtime), taken in zip(opened, seconds, strict=True)
    ]


def _served(
    settings: Settings,
    weights: bytes,
    options: Mapping[str, object],
    images: Sequence[NDArray[np.uint8]],
    reference: Detector | None,
) -> tuple[Detector, str]:
    """As serving/detectors.py opens it, and the runtime that was chosen."""
    from serving.backends.choice import said
    from serving.runtimes import fastest_detector

    serving = serving_of(settings, options)
    with said() as lines:
        detector = fastest_detector(
            settings.model_copy(update={"serving": serving}),
            weights,
            device=serving.device,
            max_batch_size=serving.max_batch_size,
            consistency=serving.consistency,
            objects=serving.object_embeddings,
            images=images,
            reference=reference,
        )
    told = [line.removeprefix("serving by ").split(",")[0] for line in lines if line.startswith("serving by ")]
    return detector, told[-1] if told else "torch fp32"  # which nothing is said of, since nothing is chosen


def draw_map(*, settings: Settings, project_id: str, refit: bool, progress: Progress) -> Drawn:
    """All but the row of the map, which names what is drawn here."""
    # What numba has compiled lies beside its packages; where nothing can be written there, in a folder of ours.
    found = find_spec("pynndescent")
    if found is None or found.origin is None or not os.access(Path(found.origin).parent, os.W_OK):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(settings.data_dir / "numba"))
    from loop.selecting.map_drawing import MapDrawing, MapRecipe
    from loop.store.database import SqlStore

    store = SqlStore.open(settings.database_url)
    try:
        drawing = MapDrawing(
            store,
            FsspecBlobs.open(settings.blobs_url),
            MapRecipe(**settings.map.model_dump()),
            lambda: datetime.now(UTC),
        )
        return drawing.draw(project_id, refit=refit, alive=lambda: progress(0.0, {}))
    finally:
        store.close()
