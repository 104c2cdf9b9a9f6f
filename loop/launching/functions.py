"""Custom functions in Ray tasks. Ray is imported inside the methods: who only asks for names does not pay for it.

A task is a process of Ray's that is used again, so that a button answers within milliseconds; a process that takes too
long is ended, whatever it does (`ray.cancel(force=True)`), with what it started, and one that dies is replaced.
"""

import contextlib
import functools
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from loop.domain.functions.calls import LONGEST_MESSAGE, Asked, Ending, Ran
from loop.domain.policy.function_uses import BY_HAND
from loop.launching.function_worker import WorkerLimits, package_of, registered, told
from loop.settings import Settings

log = logging.getLogger("askance.functions")

# A function that keeps more with each call loses it after so many.
_CALLS_OF_A_PROCESS = 200
_PREPARED_SECONDS = 60.0
_END_SECONDS = 5.0  # from an answer to the end of its task, which takes milliseconds


class RayFunctions:
    """Functions that installed packages register. Implements `loop.domain.ports.CustomFunctions`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._prepared: float | None = None  # time.monotonic

    @functools.cached_property
    def packages(self) -> Mapping[str, str]:
        return {name: package_of(point) for name, point in registered().items()}

    def run(self, asked: Asked, *, seconds: float, start_seconds: float | None = None) -> Ran:
        begun = time.monotonic()
        try:
            ran = self._run(asked, seconds, start_seconds)
        except Exception as error:  # of Ray, whatever it is: a function's failure is never the service's
            ran = _failure(error)
            log.warning("function %s: %s", asked.function, ran.why)
        return replace(ran, package=self.packages.get(asked.function, ""), seconds=time.monotonic() - begun)

    def prepare(self) -> None:
        """By a call of no function, which brings a process up that the next one finds."""
        import ray

        now = time.monotonic()
        if not ray.is_initialized() or (self._prepared is not None and now - self._prepared < _PREPARED_SECONDS):
            return
        self._prepared = now
        try:
            self._task.remote(Asked(function="", project_id="", trigger=BY_HAND), self._limits(_PREPARED_SECONDS))
        except Exception as error:  # of Ray, whatever it is: the press itself will tell
            log.warning("no process for functions could be made ready: %s", error)

    def _run(self, asked: Asked, seconds: float, start_seconds: float | None) -> Ran:
        import ray
        from ray.exceptions import RayError

        if not ray.is_initialized():
            return Ran(ending=Ending.UNAVAILABLE, why="this process is not connected to Ray (askance up)")
        begun = time.monotonic()
        stream = self._task.remote(asked, self._limits(seconds))
        over = False
        try:
            if not _ready(stream, seconds if start_seconds is None else start_seconds):
                return Ran(ending=Ending.UNAVAILABLE, why="no process was free to run it in time")
            ray.get(next(stream))
            left = seconds if start_seconds is not None else begun + seconds - time.monotonic()
            if not _ready(stream, max(left, 0.0)):
                return Ran(ending=Ending.TIMED_OUT, why=f"it took longer than {seconds:g} s, and its process was ended")
            ending, said = ray.get(next(stream))
            over = _over(stream)
            if isinstance(said, str):
                return Ran(ending=ending, why=said)
            return Ran(ending=ending, returned=said)
        finally:
            if not over:
                with contextlib.suppress(RayError, ValueError, TypeError):
                    ray.cancel(stream, force=True)

    def _limits(self, seconds: float) -> WorkerLimits:
        limits = self._settings.limits
        return WorkerLimits(self._settings.blobs_url, seconds, limits.max_image_pixels, limits.max_image_bytes)

    @functools.cached_property
    def _task(self) -> Any:
        """Nothing is tried twice here: a retry that a kill of the service survives is the queue's."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # On this machine, where the packages are known to be installed.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        return ray.remote(
            num_cpus=self._settings.functions.num_cpus, max_calls=_CALLS_OF_A_PROCESS, max_retries=0,
            num_returns="streaming", scheduling_strategy=here,
        )(told)  # fmt: skip


def _over(stream: Any) -> bool:
    """Whether the task has come to its end. Its process is ended only where it has not: while it is about to be given
    to the next call, that one would be ended with it."""
    try:
        return _ready(stream, _END_SECONDS) and next(stream, None) is None
    except Exception:  # of Ray: the process ended after the answer, which is there
        return True


def _ready(stream: Any, seconds: float) -> bool:
    import ray

    return bool(ray.wait([stream], timeout=seconds)[0])


def _failure(error: Exception) -> Ran:
    from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

    if isinstance(error, OutOfMemoryError):
        why = "the machine ran out of memory, and its process was ended"
    elif isinstance(error, WorkerCrashedError | NodeDiedError):
        why = "its process ended"
    else:
        lines = str(error).splitlines()
        why = f"it could not be run ({type(error).__name__}: {lines[-1] if lines else ''})"[:LONGEST_MESSAGE]
    return Ran(ending=Ending.CRASHED, why=why)
