"""Who has the cores on one machine: what serves comes before what starts, learns, or works in bulk.

Ray's workers are born at a low priority, so that a model which starts beside the one that answers does not slow it
down, not even by its imports. What has begun to serve takes its place. All this only where the system lets a process
come back to a higher priority (root, CAP_SYS_NICE, or LimitNICE); elsewhere all are equal.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from serving.memory import go_later

BORN_AT = 15  # Ray's own default for its workers
_PLACE = "_ASKANCE_PRIORITY"  # of the service, told to Ray's workers by their environment
_PROCESSES = Path("/proc")
# What starts Ray's workers: they have its priority until they set their own.
_STARTS_OTHERS = b"raylet"
# Ray Serve's own, which every request or every replica depends on.
_ALWAYS_SERVE = (b"ray::ServeController", b"ray::ProxyActor", b"ray::HAProxyManager", b"haproxy")


def variables() -> dict[str, str]:
    """For the environment of Ray, from the process that starts it."""
    if not _may_come_back():
        return {"RAY_worker_niceness": "0"}
    return {"RAY_worker_niceness": str(BORN_AT), _PLACE: str(os.getpriority(os.PRIO_PROCESS, 0))}


def take_place() -> None:
    """All threads of this process from now on have the service's priority, where `variables` lowered it; and where
    memory runs out it is no longer among the first to go."""
    go_later()
    if _PLACE in os.environ:
        _set_threads(os.getpid(), int(os.environ[_PLACE]))


def stand_ready() -> None:
    """This thread has the service's priority, and those that it starts: it can `take_place` for the process when there
    is something to do, however busy the machine is."""
    if _PLACE in os.environ:
        with suppress(OSError):  # then it comes when there is room
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), int(os.environ[_PLACE]))


def give_places() -> None:
    """The processes of Ray Serve itself, which this process started, get its own priority; what starts workers does
    that at theirs."""
    if _PLACE not in os.environ:
        return
    place = int(os.environ[_PLACE])
    for pid in _descendants(os.getpid()):
        command = _command(pid)
        if command.startswith(_ALWAYS_SERVE):
            _set_threads(pid, place)
        elif command == _STARTS_OTHERS:
            _set_threads(pid, place + BORN_AT)


def give_way(steps: int = BORN_AT) -> None:
    """This thread comes after what serves, for good. steps: of niceness; five leave it a fourth of a core that others
    want, BORN_AT a thirtieth."""
    if _PLACE in os.environ:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), int(os.environ[_PLACE]) + steps)


def _may_come_back() -> bool:
    """Tried by one step, which costs nothing where it cannot be taken back."""
    if not (_PROCESSES / "self/task").is_dir():
        return False
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, before + 1)
        os.setpriority(os.PRIO_PROCESS, 0, before)
    except OSError:
        return False
    return True


def _set_threads(pid: int, priority: int) -> None:
    with suppress(OSError):  # the process has ended
        for thread in (_PROCESSES / str(pid) / "task").iterdir():
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, int(thread.name), priority)


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for thread in (_PROCESSES / str(pid) / "task").iterdir():
            for child in (thread / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def _command(pid: int) -> bytes:
    """As it calls itself, or the name of its program."""
    try:
        command = (_PROCESSES / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""
    return command if command.startswith(b"ray::") else command.split(b"\0")[0].rsplit(b"/", 1)[-1]
