"""Asking again and again until something is there."""

import time
from collections.abc import Callable
from typing import TypeVar

from serving.client.calls import Call, Give, Pause, Steps, Stream
from serving.client.errors import ServiceUnreachable

T = TypeVar("T")
_EVERY_S = 0.2


def polled(find: Call[T | None], timeout_s: float, what: str) -> Steps[T]:
    """What the call finds, once it is not None. Raises ServiceUnreachable after `timeout_s`, naming `what`."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = yield from find
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise ServiceUnreachable(f"waited {timeout_s:g} s for {what}.", hint="Look at the service's log.")
        yield from Pause(_EVERY_S)


def followed(ask: Call[T], finished: Callable[[T], bool], every_s: float) -> Stream[T]:
    """What the call answers, again and again; ends with the first that is finished."""
    while True:
        answer = yield from ask
        yield Give(answer)
        if finished(answer):
            return
        yield from Pause(every_s)
