"""Calls that wait for a person, of one gateway: no thread each, no image, and one query for all of them together."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

from prometheus_client import Gauge

from loop.domain.errors import AskanceError, Overloaded
from loop.domain.policy.gate import Ending
from loop.domain.ports import Store

log = logging.getLogger("askance.waiting")

# From one look to the next: short beside what a person needs.
_LOOK_SECONDS = 0.15

_waiting = Gauge("askance_waiting_calls", "Calls that wait for a person.")


class Waiting:
    """Asks the store what has become of all predictions that are waited for; the answer may be given anywhere. Asks
    nothing while nobody waits. Of one event loop."""

    def __init__(self, store: Store, most: int, look_seconds: float = _LOOK_SECONDS) -> None:
        """most: calls at once."""
        self._store = store
        self._most = most
        self._look_seconds = look_seconds
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="waiting")
        self._calls: dict[str, list[asyncio.Future[Ending | None]]] = {}  # by prediction
        self._count = 0
        self._watch: asyncio.Task[None] | None = None
        self._closed = False

    def require(self) -> None:
        """Raises Overloaded where no more calls may wait: before anything is done for one."""
        if self._count >= self._most:
            raise Overloaded(
                f"{self._count} calls wait for people already.",
                hint="Send it again a little later, or without `wait`; limits.max_waiting_calls bounds them.",
            )

    async def ending(self, prediction_id: str, seconds: float) -> Ending | None:
        """What became of the work on a prediction, as soon as it has; None where it goes on after `seconds`, or the
        service ends."""
        if self._closed:
            return None
        told: asyncio.Future[Ending | None] = asyncio.get_running_loop().create_future()
        self._calls.setdefault(prediction_id, []).append(told)
        self._count += 1
        _waiting.inc()
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._look_often())
        try:
            async with asyncio.timeout(seconds):
                return await told
        except TimeoutError:
            return None
        finally:
            _waiting.dec()
            self._count -= 1
            self._forget(prediction_id, told)

    async def close(self) -> None:
        """Every call stops waiting."""
        self._closed = True
        self._tell_all()
        if self._watch is not None:
            await asyncio.wait([self._watch])
        self._reader.shutdown()

    async def _look_often(self) -> None:
        while self._calls:
            await asyncio.sleep(self._look_seconds)
            awaited = list(self._calls)
            if not awaited:
                break
            try:
                endings, closing = await asyncio.get_running_loop().run_in_executor(self._reader, self._read, awaited)
            except AskanceError as error:  # the store may be away for a while: those who wait have their deadlines
                log.warning("cannot see what became of %d predictions: %s", len(awaited), error)
                continue
            except Exception:
                log.exception("cannot see what became of %d predictions", len(awaited))
                continue
            for prediction_id, ending in endings.items():
                self._tell(prediction_id, ending)
            if closing:
                self._tell_all()
        self._watch = None

    def _read(self, prediction_ids: list[str]) -> tuple[dict[str, Ending], bool]:
        with self._store.read() as tx:
            return dict(tx.gates.endings(prediction_ids)), tx.gates.is_closing()

    def _tell(self, prediction_id: str, ending: Ending | None) -> None:
        for told in self._calls.pop(prediction_id, ()):
            if not told.done():
                told.set_result(ending)

    def _tell_all(self) -> None:
        for prediction_id in list(self._calls):
            self._tell(prediction_id, None)

    def _forget(self, prediction_id: str, told: "asyncio.Future[Ending | None]") -> None:
        calls = self._calls.get(prediction_id)
        if calls is not None and told in calls:
            calls.remove(told)
            if not calls:
                del self._calls[prediction_id]
