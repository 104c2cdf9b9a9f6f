"""All tests, in three processes at once; with arguments, one pytest: `python scripts/run_tests.py -k routing`.

Tests of the whole service wait most of the time: for Ray, for a browser, for a training beside them. The other tests
compute, or wait for PostgreSQL, and give way to them (nice), so that nobody who waits for the service waits too long.
Each test is in exactly one part.
"""

import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the tests. arguments: of pytest. gives_way: to what runs beside it. told: as it runs, not at its end."""

    name: str
    arguments: tuple[str, ...]
    gives_way: bool = True
    told: bool = False

    def command(self) -> list[str]:
        return [*(("nice", "-n", "10") if self.gives_way else ()), *_pytest(*self.arguments)]


_MACHINE = "tests/contract/test_queue_machine.py"
# Tests of priorities want the usual one.
_SERVICE = ("tests/service", "tests/test_priority.py")
_PARTS = (
    Part("the service", _SERVICE, gives_way=False),
    Part("what computes", tuple(f"--ignore={path}" for path in (*_SERVICE, "tests/contract")), told=True),
    # The longest first.
    Part("the queue on PostgreSQL", (_MACHINE, "-k", "postgresql")),
    Part("the store", ("tests/contract", f"--ignore={_MACHINE}")),
    Part("the queue on SQLite", (_MACHINE, "-k", "not postgresql")),
)
_AT_ONCE = 3
_CORES = 2  # below which they would only keep each other waiting


def main(arguments: Sequence[str]) -> int:
    if arguments or (os.cpu_count() or 1) < _CORES:
        return subprocess.run(_pytest(*arguments), check=False).returncode
    # Ctrl-C reaches the tests too: they end what they have started, and are waited for.
    interrupted = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    waiting: queue.SimpleQueue[Part] = queue.SimpleQueue()
    for part in _PARTS:
        waiting.put(part)
    ended: list[int] = []
    tell = _Telling()

    def work() -> None:
        while not interrupted.is_set():
            try:
                part = waiting.get_nowait()
            except queue.Empty:
                return
            ended.append(_run(part, tell))

    workers = [threading.Thread(target=work) for _ in range(_AT_ONCE)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return next((code for code in ended if code != 0), 130 if interrupted.is_set() else 0)


class _Telling:
    """What parts have said, one after the other: nobody waits for the one that tells as it runs."""

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self._untold: queue.SimpleQueue[tuple[str, IO[bytes]]] = queue.SimpleQueue()

    @contextmanager
    def as_it_runs(self) -> Iterator[None]:
        with self._alone:
            yield
        self._tell()

    def at_its_end(self, name: str, output: IO[bytes]) -> None:
        self._untold.put((name, output))
        self._tell()

    def _tell(self) -> None:
        while not self._untold.empty() and self._alone.acquire(blocking=False):
            try:
                name, output = self._untold.get_nowait()
                print(f"\n--- meanwhile, {name}:\n", flush=True)
                output.seek(0)
                shutil.copyfileobj(output, sys.stdout.buffer)
                sys.stdout.flush()
                output.close()
            except queue.Empty:  # another told it just before
                return
            finally:
                self._alone.release()


def _run(part: Part, tell: _Telling) -> int:
    if part.told:
        with tell.as_it_runs():
            return subprocess.run(part.command(), check=False).returncode
    output = tempfile.TemporaryFile()  # noqa: SIM115 - closed once it is told
    code = subprocess.run(part.command(), stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    tell.at_its_end(part.name, output)
    return code


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "--durations=15", *arguments]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
