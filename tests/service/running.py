"""`askance up` as its users start it: a process of its own, real Ray, real HTTP, on a free port."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil

from askance.client import Client
from serving.transport import free_ports

START_SECONDS = 240


class ServiceProcess:
    """One service on one data folder; may be started again after it was killed."""

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_ports(1)[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.data_dir / "test-service.log"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ASKANCE_DATA_DIR": str(self.data_dir),
            "ASKANCE_SERVER__PORT": str(self.port),
            "ASKANCE_URL": self.url,
            **self._settings,
        }

    def start(self) -> None:
        """Returns when the service is ready. Fails with its log where it ends before."""
        self.launch()
        self.await_ready()

    def launch(self) -> None:
        """Returns at once."""
        self.port = free_ports(1)[0]
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*ASKANCE, "up"], env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def await_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the service did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.3)

    def _answers(self) -> bool:
        try:
            ready = httpx.get(f"{self.url}/readyz", timeout=10, trust_env=False).is_success
        except httpx.HTTPError:
            return False
        return ready and (self.data_dir / "operator.token").is_file()

    def operator(self) -> Client:
        return Client(self.url, self.token)

    @property
    def token(self) -> str:
        return (self.data_dir / "operator.token").read_text().strip()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """An `askance` command against this service."""
        return subprocess.run(
            [*ASKANCE, *arguments], env=self.environment, capture_output=True, text=True, timeout=600, check=False
        )

    def listening(self) -> set[tuple[str, int]]:
        """Address and port of whatever a process of the service accepts connections at."""
        assert self._process is not None
        service = psutil.Process(self._process.pid)
        return {
            (connection.laddr.ip, connection.laddr.port)
            for process in [service, *service.children(recursive=True)]
            for connection in _connections(process)
            if connection.status == psutil.CONN_LISTEN
        }

    def kill_tree(self) -> None:
        """SIGKILL for the service and every process below it, none of which can clean up."""
        assert self._process is not None
        family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for process in family:
            _kill(process)
        self._process.wait()
        psutil.wait_procs(family, timeout=30)

    def stop(self) -> None:
        """SIGTERM, as an operator or a supervisor sends it."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.kill_tree()


ASKANCE = [sys.executable, "-c", "from loop.cli import main; main()"]


def _connections(process: psutil.Process) -> list[Any]:
    try:
        return process.net_connections("inet")
    except psutil.NoSuchProcess:  # one of Ray's that has just ended
        return []


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
