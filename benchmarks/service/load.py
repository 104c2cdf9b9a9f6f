"""Load on an HTTP service: a client that costs little beside it, in a process of its own.

    closed loop: every connection sends its next request when the last is answered
    open loop: requests fall due at a constant rate, whatever becomes of the earlier ones; latency counts from then

Standard library only: it starts at once, and one request costs about 0.1 ms of CPU (`Report.cpu_seconds`).
Instants are those of `time.monotonic`, which all processes of a machine share.
"""

import contextlib
import errno
import itertools
import os
import pickle
import re
import select
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEAD_SECONDS = 0.6  # from the call until the load begins: its process must be up
_MODEL = re.compile(rb'"model_id":\s*"([^"]+)"')
_ID = re.compile(rb'"id":\s*"([^"]+)"')
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_CLOSING = re.compile(rb"\r\nconnection:\s*close", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"(?im)^retry-after: *(\d+)\r?$")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:\s*chunked", re.IGNORECASE)
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Target:
    """Where pictures are sent: the body is `prefix` + JPEG (base64: as its text) + `suffix`: a frame, or nothing."""

    port: int
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    prefix: bytes = b""
    suffix: bytes = b""
    base64: bool = False
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Plan:
    """rate: requests a second, open loop; None: closed loop. connections: at most, at the same time.

    opens: when the first request falls due. An answer that takes longer than `timeout_s` is a failure.
    """

    target: Target
    pictures: Sequence[bytes]
    opens: float
    seconds: float
    connections: int
    rate: float | None = None
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """status: of HTTP; 0: no answer, and `fault` says why. model, id: what a 2xx of Askance names. retry_after: the
    seconds of that header; 0: there is none."""

    due: float
    sent: float
    received: float
    status: int
    model: str = ""
    id: str = ""
    fault: str = ""
    retry_after: int = 0

    @property
    def latency(self) -> float:
        """Seconds from when the request fell due."""
        return self.received - self.due

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Report:
    """cpu_seconds: what the load itself cost, in all."""

    answers: list[Answer]
    cpu_seconds: float


def varied(picture: bytes, number: int) -> bytes:
    """The same JPEG with other bytes: a comment that holds `number` behind the start marker."""
    return picture[:2] + b"\xff\xfe\x00\x12%016x" % (number & (2**64 - 1)) + picture[2:]


def multipart(field_name: str) -> tuple[tuple[tuple[str, str], ...], bytes, bytes]:
    """Headers, prefix and suffix of a form with one JPEG file."""
    boundary = "askance-benchmark"
    prefix = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field_name}"; filename="cells.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    headers = (("Content-Type", f"multipart/form-data; boundary={boundary}"),)
    return headers, prefix.encode(), f"\r\n--{boundary}--\r\n".encode()


class Running:
    """A load under way in its own process; `opens` and `closes` are its instants."""

    def __init__(self, plan: Plan) -> None:
        self.plan = replace(plan, opens=time.monotonic() + LEAD_SECONDS)
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-m", "benchmarks.service.load"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(pickle.dumps(self.plan))
        self._process.stdin.close()

    @property
    def opens(self) -> float:
        return self.plan.opens

    @property
    def closes(self) -> float:
        return self.plan.opens + self.plan.seconds

    def close(self) -> None:
        """No further requests; those under way are waited for."""
        self._process.send_signal(signal.SIGTERM)

    def report(self) -> Report:
        """Once the last answer is there, or given up."""
        assert self._process.stdout is not None
        content = self._process.stdout.read()
        if self._process.wait() != 0:
            raise RuntimeError("the load generator failed; see above")
        report: Report = pickle.loads(content)
        return report

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


# --- inside the process ----------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    unsent: memoryview | None = None
    got: bytearray = field(default_factory=bytearray)
    end: int = -1  # length of the whole answer; -1: not known yet
    due: float = 0.0
    sent: float = 0.0
    busy: bool = False


class _Driver:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.answers: list[Answer] = []
        self._poll = select.epoll()
        self._all: dict[int, _Connection] = {}
        self._idle: list[_Connection] = []
        self._bodies = _bodies(plan)
        self._waiting: deque[float] = deque()  # open loop: due, but no connection is free
        self._seen = 0.0
        self._closes = plan.opens + plan.seconds

    def close(self, *_: object) -> None:
        self._closes = min(self._closes, time.monotonic())

    def run(self) -> None:
        time.sleep(max(0.0, self.plan.opens - time.monotonic()))
        dues = self._dues()
        following = next(dues)
        while True:
            now, closes = time.monotonic(), self._closes
            while following <= now and following < closes:
                self._waiting.append(following)
                following = next(dues)
            self._send_waiting()
            if now >= closes and not self._waiting and len(self._idle) == len(self._all):
                return
            wait = min(following, closes) - now if now < closes else 0.5
            self._step(max(0.0, min(wait, 0.5)))

    def _dues(self) -> Iterator[float]:
        if self.plan.rate is not None:
            return (self.plan.opens + i / self.plan.rate for i in itertools.count())
        first = [self.plan.opens] * self.plan.connections
        return itertools.chain(first, itertools.repeat(float("inf")))

    def _send_waiting(self) -> None:
        while self._waiting:
            connection = self._idle.pop() if self._idle else self._opened()
            if connection is None:
                return
            self._send(connection, self._waiting.popleft())

    def _opened(self) -> _Connection | None:
        if len(self._all) >= self.plan.connections:
            return None
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.connect_ex((self.plan.target.host, self.plan.target.port))
        connection = _Connection(made)
        self._all[made.fileno()] = connection
        self._poll.register(made.fileno(), select.EPOLLIN)
        return connection

    def _send(self, connection: _Connection, due: float) -> None:
        connection.due, connection.busy = due, True
        connection.got.clear()
        connection.end = -1
        connection.unsent = memoryview(next(self._bodies))
        connection.sent = time.monotonic()
        self._write(connection)

    def _write(self, connection: _Connection) -> None:
        assert connection.unsent is not None
        fd = connection.socket.fileno()
        try:
            count = connection.socket.send(connection.unsent)
        except BlockingIOError:
            count = 0
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.EINPROGRESS):
                self._fail(connection, error.strerror or "cannot send")
                return
            count = 0
        connection.unsent = connection.unsent[count:] if count < len(connection.unsent) else None
        self._poll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if connection.unsent is not None else 0))

    def _step(self, wait: float) -> None:
        for fd, event in self._poll.poll(wait):
            connection = self._all.get(fd)
            if connection is None:
                continue
            if event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                self._read(connection)
            elif event & select.EPOLLOUT and connection.unsent is not None:
                self._write(connection)
        now = time.monotonic()
        if now - self._seen > 1.0:
            self._seen = now
            for connection in [c for c in self._all.values() if c.busy and now - c.sent > self.plan.timeout_s]:
                self._fail(connection, "timed out")

    def _read(self, connection: _Connection) -> None:
        try:
            part = connection.socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(connection, error.strerror or "cannot read")
            return
        if not part:
            self._fail(connection, "closed without an answer")
            return
        got = connection.got
        got += part
        if connection.end < 0:
            connection.end = _end(got)
        if 0 <= connection.end <= len(got) or (connection.end == -2 and got.endswith(b"0\r\n\r\n")):
            self._answered(connection)

    def _answered(self, connection: _Connection) -> None:
        got = connection.got
        status, head = int(got[9:12]), got[: got.find(b"\r\n\r\n")]
        model, name = (_MODEL.search(got), _ID.search(got)) if 200 <= status < 300 else (None, None)
        self.answers.append(
            Answer(
                connection.due,
                connection.sent,
                time.monotonic(),
                status,
                model[1].decode() if model else "",
                name[1].decode() if name else "",
                retry_after=int(found[1]) if (found := _RETRY_AFTER.search(head)) else 0,
            )
        )
        if _CLOSING.search(head):
            self._close(connection)
        else:
            connection.busy = False
            self._idle.append(connection)
        self._next()

    def _fail(self, connection: _Connection, why: str) -> None:
        """An idle connection that the server closes is no failure."""
        busy = connection.busy
        self._close(connection)
        if busy:
            now = time.monotonic()
            self.answers.append(Answer(connection.due, connection.sent, now, 0, fault=why))
            # A refused connection must not become a busy loop.
            time.sleep(0.001)
            self._next()

    def _next(self) -> None:
        now = time.monotonic()
        if self.plan.rate is None and now < self._closes:
            self._waiting.append(now)
        self._send_waiting()

    def _close(self, connection: _Connection) -> None:
        fd = connection.socket.fileno()
        with contextlib.suppress(OSError):
            self._poll.unregister(fd)
        connection.socket.close()
        del self._all[fd]
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)


def _end(got: bytearray) -> int:
    """Length of the whole answer; -1: its head is not complete, -2: it comes in chunks."""
    stop = got.find(b"\r\n\r\n")
    if stop < 0:
        return -1
    head = got[: stop + 2]
    if _CHUNKED.search(head):
        return -2
    length = _LENGTH.search(head)
    return stop + 4 + (int(length[1]) if length else 0)


def _bodies(plan: Plan) -> Iterator[bytes]:
    """Whole requests, picture after picture, no two alike in all runs."""
    target = plan.target
    start = int.from_bytes(os.urandom(5), "big") << 24
    extra = "".join(f"{name}: {value}\r\n" for name, value in target.headers)
    heads = []
    for picture in plan.pictures:
        length = len(_encoded(varied(picture, 0), target)) + len(target.prefix) + len(target.suffix)
        head = (
            f"POST {target.path} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\n"
            f"Content-Length: {length}\r\n{extra}\r\n"
        )
        heads.append((head.encode() + target.prefix, picture))
    for number, (head, picture) in enumerate(itertools.cycle(heads)):
        yield b"".join((head, _encoded(varied(picture, start + number), target), target.suffix))


def _encoded(picture: bytes, target: Target) -> bytes:
    return b64encode(picture) if target.base64 else picture


def main() -> None:
    plan: Plan = pickle.loads(sys.stdin.buffer.read())
    driver = _Driver(plan)
    signal.signal(signal.SIGTERM, driver.close)
    before = time.process_time()
    driver.run()
    cost = time.process_time() - before
    sys.stdout.buffer.write(pickle.dumps(Report(driver.answers, cost)))


if __name__ == "__main__":
    # Under its own name, so that both sides pickle the same classes.
    from benchmarks.service import load

    load.main()
