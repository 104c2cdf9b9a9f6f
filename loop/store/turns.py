"""Who writes next, among the threads of one process.

SQLite lets waiting writers poll, with growing pauses: a busy thread takes the lock again and again while others
wait for seconds. Writers of one process therefore queue up here first; only processes compete by polling.
"""

import threading
from collections import deque

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

    def take(self) -> None:
        """Hold the lock until `pass_on` or `hand_over`. Raises Unavailable where it was not free in time; not
        reentrant."""
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

    def pass_on(self) -> None:
        """Let go of the lock."""
        with self._mutex:
            if self._queue:
                self._queue.popleft().release()
            else:
                self._taken = False

    def hand_over(self) -> bool:
        """Give the lock to who has waited longest, who then surely has it. False where nobody waits: it is kept."""
        with self._mutex:
            if self._queue:
                self._queue.popleft().release()
                return True
            return False
