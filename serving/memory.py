"""How much memory a process takes and may take: seen from outside, since one that takes much may not come to say so.

Of Linux, whose /proc and control groups say it; elsewhere nothing is known, and nothing held to a limit.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_PROCESSES = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")
# Limit, use, and the figure of memory.stat that could be given back; of both versions of control groups.
_OF_GROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)
_LOOK_SECONDS = 0.02  # in which a process comes by some 50 MB at most; a look costs 20 µs
_PAGE = os.sysconf("SC_PAGE_SIZE")
_FIRST_TO_GO = 1000  # the most that the system knows, and what Ray gives its workers
_LATER = 500  # still before what is no worker


def free(processes: Path = _PROCESSES, groups: Path = _GROUPS) -> int | None:
    """Bytes that this machine can give without taking any from what runs, or the container around this process where
    that has less; None where the system does not say."""
    try:
        lines = (processes / "meminfo").read_text().splitlines()
        there = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return min([there, *(left for names in _OF_GROUPS if (left := _left_of(groups, *names)) is not None)])


def _left_of(groups: Path, limit: str, used: str, figures: str, spare: str) -> int | None:
    """None where there is no such group, or no limit."""
    try:
        most, taken = int((groups / limit).read_text()), int((groups / used).read_text())
        lines = (groups / figures).read_text().splitlines()
        cached = next(int(line.split()[1]) for line in lines if line.split()[0] == spare)
    except (OSError, ValueError, StopIteration):
        return None
    return max(most - taken + cached, 0)


def taken(pid: int) -> int | None:
    """Bytes that only this process has: neither files, which the system can drop and read again, nor what it shares.
    None once it has ended."""
    try:
        _, resident, shared = (_PROCESSES / str(pid) / "statm").read_text().split()[:3]
    except (OSError, ValueError):
        return None
    return (int(resident) - int(shared)) * _PAGE or None


def _never() -> bool:
    return False


def end_beyond(pid: int, most: int, is_over: Callable[[], bool] = _never) -> int | None:
    """Watches the process of this machine until it has ended, or its work `is_over`: bytes that it took when that was
    more than `most` and it was killed; None otherwise."""
    while not is_over() and (used := taken(pid)) is not None:
        if used > most:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            return used
        time.sleep(_LOOK_SECONDS)
    return None


def go_first() -> None:
    """Where memory runs out all the same, the system takes this process before any that serves."""
    _set_rank(_FIRST_TO_GO)


def go_later() -> None:
    """Where memory runs out the system takes what learns, starts or is tried before this process."""
    _set_rank(_LATER)


def _set_rank(rank: int) -> None:
    with suppress(OSError):  # elsewhere than on Linux, or not allowed
        (_PROCESSES / "self/oom_score_adj").write_text(str(rank))
