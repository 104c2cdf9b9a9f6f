"""docs/tutorial-cold-start.md, run as it is written: from a folder of images and some labels to the second cycle."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from askance.client import Client
from loop.demo.photos import tutorial_scenes
from loop.demo.reviewer import ScriptedReviewer
from loop.domain.identity import digest_of
from serving.transport import free_ports

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial-cold-start.md"
PROJECT, PHOTOS = "digits", 160
PEOPLE = "<!-- people label -->"

pytestmark = [pytest.mark.service, pytest.mark.timeout(1200)]


@dataclass
class Typed:
    """A command of the page, and the lines that it says come of it. at: the number of its line."""

    at: int
    command: str
    told: list[str] = field(default_factory=list)


def steps_of(document: str) -> list[Typed | None]:
    """Commands of blocks that are indented by four, by "$ " and "> "; None where people work."""
    steps: list[Typed | None] = []
    inside = False
    for at, line in enumerate(document.splitlines(), start=1):
        inside = line.startswith("    ") and (inside or line.startswith("    $ "))
        text = line[4:]
        if line == PEOPLE:
            steps.append(None)
        elif inside and text.startswith("$ "):
            steps.append(Typed(at, text[2:]))
        elif inside and isinstance(steps[-1], Typed):
            if text.startswith("> "):
                steps[-1].command += f"\n{text[2:]}"
            else:
                steps[-1].told.append(text)
    return steps


def fits(told: list[str], printed: str) -> bool:
    """Whether what was printed is what the page says: `…` stands for anything in a line, alone for any lines; spaces
    between words are any."""
    lines = [r"(?:.*\n)*?" if line.strip() == "…" else r"\s*" + _pattern(line) + r"\s*\n" for line in told]
    return re.fullmatch("".join(lines), printed) is not None


def _pattern(line: str) -> str:
    return r"\s+".join(re.escape(word).replace("…", ".*?") for word in line.split())


class Shell:
    """One bash, as somebody types into it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        scripts = folder / "bin"
        scripts.mkdir()
        for name, code in (("askance", "-c 'from loop.cli import main; main()'"), ("python", "")):
            (scripts / name).write_text(f'#!/bin/sh\nexec {sys.executable} {code} "$@"\n')
            (scripts / name).chmod(0o755)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ASKANCE_")}
        environment |= {
            "PATH": f"{scripts}:{environment['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(TUTORIAL.parents[1]), environment.get("PYTHONPATH")))),
            "ASKANCE_SERVER__PORT": str(port),
            "COLUMNS": "200",
        }
        self._bash = subprocess.Popen(
            ["bash", "--norc"], cwd=folder, env=environment, text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def type(self, command: str) -> str:
        """What it prints, until the next prompt; also told to whoever runs the test with -s, with its time."""
        begun = time.monotonic()
        printed = self._typed(command)
        print(f"$ {command}\n{printed}[{time.monotonic() - begun:.1f} s]")
        return printed

    def _typed(self, command: str) -> str:
        assert self._bash.stdin is not None and self._bash.stdout is not None
        self._bash.stdin.write(command.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}") + "\necho prompt-$?\n")
        self._bash.stdin.flush()
        printed = ""
        for line in self._bash.stdout:
            if found := re.fullmatch(r"(.*)prompt-(\d+)\n", line):
                return printed + (found[1] + "\n" if found[1] else "")
            printed += line
        raise AssertionError(f"the shell ended:\n{printed}")

    def end(self) -> None:
        """And whatever it started."""
        family = psutil.Process(self._bash.pid).children(recursive=True)
        for process in family:
            process.terminate()
        _, left = psutil.wait_procs(family, timeout=20)
        for process in left:
            process.kill()
        self._bash.kill()
        self._bash.wait()


@dataclass
class Desk:
    """Where the tutorial's people work."""

    folder: Path
    url: str
    _secret: str = ""

    def label(self) -> int:
        """Everything that waits for them, by the HTTP calls of the review page."""
        operator = (self.folder / ".askance" / "operator.token").read_text().strip()
        if not self._secret:
            with Client(self.url, operator) as client:
                self._secret = client.create_token("reviewer", "reviewer", PROJECT).secret
        truths = {digest_of(scene.jpeg()): scene.shapes for scene in tutorial_scenes(PHOTOS)}
        with Client(self.url, self._secret) as client:
            reviewer = ScriptedReviewer(client, PROJECT, truths, prefetch=20)
            while reviewer.answer_batch():
                pass
        return reviewer.answered


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    opened = Shell(tmp_path, free_ports(1)[0])
    yield opened
    opened.end()


def test_every_command_does_what_the_page_says(shell: Shell, tmp_path: Path) -> None:
    """Typed one after the other into one shell, each prints what stands below it; people label where the page says
    so, without any proposal at first; in the end a first model serves and a second cycle was judged against it."""
    desk = Desk(tmp_path / "cold-start", f"http://127.0.0.1:{shell.port}")
    answered: list[int] = []
    for step in steps_of(TUTORIAL.read_text(encoding="utf-8")):
        if step is None:
            answered.append(desk.label())
            continue
        if step.command.startswith("kill"):
            check_end(desk)
        printed = shell.type(step.command)
        assert fits(step.told, printed), f"line {step.at}: $ {step.command}\n{printed}"
    assert answered[0] == 72
    assert answered[1] > 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{desk.url}/readyz", trust_env=False)


def check_end(desk: Desk) -> None:
    operator = (desk.folder / ".askance" / "operator.token").read_text().strip()
    with Client(desk.url, operator) as client:
        second, first = client.cycles(PROJECT).cycles
        assert first.state == "promoted"
        assert second.champion_id == first.candidate_id
        assert second.decision["first_model"] is False
        assert client.project(PROJECT).champion_id in (first.candidate_id, second.candidate_id)
