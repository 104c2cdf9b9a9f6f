"""The processes of one system under test: what they cost, and that they all end.

Every process inherits a variable of its system's own, so that daemons and orphans (Ray has both) count too and are
ended by their ids.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

MARK = "BENCHMARK_TREE"
STOP_SECONDS = 30.0


class Tree:
    """All processes that carry one mark."""

    def __init__(self) -> None:
        self.mark = uuid4().hex
        self._leader: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path) -> None:
        """The first process, which ends with the others in `stop`."""
        _end_in_order()
        with log.open("ab") as file:
            self._leader = subprocess.Popen(
                list(command), env={**environment, MARK: self.mark}, stdout=file, stderr=file, cwd=folder,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    @property
    def ended(self) -> bool:
        return self._leader is not None and self._leader.poll() is not None

    def processes(self) -> list[psutil.Process]:
        """Those that carry the mark, and all below them."""
        running = {process.pid: process for process in psutil.process_iter(["ppid"])}
        found = {pid for pid, process in running.items() if self._marked(process)}
        below = {pid: process.info["ppid"] for pid, process in running.items()}
        while more := {pid for pid, parent in below.items() if parent in found} - found:
            found |= more
        return [running[pid] for pid in found if pid != os.getpid()]

    def _marked(self, process: psutil.Process) -> bool:
        # Not psutil's `environ`, which gives up where a process has overwritten the first variables with its title,
        # as Ray's workers do.
        with contextlib.suppress(OSError, psutil.Error):
            environment = Path(f"/proc/{process.pid}/environ")
            if environment.exists():
                return f"{MARK}={self.mark}".encode() in environment.read_bytes()
            return process.environ().get(MARK) == self.mark
        return False

    def cpu_seconds(self) -> float:
        """User and system time of all that run now."""
        return sum(times.user + times.system for times in self._each("cpu_times"))

    def resident_bytes(self) -> int:
        return sum(info.rss for info in self._each("memory_info"))

    def _each(self, what: str) -> Iterator[Any]:
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                yield getattr(process, what)()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stopped by signal, so that an idle system takes nothing from the one that is measured."""
        stopped = self.processes()
        _signal(stopped, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(stopped, signal.SIGCONT)

    def stop(self) -> None:
        """SIGTERM to the first process, SIGKILL to what is left. Returns when none is left."""
        if self._leader is not None and self._leader.poll() is None:
            self._leader.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._leader.wait(STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        while left := self.processes():
            _signal(left, signal.SIGKILL)
            psutil.wait_procs(left, timeout=5)
        if self._leader is not None:
            self._leader.wait()


def _end_in_order() -> None:
    """Whoever ends the benchmark by SIGTERM ends what it has started, too; what is paused goes on before that."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def wait_until(ready: Callable[[], bool], seconds: float, what: str) -> None:
    """Raises TimeoutError, naming `what`."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.1)
