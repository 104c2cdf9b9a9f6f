"""The loop that sends webhooks: takes what is due, posts it, writes down what came of it.

Posts wait for receivers, so they run side by side on one event loop; the store is asked in a thread of its own. How
many are sent at once is bounded for each endpoint and not together: a slow one takes nobody else's place.
"""

import asyncio
import logging
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from loop.domain.outgoing.webhooks import Answer, Delivery, Endpoint
from loop.domain.ports import Clock, Sender
from loop.webhooks.sending import Deliverer, Posted

log = logging.getLogger("askance.webhooks")

# Events are written by other processes, so it has to look; an idle look costs a fraction of a millisecond.
_LOOK_SECONDS = 0.5
_TIDY_SECONDS = 3600.0
# At the end, for posts that are under way; what they bring later is sent again by the next start.
_GRACE_SECONDS = 3.0


class Dispatcher:
    def __init__(self, deliverer: Deliverer, sender: Sender, clock: Clock) -> None:
        self._deliverer = deliverer
        self._sender = sender
        self._clock = clock

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set. Raises what the store raises; what was under way is then sent again by whoever
        runs next, once its lease has ended."""
        asyncio.run(self._run(stopping))

    async def _run(self, stopping: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        under_way: dict[asyncio.Task[Posted], str] = {}  # to the endpoint
        tidy_at = 0.0
        with ThreadPoolExecutor(1, thread_name_prefix="webhook-store") as store:
            while not stopping.is_set():
                if time.monotonic() >= tidy_at:
                    await loop.run_in_executor(store, self._deliverer.tidy)
                    tidy_at = time.monotonic() + _TIDY_SECONDS
                posted = _taken(under_way)
                claimed = await loop.run_in_executor(store, self._deliverer.turn, posted, Counter(under_way.values()))
                for endpoint, delivery in claimed:
                    under_way[asyncio.create_task(self._post(endpoint, delivery))] = endpoint.id
                if not claimed:
                    await _some_end(under_way, _LOOK_SECONDS)
            if under_way:
                await asyncio.wait(under_way, timeout=_GRACE_SECONDS)
            await loop.run_in_executor(store, self._deliverer.settle, _taken(under_way))

    async def _post(self, endpoint: Endpoint, delivery: Delivery) -> Posted:
        at = self._clock()
        try:
            answer = await self._sender.send(endpoint, delivery.message_id, delivery.body)
        except Exception as error:  # whatever it is, it must not hold up the others
            log.exception("webhook %s could not be sent", delivery.message_id)
            answer = Answer(status=None, error=f"It could not be sent ({type(error).__name__}).", milliseconds=0.0)
        if not answer.ok:  # the attempts of a delivery show it
            log.debug("webhook %s to endpoint %s: %s", delivery.message_id, endpoint.id, answer.error)
        return Posted(delivery, at, answer)


def _taken(under_way: dict[asyncio.Task[Posted], str]) -> list[Posted]:
    """Those that have ended, which are then under way no more."""
    ended = [task for task in under_way if task.done()]
    for task in ended:
        del under_way[task]
    return [task.result() for task in ended]


async def _some_end(under_way: dict[asyncio.Task[Posted], str], timeout_s: float) -> None:
    if under_way:
        await asyncio.wait(under_way, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    else:
        await asyncio.sleep(timeout_s)
