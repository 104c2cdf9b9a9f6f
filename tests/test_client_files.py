"""Answers that a client writes to a file as they come."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from serving.client import ApiError, AsyncClient, Client, Retries, ServiceUnreachable

PIECES = [b"a" * 300_000, b"b" * 300_000, b"c"]
HASTE = Retries(times=1, first_wait_s=0.0, longest_wait_s=0.0)


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """breaks: after the second piece the connection is gone."""

    def __init__(self, breaks: bool) -> None:
        self.breaks = breaks

    def __iter__(self) -> Iterator[bytes]:
        for number, piece in enumerate(PIECES):
            if self.breaks and number == 2:
                raise httpx.RemoteProtocolError("peer closed connection")
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


class Service:
    """breaks: how many answers do, from the first on. refuses: with a problem in place of an answer."""

    def __init__(self, breaks: int = 0, refuses: bool = False) -> None:
        self.breaks, self.refuses, self.asked = breaks, refuses, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        assert request.url.path == "/v1/projects/p/snapshots/d/archive"
        assert dict(request.url.params) == {"format": "yolo", "images": "true"}
        if self.refuses:
            return httpx.Response(404, json={"type": "/problems/not-found", "title": "x", "detail": "no such snapshot"})
        return httpx.Response(200, stream=Pieces(self.asked <= self.breaks))


def saved(service: Service, into: Path) -> Path:
    client = Client("http://far", "secret", retries=HASTE)
    client._http = httpx.Client(base_url="http://far", transport=httpx.MockTransport(service))
    with client:
        return client.save_snapshot("p", "d", into, format="yolo")


def saved_async(service: Service, into: Path) -> Path:
    async def run() -> Path:
        client = AsyncClient("http://far", "secret", retries=HASTE)
        client._http = httpx.AsyncClient(base_url="http://far", transport=httpx.MockTransport(service))
        async with client:
            return await client.save_snapshot("p", "d", into, format="yolo")

    return asyncio.run(run())


Save = Callable[[Service, Path], Path]
both = pytest.mark.parametrize("save", [saved, saved_async])


@both
def test_an_answer_is_written_as_it_comes(save: Save, tmp_path: Path) -> None:
    """And begun again where it was cut short."""
    for breaks in (0, 1):
        service = Service(breaks)
        assert save(service, tmp_path / "set.zip").read_bytes() == b"".join(PIECES)
        assert service.asked == breaks + 1


@both
def test_what_never_comes_whole_is_told(save: Save, tmp_path: Path) -> None:
    with pytest.raises(ServiceUnreachable, match="peer closed"):
        save(Service(breaks=9), tmp_path / "set.zip")


@both
def test_a_refusal_is_no_file(save: Save, tmp_path: Path) -> None:
    with pytest.raises(ApiError, match="no such snapshot"):
        save(Service(refuses=True), tmp_path / "set.zip")
    assert not (tmp_path / "set.zip").exists()
