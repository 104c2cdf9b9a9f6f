"""Idempotency-Keys of one gateway: claimed before the work, given back where it came to nothing.

Both write, and so wait for the database's lock, which may be busy for longer than a caller waits. They do so in threads
of their own: whoever waits there holds up nothing but other keys, and what is late is never begun.
"""

import asyncio
import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from loop.domain.errors import AskanceError, DeadlinePassed
from loop.domain.ports import Claim, Clock, Store

log = logging.getLogger("askance.gateway")

_THREADS = 8  # those that wait together are committed together
# A key that is given back is free before its caller is answered, unless the database is busy for longer than this.
_GIVEN_BACK_SECONDS = 0.5
# Nobody gives back later than this: the key may have become another request's meanwhile.
_STALE_SECONDS = 25.0


class Claims:
    """Owns its threads; `close` ends them once what was begun is done. For one event loop."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="claims")

    def close(self) -> None:
        self._threads.shutdown()

    async def claim(self, token_id: str, key: str, request_digest: str, deadline: float) -> Claim:
        """See `loop.domain.ports.IdempotencyKeys.claim`. deadline: of the running loop's clock.

        Raises DeadlinePassed where the database was busy until then: nothing is kept, and a claim that had begun is
        given back as soon as it is there.
        """
        by = time.monotonic() + deadline - asyncio.get_running_loop().time()
        claiming = self._threads.submit(self._claimed, token_id, key, request_digest, by)
        try:
            async with asyncio.timeout_at(deadline):
                return await asyncio.wrap_future(claiming)
        except (TimeoutError, asyncio.CancelledError) as ended:
            claiming.add_done_callback(partial(self._unwanted, token_id, key))
            if isinstance(ended, TimeoutError):
                raise _late() from None
            raise

    async def give_back(self, token_id: str, key: str) -> None:
        """Of a claim that came to nothing. Waits for it only shortly, and raises nothing: a key that cannot be given
        back is free a minute after it was claimed."""
        giving = asyncio.wrap_future(self._threads.submit(self._given_back, token_id, key, time.monotonic()))
        await asyncio.wait({giving}, timeout=_GIVEN_BACK_SECONDS)

    def _claimed(self, token_id: str, key: str, request_digest: str, by: float) -> Claim:
        with self._store.begin() as tx:
            if time.monotonic() > by:
                raise _late()
            return tx.keys.claim(token_id, key, request_digest, self._clock())

    def _given_back(self, token_id: str, key: str, since: float) -> None:
        try:
            with self._store.begin() as tx:
                if time.monotonic() < since + _STALE_SECONDS:
                    tx.keys.abandon(token_id, key)
        except AskanceError as error:
            log.warning("an Idempotency-Key could not be given back, and is claimed for a minute: %s", error)

    def _unwanted(self, token_id: str, key: str, claiming: "Future[Claim]") -> None:
        """Nobody waits for this claim any more, however it ended."""
        if claiming.cancelled() or claiming.exception() is not None or not claiming.result().fresh:
            return
        with suppress(RuntimeError):  # this gateway ends
            self._threads.submit(self._given_back, token_id, key, time.monotonic())


def _late() -> DeadlinePassed:
    return DeadlinePassed(
        "the database was busy until the deadline; nothing was kept.",
        hint="Allow more time, or send it again a little later.",
    )
