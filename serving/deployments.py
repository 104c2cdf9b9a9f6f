"""Ray Serve: one detector application per model digest, and the gateway that answers HTTP.

The gateway takes the handle of a model once per request, so that no answer mixes two models. Detectors
know nothing of projects; a digest that two projects share is one application.
"""

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ApplicationStatus
from starlette.types import ASGIApp

from loop.domain.errors import AskanceError, ModelGone, Unavailable
from loop.domain.model import ModelVersion
from loop.domain.prediction import Inference
from loop.settings import Settings
from loop.store.blobs import FsspecBlobs
from loop.wiring import wire
from serving.api.app import create_app

log = logging.getLogger("askance.serving")

GATEWAY = "askance"
_WARM_UP_SECONDS = 120


def application_name(digest: str) -> str:
    return f"det-{digest[:16]}"


class DetectorReplica:
    """One copy of a model in a process of its own; requests that arrive together share a forward pass."""

    def __init__(self, settings: Settings, digest: str) -> None:
        # Here, not above: the gateway imports this module too and needs no torch.
        from serving.backends.load import load_detector

        serving = settings.serving
        weights = FsspecBlobs.open(settings.blobs_url).get(digest)
        self._detector = load_detector(weights, device=serving.device, threads=serving.torch_threads)
        self._floor = serving.score_floor
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="detector")
        self.infer.set_max_batch_size(serving.max_batch_size)
        self.infer.set_batch_wait_timeout_s(serving.batch_wait_ms / 1000)
        self._detect([np.zeros((64, 64, 3), dtype=np.uint8)])

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.004)  # type: ignore[untyped-decorator]
    async def infer(self, images: list[NDArray[np.uint8]]) -> list[Inference]:
        # Off the event loop, so that the next batch gathers while this one is computed.
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._detect, images)

    async def check_health(self) -> None:
        """A tiny inference, in the detector's own thread: a network serves one caller at a time."""
        blank = np.zeros((32, 32, 3), dtype=np.uint8)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._detect, [blank])

    def _detect(self, images: list[NDArray[np.uint8]]) -> list[Inference]:
        return self._detector.predict(images, score_floor=self._floor)


def deploy_detector(settings: Settings, digest: str) -> None:
    """Start the application of a model and wait until it has answered; raises Unavailable where it cannot.

    One that runs already (another project's champion with the same weights) is left as it is.
    """
    name = application_name(digest)
    present = serve.status().applications.get(name)
    if present is not None and present.status == ApplicationStatus.RUNNING:
        return
    serving = settings.serving
    replica = serve.deployment(
        DetectorReplica,
        name="Detector",
        num_replicas=serving.detector_replicas,
        max_ongoing_requests=serving.max_ongoing_requests,
        max_queued_requests=serving.max_queued_requests,
        ray_actor_options={"num_cpus": serving.num_cpus, "num_gpus": serving.num_gpus},
        graceful_shutdown_timeout_s=serving.drain_seconds,
        graceful_shutdown_wait_loop_s=0.2,
    )
    try:
        handle = serve.run(replica.bind(settings, digest), name=name, route_prefix=None)
        blank = np.zeros((64, 64, 3), dtype=np.uint8)
        handle.infer.remote(blank).result(timeout_s=_WARM_UP_SECONDS)
    except (RayError, RayServeException, RuntimeError, TimeoutError) as error:
        serve.delete(name, _blocking=False)
        raise Unavailable(
            f"the model {digest[:12]} could not be started: {_last_line(error)}",
            hint="The champion stays. See the service's log for the whole reason.",
        ) from error


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def retire_detector(digest: str) -> None:
    """Stop the application of a model once what it has accepted is answered."""
    serve.delete(application_name(digest), _blocking=True)


def deployed_detectors() -> set[str]:
    """Names of the detector applications that run."""
    return {name for name in serve.status().applications if name.startswith("det-")}


class RayInferencer:
    """Inference through the application of a model version."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._handles: dict[str, DeploymentHandle] = {}
        self._lock = threading.Lock()

    async def infer(self, model: ModelVersion, pixels: NDArray[np.uint8]) -> Inference:
        """Raises ModelGone where this version does not serve (any more), Unavailable when it is overloaded."""
        name = application_name(model.digest)
        try:
            handle = await asyncio.to_thread(self._handle, name)
            answer: Inference = await asyncio.wait_for(handle.infer.remote(pixels), self._timeout_s)
        except BackPressureError as error:
            raise Unavailable("the detector has more requests than it may queue.", hint="Try again later.") from error
        except TimeoutError as error:
            raise Unavailable(
                f"the detector did not answer within {self._timeout_s:g} s.",
                hint="Try again later, or raise limits.request_timeout_s.",
            ) from error
        except AskanceError:
            raise
        except (RayError, RayServeException) as error:
            self._forget(name)
            raise ModelGone(f"{model.id} does not serve.", hint="Try again.", model=model.id) from error
        return answer

    def _handle(self, name: str) -> DeploymentHandle:
        with self._lock:
            if name not in self._handles:
                self._handles[name] = serve.get_app_handle(name)
            return self._handles[name]

    def _forget(self, name: str) -> None:
        with self._lock:
            self._handles.pop(name, None)


def deploy_gateway(settings: Settings) -> None:
    """The HTTP application at /: API and page."""

    def build() -> ASGIApp:
        return create_app(wire(settings, RayInferencer(settings.limits.request_timeout_s)))

    gateway = serve.deployment(
        serve.ingress(build)(),
        name="Gateway",
        num_replicas=settings.serving.gateway_replicas,
        max_ongoing_requests=settings.serving.max_queued_requests,
        ray_actor_options={"num_cpus": settings.serving.num_cpus},
    )
    serve.run(gateway.bind(), name=GATEWAY, route_prefix="/")
