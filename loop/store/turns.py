"""Who writes next, among the threads of one process.

SQLite lets waiting writers poll, with growing pauses: a busy thread takes the lock again and again while others
wait for seconds. Writers of one process therefore queue up here first; only processes compete by polling.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from loop.domain.errors import Unavailable


class Turns:
    """A lock that is given in the order of asking."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._mutex = threading.Lock()
        self._taken = False
        self._queue: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    @contextmanager
    def mine(self) -> Iterator[None]:
        """Hold the lock for the block. Raises Unavailable where it was not free in time; not reentrant."""
        self._take()
        try:
            yield
        finally:
            self._pass_on()

    def _take(self) -> None:
        with self._mutex:
            if not self._taken:
                self._taken = True
                return
            gate = threading.Lock()
            gate.acquire()
            self._queue.append(gate)
        if not gate.acquire(timeout=self._timeout_seconds):
            self._give_up(gate)

    def _give_up(self, gate: threading.Lock) -> None:
        with self._mutex:
            if gate not in self._queue:
                return  # handed over between the timeout and now
            self._queue.remove(gate)
        raise Unavailable(f"the database was busy for {self._timeout_seconds:g} s.", hint="Try again in a moment.")

    def _pass_on(self) -> None:
        with self._mutex:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._taken = False
