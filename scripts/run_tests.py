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
from collections.abc import Sequence
from dataclasses import dataclass


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
    telling = threading.Lock()

    def work() -> None:
        while not interrupted.is_set():
            try:
                part = waiting.get_nowait()
            except queue.Empty:
                return
            ended.append(_run(part, telling))

    workers = [threading.Thread(target=work) for _ in range(_AT_ONCE)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return next((code for code in ended if code != 0), 130 if interrupted.is_set() else 0)


def _run(part: Part, telling: threading.Lock) -> int:
    if part.told:
        with telling:
            return subprocess.run(part.command(), check=False).returncode
    with tempfile.TemporaryFile() as output:
        code = subprocess.run(part.command(), stdout=output, stderr=subprocess.STDOUT, check=False).returncode
        with telling:
            print(f"\n--- meanwhile, {part.name}:\n", flush=True)
            output.seek(0)
            shutil.copyfileobj(output, sys.stdout.buffer)
            sys.stdout.flush()
    return code


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "--durations=15", *arguments]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
