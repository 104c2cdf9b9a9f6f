"""Servers that tests start on this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer


@contextmanager
def listening(server: HTTPServer, let_go: threading.Event) -> Iterator[None]:
    """It answers until the block ends. let_go: is set then, for what it holds back."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        let_go.set()
        server.shutdown()
        server.server_close()
        thread.join()
