"""What is configured, as it was at or after the moment of asking, at a fraction of a read per request.

Tokens, projects, models and rollouts are kept in memory under the database's configuration revision. To be sure that
they still hold takes one small read, at once where the database is in this process. Else requests that ask
while one is under way share the next: its answer is newer than any of them. So a flip of the champion or a revoked
token counts for every request that begins after it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from loop.domain.access import Token
from loop.domain.guarantee.thresholds import Thresholds
from loop.domain.model import ModelVersion
from loop.domain.ports import Store, Transaction
from loop.domain.project import Project
from loop.domain.rollouts.rollout import Rollout, RolloutKind, RolloutState

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Beside:
    """A rollout that is active, and its model."""

    rollout: Rollout
    model: ModelVersion


@dataclass(frozen=True, slots=True)
class Served:
    """What answers for a project. champion: None where it has no model yet. thresholds: by model, where something is
    promised: those of the present policy for what was learned of it, and for the heuristic. dropped: whether images
    were dropped from the project, ever."""

    project: Project
    champion: ModelVersion | None
    canary: Beside | None
    shadow: Beside | None
    thresholds: Mapping[str, Sequence[Thresholds]]
    dropped: bool


@dataclass(slots=True)
class View:
    """One moment of the configuration, as far as it has been asked for."""

    revision: int
    tokens: dict[str, Token] = field(default_factory=dict)  # by the digest of their secret
    served: dict[str, Served] = field(default_factory=dict)  # by project


class Current:
    """Of one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._revisions = store.revisions()
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="configuration")
        self._view = View(-1)
        self._next: asyncio.Task[View] | None = None
        self._reading: asyncio.Task[View] | None = None

    async def view(self) -> View:
        """The configuration at some moment between this call and its return."""
        revision = self._revisions.at_once()
        if revision is not None:
            self._view = _of_revision(revision, self._view)
            return self._view
        if self._next is None:
            self._next = asyncio.ensure_future(self._shared())
        return await asyncio.shield(self._next)

    async def token(self, view: View, secret_digest: str) -> Token | None:
        """The token, revoked or not."""
        if secret_digest not in view.tokens:
            found = await self._load(lambda tx: tx.tokens.by_secret(secret_digest))
            if found is None:
                return None
            view.tokens[secret_digest] = found
        return view.tokens[secret_digest]

    async def served(self, view: View, project_id: str) -> Served:
        """Raises NotFound."""
        if project_id not in view.served:
            view.served[project_id] = await self._load(lambda tx: _served(tx, project_id))
        return view.served[project_id]

    async def close(self) -> None:
        await self._revisions.close()
        self._reader.shutdown()

    async def _shared(self) -> View:
        """The read after the one that is under way; whoever asks from its beginning on waits for another."""
        if self._reading is not None:
            await asyncio.wait([self._reading])
        self._reading, self._next = self._next, None
        self._view = _of_revision(await self._newest(), self._view)
        return self._view

    async def _newest(self) -> int:
        revision = await self._revisions.awaited()
        if revision is not None:
            return revision
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._store.revision)

    async def _load(self, read: Callable[[Transaction], Value]) -> Value:
        """Off the event loop. What comes may be newer than the view that asks: a view is kept only as long as its
        revision is the newest, so that nothing old can follow from it."""

        def load() -> Value:
            with self._store.read() as tx:
                return read(tx)

        return await asyncio.get_running_loop().run_in_executor(self._reader, load)


def _of_revision(revision: int, known: View) -> View:
    return known if revision == known.revision else View(revision)


def _served(tx: Transaction, project_id: str) -> Served:
    project = tx.projects.get(project_id)
    champion = None if project.champion_id is None else tx.models.get(project_id, project.champion_id)
    active = {
        rollout.kind: Beside(rollout, tx.models.get(project_id, rollout.model_id))
        for rollout in tx.rollouts.of_project(project_id)
        if rollout.state is RolloutState.ACTIVE
    }
    canary, shadow = active.get(RolloutKind.CANARY), active.get(RolloutKind.SHADOW)
    routed = [model for model in (champion, canary.model if canary else None) if model is not None]
    thresholds = {model.id: tx.thresholds.of(project, model) for model in routed}
    return Served(project, champion, canary, shadow, thresholds, tx.items.any_dropped(project_id))
