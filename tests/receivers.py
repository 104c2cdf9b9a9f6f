"""A real HTTP server that receives webhooks, and misbehaves where a test wants it to."""

import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

from tests.listening import listening

# What a receiver does: answer with a status, or
RESET, HANG, DRIP, GARBAGE, STALL = "reset", "hang", "drip", "garbage", "stall"
Conduct = int | str


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """conduct: what it does with a request, by the webhook-id and how often that id came before. forged: requests whose
    signature the library refused, whatever they were answered."""

    port: int
    conduct: Callable[[Received, int], Conduct] = lambda _request, _before: 204
    secret: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    accepted: list[Received] = field(default_factory=list)
    forged: list[Received] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)
    _seen: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?key=1"

    def take(self, request: Received) -> Conduct:
        with self._lock:
            before = self._seen[request.id]
            self._seen[request.id] += 1
            self.received.append(request)
        return self.conduct(request, before)

    def accept(self, request: Received) -> None:
        with self._lock:
            self.accepted.append(request)

    def is_genuine(self, request: Received) -> bool:
        if not self.secret:
            return True
        try:
            Webhook(self.secret).verify(request.body, request.headers)
        except WebhookVerificationError:
            with self._lock:
                self.forged.append(request)
            return False
        return True


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Listens on a free port of this machine until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    running = server.running = Receiver(port=server.server_address[1])
    with listening(server, running.let_go):
        yield running


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    running: Receiver

    def handle_error(self, *_: object) -> None:
        """Senders that hang up, or are killed, are what it is for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        running = self.server.running
        length = int(self.headers["content-length"])
        body = self.rfile.read(length)
        if len(body) < length:
            return  # the sender died in the middle
        request = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body.decode())
        conduct = running.take(request)
        if isinstance(conduct, int):
            genuine = running.is_genuine(request)
            status = conduct if genuine else 401
            if 200 <= status < 300:
                running.accept(request)
            self._answer(status, running.headers)
        elif conduct == HANG:
            running.let_go.wait(30)
        elif conduct == RESET:
            # Linger 0: close sends a reset in place of an end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif conduct == GARBAGE:
            self.wfile.write(b"\x00\xff this is no HTTP\r\n\r\n")
        elif conduct == STALL:  # a status, and a body that never comes
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
            running.let_go.wait(30)
        elif conduct == DRIP:
            self._drip(running)

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        said = b"" if status == 204 else b"the receiver\x00 says <so>"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def _drip(self, running: Receiver) -> None:
        """A header that never ends, a byte at a time: no single read is slow."""
        for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"z" * 10_000:
            self.wfile.write(bytes([byte]))
            if running.let_go.wait(0.02):
                return

    def log_message(self, *_: object) -> None:
        return
