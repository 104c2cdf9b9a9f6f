"""The two senders, which carry out what `serving/client/calls.py` describes: one blocks, one awaits."""

import asyncio
import functools
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import httpx

from loop.domain.errors import AskanceError
from serving.client.calls import Call, Give, Pause, Step, Steps, Stream, Work
from serving.client.errors import ServiceUnreachable
from serving.client.retries import Attempt, Outcome, Retries, persistently

T = TypeVar("T")
_CHUNK_BYTES = 1 << 18


class _Script(Generic[T]):
    """Steps that are being carried out. step: what is to be done now; None when all is done, with its result."""

    result: T

    def __init__(self, steps: Generator[Any, Any, T]) -> None:
        self._steps = steps
        self.step: Any = None
        self._advance(functools.partial(next, steps))

    def answer(self, value: object = None) -> None:
        self._advance(lambda: self._steps.send(value))

    def fail(self, error: AskanceError) -> None:
        self._advance(lambda: self._steps.throw(error))

    def _advance(self, go: Callable[[], Any]) -> None:
        try:
            self.step = go()
        except StopIteration as end:
            self.step, self.result = None, end.value


class _Connection:
    """What both have: where, how patiently, and how often.

    requests: HTTP requests sent so far, retries too; failures: those of them without a 2xx answer.
    """

    def __init__(self, url: str, token: str, timeout_s: float, retries: Retries) -> None:
        self._url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._retries = retries
        self._chance = random.Random()  # noqa: S311 - spreads load, keeps no secret
        self._counting = threading.Lock()
        self._settings: dict[str, Any] = {
            "base_url": self._url,
            "headers": {"Authorization": f"Bearer {token}"},
            "timeout": timeout_s,
            "trust_env": False,
        }
        self.requests = 0
        self.failures = 0

    def _persistently(self, call: Call[Any]) -> Generator[Attempt | Pause, Any, bytes]:
        return persistently(call, self._url, self._timeout_s, self._retries, now=time.monotonic, chance=self._chance)

    def _read(self, call: Call[T], content: bytes) -> T:
        try:
            return call.read(content)
        except ValueError as error:
            raise ServiceUnreachable(
                f"what {self._url} answered to {call.method} {call.path} is no answer of Askance.",
                hint="Is that the service's address, and is this client of its version?",
            ) from error

    def _count(self, outcome: Outcome) -> Outcome:
        with self._counting:
            self.requests += 1
            self.failures += not (isinstance(outcome, httpx.Response) and outcome.is_success)
        return outcome


class Sender(_Connection):
    """Blocks. Safe for several threads."""

    def __init__(self, url: str, token: str, *, timeout_s: float = 60.0, retries: Retries | None = None) -> None:
        """timeout_s: for each try to connect, to send, and to be answered. retries: None: `Retries()`."""
        super().__init__(url, token, timeout_s, retries or Retries())
        self._http = httpx.Client(**self._settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def run(self, steps: Steps[T]) -> T:
        script = _Script(steps)
        while script.step is not None:
            self._do(script)
        return script.result

    def stream(self, steps: Stream[T]) -> Iterator[T]:
        script = _Script(steps)
        while script.step is not None:
            if isinstance(script.step, Give):
                yield script.step.value
                script.answer()
            else:
                self._do(script)

    def _do(self, script: _Script[Any]) -> None:
        try:
            answer = self._done(script.step)
        except AskanceError as error:
            script.fail(error)
        else:
            script.answer(answer)

    def _done(self, step: Step | Attempt) -> Any:
        match step:
            case Call():
                return self._read(step, self._fetched(step))
            case Attempt():
                return self._count(self._attempted(step.call, step.timeout_s))
            case Pause():
                return time.sleep(step.seconds)
            case Work():
                return step.do()

    def _fetched(self, call: Call[Any]) -> bytes:
        script = _Script(self._persistently(call))
        while script.step is not None:
            script.answer(self._done(script.step))
        return script.result

    def _attempted(self, call: Call[Any], timeout_s: float) -> Outcome:
        content = call.content
        try:
            if call.into is not None:
                return self._saved(_request(self._http, call, content, timeout_s), call.into, call.on_bytes)
            if not isinstance(content, Path):
                return self._http.send(_request(self._http, call, content, timeout_s))
            with content.open("rb") as file:
                return self._http.send(_request(self._http, call, file, timeout_s))
        except httpx.TransportError as error:
            return error

    def _saved(self, request: httpx.Request, into: Path, hear: Callable[[int], None]) -> Outcome:
        response = self._http.send(request, stream=True)
        try:
            if not response.is_success:
                response.read()
                return response
            with into.open("wb") as file:
                for piece in response.iter_bytes(_CHUNK_BYTES):
                    file.write(piece)
                    hear(response.num_bytes_downloaded)
        finally:
            response.close()
        return httpx.Response(response.status_code, headers=_kept(response), request=request)


class AsyncSender(_Connection):
    """For one event loop."""

    def __init__(self, url: str, token: str, *, timeout_s: float = 60.0, retries: Retries | None = None) -> None:
        """As of Sender."""
        super().__init__(url, token, timeout_s, retries or Retries())
        self._http = httpx.AsyncClient(**self._settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def run(self, steps: Steps[T]) -> T:
        script = _Script(steps)
        while script.step is not None:
            await self._do(script)
        return script.result

    async def stream(self, steps: Stream[T]) -> AsyncIterator[T]:
        script = _Script(steps)
        while script.step is not None:
            if isinstance(script.step, Give):
                yield script.step.value
                script.answer()
            else:
                await self._do(script)

    async def _do(self, script: _Script[Any]) -> None:
        try:
            answer = await self._done(script.step)
        except AskanceError as error:
            script.fail(error)
        else:
            script.answer(answer)

    async def _done(self, step: Step | Attempt) -> Any:
        match step:
            case Call():
                return self._read(step, await self._fetched(step))
            case Attempt():
                return self._count(await self._attempted(step.call, step.timeout_s))
            case Pause():
                return await asyncio.sleep(step.seconds)
            case Work():
                return await asyncio.to_thread(step.do)

    async def _fetched(self, call: Call[Any]) -> bytes:
        script = _Script(self._persistently(call))
        while script.step is not None:
            script.answer(await self._done(script.step))
        return script.result

    async def _attempted(self, call: Call[Any], timeout_s: float) -> Outcome:
        content: Any = _chunks(call.content) if isinstance(call.content, Path) else call.content
        try:
            if call.into is not None:
                return await self._saved(_request(self._http, call, content, timeout_s), call.into, call.on_bytes)
            return await self._http.send(_request(self._http, call, content, timeout_s))
        except httpx.TransportError as error:
            return error

    async def _saved(self, request: httpx.Request, into: Path, hear: Callable[[int], None]) -> Outcome:
        response = await self._http.send(request, stream=True)
        try:
            if not response.is_success:
                await response.aread()
                return response
            with await asyncio.to_thread(into.open, "wb") as file:
                async for piece in response.aiter_bytes(_CHUNK_BYTES):
                    await asyncio.to_thread(file.write, piece)
                    hear(response.num_bytes_downloaded)
        finally:
            await response.aclose()
        return httpx.Response(response.status_code, headers=_kept(response), request=request)


def _kept(response: httpx.Response) -> dict[str, str]:
    """Headers that still hold where the body is elsewhere."""
    lost = ("content-length", "content-encoding", "transfer-encoding")
    return {name: value for name, value in response.headers.items() if name not in lost}


def _request(http: httpx.Client | httpx.AsyncClient, call: Call[Any], content: Any, timeout_s: float) -> httpx.Request:
    return http.build_request(
        call.method,
        call.path,
        params=dict(call.params),
        json=call.body,
        content=content,
        headers=dict(call.headers),
        timeout=timeout_s,
    )


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(file.open, "rb") as opened:
        while chunk := await asyncio.to_thread(opened.read, _CHUNK_BYTES):
            yield chunk
