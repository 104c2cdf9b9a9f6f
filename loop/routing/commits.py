"""Group commit: predictions that are routed at the same time share one transaction.

One thread decides and commits, so that a commit's cost (the lock, the sync of the log) is paid once for all that came
while the one before was under way. A group that fails is kept one by one: no prediction fails for another's fault. But
not where it failed for waiting: then each of them would wait as long.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from loop.domain.errors import DeadlinePassed, Unavailable
from loop.domain.routing import Durability
from loop.routing.router import Inferred, Routed, Router

log = logging.getLogger("askance.commits")

_LARGEST_GROUP = 64
_AWAY_SECONDS = 5.0  # a store that has kept a group waiting for so long, in vain, is away for each of it


@dataclass(slots=True)
class _Entry:
    inferred: Inferred
    by: float | None
    answer: "Future[Routed]" = field(default_factory=Future)
    routed: Routed | None = None


class GroupCommit:
    """Owns its thread; `close` commits what is queued and ends it."""

    def __init__(self, router: Router, delay_s: float, routed: Callable[[float], None] = lambda _: None) -> None:
        """delay_s: the longest that an accepted prediction waits for company; only while others are expected.
        routed: told the seconds that each decision took."""
        self._router = router
        self._routed = routed
        self._delay_s = delay_s
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._expected = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    def expect(self, change: int) -> None:
        """Tell of a request that will `submit` soon (+1), or that it has or will not (-1)."""
        with self._lock:
            self._expected += change

    def submit(self, inferred: Inferred, *, by: float | None = None) -> "Future[Routed]":
        """Decided and kept, unless the project lets accepted ones be kept a moment after the answer.

        by: until when its caller waits, by `time.monotonic`: what would be begun later is not kept at all. The future
        raises what the router raises for this inference alone, and DeadlinePassed.
        """
        entry = _Entry(inferred, by)
        self._queue.put(entry)
        return entry.answer

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            first = self._queue.get()
            if first is None:
                return
            group, ended = self._joined(first)
            decided = [(entry, entry.routed) for entry in group if entry.routed is not None]
            self._keep([(entry, routed) for entry, routed in decided if not self._is_late(entry)])

    def _joined(self, first: _Entry) -> tuple[list[_Entry], bool]:
        """Who shares the transaction of `first`, decided; and whether the end of the queue was met."""
        group, until = [first], time.monotonic() + self._delay_s
        patient = self._decide(first)
        while len(group) < _LARGEST_GROUP:
            try:
                left = until - time.monotonic() if patient and self._expected > len(group) else 0.0
                entry = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if entry is None:
                return group, True
            group.append(entry)
            patient = self._decide(entry) and patient
        return group, False

    def _decide(self, entry: _Entry) -> bool:
        """Whether it may wait for company: nobody is to look at it."""
        begun = time.perf_counter()
        try:
            entry.routed = self._router.decide(entry.inferred)
            self._routed(time.perf_counter() - begun)
        except BaseException as error:
            entry.answer.set_exception(error)
            return False
        if entry.routed.task is not None:
            return False
        if entry.inferred.project.policy.durability is Durability.SOON and entry.inferred.caller.key is None:
            entry.answer.set_result(entry.routed)
        return True

    @staticmethod
    def _is_late(entry: _Entry) -> bool:
        """Whether nobody waits for it any more, who is told so; what was answered is kept however late."""
        if entry.by is None or entry.answer.done() or time.monotonic() <= entry.by:
            return False
        entry.answer.set_exception(
            DeadlinePassed(
                "the database was busy until the deadline; nothing was kept.",
                hint="Allow more time, or send it again a little later.",
            )
        )
        return True

    def _keep(self, decided: list[tuple[_Entry, Routed]]) -> None:
        if not decided:
            return
        begun = time.monotonic()
        try:
            self._router.keep([(entry.inferred, routed) for entry, routed in decided])
        except BaseException as error:
            is_away = isinstance(error, Unavailable) and time.monotonic() - begun >= _AWAY_SECONDS
            if len(decided) == 1 or is_away:
                for entry, _ in decided:
                    self._fail(entry, error)
                return
            for one in decided:
                self._keep([one])
            return
        for entry, routed in decided:
            if not entry.answer.done():
                entry.answer.set_result(routed)

    @staticmethod
    def _fail(entry: _Entry, error: BaseException) -> None:
        if entry.answer.done():
            log.error("an accepted prediction was answered and could not be kept", exc_info=error)
        else:
            entry.answer.set_exception(error)
