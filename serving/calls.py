"""In the gateway: requests of one model that wait for its detectors, and travel together.

A call between processes costs milliseconds of CPU whatever it carries, so it carries what is there: the first request
leaves at once, and what arrives while the detectors are busy shares the next call. Nothing waits for company.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from loop.domain.errors import AskanceError, DeadlinePassed, Overloaded
from loop.domain.prediction import Timed

# Encoded images and the seconds that each caller still waits, to one outcome per image in their order.
Send = Callable[[Sequence[bytes], Sequence[float]], Awaitable[Sequence[Timed | AskanceError]]]


@dataclass(frozen=True, slots=True)
class CallLimits:
    """in_flight: calls under way at once. images: the most that one carries. call_bytes: about the most encoded bytes
    of one. waiting: requests that may wait beyond those under way; more are Overloaded."""

    in_flight: int
    images: int
    call_bytes: int
    waiting: int


@dataclass(slots=True, eq=False)
class _Request:
    content: bytes
    deadline: float  # of the loop's clock
    answer: "asyncio.Future[Timed]"


@dataclass(slots=True)
class Calls:
    """Of one event loop. `send` may raise; all requests of that call then get the error."""

    send: Send
    limits: CallLimits
    _waiting: deque[_Request] = field(default_factory=deque)
    _under_way: set["asyncio.Task[None]"] = field(default_factory=set)

    async def infer(self, content: bytes, deadline: float) -> Timed:
        """deadline: of the running loop's clock. Cancelling this takes the request back; a call that nobody waits
        for any more is cancelled. Raises Overloaded, DeadlinePassed, and what the detector answered."""
        if len(self._waiting) >= self.limits.waiting:
            raise Overloaded(
                f"{len(self._waiting)} requests wait for this model already.", hint="Send it again a little later."
            )
        loop = asyncio.get_running_loop()
        request = _Request(content, deadline, loop.create_future())
        self._waiting.append(request)
        self._start_calls()
        timer = loop.call_at(deadline, _expire, request.answer)
        try:
            return await request.answer
        finally:
            timer.cancel()

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._under_way

    def _start_calls(self) -> None:
        while self._waiting and len(self._under_way) < self.limits.in_flight:
            if requests := self._next_call():
                task = asyncio.ensure_future(self._call(requests))
                self._under_way.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        self._start_calls()

    def _next_call(self) -> list[_Request]:
        """Its fair part of what waits, so that calls come back at different times and the detectors never run dry."""
        free = self.limits.in_flight - len(self._under_way)
        most = min(self.limits.images, math.ceil(len(self._waiting) / free))
        taken: list[_Request] = []
        size = 0
        while self._waiting and len(taken) < most and (not taken or size < self.limits.call_bytes):
            request = self._waiting.popleft()
            if not request.answer.done():  # gone, or too late
                taken.append(request)
                size += len(request.content)
        return taken

    async def _call(self, requests: list[_Request]) -> None:
        now = asyncio.get_running_loop().time()
        sent = asyncio.ensure_future(self._sent(requests, now))
        left = len(requests)

        def one_is_done(_: "asyncio.Future[Timed]") -> None:
            nonlocal left
            left -= 1
            if left == 0:
                sent.cancel()  # a no-op where it has ended

        for request in requests:
            request.answer.add_done_callback(one_is_done)
        with suppress(asyncio.CancelledError):
            await sent

    async def _sent(self, requests: list[_Request], now: float) -> None:
        outcomes: Sequence[Timed | Exception]
        try:
            outcomes = await self.send(
                [request.content for request in requests], [request.deadline - now for request in requests]
            )
        except Exception as error:
            outcomes = [error] * len(requests)
        for request, outcome in zip(requests, outcomes, strict=True):
            if request.answer.done():
                continue
            if isinstance(outcome, Exception):
                request.answer.set_exception(outcome)
            else:
                request.answer.set_result(outcome)


def _expire(answer: "asyncio.Future[Timed]") -> None:
    if not answer.done():
        answer.set_exception(
            DeadlinePassed("the detector did not answer before the deadline.", hint="Allow more time, or try again.")
        )
