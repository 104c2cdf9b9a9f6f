"""Work that leaves the cores to whoever serves: a model that starts beside the one that answers."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NICENESS = 15
_THREADS = Path("/proc/self/task")


@contextmanager
def giving_way() -> Iterator[None]:
    """All threads of this process, those that the work starts included, come after others until it is done.

    Does nothing where the system would not let them come back, as for users without CAP_SYS_NICE, or has no priorities
    of threads.
    """
    if not _may_come_back():
        yield
        return
    before = os.getpriority(os.PRIO_PROCESS, 0)
    _set(before + _NICENESS)
    try:
        yield
    finally:
        _set(before)


def _may_come_back() -> bool:
    """Tried by one step, which costs nothing where it cannot be taken back."""
    if not _THREADS.is_dir():
        return False
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, before + 1)
        os.setpriority(os.PRIO_PROCESS, 0, before)
    except OSError:
        return False
    return True


def _set(priority: int) -> None:
    for thread in _THREADS.iterdir():
        with suppress(OSError):  # ended meanwhile
            os.setpriority(os.PRIO_PROCESS, int(thread.name), priority)
