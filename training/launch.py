"""Runs a function in a Ray task: a process of its own, with its own memory, threads and random state.

Ray is imported inside the functions, so that whoever imports this module does not pay for it.
"""

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from loop.domain.errors import AskanceError, CycleFailed, OutOfMemory, Unavailable

log = logging.getLogger("askance.launch")

_NICENESS = 10

Result = TypeVar("Result")
Progress = Callable[[float, Mapping[str, float]], None]
Keep = Callable[[Any], None]


def run_in_ray(
    function: Callable[..., Result],
    /,
    *args: Any,
    on_progress: Progress | None = None,
    on_part: Keep | None = None,
    num_cpus: float = 0.5,
    num_gpus: float = 0.0,
    **kwargs: Any,
) -> Result:
    """What `function(*args, progress=…, **kwargs)` returns, computed in a Ray task; blocks until then.

    on_progress: called here, in this thread, with what the function gave to its `progress`, in that order. If it
    raises, the task is killed and the exception goes on: that is how to cancel.
    on_part: called here with what the function gave to its `hand_over`, an argument that it has then: parts of the work
    that are here whatever becomes of the rest.
    num_cpus, num_gpus: what Ray reserves; the task waits until they are free. The default finds room on two cores
    beside a gateway and two detectors of 0.5 each.

    An AskanceError of the function is raised here as it is; any other, and the death of its process (as by running
    out of memory: OutOfMemory) or machine, as CycleFailed with the reason. Nothing is tried twice. Raises Unavailable
    where this process is not connected to Ray.
    """
    import ray
    from ray.exceptions import RayError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if not ray.is_initialized():
        raise Unavailable("this process is not connected to Ray.", hint="Start the service with `askance up`.")
    # One call per process: what a training leaves behind (memory, settings of torch) ends with it.
    # On this machine, whose folders the function is given.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    task = ray.remote(
        num_cpus=num_cpus, num_gpus=num_gpus, max_calls=1, max_retries=0, num_returns="streaming",
        scheduling_strategy=here,
    )(_told)  # fmt: skip
    stream = task.remote(function, args, kwargs, on_part is not None)
    try:
        for reference in stream:
            kind, value = ray.get(reference)
            if kind == "result":
                return value  # type: ignore[no-any-return]
            if kind == "error":
                raise value
            if kind == "part" and on_part is not None:
                on_part(value)
            elif kind == "progress" and on_progress is not None:
                on_progress(*value)
    except RayError as error:
        raise _failure(error) from error
    finally:
        with contextlib.suppress(RayError, ValueError, TypeError):
            ray.cancel(stream, force=True)  # does nothing to a task that is over
    raise CycleFailed("the task ended without a result.", hint="Start the cycle again.")


def get_ready(function: Callable[..., None], /, *args: Any) -> None:
    """Lets an idle process of Ray call `function(*args)`, which imports what a task will need: Ray gives the next task
    to the process that has been idle for the shortest time. Nobody waits for it, and a task that meets another process
    only takes longer. Nothing is done where this process is not connected to Ray."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if ray.is_initialized():
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=here)(function).remote(*args)


def _told(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], in_parts: bool
) -> Iterator[tuple[str, Any]]:
    """In the task: ("progress", (share, figures)) and ("part", …) any number of times, then ("result", …) or
    ("error", …)."""
    told: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def progress(share: float, figures: Mapping[str, float]) -> None:
        told.put(("progress", (share, dict(figures))))

    def hand_over(part: Any) -> None:
        told.put(("part", part))

    given = {"progress": progress, **({"hand_over": hand_over} if in_parts else {}), **kwargs}

    def work() -> None:
        try:
            told.put(("result", function(*args, **given)))
        except AskanceError as error:
            told.put(("error", error))
        except BaseException as error:
            log.exception("the task failed")
            told.put(("error", CycleFailed(f"{type(error).__name__}: {error}", hint="The service's log has more.")))

    # Whoever serves on the same cores goes first; on cores of its own the task loses nothing by it.
    os.nice(_NICENESS)
    threading.Thread(target=work, name="task", daemon=True).start()
    while True:
        kind, value = told.get()
        yield kind, value
        if kind in ("result", "error"):
            return


def _failure(error: Exception) -> CycleFailed:
    from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, TaskCancelledError, WorkerCrashedError

    if isinstance(error, OutOfMemoryError):
        return OutOfMemory(
            "the machine ran out of memory, and Ray ended the task.",
            hint="Lower training.batch or training.image_size, or give the machine more memory.",
        )
    if isinstance(error, WorkerCrashedError):
        return CycleFailed(
            "the process of the task died.",
            hint="Most often it was out of memory: lower training.batch or training.image_size.",
        )
    if isinstance(error, NodeDiedError):
        return CycleFailed("the machine of the task was lost.", hint="Start the cycle again.")
    if isinstance(error, TaskCancelledError):
        return CycleFailed("the task was cancelled.", hint="Start the cycle again.")
    reason = error.cause if isinstance(error, RayTaskError) else error
    lines = str(reason).splitlines()
    return CycleFailed(
        f"the task could not run: {type(reason).__name__}: {lines[-1] if lines else ''}".strip(),
        hint="The service's log has more.",
    )
