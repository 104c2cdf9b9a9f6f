"""What runs in a detector's process. A module of its own, so that a model starts without the gateway's imports."""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from weakref import WeakSet

from ray import serve

from loop.domain.errors import AskanceError, ModelGone
from loop.domain.prediction import Timed
from loop.settings import Settings, serving_of
from loop.store.blobs import FsspecBlobs
from serving.image_queue import ImageQueue, outcome
from serving.images import BLANK, decode_image
from serving.line import LineServer, folder_of
from serving.priority import take_place
from serving.runtimes import fastest_detector
from training.head import read_head

log = logging.getLogger("askance.serving")

WARM_UP_SECONDS = 120.0
_HEALTH_SECONDS = 25.0  # Ray gives a check 30
_PROVEN_SECONDS = 5.0  # half of the time between two checks


class DetectorReplica:
    """One copy of a model in a process of its own."""

    _line: LineServer | None = None
    _called = False

    def __init__(self, name: str, settings: Settings, digest: str, image_keys: Sequence[str]) -> None:
        """name: of the application. settings: with the model's own options. image_keys: blobs of real images, to
        choose the runtime by."""
        self._images = open_images(settings, digest, image_keys)
        self._line = _offered_line(settings, name, self._images)

    def __del__(self) -> None:
        """Ray Serve calls this when it has stopped sending calls: what came by the line is answered, too."""
        if self._line is not None:
            self._line.leave()
            self._images.close()
            self._line.close()

    async def infer(self, contents: list[bytes], budgets_s: list[float]) -> list[Timed | AskanceError]:
        """One outcome per encoded image. budgets_s: seconds that the caller of each still waits."""
        if not self._called:  # a line that is taken does the same (serving/line.py)
            self._called = True
            take_place()
        return await _answers(self._images, contents, budgets_s)

    async def check_health(self) -> None:
        """A tiny inference, through the same queue as any other; where one has just succeeded that says as much."""
        await _answering(self._images)


def _offered_line(settings: Settings, name: str, images: ImageQueue) -> LineServer | None:
    """None where Ray has to count the calls, so that it can let the number of replicas follow them."""
    folder = None if settings.serving.max_replicas is not None else lines_folder(settings)
    try:
        return None if folder is None else LineServer(folder, name, images.submit)
    except OSError as error:
        log.warning("gateways reach %s by Ray's calls only: %s", name, error)
        return None


def lines_folder(settings: Settings) -> Path | None:
    """Where detectors and gateways of this service meet on a machine; None where no place is safe, and on a cluster,
    where detectors of other machines are to have their share."""
    if settings.serving.ray_address is not None:
        return None
    return folder_of(str(settings.data_dir.resolve()))


def shared_detectors(models: int) -> type:
    """The class of a process that serves whichever models it is asked for, at most `models` of them loaded."""

    class SharedDetectors:
        def __init__(self, settings: Settings) -> None:
            take_place()
            self._settings = settings
            self._loaded: WeakSet[ImageQueue] = WeakSet()  # what Ray Serve unloads it lets go of

        @serve.multiplexed(max_num_models_per_replica=models)  # type: ignore[untyped-decorator]
        async def loaded(self, name: str) -> ImageQueue:
            return await self.opened(name)

        async def opened(self, name: str) -> ImageQueue:
            """name: the weights' digest, and the model's own options as JSON."""
            digest, options = name.split(" ", 1)
            serving = serving_of(self._settings, json.loads(options))
            own = self._settings.model_copy(update={"serving": serving})
            images = await asyncio.to_thread(open_images, own, digest, ())
            self._loaded.add(images)
            return images

        async def infer(self, contents: list[bytes], budgets_s: list[float]) -> list[Timed | AskanceError]:
            """As DetectorReplica.infer, by the model that the call names."""
            return await _answers(await self.loaded(serve.get_multiplexed_model_id()), contents, budgets_s)

        async def check_health(self) -> None:
            """As DetectorReplica.check_health, by the model that has been silent the longest, so that each has its
            turn; a process that has none loaded is healthy."""
            for images in sorted(self._loaded, key=lambda one: one.idle_s, reverse=True):
                with suppress(ModelGone):  # it makes room for another just now: the next is asked
                    await _answering(images)
                    return

    return SharedDetectors


def open_images(settings: Settings, digest: str, image_keys: Sequence[str]) -> ImageQueue:
    """The model, loaded and warm, behind its queue. Raises what keeps it from serving."""
    logging.getLogger("askance").setLevel(logging.INFO)
    serving, blobs = settings.serving, FsspecBlobs.open(settings.blobs_url)
    weights = blobs.get(digest)
    decode = partial(decode_image, max_pixels=settings.limits.max_image_pixels, enough=read_head(weights).image_size)
    detector = fastest_detector(
        settings,
        weights,
        device=serving.device,
        max_batch_size=serving.max_batch_size,
        consistency=serving.consistency,
        objects=serving.object_embeddings,
        images=[decode(blobs.get(key))[1] for key in image_keys],
    )
    images = ImageQueue(
        detector,
        decode=decode,
        score_floor=serving.score_floor,
        batch_wait_s=serving.batch_wait_ms / 1000,
        decoders=serving.decode_threads,
    )
    try:
        images.submit(BLANK, WARM_UP_SECONDS).result()
    except BaseException:
        images.close()  # where a model is only tried, its process goes on
        raise
    return images


async def _answering(images: ImageQueue) -> None:
    """Raises why it does not; where it hangs, Ray waits for this in vain."""
    if images.idle_s > _PROVEN_SECONDS:
        await asyncio.wrap_future(images.submit(BLANK, _HEALTH_SECONDS))


async def _answers(images: ImageQueue, contents: list[bytes], budgets_s: list[float]) -> list[Timed | AskanceError]:
    answers = [images.submit(content, budget) for content, budget in zip(contents, budgets_s, strict=True)]
    try:
        await asyncio.wait([asyncio.wrap_future(answer) for answer in answers])
    except asyncio.CancelledError:  # nobody waits for this call any more
        for answer in answers:
            answer.cancel()
        raise
    return [outcome(answer) for answer in answers]
