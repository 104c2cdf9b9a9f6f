"""A model is tried before it is started: loaded, compared and asked once in a process of its own.

What is broken then costs one process at the lowest priority, not replicas that Ray Serve starts and starts again; and
what is not leaves its choice of a runtime to the replicas, none of which has to load torch.
"""

import logging
from collections.abc import Sequence

from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from loop.domain.errors import AskanceError, Unavailable
from loop.domain.model import ModelVersion
from loop.settings import ServingSettings, Settings, serving_of
from serving.backends.choice import said
from serving.detectors import open_images

log = logging.getLogger("askance.serving")

_LONGEST_SECONDS = 1800.0  # an engine for a GPU takes minutes to build


class ProcessEnded(Unavailable):
    """The process that tried the model ended before it could say anything: most often, memory ran out."""


def refusal(model: ModelVersion, reason: str, kind: type[Unavailable] = Unavailable) -> Unavailable:
    """The error for a model that could not be started."""
    return kind(
        f"the model {model.digest[:12]} could not be started: {reason}",
        hint="The champion stays. See the service's log for the whole reason.",
    )


def require_place(settings: Settings, model: ModelVersion, serving: ServingSettings) -> None:
    """Raises Unavailable where this machine can never give a process what these settings reserve: Ray would wait for it
    without end. To a cluster machines may be added, so it is waited for there."""
    import ray

    if settings.serving.ray_address is not None:
        return
    there = ray.cluster_resources()
    for name, wanted, setting in (("CPU", serving.num_cpus, "num_cpus"), ("GPU", serving.num_gpus, "num_gpus")):
        if wanted > there.get(name, 0.0):
            raise refusal(
                model, f"of {name}s it reserves {wanted:g} ({setting}), and this machine has {there.get(name, 0.0):g}."
            )


def rehearse(settings: Settings, model: ModelVersion, image_keys: Sequence[str]) -> None:
    """Returns when the model has answered, with its choice kept; raises Unavailable, with the reason, where it cannot,
    and ProcessEnded.

    image_keys: blobs of images of its project, on which runtimes are compared.
    """
    import ray

    serving = serving_of(settings, model.serving)
    own = settings.model_copy(update={"serving": serving})
    require_place(settings, model, serving)
    # A process that ends with this: what a broken model did to it is over, and so is the memory of torch.
    apart = ray.remote(num_cpus=serving.num_cpus, num_gpus=serving.num_gpus, max_calls=1, max_retries=0)(_tried)
    try:
        trial = apart.remote(own, model.digest, list(image_keys))
        told = ray.get(trial, timeout=_LONGEST_SECONDS)
    except GetTimeoutError as error:
        ray.cancel(trial, force=True)
        needs = f"{serving.num_cpus:g} of Ray's CPUs and {serving.num_gpus:g} GPUs"
        reason = f"it was not tried within {_LONGEST_SECONDS / 60:.0f} minutes; it needs {needs}"
        raise refusal(model, reason) from error
    except RayTaskError as error:
        reason = error.cause.detail if isinstance(error.cause, AskanceError) else str(error.cause)
        raise refusal(model, reason) from error
    except RayError as error:
        reason = f"the process that tried it ended ({type(error).__name__}); out of memory?"
        raise refusal(model, reason, ProcessEnded) from error
    for line in told:
        log.info("%s: %s", model.id, line)


def _tried(settings: Settings, digest: str, image_keys: Sequence[str]) -> list[str]:
    """What its loading had to say, for the log of the service."""
    with said() as lines:
        open_images(settings, digest, image_keys).close()
    return lines
