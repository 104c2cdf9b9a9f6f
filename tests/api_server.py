"""The service's HTTP application in a process of its own, without Ray: for questions about the API, not about models.

ASKANCE_DATA_DIR=... python -m tests.api_server --port 8000
"""

import argparse
import asyncio
import gc
import os
import socket
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import uvicorn
import uvloop

from loop.domain.errors import Unavailable
from loop.domain.model import ModelVersion
from loop.domain.prediction import Timed
from loop.settings import load_settings
from loop.wiring import wire
from serving.api.app import create_app
from tests.killable import Killable

# What the service imports when it first needs it: answers that differ are compared with it. Here once, before servers
# are forked, rather than by each of them.
import_module("scipy.optimize")


class NoInference:
    async def infer(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        raise Unavailable("this server infers nothing.", hint="Start the whole service: askance up.")


def serve(environ: Mapping[str, str], listener: socket.socket) -> None:
    """Until the process is told to end. environ: the ASKANCE_ variables. listener: takes connections already."""
    app = create_app(wire(load_settings(environ=environ), NoInference()))
    gc.freeze()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as Ray Serve runs gateways
        runner.run(server.serve(sockets=[listener]))


class KillableServer(Killable):
    """A server that is started again and again on the same data, behind a socket that outlives it: who was being
    answered when it was killed is cut off, and who comes between two lives waits for the next, as behind a proxy or
    systemd's sockets. Nobody has to ask again and again whether it is there, which took more time than the server."""

    def __init__(self, environ: Mapping[str, str], log: Path) -> None:
        self._listener = _listening(0)
        super().__init__(serve, dict(environ), self._listener, log=log)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        """For good."""
        super().stop()
        self._listener.close()


def _listening(port: int) -> socket.socket:
    """On loopback; 0: any port that is free."""
    return socket.create_server(("127.0.0.1", port), backlog=2048)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    serve(os.environ, _listening(parser.parse_args().port))


if __name__ == "__main__":
    main()
