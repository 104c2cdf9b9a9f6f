"""What a process of Ray takes of its machine's memory, wherever in the cluster that is: beyond its share it is ended.

Whoever asks for the work watches, from outside: a process that takes much may not come to say so.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from serving.memory import end_beyond, free, go_first, taken

_TOLD_SECONDS = 10.0  # in which a process that is over has ended, and its watch on another machine has said so


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process is. node: Ray's id of its machine. free: bytes of memory that the machine had left when the work
    began, with those that the process had already; None where that is not known."""

    node: str
    pid: int
    free: int | None


def watched_place() -> Place:
    """Of this process, for its `MemoryWatch`; where memory runs out all the same, the system takes this one first."""
    import ray

    go_first()
    left = free()
    # It may have done such work before: what it holds of that is not taken from this.
    return Place(
        ray.get_runtime_context().get_node_id(), os.getpid(), None if left is None else left + (taken(os.getpid()) or 0)
    )


class MemoryWatch:
    """Of one process, from `begin` until it ends, or is `over` on the same machine. share: of the memory that was free
    when the work began, which is the most that the process may take alone; setting: where that is set. Nothing is
    watched where the system does not say how much is free."""

    def __init__(self, share: float, setting: str) -> None:
        self._share, self._setting = share, setting
        self._free = 0
        self._ended: Future[int | None] | None = None
        self._over = threading.Event()

    def begin(self, place: Place) -> None:
        if place.free is None:
            return
        self._free = place.free
        aside = ThreadPoolExecutor(1, "memory watch")
        self._ended = aside.submit(_end_beyond, place, self._most, self._over.is_set)
        aside.shutdown(wait=False)  # it ends with what it watches

    def over(self) -> None:
        """The work is done; its process may go on to other work."""
        self._over.set()

    def excess(self) -> str:
        """What the process took and what it may, "" where it was not ended for that. To be asked when it is over."""
        from ray.exceptions import RayError

        try:
            used = None if self._ended is None else self._ended.result(_TOLD_SECONDS)
        except (TimeoutError, RayError):  # it lives, or its machine does not
            return ""
        if used is None:
            return ""
        return (
            f"it took {used / 1e9:.1f} GB of memory, and may take {self._most / 1e9:.1f} GB: "
            f"{self._setting} ({self._share:g}) of the {self._free / 1e9:.1f} GB that were free."
        )

    @property
    def _most(self) -> int:
        return int(self._share * self._free)


def _end_beyond(place: Place, most: int, is_over: Callable[[], bool]) -> int | None:
    """See serving.memory.end_beyond, on the machine of the process; on another one until that ends."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    if place.node == ray.get_runtime_context().get_node_id():
        return end_beyond(place.pid, most, is_over)
    there = NodeAffinitySchedulingStrategy(place.node, soft=False)
    watch = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(end_beyond)
    used: int | None = ray.get(watch.remote(place.pid, most))
    return used
