"""The service's HTTP application in a process of its own, without Ray: for questions about the API, not about models.

ASKANCE_DATA_DIR=... python -m tests.api_server --port 8000
"""

import argparse
import asyncio
import gc
import multiprocessing
import os
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import uvicorn

from loop.domain.errors import Unavailable
from loop.domain.model import ModelVersion
from loop.domain.prediction import Timed
from loop.settings import load_settings
from loop.wiring import wire
from serving.api.app import create_app
from serving.transport import free_ports


class NoInference:
    async def infer(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        raise Unavailable("this server infers nothing.", hint="Start the whole service: askance up.")


def serve(environ: Mapping[str, str], port: int) -> None:
    """Until the process is told to end. environ: the ASKANCE_ variables."""
    app = create_app(wire(load_settings(environ=environ), NoInference()))
    gc.freeze()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False))
    asyncio.run(server.serve())


class KillableServer:
    """A server that is started again and again on the same port and the same data.

    Each is forked from a process that has imported everything once: a start takes what the server does, some 0.3 s,
    instead of the 5 s of CPU that the imports take.
    """

    def __init__(self, environ: Mapping[str, str], log: Path) -> None:
        self._environ, self._log = dict(environ), log
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._process: BaseProcess | None = None
        self.port = free_ports(1)[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns at once: callers find nobody for a moment."""
        self._process = self._context.Process(
            target=_served, args=(self._environ, self.port, str(self._log)), daemon=True
        )
        self._process.start()

    def kill(self) -> None:
        """SIGKILL, for what it has started, too; returns when it is gone. Fails with its log where it had ended by
        itself."""
        assert self._process is not None
        assert self._process.is_alive(), f"the server ended by itself:\n{self._log.read_text()[-4000:]}"
        family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        for child in family:
            child.kill()
        self._process.join()

    def stop(self) -> None:
        """Kill it if it is there."""
        if self._process is not None and self._process.is_alive():
            self.kill()


def _served(environ: Mapping[str, str], port: int, log: str) -> None:
    with Path(log).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    serve(environ, port)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    serve(os.environ, parser.parse_args().port)


if __name__ == "__main__":
    main()
