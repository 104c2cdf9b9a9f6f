"""A real HTTP server before another one, that passes requests on or misbehaves, as a test wants it to."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from tests.listening import listening

# What becomes of a request: it is passed on; it is not, and the connection is reset; it is passed on, but the answer is
# lost; nothing happens; or a status and headers are the answer.
PASS, RESET, LOSE, HANG = "pass", "reset", "lose", "hang"
Conduct = str | tuple[int, dict[str, str]]


@dataclass(frozen=True)
class Passed:
    """at: of the monotonic clock."""

    method: str
    path: str
    key: str
    at: float


@dataclass
class Flaky:
    """conduct: by how many requests came before."""

    upstream: str
    port: int
    conduct: Callable[[int], Conduct] = lambda _before: PASS
    seen: list[Passed] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def does(self, *first: Conduct) -> None:
        """These with the first requests from now on, then all are passed on."""
        self.seen.clear()
        self.conduct = lambda before: first[before] if before < len(first) else PASS

    def take(self, request: Passed) -> Conduct:
        with self._lock:
            self.seen.append(request)
            return self.conduct(len(self.seen) - 1)


@contextmanager
def flaky(upstream: str) -> Iterator[Flaky]:
    """Listens on a free port of this machine until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    running = server.running = Flaky(upstream, server.server_address[1])
    with listening(server, running.let_go):
        yield running


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    running: Flaky

    def handle_error(self, *_: object) -> None:
        """Callers that hang up are what it is for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _handle(self) -> None:
        running = self.server.running
        body = self._body()
        conduct = running.take(
            Passed(self.command, self.path, self.headers.get("idempotency-key", ""), time.monotonic())
        )
        if isinstance(conduct, tuple):
            self._answer(*conduct, b"<html>not ours</html>")
        elif conduct == HANG:
            running.let_go.wait(30)
        elif conduct == RESET:
            self._reset()
        else:
            kept = {n: v for n, v in self.headers.items() if n.lower() not in ("host", "transfer-encoding")}
            answer = httpx.request(
                self.command, running.upstream + self.path, content=body, headers=kept, trust_env=False
            )
            if conduct == LOSE:
                self._reset()
            else:
                told = {n: answer.headers[n] for n in ("content-type", "retry-after") if n in answer.headers}
                self._answer(answer.status_code, told, answer.content)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _handle  # noqa: N815 - names that the library calls

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _reset(self) -> None:
        # Linger 0: close sends a reset in place of an end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
