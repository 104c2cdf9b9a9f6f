"""The line between a gateway and a detector: each image by itself, and nothing waits for what is gone.

Each rule holds on asyncio's own event loop and on uvloop, on which Ray Serve runs gateways.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop

from loop.domain.errors import AskanceError, BadImage, Overloaded, Unavailable
from loop.domain.prediction import Timed
from serving import line as line_module
from serving.line import Line, LineLost, Lines, LineServer, clear, folder_of
from tests.test_calls import timed

APPLICATION = "det-0123456789abcdef"

Story = Callable[[], Coroutine[Any, Any, None]]
Run = Callable[[Story], None]


class Detector:
    """What stands behind the line: keeps each image until the test answers it, unless it is to answer at once."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.at_once = at_once
        self.asked: list[tuple[bytes, float]] = []
        self.answers: list[Future[Timed]] = []

    def submit(self, content: bytes, budget_s: float) -> "Future[Timed]":
        self.asked.append((content, budget_s))
        answer: Future[Timed] = Future()
        self.answers.append(answer)
        if self.at_once:
            answer.set_result(timed(content))
        return answer


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    def on_that_loop(story: Story) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(asyncio.wait_for(story(), 60))

    return on_that_loop


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Short, since the name of a Unix socket has at most 108 bytes."""
    yield tmp_path_factory.mktemp("l")


async def line_to(folder: Path) -> Line:
    line = await Lines(folder).to(APPLICATION)
    assert line is not None
    return line


async def until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.005)


async def under_way(line: Line, detector: Detector) -> "asyncio.Future[Timed | AskanceError]":
    """An image that the detector has got and not answered yet."""
    asked = asyncio.ensure_future(line.infer(b"imageimg", 9.0))
    await until(lambda: detector.answers)
    return asked


def seen(outcome: Timed | AskanceError) -> bytes:
    """What the detector was shown, from what it answered."""
    assert isinstance(outcome, Timed)
    return outcome.inference.embedding.tobytes()


def test_whoever_is_done_is_answered_whatever_came_before(folder: Path, run: Run) -> None:
    """The answers leave in the order in which they are there, each to the one who asked for it."""
    detector = Detector(at_once=False)
    server = LineServer(folder, APPLICATION, detector.submit)

    async def story() -> None:
        line = await line_to(folder)
        first, second = (asyncio.ensure_future(line.infer(content, 9.0)) for content in (b"aaaaaaaa", b"bbbbbbbb"))
        await until(lambda: len(detector.answers) == 2)
        detector.answers[1].set_result(timed(b"bbbbbbbb"))
        assert seen(await second) == b"bbbbbbbb"
        assert not first.done()
        detector.answers[0].set_result(timed(b"aaaaaaaa"))
        assert seen(await first) == b"aaaaaaaa"
        assert [budget for _, budget in detector.asked] == [9.0, 9.0]

    run(story)
    server.close()


def test_images_of_any_size_arrive_as_they_were_sent(folder: Path, run: Run) -> None:
    """Also those that do not fit the socket's buffer."""
    detector = Detector()
    server = LineServer(folder, APPLICATION, detector.submit)
    contents = [np.random.default_rng(n).bytes(size) for n, size in enumerate((8, 20_000, 9_000_000, 1_000_000))]

    async def story() -> None:
        line = await line_to(folder)
        await asyncio.gather(*(line.infer(content, 9.0) for content in contents))
        assert line.under_way == 0

    run(story)
    assert [content for content, _ in detector.asked] == contents
    server.close()


def test_an_error_is_its_own_callers(folder: Path, run: Run) -> None:
    """Errors of the domain come as they are, others as Unavailable with their reason; others are answered."""
    detector = Detector(at_once=False)
    server = LineServer(folder, APPLICATION, detector.submit)

    async def story() -> None:
        line = await line_to(folder)
        asked = [asyncio.ensure_future(line.infer(b"imageimg", 9.0)) for _ in range(3)]
        await until(lambda: len(detector.answers) == 3)
        detector.answers[0].set_exception(BadImage("it is a poem.", hint="Send an image."))
        detector.answers[1].set_exception(ZeroDivisionError("by zero"))
        detector.answers[2].set_result(timed(b"imageimg"))
        bad, failed, good = await asyncio.gather(*asked)
        assert isinstance(bad, BadImage)
        assert bad.hint == "Send an image."
        assert isinstance(failed, Unavailable)
        assert "by zero" in str(failed)
        assert seen(good) == b"imageimg"

    run(story)
    server.close()


def test_an_image_that_nobody_waits_for_is_taken_back(folder: Path, run: Run) -> None:
    """So that the detector need not look at it."""
    detector = Detector(at_once=False)
    server = LineServer(folder, APPLICATION, detector.submit)

    async def story() -> None:
        line = await line_to(folder)
        asked = await under_way(line, detector)
        asked.cancel()
        await until(detector.answers[0].cancelled)
        detector.at_once = True
        assert seen(await line.infer(b"nextnext", 9.0)) == b"nextnext"

    run(story)
    server.close()


def test_a_gateway_that_hangs_up_takes_its_images_back(folder: Path, run: Run) -> None:
    detector = Detector(at_once=False)
    server = LineServer(folder, APPLICATION, detector.submit)

    async def story() -> None:
        line = await line_to(folder)
        asked = await under_way(line, detector)
        line.close()
        with pytest.raises(LineLost):
            await asked
        await until(detector.answers[0].cancelled)

    run(story)
    server.close()


def test_what_is_under_way_on_a_line_that_breaks_is_lost_and_said_so(folder: Path, run: Run) -> None:
    """The gateway then asks another way; a line that broke is not offered again."""
    detector = Detector(at_once=False)
    server = LineServer(folder, APPLICATION, detector.submit)

    async def story() -> None:
        lines = Lines(folder)
        line = await lines.to(APPLICATION)
        assert line is not None
        asked = await under_way(line, detector)
        server.close()
        with pytest.raises(LineLost):
            await asked
        with pytest.raises(LineLost):
            await line.infer(b"imageimg", 9.0)
        assert await lines.to(APPLICATION) is None

    run(story)


def test_a_detector_that_leaves_still_answers_those_who_are_on_the_line(folder: Path, run: Run) -> None:
    """As when its model was replaced: nobody new comes, what it has accepted is answered."""
    detector = Detector(at_once=False)
    server = LineServer(folder, APPLICATION, detector.submit)

    async def story() -> None:
        line = await line_to(folder)
        asked = await under_way(line, detector)
        server.leave()
        assert await Lines(folder).to(APPLICATION) is None
        detector.answers[0].set_result(timed(b"imageimg"))
        assert seen(await asked) == b"imageimg"

    run(story)
    server.close()


def test_the_socket_of_a_process_that_was_killed_is_cleared_away(folder: Path, run: Run) -> None:
    """It refuses, and nobody will accept there any more."""
    killed = (
        "import os, socket, sys; from pathlib import Path; from serving.line import LineServer; "
        "LineServer(Path(sys.argv[1]), sys.argv[2], None); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", killed, folder, APPLICATION], check=False)
    assert len(list(folder.iterdir())) == 1

    async def story() -> None:
        assert await Lines(folder).to(APPLICATION) is None

    run(story)
    assert not list(folder.iterdir())


def test_a_detector_that_stands_still_gets_no_more_than_others(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody waits for any more still counts, until something is heard of it."""
    detectors, servers = [Detector(at_once=False), Detector(at_once=False)], []
    monkeypatch.setattr(line_module, "_LOOK_AGAIN_S", 0.0)

    async def story() -> None:
        lines = Lines(folder)
        for number, detector in enumerate(detectors):
            monkeypatch.setattr(os, "getpid", lambda number=number: 1000 + number)
            servers.append(LineServer(folder, APPLICATION, detector.submit))
        still = await lines.to(APPLICATION)
        assert still is not None
        given_up = asyncio.ensure_future(still.infer(b"imageimg", 9.0))
        await until(lambda: any(detector.asked for detector in detectors))
        given_up.cancel()
        await until(given_up.cancelled)
        for _ in range(3):
            assert await lines.to(APPLICATION) is not still
        (asked,) = [detector for detector in detectors if detector.asked]
        asked.at_once = True
        await still.infer(b"nextnext", 9.0)
        assert still.under_way == 0

    run(story)
    for server in servers:
        server.close()


def test_a_detector_that_does_not_read_takes_no_memory_without_end(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks it is told to come later."""
    monkeypatch.setattr(line_module, "_MOST_UNREAD_BYTES", 100_000)
    path = folder / f"{APPLICATION}.{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        async def story() -> None:
            line = await line_to(folder)
            asked = [asyncio.ensure_future(line.infer(bytes(100_000), 9.0)) for _ in range(20)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await line.infer(b"imageimg", 9.0)
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)

        run(story)


def test_the_line_with_the_least_under_way_is_taken(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two replicas share the work; one that comes later is found."""
    detectors, servers = [Detector(at_once=False), Detector(at_once=False)], []
    monkeypatch.setattr(line_module, "_LOOK_AGAIN_S", 0.0)

    async def story() -> None:
        lines, asked = Lines(folder), []
        for number, detector in enumerate(detectors):
            monkeypatch.setattr(os, "getpid", lambda number=number: 1000 + number)
            servers.append(LineServer(folder, APPLICATION, detector.submit))
            for _ in range(2):
                line = await lines.to(APPLICATION)
                assert line is not None
                asked.append(asyncio.ensure_future(line.infer(b"imageimg", 9.0)))
                await asyncio.sleep(0)
        await until(lambda: [len(detector.asked) for detector in detectors] == [2, 2])
        for answer in asked:
            answer.cancel()

    run(story)
    for server in servers:
        server.close()


def test_only_lines_of_the_application_that_is_asked_for_count(folder: Path, run: Run) -> None:
    """A name that begins alike (other options of the same weights) is another application."""
    server = LineServer(folder, APPLICATION + "-0a1b2c3d", Detector().submit)

    async def story() -> None:
        assert await Lines(folder).to(APPLICATION) is None
        assert await Lines(folder).to(APPLICATION + "-0a1b2c3d") is not None
        assert await Lines(None).to(APPLICATION + "-0a1b2c3d") is None

    run(story)
    server.close()


def test_nothing_stays_behind_when_the_service_has_ended(folder: Path) -> None:
    """Neither sockets nor their folder."""
    LineServer(folder, APPLICATION, Detector().submit)
    clear(folder)
    assert not folder.exists()
    clear(folder)


def test_the_folder_is_this_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes over a line is unpickled, so a folder that others may write to, or a link to somewhere, is refused."""
    monkeypatch.setattr(line_module.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = folder_of("a service")
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder_of("a service") == folder
    assert folder_of("another") != folder
    folder.chmod(0o777)
    assert folder_of("a service") is None
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    assert folder_of("a service") is None
