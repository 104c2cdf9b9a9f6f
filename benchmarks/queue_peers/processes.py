"""Servers that are started for a while, each in a process of its own."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers."""

    url: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Since its start, of all its threads."""
        return float(sum(self.process.cpu_times()[:2]))


@contextmanager
def served(
    command: Sequence[str], health: str, folder: Path, environ: dict[str, str] | None = None
) -> Iterator[Served]:
    """A server of its own process on a free port, the last argument, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)], stdout=log, stderr=log, env={**os.environ, **(environ or {})}
        )
    try:
        _answers(url + health, process, folder)
        yield Served(url, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(url: str, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError((folder / "server.log").read_text()[-2000:])
        try:
            if httpx.get(url, trust_env=False).status_code < 500:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise TimeoutError(f"{url} does not answer")
