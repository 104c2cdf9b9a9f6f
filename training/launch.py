"""Runs a function in a Ray task: a process of its own, with its own memory, threads and random state.

Ray is imported inside the functions, so that whoever imports this module does not pay for it.
"""

import contextlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from loop.domain.errors import AskanceError, CycleFailed, NoPlace, OutOfMemory, Unavailable
from training.device import AUTO

log = logging.getLogger("askance.launch")

_NICENESS = 10
_PLACE_SECONDS = 120.0  # for what others have reserved to become free, and its process to start
_AGAIN = "It is tried again by itself."
_LOOK_SECONDS = 2.0  # from one look whether somebody cancelled it meanwhile to the next

Result = TypeVar("Result")
Progress = Callable[[float, Mapping[str, float]], None]
Keep = Callable[[Any], None]


def run_in_ray(
    function: Callable[..., Result],
    /,
    *args: Any,
    on_progress: Progress | None = None,
    on_part: Keep | None = None,
    begin: Callable[[], Any] | None = None,
    on_begun: Keep | None = None,
    num_cpus: float = 0.5,
    num_gpus: float = 0.0,
    anywhere: bool = False,
    patience_s: float = _PLACE_SECONDS,
    **kwargs: Any,
) -> Result:
    """What `function(*args, progress=…, **kwargs)` returns, computed in a Ray task; blocks until then.

    on_progress: called here, in this thread, with what the function gave to its `progress`, in that order; before that,
    while the task has no place, with (0.0, {}). If it raises, the task is killed and the exception goes on: that is how
    to cancel.
    on_part: called here with what the function gave to its `hand_over`, an argument that it has then: parts of the work
    that are here whatever becomes of the rest.
    num_cpus, num_gpus: what Ray reserves. The default finds room on two cores beside a gateway and two detectors of 0.5
    each. patience_s: how long the task waits until they are free. anywhere: on whatever machine of the cluster has
    them, which then has to reach all that `function` is given the names of; else on this one.

    An AskanceError of the function is raised here as it is; any other, and the death of its process (as by running
    out of memory: OutOfMemory) or machine, as CycleFailed with the reason. Nothing is tried twice. Raises Unavailable
    where this process is not connected to Ray, NoPlace where others have what it reserves, and CycleFailed, at once,
    where this machine can never give it. Of a task that may be anywhere, the loss of its machine is NoPlace, too: there
    are others.
    """
    import ray
    from ray.exceptions import RayError

    if not ray.is_initialized():
        raise Unavailable("this process is not connected to Ray.", hint="Start the service with `askance up`.")
    # One call per process: what a training leaves behind (memory, settings of torch) ends with it.
    task = ray.remote(
        num_cpus=num_cpus, num_gpus=num_gpus, max_calls=1, max_retries=0, num_returns="streaming",
        scheduling_strategy="DEFAULT" if anywhere else _here(),
    )(_told)  # fmt: skip
    _require_capacity(num_cpus, num_gpus, anywhere)
    stream = task.remote(function, args, kwargs, on_part is not None, begin)
    heard: dict[str, Keep | None] = {
        "begun": on_begun,
        "part": on_part,
        "progress": None if on_progress is None else lambda told: on_progress(*told),
    }
    try:
        if not _begun(stream, patience_s, on_progress):
            raise _without_place(num_cpus, num_gpus, patience_s)
        for reference in stream:
            kind, value = ray.get(reference)
            if kind == "result":
                return value  # type: ignore[no-any-return]
            if kind == "error":
                raise value
            if (hear := heard[kind]) is not None:
                hear(value)
    except RayError as error:
        raise _failure(error, anywhere) from error
    finally:
        with contextlib.suppress(RayError, ValueError, TypeError):
            ray.cancel(stream, force=True)  # does nothing to a task that is over
    raise CycleFailed("the task ended without a result.", hint="Start the cycle again.")


def gpus_for(device: str, *, anywhere: bool = False, beside: float = 0.0) -> float:
    """What work on this device reserves where nobody says how much: one GPU of cuda; on `auto` one where this machine
    (anywhere: any of the cluster) has one left for Ray; else none. beside: GPUs that what serves always keeps."""
    if device != AUTO:
        return float(device.startswith("cuda"))
    import ray

    return float(ray.is_initialized() and any(there.get("GPU", 0.0) - beside >= 1 for there in _machines(anywhere)))


def _machines(anywhere: bool) -> list[Mapping[str, float]]:
    """Ray's resources of each machine on which a task may be."""
    import ray

    this = ray.get_runtime_context().get_node_id()
    alive = (node for node in ray.nodes() if node["Alive"])
    return [node["Resources"] for node in alive if anywhere or node["NodeID"] == this]


def on_each_machine(function: Callable[..., None], /, *args: Any) -> None:
    """Each machine of the cluster calls `function(*args)`, when it comes to it; nobody waits for them. Nothing is done
    where this process is not connected to Ray."""
    import ray

    if ray.is_initialized():
        for node in ray.nodes():
            if node["Alive"]:
                there = _on(node["NodeID"])
                ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(function).remote(*args)


def _here() -> Any:
    """The place of a task on this machine, whose folders it is given."""
    import ray

    return _on(ray.get_runtime_context().get_node_id())


def _on(machine: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(machine, soft=False)


def _require_capacity(num_cpus: float, num_gpus: float, anywhere: bool) -> None:
    if anywhere:  # a cluster may grow
        return
    for name, wanted, there in beyond_this_machine({"CPU": num_cpus, "GPU": num_gpus}):
        raise CycleFailed(
            f"of {name}s the task reserves {wanted:g}, and this machine has {there:g}.",
            hint=f"Lower training.num_{name.lower()}s, and start the cycle again.",
        )


def beyond_this_machine(reserved: Mapping[str, float]) -> Iterator[tuple[str, float, float]]:
    """What it can never give: the name of Ray's resource, how much of it is reserved, how much there is."""
    import ray

    this = ray.get_runtime_context().get_node_id()
    there: Mapping[str, float] = next((node["Resources"] for node in ray.nodes() if node["NodeID"] == this), {})
    for name, wanted in reserved.items():
        if wanted > there.get(name, 0.0):
            yield name, wanted, there.get(name, 0.0)


def _begun(stream: Any, patience_s: float, on_progress: Progress | None) -> bool:
    """Whether the task has found its place by then."""
    import ray

    until = time.monotonic() + patience_s
    while not ray.wait([stream], timeout=_LOOK_SECONDS, fetch_local=False)[0]:
        if on_progress is not None:
            on_progress(0.0, {})
        if time.monotonic() > until:
            return False
    return True


def _without_place(num_cpus: float, num_gpus: float, waited_s: float) -> NoPlace:
    needs, left = in_words({"CPU": num_cpus, "GPU": num_gpus})
    return NoPlace(
        f"other work has all places: the task reserves {needs}, Ray has {left} left, and none became free in "
        f"{waited_s:g} s.",
        hint=f"{_AGAIN} Lower training.num_cpus, set training.num_gpus (0: with device auto it runs on the CPU), raise "
        "serving.ray_cpus, or end canaries and shadows that are not needed.",
    )


def in_words(reserved: Mapping[str, float]) -> tuple[str, str]:
    """What is reserved of Ray's resources, and how much of each is left."""
    import ray

    there, free = ray.cluster_resources(), ray.available_resources()
    wanted = {name: amount for name, amount in reserved.items() if amount}
    return (
        " and ".join(f"{amount:g} {name}s" for name, amount in wanted.items()),
        " and ".join(f"{free.get(name, 0.0):g} of {there.get(name, 0.0):g} {name}s" for name in wanted),
    )


def get_ready(function: Callable[..., None], /, *args: Any) -> None:
    """Lets an idle process of Ray call `function(*args)`, which imports what a task will need: Ray gives the next task
    to the process that has been idle for the shortest time. Nobody waits for it, and a task that meets another process
    only takes longer. Nothing is done where this process is not connected to Ray."""
    import ray

    if ray.is_initialized():
        ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=_here())(function).remote(*args)


def _told(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    in_parts: bool,
    begin: Callable[[], Any] | None,
) -> Iterator[tuple[str, Any]]:
    """In the task: ("begun", what `begin` gave), ("progress", (share, figures)) and ("part", …) any number of times,
    then ("result", …) or ("error", …)."""
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
    yield "begun", None if begin is None else begin()
    threading.Thread(target=work, name="task", daemon=True).start()
    while True:
        kind, value = told.get()
        yield kind, value
        if kind in ("result", "error"):
            return


def _failure(error: Exception, anywhere: bool) -> AskanceError:
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
        lost = "the machine of the task was lost."
        return NoPlace(lost, hint=_AGAIN) if anywhere else CycleFailed(lost, hint="Start the cycle again.")
    if isinstance(error, TaskCancelledError):
        return CycleFailed("the task was cancelled.", hint="Start the cycle again.")
    reason = error.cause if isinstance(error, RayTaskError) else error
    lines = str(reason).splitlines()
    return CycleFailed(
        f"the task could not run: {type(reason).__name__}: {lines[-1] if lines else ''}".strip(),
        hint="The service's log has more.",
    )
