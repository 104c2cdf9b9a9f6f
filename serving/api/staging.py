"""Images on their way to the disk while the model looks at them: what a project keeps of every answer need not wait for
the answer."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from loop.domain.errors import AskanceError
from loop.domain.ports import Blobs, Staged

_THREADS = 4  # on a slow disk each waits for it


class Staging:
    """Owns its threads; `close` ends them once what was begun is done."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="staging")

    def begin(self, content: bytes) -> "Future[Staged]":
        """To be waited for by `done`, or given up by `drop`."""
        return self._threads.submit(self._blobs.stage, content)

    @staticmethod
    async def done(begun: "Future[Staged]") -> Staged:
        """Raises Unavailable where the disk is full. A caller who hangs up does not end it."""
        return await asyncio.shield(asyncio.wrap_future(begun))

    @staticmethod
    def drop(begun: "Future[Staged]") -> None:
        """Nobody will keep it; cleared away as soon as it is there."""
        begun.add_done_callback(_dropped)

    def close(self) -> None:
        self._threads.shutdown()


def _dropped(begun: "Future[Staged]") -> None:
    with suppress(AskanceError):  # it never came to be
        begun.result().drop()
