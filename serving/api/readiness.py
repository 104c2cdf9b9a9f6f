"""Whether the store can be read and each champion answers: asked by anybody, however often, and looked at once."""

import asyncio
import time
from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool

from loop.domain.errors import Overloaded
from loop.domain.model import ModelVersion
from loop.wiring import Services
from serving.images import BLANK

# What was seen is told for so long: probes come every few seconds, from several sides, and each of them without a
# token costs an inference of every model.
_FRESH_SECONDS = 2.0


class Readiness:
    """Of one event loop."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._looking: asyncio.Task[Mapping[str, str]] | None = None
        self._looked_at = -_FRESH_SECONDS

    async def models(self) -> Mapping[str, str]:
        """The champion of each project that has one. Raises what keeps one of them, or the store, from answering.

        Whoever asks while somebody looks gets what that one gets. A model that is busy is ready: to send its callers
        elsewhere would not help them, and take their service away."""
        if self._looking is None or (self._looking.done() and time.monotonic() - self._looked_at > _FRESH_SECONDS):
            self._looking = asyncio.ensure_future(self._look())
        # Shielded: whoever hangs up does not end it for the others.
        return await asyncio.shield(self._looking)

    async def _look(self) -> Mapping[str, str]:
        try:
            champions = await run_in_threadpool(self._champions)
            deadline = asyncio.get_running_loop().time() + self._services.settings.limits.request_timeout_s
            for answer in await asyncio.gather(
                *(self._services.inferencer.infer(model, BLANK, deadline) for model in champions),
                return_exceptions=True,
            ):
                if isinstance(answer, BaseException) and not isinstance(answer, Overloaded):
                    raise answer
            return {model.project_id: model.id for model in champions}
        finally:
            self._looked_at = time.monotonic()

    def _champions(self) -> list[ModelVersion]:
        with self._services.store.read() as tx:
            return [tx.models.get(p.id, p.champion_id) for p in tx.projects.all() if p.champion_id is not None]
