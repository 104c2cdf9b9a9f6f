"""A line from a gateway to a detector of the same machine: a Unix socket that carries encoded images there and their
outcomes back, each by itself.

A call of Ray's costs milliseconds whatever it carries (docs/performance.md), and answers when the last of its images
is done. Here an image costs a fraction of that, and its answer leaves when it is there. Ray still starts, watches and
ends the detectors, and still carries what no line leads to: other machines, shared processes, replicas whose number
follows the load.

A detector offers its line as a socket in a folder of its user's own; a gateway finds it there. A line that breaks
fails what was under way on it with LineLost, and the gateway asks another way: inference may be repeated.
"""

import asyncio
import itertools
import logging
import math
import os
import pickle
import re
import socket
import stat
import struct
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from loop.domain.errors import AskanceError, Overloaded, Unavailable
from loop.domain.identity import digest_of
from loop.domain.prediction import Timed
from serving.image_queue import outcome
from serving.priority import stand_ready, take_place

log = logging.getLogger("askance.serving")

Submit = Callable[[bytes, float], "Future[Timed]"]

# Number of the image on its line, seconds that its caller still waits, bytes that follow.
_IMAGE = struct.Struct("!IdI")
_TAKEN_BACK = -1.0  # in place of the seconds: nobody waits for this number any more
# Number of the image, bytes of the pickled outcome that follow. Both ends are processes of one service and of one
# user: see `folder_of`.
_OUTCOME = struct.Struct("!II")
_BUFFER_BYTES = 4_000_000
_SEND_SECONDS = 1
_MOST_UNREAD_BYTES = 64_000_000  # of images that wait for a detector to read them
_SUFFIX = ".sock"
_LOOK_AGAIN_S = 1.0


class LineLost(Exception):
    """The detector at the other end has ended, or is about to."""


def folder_of(service: str) -> Path | None:
    """Where the detectors of a service (any text that tells it from others) offer their lines; None where no folder
    can be had that is this user's alone."""
    folder = Path(tempfile.gettempdir()) / f"askance-{os.getuid()}-{digest_of(service.encode())[:12]}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        log.warning("no lines between gateway and detectors: %s", error)
        return None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        log.warning("no lines between gateway and detectors: %s is open to other users", folder)
        return None
    return folder


def clear(folder: Path) -> None:
    """Once the service has ended: no socket of a detector that was killed stays behind, nor the folder."""
    with suppress(OSError):
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()


class LineServer:
    """The detector's end. Owns a thread that accepts and one for each gateway; `close` ends them."""

    def __init__(self, folder: Path, application: str, submit: Submit) -> None:
        """application: by which gateways ask for it; its processes each offer a line. Raises OSError."""
        self._submit = submit
        self._path = folder / f"{application}.{os.getpid()}{_SUFFIX}"
        self._path.unlink(missing_ok=True)  # of a process before, which had the same number
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._connections: set[socket.socket] = set()
        threading.Thread(target=self._accept, name="line", daemon=True).start()

    def leave(self) -> None:
        """Offer the line to nobody else; those who are on it stay."""
        self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self) -> None:
        """Hang up. What was answered before has left."""
        self.leave()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        stand_ready()
        try:
            with suppress(OSError):  # closed, or out of descriptors
                while True:
                    connection, _ = self._listener.accept()
                    threading.Thread(target=self._serve, args=(connection,), name="line-reader", daemon=True).start()
        finally:
            self.leave()  # nobody may wait at a door that nobody opens

    def _serve(self, connection: socket.socket) -> None:
        # Not before: what Ray Serve does between a model's start and its first image can wait.
        take_place()
        # The network's threads answer. So that they do not wait for a gateway: room for what may be under way, as far
        # as the system grants it, and no long wait for one that does not read.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))
        self._connections.add(connection)
        open_ones: dict[int, Future[Timed]] = {}
        lock = threading.Lock()
        try:
            with suppress(OSError), connection.makefile("rb") as stream:
                while self._read_one(stream, open_ones, partial(_answer, connection, lock, open_ones)):
                    pass
        finally:
            for answer in list(open_ones.values()):
                answer.cancel()
            self._connections.discard(connection)
            connection.close()

    def _read_one(
        self, stream: BinaryIO, open_ones: dict[int, "Future[Timed]"], answered: Callable[[int, "Future[Timed]"], None]
    ) -> bool:
        """False at the end of the line."""
        head = stream.read(_IMAGE.size)
        if len(head) < _IMAGE.size:
            return False
        number, budget_s, size = _IMAGE.unpack(head)
        if budget_s == _TAKEN_BACK:
            answer = open_ones.pop(number, None)
            if answer is not None:
                answer.cancel()
            return True
        content = stream.read(size)
        if len(content) < size:
            return False
        answer = open_ones[number] = self._submit(content, budget_s)
        answer.add_done_callback(partial(answered, number))
        return True


def _answer(
    connection: socket.socket,
    lock: threading.Lock,
    open_ones: dict[int, "Future[Timed]"],
    number: int,
    answer: "Future[Timed]",
) -> None:
    """Runs in the thread that is done with the image."""
    open_ones.pop(number, None)
    if answer.cancelled():
        return
    said = pickle.dumps(_said(answer), protocol=pickle.HIGHEST_PROTOCOL)
    try:
        with lock:
            connection.sendall(_OUTCOME.pack(number, len(said)) + said)
    except OSError:  # gone, or it does not read; half an outcome may have left, so that no other can follow
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _said(answer: "Future[Timed]") -> Timed | AskanceError:
    try:
        return outcome(answer)
    except Exception as error:
        log.exception("the detector failed")
        return Unavailable(f"the detector failed: {error}", hint="See the service's log; roll back if it stays.")


class Line(asyncio.Protocol):
    """The gateway's end of one line. Of one event loop; made by `Lines`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._leaving = False
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Timed | AskanceError]] = {}
        self._got = bytearray()
        self._given_up = 0  # images since the detector was last heard of

    @property
    def alive(self) -> bool:
        """Whether it may be asked."""
        return self._transport is not None and not self._leaving

    @property
    def under_way(self) -> int:
        """Those that nobody waits for any more among them, as long as nothing is heard of the detector: one that stands
        still would look as if it had nothing to do, and get all that comes."""
        return len(self._waiting) + self._given_up

    async def infer(self, content: bytes, budget_s: float) -> Timed | AskanceError:
        """What the detector says of an encoded image. Cancelling this takes it back. Raises LineLost, and Overloaded
        where the detector has long not read what was sent."""
        if self._transport is None:
            raise LineLost
        if self._transport.get_write_buffer_size() > _MOST_UNREAD_BYTES:
            raise Overloaded("the detector does not read what is sent to it.", hint="Send it again a little later.")
        number = next(self._numbers) & 0xFFFFFFFF
        answer: asyncio.Future[Timed | AskanceError] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._transport.write(_IMAGE.pack(number, max(0.0, budget_s), len(content)))
        self._transport.write(content)
        try:
            return await answer
        except asyncio.CancelledError:
            self._given_up += 1
            if self._transport is not None:
                self._transport.write(_IMAGE.pack(number, _TAKEN_BACK, 0))
            raise
        finally:
            self._waiting.pop(number, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._got += data
        while len(self._got) >= _OUTCOME.size:
            number, size = _OUTCOME.unpack_from(self._got)
            end = _OUTCOME.size + size
            if len(self._got) < end:
                return
            said = bytes(self._got[_OUTCOME.size : end])
            del self._got[:end]
            self._given_up = 0
            answer = self._waiting.get(number)
            if answer is not None and not answer.done():
                answer.set_result(pickle.loads(said))  # noqa: S301 - see _OUTCOME

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(LineLost())

    def leave(self) -> None:
        """Ask no more: the detector is ending. What is under way is still answered."""
        self._leaving = True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Lines:
    """The lines that lead from this gateway, by application. Of one event loop."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lines: dict[str, dict[Path, Line]] = {}
        self._looked: dict[str, float] = {}

    async def to(self, application: str) -> Line | None:
        """The one with the least under way; None where no detector of the application offers any."""
        if self._folder is None:
            return None
        loop = asyncio.get_running_loop()
        if loop.time() - self._looked.get(application, -math.inf) >= _LOOK_AGAIN_S:
            self._looked[application] = math.inf  # one at a time
            try:
                await self._look(self._folder, application)
            finally:
                self._looked[application] = loop.time()
        alive = [line for line in self._lines.get(application, {}).values() if line.alive]
        return min(alive, key=lambda line: line.under_way, default=None)

    async def _look(self, folder: Path, application: str) -> None:
        """Connect to detectors that were not there before; forget those that are gone."""
        offered = re.compile(re.escape(application) + r"\.\d+" + re.escape(_SUFFIX))
        lines = {path: line for path, line in self._lines.get(application, {}).items() if line.alive}
        self._lines[application] = lines
        try:
            found = [path for path in folder.iterdir() if offered.fullmatch(path.name) and path not in lines]
        except OSError:  # somebody tidied up
            found = []
        for path in found:
            try:
                _, lines[path] = await asyncio.get_running_loop().create_unix_connection(Line, str(path))
            except OSError as error:
                log.debug("no line by %s: %s", path, error)
                if not _runs(int(path.name.split(".")[1])):
                    path.unlink(missing_ok=True)  # it was killed
        if not lines:
            self._lines.pop(application, None)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
