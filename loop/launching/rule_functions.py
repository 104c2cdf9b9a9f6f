"""Rule functions in processes of their own, which are killed when they take too long.

A thread cannot be stopped, and a loop in C holds the interpreter: only a process can be ended for certain. None is
started before a recipe asks for a function.
"""

import contextlib
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
import time
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any

from loop.domain.recipes.rules import Scene
from loop.domain.truth import shape_to_json
from loop.launching.rule_worker import GROUP

# Of an answer: MOST_FINDINGS messages with ids of shapes are well below it.
_MOST_ANSWERED = 4 * 2**20


class RegisteredFunctions:
    """Functions that installed packages register under `askance.rules`. Implements `loop.domain.ports.RuleFunctions`.

    seconds: that a function may take. start_seconds: that a process may take to import them all. workers: processes,
    so functions that are asked at once; who finds none free within `seconds` is told so.
    """

    def __init__(self, *, seconds: float = 1.0, start_seconds: float = 20.0, workers: int = 2) -> None:
        self._seconds = seconds
        self._start_seconds = start_seconds
        self._workers = workers
        self._free: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._started = False
        self._tried = threading.Event()
        self._closed = False
        self._all: set[_Worker] = set()

    @cached_property
    def names(self) -> frozenset[str]:
        """Looked up when first asked for: that reads a file of every package installed here."""
        return frozenset(point.name for point in entry_points(group=GROUP))

    def ask(self, function: str, scene: Scene) -> list[tuple[str, tuple[str, ...]]] | str:
        if function not in self.names:
            return "it is not registered under askance.rules here"
        try:
            worker = self._free.get(timeout=self._wait_for_one())
        except queue.Empty:
            return "all rule processes are busy"
        asked = {
            "function": function,
            "shapes": [shape_to_json(shape) for shape in scene.shapes],
            "width": scene.width,
            "height": scene.height,
        }
        answer = worker.ask(asked, self._seconds)
        if answer is None:
            self._replace(worker)
            return f"it took longer than {self._seconds:g} s, or ended its process"
        self._free.put(worker)
        if "failed" in answer:
            return str(answer["failed"])
        return [(message, tuple(shapes)) for message, shapes in answer["found"]]

    def close(self) -> None:
        """End the processes; without it they end with this one."""
        with self._starting:
            self._closed = True
            running = list(self._all)
        for worker in running:
            worker.kill()  # who speaks with it hears no more, and discards it
        with contextlib.suppress(queue.Empty):
            while True:
                self._discard(self._free.get_nowait())

    def _wait_for_one(self) -> float:
        """Seconds. The first who asks starts the processes; until one of them has imported what it needs, or could not,
        whoever asks waits for that: an answer would be taken without its rules."""
        with self._starting:
            starts, self._started = not self._started, True
        if starts:
            for _ in range(self._workers):
                self._start()
        return self._seconds if self._tried.is_set() else self._start_seconds

    def _replace(self, worker: "_Worker") -> None:
        self._discard(worker)
        self._start()

    def _discard(self, worker: "_Worker") -> None:
        worker.kill()
        worker.forget()
        with self._starting:
            self._all.discard(worker)

    def _start(self) -> None:
        threading.Thread(target=self._started_one, name="rule-worker", daemon=True).start()

    def _started_one(self) -> None:
        while True:
            with self._starting:
                if self._closed:
                    return
                worker = _Worker()
                self._all.add(worker)
            if worker.answer(self._start_seconds) is not None:
                self._free.put(worker)
                self._tried.set()
                return
            self._tried.set()
            if self._closed:
                self._discard(worker)
                return
            self._discard(worker)
            time.sleep(self._start_seconds)  # at once it would only fail again; whoever waits in vain is told


class _Worker:
    """One process; only who took it from the queue speaks with it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loop.launching.rule_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # what a function starts is killed with it
        )
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101 - asked for
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        os.set_blocking(self._out, False)

    def ask(self, document: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """None where the answer does not come in time, or is none."""
        deadline = time.monotonic() + seconds
        left = memoryview(json.dumps(document).encode() + b"\n")
        while left:
            if not self._ready(self._in, selectors.EVENT_WRITE, deadline):
                return None
            try:
                left = left[os.write(self._in, left) :]
            except OSError:
                return None
        return self.answer(deadline - time.monotonic())

    def answer(self, seconds: float) -> dict[str, Any] | None:
        deadline = time.monotonic() + seconds
        line = b""
        while not line.endswith(b"\n"):
            if len(line) > _MOST_ANSWERED or not self._ready(self._out, selectors.EVENT_READ, deadline):
                return None
            read = os.read(self._out, 65_536)
            if not read:
                return None
            line += read
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:
            return None
        return answer

    def kill(self) -> None:
        if self._process.returncode is not None:
            return  # the number may be another process's by now
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def forget(self) -> None:
        """Close the pipes; only for who took it, since their numbers may be given to other files at once."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    @staticmethod
    def _ready(descriptor: int, event: int, deadline: float) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, event)
            return bool(selector.select(max(deadline - time.monotonic(), 0.0)))
