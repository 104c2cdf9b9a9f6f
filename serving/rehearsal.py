"""A model is tried before it is started: loaded, compared and asked once in a process of its own.

What is broken then costs one process at the lowest priority, not replicas that Ray Serve starts and starts again; and
what is not leaves its choice of a runtime to the replicas, none of which has to load torch.
"""

import logging
from collections.abc import Sequence

from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from loop.domain.errors import AskanceError, Unavailable
from loop.domain.model import ModelVersion
from loop.settings import Settings, serving_of
from serving.detectors import open_images

log = logging.getLogger("askance.serving")

_LONGEST_SECONDS = 1800.0  # an engine for a GPU takes minutes to build
_HINT = "The champion stays. See the service's log for the whole reason."


class ProcessEnded(Unavailable):
    """The process that tried the model ended before it could say anything: most often, memory ran out."""


def rehearse(settings: Settings, model: ModelVersion, image_keys: Sequence[str]) -> None:
    """Returns when the model has answered, with its choice kept; raises Unavailable, with the reason, where it cannot,
    and ProcessEnded.

    image_keys: blobs of images of its project, on which runtimes are compared.
    """
    import ray

    serving = serving_of(settings, model.serving)
    own = settings.model_copy(update={"serving": serving})
    # A process that ends with this: what a broken model did to it is over, and so is the memory of torch.
    apart = ray.remote(num_cpus=serving.num_cpus, num_gpus=serving.num_gpus, max_calls=1, max_retries=0)(_tried)
    try:
        trial = apart.remote(own, model.digest, list(image_keys))
        told = ray.get(trial, timeout=_LONGEST_SECONDS)
    except GetTimeoutError as error:
        ray.cancel(trial, force=True)
        needs = f"{serving.num_cpus:g} of Ray's CPUs and {serving.num_gpus:g} GPUs"
        reason = f"it was not tried within {_LONGEST_SECONDS / 60:.0f} minutes; it needs {needs}"
        raise Unavailable(_refusal(model, reason), hint=_HINT) from error
    except RayTaskError as error:
        reason = error.cause.detail if isinstance(error.cause, AskanceError) else str(error.cause)
        raise Unavailable(_refusal(model, reason), hint=_HINT) from error
    except RayError as error:
        reason = f"the process that tried it ended ({type(error).__name__}); out of memory?"
        raise ProcessEnded(_refusal(model, reason), hint=_HINT) from error
    for line in told:
        log.info("%s: %s", model.id, line)


def _refusal(model: ModelVersion, reason: str) -> str:
    return f"the model {model.digest[:12]} could not be started: {reason}"


def _tried(settings: Settings, digest: str, image_keys: Sequence[str]) -> list[str]:
    """What its loading had to say, for the log of the service."""
    told = _Told()
    runtimes = logging.getLogger("askance.runtime")
    runtimes.addHandler(told)
    try:
        open_images(settings, digest, image_keys).close()
    finally:
        runtimes.removeHandler(told)
    return told.lines


class _Told(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
