"""The service's HTTP application in a process of its own, without Ray: for questions about the API, not about models.

ASKANCE_DATA_DIR=... python -m tests.api_server --port 8000
"""

import argparse
import asyncio
import gc
import os
from collections.abc import Mapping
from pathlib import Path

import uvicorn
import uvloop

from loop.domain.errors import Unavailable
from loop.domain.model import ModelVersion
from loop.domain.prediction import Timed
from loop.settings import load_settings
from loop.wiring import wire
from serving.api.app import create_app
from serving.transport import free_ports
from tests.killable import Killable


class NoInference:
    async def infer(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        raise Unavailable("this server infers nothing.", hint="Start the whole service: askance up.")


def serve(environ: Mapping[str, str], port: int) -> None:
    """Until the process is told to end. environ: the ASKANCE_ variables."""
    app = create_app(wire(load_settings(environ=environ), NoInference()))
    gc.freeze()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as Ray Serve runs gateways
        runner.run(server.serve())


class KillableServer(Killable):
    """A server that is started again and again on the same port and the same data. After a start callers find nobody
    for a moment."""

    def __init__(self, environ: Mapping[str, str], log: Path) -> None:
        self.port = free_ports(1)[0]
        super().__init__(serve, dict(environ), self.port, log=log)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    serve(os.environ, parser.parse_args().port)


if __name__ == "__main__":
    main()
