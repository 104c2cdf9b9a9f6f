"""A model is tried before it is started: loaded, compared and asked once in a process of its own.

What is broken then costs one process at the lowest priority, not replicas that Ray Serve starts and starts again; and
what is not leaves its choice of a runtime to the replicas, none of which has to load torch.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from loop.domain.errors import AskanceError, NoPlace, Unavailable
from loop.domain.model import ModelVersion
from loop.settings import ServingSettings, Settings, serving_of
from serving.backends.choice import said
from serving.detectors import open_images
from serving.memory_watch import MemoryWatch, Place, watched_place
from training.launch import beyond_this_machine, in_words

log = logging.getLogger("askance.serving")

LONGEST_SECONDS = 1800.0  # an engine for a GPU takes minutes to build
# For a place: models that are replaced give theirs back within serving.drain_seconds.
_PLACE_SECONDS = 60.0
_NODE_SECONDS = 600.0  # the same on a cluster, to which a machine may be added for it
_TRIALS = 8  # of a process, whatever a model left behind in it
_PROBE_SECONDS = 0.25  # Ray finds a place that there is within milliseconds


class ProcessEnded(Unavailable):
    """The process that tried the model ended before it could say anything: it took more memory than it may, or the
    system had none left."""


def refusal(
    model: ModelVersion,
    reason: str,
    kind: type[Unavailable] = Unavailable,
    *,
    hint: str = "The champion stays. See the service's log for the whole reason.",
) -> Unavailable:
    """The error for a model that could not be started."""
    return kind(f"the model {model.digest[:12]} could not be started: {reason}", hint=hint)


def never() -> bool:
    """Nobody gives it up."""
    return False


def require_place(
    settings: Settings,
    model: ModelVersion,
    serving: ServingSettings,
    *,
    given_up: Callable[[], bool] = never,
    patience_s: float | None = None,
) -> None:
    """Returns when there is a place for one process of these settings, or nobody waits for it (`given_up`): Ray would
    wait for one without end. patience_s: how long it is waited for; None: as long as a place may take to become free.

    Raises Unavailable, at once, where this machine can never give what they reserve; NoPlace where others have it.
    """
    if settings.serving.ray_address is None:
        _require_capacity(model, serving)
    reserved = {name: amount for name, amount in (("CPU", serving.num_cpus), ("GPU", serving.num_gpus)) if amount}
    if patience_s is None:
        patience_s = _PLACE_SECONDS if settings.serving.ray_address is None else _NODE_SECONDS
    if reserved and not _has_place(reserved, time.monotonic() + patience_s, given_up):
        raise _without_place(model, reserved, patience_s)


def _require_capacity(model: ModelVersion, serving: ServingSettings) -> None:
    for name, wanted, there in beyond_this_machine({"CPU": serving.num_cpus, "GPU": serving.num_gpus}):
        raise refusal(
            model, f"of {name}s it reserves {wanted:g} (num_{name.lower()}s), and this machine has {there:g}."
        )


def _has_place(reserved: Mapping[str, float], until: float, given_up: Callable[[], bool]) -> bool:
    """Whether Ray could reserve this until then, by time.monotonic; also where it was given up. It is looked at least
    once. A reservation that waits lets the autoscaler of a cluster add a machine, too."""
    from ray.util import placement_group, remove_placement_group

    reservation = placement_group([dict(reserved)])
    try:
        while not reservation.wait(_PROBE_SECONDS):
            if given_up():
                return True
            if time.monotonic() > until:
                return False
        return True
    finally:
        remove_placement_group(reservation)


def _without_place(model: ModelVersion, reserved: Mapping[str, float], waited_s: float) -> Unavailable:
    wanted, left = in_words(reserved)
    return refusal(
        model,
        f"other models and work have all places. It reserves {wanted}; Ray has {left} left, and none became free in "
        f"{waited_s:g} s.",
        NoPlace,
        hint="End canaries and shadows that are not needed, let each model reserve less (serving.num_cpus, "
        "detector_replicas), raise serving.ray_cpus (on a cluster, add machines), or let models share processes "
        "(serving.shared_replicas). What should serve is tried again every minute.",
    )


def rehearse(
    settings: Settings, model: ModelVersion, image_keys: Sequence[str], patience_s: float | None = None
) -> None:
    """Returns when the model has answered, with its choice kept; raises Unavailable, with the reason, where it cannot,
    ProcessEnded, and NoPlace.

    image_keys: blobs of images of its project, on which runtimes are compared. patience_s: see `require_place`.
    """
    import ray

    serving = serving_of(settings, model.serving)
    own = settings.model_copy(update={"serving": serving})
    require_place(settings, model, serving, patience_s=patience_s)
    apart = _task(_tried, _trials_of_a_process(settings, serving)).options(
        num_cpus=serving.num_cpus, num_gpus=serving.num_gpus
    )
    trial = apart.remote(own, model.digest, list(image_keys))
    try:
        told = _outcome(model, serving, trial, time.monotonic() + LONGEST_SECONDS)
    except GetTimeoutError as error:
        ray.cancel(trial, force=True)
        needs = f"{serving.num_cpus:g} of Ray's CPUs and {serving.num_gpus:g} GPUs"
        reason = f"it was not tried within {LONGEST_SECONDS / 60:.0f} minutes; it needs {needs}"
        raise refusal(model, reason) from error
    except RayTaskError as error:
        reason = error.cause.detail if isinstance(error.cause, AskanceError) else str(error.cause)
        raise refusal(model, reason) from error
    except RayError as error:
        reason = f"the process that tried it ended ({type(error).__name__}); out of memory?"
        raise refusal(model, reason, ProcessEnded) from error
    for line in told:
        log.info("%s: %s", model.id, line)


def _trials_of_a_process(settings: Settings, serving: ServingSettings) -> int:
    """Half of a trial's processor time is to start a process and to import: it is kept for the next for a while
    (serving/transport.py). Not where it would hold memory of a GPU, nor on a cluster, whose processes are not ours to
    end."""
    return 1 if serving.num_gpus or settings.serving.ray_address is not None else _TRIALS


@cache
def _task(function: Callable[..., Any], trials: int) -> Any:
    """Made once: Ray counts the calls of what it takes for the same function."""
    import ray

    return ray.remote(max_calls=trials, max_retries=0, num_returns="streaming")(function)


def _outcome(model: ModelVersion, serving: ServingSettings, words: Any, until: float) -> list[str]:
    """What the trial had to say, whose process is watched meanwhile."""
    watch = MemoryWatch(serving.rehearsal_memory, "serving.rehearsal_memory")
    watch.begin(_next(words, until))
    try:
        return _next(words, until)  # type: ignore[no-any-return]
    except (GetTimeoutError, RayTaskError):
        raise
    except RayError as error:
        if not (excess := watch.excess()):
            raise
        raise _too_large(model, excess) from error
    finally:
        watch.over()


def _next(words: Any, until: float) -> Any:
    """What the trial says next. Raises GetTimeoutError where it is silent until then, by time.monotonic."""
    import ray

    if not ray.wait([words], timeout=max(until - time.monotonic(), 0), fetch_local=False)[0]:
        raise GetTimeoutError
    return ray.get(next(words))


def _too_large(model: ModelVersion, excess: str) -> Unavailable:
    return refusal(
        model,
        excess,
        ProcessEnded,
        hint="The champion stays. If the model needs as much, raise serving.rehearsal_memory, free memory on the "
        "machine, or give it more.",
    )


def _tried(settings: Settings, digest: str, image_keys: Sequence[str]) -> Iterator[Place | list[str]]:
    """Where it is tried; then what its loading had to say, for the log of the service."""
    yield watched_place()
    with said() as lines, _threads_as_before():
        open_images(settings, digest, image_keys).close()
    yield lines


@contextmanager
def _threads_as_before() -> Iterator[None]:
    """Ray may give the process to a training next, which goes by torch's own number of threads."""
    try:
        yield
    finally:
        if (torch := sys.modules.get("torch")) is not None:
            torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
