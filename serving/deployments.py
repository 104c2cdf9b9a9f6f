"""Ray Serve: one detector application per model digest, and the gateway that answers HTTP.

The gateway takes the handle of a model once per request, so that no answer mixes two models. Detectors
know nothing of projects; a digest that two projects share is one application.
"""

import asyncio
import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from grpc import RpcError
from ray import serve
from ray.exceptions import NodeDiedError, ObjectLostError, RayActorError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError, RayServeException
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import ApplicationStatus, ApplicationStatusOverview, ReplicaState
from starlette.types import ASGIApp

from loop.domain.errors import AskanceError, DeadlinePassed, ModelGone, ModelTimedOut, Overloaded, Unavailable
from loop.domain.identity import digest_of
from loop.domain.model import ModelVersion
from loop.domain.prediction import Timed
from loop.settings import ServingSettings, Settings, serving_of, without_effect
from loop.wiring import wire
from serving.api.app import create_app
from serving.calls import CallLimits, Calls
from serving.detectors import WARM_UP_SECONDS, DetectorReplica, lines_folder, shared_detectors
from serving.hosts import hosts, require_shared_state
from serving.images import BLANK
from serving.line import LineLost, Lines
from serving.priority import take_place
from serving.rehearsal import LONGEST_SECONDS, never, refusal, require_place

log = logging.getLogger("askance.serving")

GATEWAY = "askance"
_PREFIX = "det-"
_SHARED = "det-shared"
_ERROR_LINE = re.compile(r"(?:[\w.]+\.)?\w*(?:Error|BadWeights|Unavailable|Exception)\w*: (.*)")
_GATEWAY_REQUESTS = 10_000
_LOOK_SECONDS = 1.0  # from one look whether a model cannot start to the next, which costs 30 ms
# About the most encoded bytes of one call: large photographs travel alone, so that none waits for another's bytes.
_CALL_BYTES = 4_000_000
_MODELS_KEPT = 16
_REPLICA_TRIES = 3
_REPLICA_PAUSE_S = 0.1  # longer with each try; Ray notices a process that ended within milliseconds
# A replica or its node ended, or an answer was lost on the way. gRPC's errors come as they are for all but one code.
_REPLICA_GONE = (RayActorError, NodeDiedError, ObjectLostError, RpcError)

# While Ray Serve makes a configuration, also where it reads one to tell of its state, it changes what pickle does in
# the whole process, and raises ValueError where another thread has just changed it back.
_configuring = threading.Lock()


def application_name(settings: Settings, model: ModelVersion) -> str:
    """Of the weights and the options they are served with: other options are another application, so that a change of
    them is a swap like any other. Versions of two projects with the same weights and options share one; where
    processes are shared, all models do."""
    if settings.serving.shared_replicas:
        return _SHARED
    if not model.serving:
        return f"{_PREFIX}{model.digest[:16]}"
    return f"{_PREFIX}{model.digest[:16]}-{digest_of(_options(settings, model).encode())[:8]}"


def _options(settings: Settings, model: ModelVersion) -> str:
    idle = without_effect(settings, model.serving)
    held = {key: value for key, value in model.serving.items() if key not in idle}
    return json.dumps(held, sort_keys=True, default=str)


def _model_name(settings: Settings, model: ModelVersion) -> str:
    """What a call to shared processes names; nothing where the model has processes of its own."""
    return f"{model.digest} {_options(settings, model)}" if settings.serving.shared_replicas else ""


def deploy_detector(
    settings: Settings,
    model: ModelVersion,
    image_keys: Sequence[str],
    given_up: Callable[[], bool] = never,
    patience_s: float | None = None,
) -> None:
    """Start the application of a model and wait until it has answered, or `given_up`; raises Unavailable where it
    cannot, NoPlace where others have the place that it needs, and SettingsError for options that cannot be.

    image_keys: blobs of images of its project, on which runtimes are compared. patience_s: see `require_place`. One
    that runs already (another project's champion with the same weights, shared processes) is left as it is.
    """
    name = application_name(settings, model)
    present = _applications().get(name)
    running = present is not None and present.status == ApplicationStatus.RUNNING
    if running and not settings.serving.shared_replicas:
        return
    if not running:
        serving = serving_of(settings, model.serving)
        require_place(settings, model, serving, given_up=given_up, patience_s=patience_s)
    try:
        handle = serve.get_app_handle(name) if running else _run(name, _application(settings, model, image_keys))
        answer = _first_answer(name, handle.options(multiplexed_model_id=_model_name(settings, model)), given_up)
        if isinstance(answer, AskanceError):
            raise RuntimeError(str(answer))
    except (RayError, RayServeException, RuntimeError, TimeoutError) as error:
        reason = _why_not(name) or _last_line(error)
        if not running:
            serve.delete(name, _blocking=False)
        raise refusal(model, reason) from error


def _run(name: str, application: serve.Application) -> DeploymentHandle:
    """Returns before it runs: see `_first_answer`."""
    target = serve.RunTarget(application, name=name, route_prefix=None)
    with _configuring:
        (handle,) = serve.run_many(
            [target], wait_for_ingress_deployment_creation=False, wait_for_applications_running=False
        )
    return handle


def _first_answer(name: str, handle: DeploymentHandle, given_up: Callable[[], bool]) -> Timed | AskanceError:
    """Asked before there is a replica, which so answers as soon as it can: Ray Serve's own wait looks once a second.
    Raises RuntimeError where the application cannot run or is given up, TimeoutError where it runs and does not
    answer, or does not begin to run."""
    ends = time.monotonic() + LONGEST_SECONDS
    late = f"it has not begun to run within {LONGEST_SECONDS / 60:.0f} minutes."
    runs = False
    response = handle.infer.remote([BLANK], [WARM_UP_SECONDS])
    while True:
        try:
            (answer,) = response.result(timeout_s=_LOOK_SECONDS)
        except TimeoutError:
            pass
        except DeploymentUnavailableError:  # what this process knows is still the end of one of the same name
            time.sleep(_LOOK_SECONDS / 4)
            response = handle.infer.remote([BLANK], [WARM_UP_SECONDS])
        else:
            outcome: Timed | AskanceError = answer
            return outcome
        if given_up():
            response.cancel()
            raise RuntimeError("the service ends before it has answered.")
        if not runs and _runs(name):
            runs = True
            ends = time.monotonic() + WARM_UP_SECONDS
            late = f"it has not answered within {WARM_UP_SECONDS:.0f} s."
        if time.monotonic() > ends:
            response.cancel()
            raise TimeoutError(late)


def _applications() -> Mapping[str, ApplicationStatusOverview]:
    with _configuring:
        applications: Mapping[str, ApplicationStatusOverview] = serve.status().applications
    return applications


def _runs(name: str) -> bool:
    """Raises RuntimeError where it never will."""
    application = _applications().get(name)
    if application is None or application.status == ApplicationStatus.DEPLOY_FAILED:
        raise RuntimeError(application.message if application else "it was taken away.")
    return bool(application.status == ApplicationStatus.RUNNING)


def _application(settings: Settings, model: ModelVersion, image_keys: Sequence[str]) -> serve.Application:
    shared = settings.serving.shared_replicas
    serving = settings.serving if shared else serving_of(settings, model.serving)
    with _configuring:
        replica = serve.deployment(
            shared_detectors(serving.models_per_replica) if shared else DetectorReplica,
            name="Detector",
            max_ongoing_requests=serving.max_ongoing_requests,
            max_queued_requests=serving.max_queued_requests,
            ray_actor_options={"num_cpus": serving.num_cpus, "num_gpus": serving.num_gpus},
            graceful_shutdown_timeout_s=serving.drain_seconds,
            graceful_shutdown_wait_loop_s=0.2,
            # What fails to start fails again: say so at once. What should serve is tried again by the reconcile loop.
            max_constructor_retry_count=1,
            **({"num_replicas": shared} if shared else _replicas(serving)),
        )
    if shared:
        return replica.bind(settings)
    own = settings.model_copy(update={"serving": serving})
    return replica.bind(application_name(settings, model), own, model.digest, list(image_keys))


def _replicas(serving: ServingSettings) -> dict[str, object]:
    if serving.max_replicas is None:
        return {"num_replicas": serving.detector_replicas}
    return {
        "autoscaling_config": {
            "min_replicas": serving.min_replicas,
            "max_replicas": serving.max_replicas,
            # As many calls as a gateway keeps under way: more are waiting for another replica.
            "target_ongoing_requests": serving.calls_in_flight,
        }
    }


def _why_not(name: str) -> str:
    """What the constructor of the detector said, where Ray Serve has kept it."""
    application = _applications().get(name)
    messages = [d.message for d in application.deployments.values()] if application else []
    for line in reversed("\n".join(messages).splitlines()):
        if match := _ERROR_LINE.match(line.strip()):
            return match[1]
    return ""


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def retire_detector(name: str) -> None:
    """Stop an application once what it has accepted is answered."""
    serve.delete(name, _blocking=True)


def deployed_detectors() -> set[str]:
    """Names of the detector applications that run or are on their way."""
    return set(_detectors())


def _detectors() -> Mapping[str, ApplicationStatusOverview]:
    return {
        name: application
        for name, application in _applications().items()
        if name.startswith(_PREFIX) and application.status != ApplicationStatus.DELETING
    }


def short_of_processes() -> Mapping[str, tuple[int, int]]:
    """By name of those that have fewer than they should: (how many serve, of how many)."""
    short = {}
    for name, application in _detectors().items():
        for deployment in application.deployments.values():
            states = deployment.replica_states
            serving = states.get(ReplicaState.RUNNING, 0)
            wanted = sum(count for state, count in states.items() if state is not ReplicaState.STOPPING)
            if serving < wanted:
                short[name] = (serving, wanted)
    return short


def withdraw() -> None:
    """End the applications of Askance: the gateway first, once it has answered what it took, then the detectors."""
    for name in (GATEWAY, *sorted(deployed_detectors())):
        serve.delete(name, _blocking=True)


@dataclass(frozen=True, slots=True)
class _Way:
    """To one model: its queue here, the seconds that it may take, and how much may be under way by lines and by Ray's
    calls."""

    calls: Calls
    timeout_s: float
    by_line: CallLimits
    by_ray: CallLimits


class RayInferencer:
    """Inference through the application of a model version: by a line where one leads there, else by Ray's calls.
    Of one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ways: dict[str, _Way] = {}
        self._handles: dict[str, DeploymentHandle] = {}
        self._lines = Lines(lines_folder(settings))

    async def infer(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        """See loop.wiring.Inferencer."""
        name, shared = application_name(self._settings, model), _model_name(self._settings, model)
        key = shared or name
        by_line = await self._lines.to(name) is not None
        if key not in self._ways:
            self._forget_idle()
            self._ways[key] = self._way(name, shared, model)
        way = self._ways[key]
        way.calls.limits = way.by_line if by_line else way.by_ray
        own = asyncio.get_running_loop().time() + way.timeout_s
        try:
            return await way.calls.infer(content, min(deadline, own))
        except DeadlinePassed as error:
            if deadline <= own:
                raise
            raise ModelTimedOut(
                f"{model.id} did not answer within its {way.timeout_s:g} s.",
                hint="Try again a little later. An operator can allow it more: askance models configure MODEL "
                "timeout_s=SECONDS.",
                model=model.id,
            ) from error

    async def _send(
        self, name: str, shared: str, contents: Sequence[bytes], budgets_s: Sequence[float]
    ) -> list[Timed | AskanceError]:
        line = await self._lines.to(name) if len(contents) == 1 else None
        if line is None:
            return await self._send_by_ray(name, shared, contents, budgets_s)
        begun = asyncio.get_running_loop().time()
        try:
            answer = await line.infer(contents[0], budgets_s[0])
            if not isinstance(answer, ModelGone):
                return [answer]
            line.leave()  # the replica is ending; Ray knows whether another one serves
        except LineLost:
            log.warning("a replica of %s hung up", name)
        left = budgets_s[0] - (asyncio.get_running_loop().time() - begun)
        return await self._send_by_ray(name, shared, contents, [left])

    async def _send_by_ray(
        self, name: str, shared: str, contents: Sequence[bytes], budgets_s: Sequence[float]
    ) -> list[Timed | AskanceError]:
        """By another replica where one died with its node: inference may be repeated. Few times, since it may have
        been an image that killed it."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for attempt in range(_REPLICA_TRIES):
            await asyncio.sleep(_REPLICA_PAUSE_S * attempt)
            spent = loop.time() - begun
            try:
                return await self._send_once(name, shared, contents, [budget - spent for budget in budgets_s])
            except _REPLICA_GONE as error:
                # The handle stays: it knows by now which replica not to ask.
                log.warning("a replica of %s is gone: %s", name, _last_line(error))
                last = error
        raise Unavailable(
            f"{_REPLICA_TRIES} replicas of {name} ended while they worked on this.", hint="Try again later."
        ) from last

    async def _send_once(
        self, name: str, shared: str, contents: Sequence[bytes], budgets_s: Sequence[float]
    ) -> list[Timed | AskanceError]:
        """Raises one of _REPLICA_GONE, too."""
        try:
            if name not in self._handles:
                self._handles[name] = await asyncio.to_thread(serve.get_app_handle, name)
            handle = self._handles[name]
            if shared:
                handle = handle.options(multiplexed_model_id=shared)
            response = handle.infer.remote(list(contents), list(budgets_s))
            try:
                outcomes: list[Timed | AskanceError] = await response
            except asyncio.CancelledError:
                response.cancel()
                raise
        except BackPressureError as error:
            raise Overloaded("the detector has more calls than it may queue.", hint="Try again later.") from error
        except RayTaskError as error:
            # The detector's own fault: its network failed on these images.
            raise Unavailable(
                f"the detector failed: {_last_line(error)}", hint="See the service's log; roll back if it stays."
            ) from error
        except _REPLICA_GONE:
            raise
        except (RayError, RayServeException) as error:
            self._handles.pop(name, None)
            raise ModelGone(f"the application {name} does not serve.", hint="Try again.") from error
        return outcomes

    def _way(self, name: str, shared: str, model: ModelVersion) -> _Way:
        serving = serving_of(self._settings, model.serving)
        replicas = serving.shared_replicas or serving.max_replicas or serving.detector_replicas
        calls = serving.calls_in_flight * replicas
        by_ray = CallLimits(
            in_flight=calls,
            images=serving.images_per_call,
            call_bytes=_CALL_BYTES,
            waiting=serving.max_queued_requests,
        )
        by_line = replace(by_ray, in_flight=calls * serving.images_per_call, images=1)
        timeout_s = serving.timeout_s or self._settings.limits.request_timeout_s
        return _Way(Calls(partial(self._send, name, shared), by_ray), timeout_s, by_line, by_ray)

    def _forget_idle(self) -> None:
        """Models come and go; what serves no more keeps nothing here."""
        if len(self._ways) > _MODELS_KEPT:
            self._ways = {name: way for name, way in self._ways.items() if not way.calls.idle}


def deploy_gateway(settings: Settings) -> None:
    """The HTTP application at /: API and page."""
    serve.run(gateway_application(settings), name=GATEWAY, route_prefix="/")


def gateway_application(settings: Settings) -> serve.Application:
    """API and page, to be run at /."""

    def build() -> ASGIApp:
        take_place()
        if settings.serving.ray_address is not None:
            # Again: machines may have joined since the service began.
            require_shared_state(settings, hosts())
        return create_app(wire(settings, RayInferencer(settings)))

    with _configuring:
        gateway = serve.deployment(
            serve.ingress(build)(),
            name="Gateway",
            num_replicas=settings.serving.gateway_replicas,
            # The gateway counts for itself what waits, and answers 503 with Retry-After; this is beyond all of that.
            max_ongoing_requests=_GATEWAY_REQUESTS,
            # A line for each request costs as much as its signals. Figures by route and status are at /metrics.
            logging_config={"enable_access_log": False},
            ray_actor_options={"num_cpus": settings.serving.num_cpus},
        )
    return gateway.bind()
