"""Who may come in: a fair rate for each token, no more requests at once than can be answered in time, and no more
waiting bytes than memory allows."""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from loop.domain.errors import Overloaded, TooManyRequests

# Buckets of callers who come no more are forgotten from the oldest; a forgotten one begins full.
_CALLERS_KEPT = 10_000


@dataclass(slots=True)
class _Bucket:
    filled: float
    at: float


class Rates:
    """A token bucket per caller: `burst` requests at once, `per_second` for any length of time. For one thread."""

    def __init__(self, per_second: float | None, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        """per_second: None limits nothing. clock: seconds."""
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, caller: str) -> None:
        """Count one request. Raises TooManyRequests, whose `retry_after_s` says when the next is due."""
        if self._per_second is None:
            return
        now = self._clock()
        bucket = self._buckets.pop(caller, None) or _Bucket(float(self._burst), now)
        bucket.filled = min(self._burst, bucket.filled + (now - bucket.at) * self._per_second)
        bucket.at = now
        self._buckets[caller] = bucket
        while len(self._buckets) > _CALLERS_KEPT:
            self._buckets.popitem(last=False)
        if bucket.filled < 1.0:
            raise TooManyRequests(
                f"this token may ask {self._per_second:g} times a second, {self._burst} at once.",
                hint="Wait as Retry-After says, or have limits.requests_per_second raised.",
                retry_after_s=max(1, math.ceil((1.0 - bucket.filled) / self._per_second)),
            )
        bucket.filled -= 1.0


class Room:
    """The requests that are being answered: how many of each project, and the bytes of all. For one thread."""

    def __init__(self, requests: int, most_bytes: int) -> None:
        """requests: of one project at once. most_bytes: of all requests together."""
        self._requests = requests
        self._most_bytes = most_bytes
        self._inside: Counter[str] = Counter()
        self._held = 0

    def require(self, project_id: str) -> None:
        """Raises Overloaded where this project has all the requests it may have: before anything is done for one."""
        if self._inside[project_id] >= self._requests:
            raise Overloaded(
                f"{self._inside[project_id]} requests of this project are being answered already.",
                hint="Send it again a little later.",
            )

    @contextmanager
    def taken(self, project_id: str, size: int) -> Iterator[Callable[[int], None]]:
        """Count a request of `size` bytes for the block, which may tell how many it is after all. Raises Overloaded; a
        single request always fits."""
        self.require(project_id)
        if self._held and self._held + size > self._most_bytes:
            raise Overloaded(
                "images that wait for an answer take all the memory they may.",
                hint="Send it again a little later; limits.max_waiting_bytes bounds them.",
            )
        held = size

        def size_is(actual: int) -> None:
            nonlocal held
            self._held += actual - held
            held = actual

        self._held += held
        self._inside[project_id] += 1
        try:
            yield size_is
        finally:
            self._held -= held
            self._inside[project_id] -= 1
            if not self._inside[project_id]:
                del self._inside[project_id]
