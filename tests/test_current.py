"""The gateway's view of the configuration: never older than the request that asks, and seldom read."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from loop.domain.errors import NotFound
from loop.domain.rollouts.rollout import Rollout, RolloutKind, RolloutLimits, RolloutState
from loop.store.database import SqlStore
from serving.api.current import Current
from tests.contract.records import NOW, PROJECT, a_model, a_token, furnish


class Counting:
    """A real store that counts how often it is read, and is on another machine: whoever asks it waits, in a thread or,
    where it `answers_loops`, on the event loop."""

    def __init__(self, store: SqlStore, *, answers_loops: bool = True) -> None:
        self.store = store
        self.answers_loops = answers_loops
        self.reads = 0

    @contextmanager
    def read(self) -> Iterator[object]:
        self.reads += 1
        with self.store.read() as tx:
            yield tx

    def revision(self) -> int:
        self.reads += 1
        return self.store.revision()

    def revisions(self) -> "Counting":
        return self

    def at_once(self) -> None:
        return None

    async def awaited(self) -> int | None:
        await asyncio.sleep(0)
        return self.revision() if self.answers_loops else None

    async def close(self) -> None:
        pass


@pytest.fixture
def store(store: SqlStore) -> SqlStore:
    furnish(store, models=2)
    with store.begin() as tx:
        tx.tokens.add(a_token())
    return store


@pytest.mark.parametrize("answers_loops", [None, False, True], ids=["here", "elsewhere, in a thread", "elsewhere"])
def test_a_change_holds_for_every_request_that_begins_after_it(store: SqlStore, answers_loops: bool | None) -> None:
    """Champion, policy, tokens and rollouts: what was committed before a request asked is what it gets, whether the
    database is in this process or elsewhere."""

    async def story() -> None:
        asked = store if answers_loops is None else Counting(store, answers_loops=answers_loops)
        current = Current(asked)  # type: ignore[arg-type]
        secret = a_token().secret_digest
        first, second = a_model(0), a_model(1)
        for number in range(20):
            champion = (first, second)[number % 2]
            with store.begin() as tx:
                tx.projects.move_champion(PROJECT, expected=tx.projects.get(PROJECT).champion_id, to=champion.id)
            view = await current.view()
            served = await current.served(view, PROJECT)
            assert served.champion is not None
            assert served.champion.id == champion.id
            token = await current.token(view, secret)
            assert token is not None
            assert token.revoked_at is None
        with store.begin() as tx:
            tx.tokens.revoke(a_token().id, NOW)
        token = await current.token(await current.view(), secret)
        assert token is not None
        assert token.revoked_at is not None
        await current.close()

    asyncio.run(story())


def test_requests_that_ask_together_share_a_read(store: SqlStore) -> None:
    """A hundred at once cost the read that is under way and one more."""

    async def story() -> None:
        counting = Counting(store)
        current = Current(counting)  # type: ignore[arg-type]
        await asyncio.gather(*(current.view() for _ in range(100)))
        assert counting.reads <= 2
        await current.close()

    asyncio.run(story())


def test_what_has_not_changed_is_not_read_again(store: SqlStore) -> None:
    """After the first request only the revision is asked for."""

    async def story() -> None:
        counting = Counting(store)
        current = Current(counting)  # type: ignore[arg-type]
        before = await current.served(await current.view(), PROJECT)
        counting.reads = 0
        view = await current.view()
        assert await current.served(view, PROJECT) is before
        assert counting.reads == 1
        await current.close()

    asyncio.run(story())


def test_only_active_rollouts_take_traffic(store: SqlStore) -> None:
    """A queued canary is not there yet, an ended one no more."""
    champion, canary = a_model(0), a_model(1)
    with store.begin() as tx:
        tx.projects.move_champion(PROJECT, expected=None, to=champion.id)
    queued = Rollout(
        id="rollout_1",
        project_id=PROJECT,
        kind=RolloutKind.CANARY,
        model_id=canary.id,
        champion_id=champion.id,
        share=0.1,
        state=RolloutState.QUEUED,
        actor="ada",
        reason="",
        limits=RolloutLimits(
            min_requests=50, max_error_rate=0.02, max_latency_ratio=2.0, confidence=0.999, window_s=300.0
        ),
        created_at=NOW,
    )
    with store.begin() as tx:
        tx.rollouts.add(queued)

    async def seen() -> str | None:
        current = Current(store)
        served = await current.served(await current.view(), PROJECT)
        await current.close()
        return served.canary.model.id if served.canary else None

    assert asyncio.run(seen()) is None
    with store.begin() as tx:
        tx.rollouts.save(replace(queued, state=RolloutState.ACTIVE), expected=RolloutState.QUEUED)
    assert asyncio.run(seen()) == canary.id
    with store.begin() as tx:
        ended = replace(queued, state=RolloutState.ENDED, finished_at=NOW)
        tx.rollouts.save(ended, expected=RolloutState.ACTIVE)
    assert asyncio.run(seen()) is None


def test_an_unknown_project_is_named(store: SqlStore) -> None:
    """As everywhere else."""

    async def story() -> None:
        current = Current(store)
        with pytest.raises(NotFound, match="nowhere"):
            await current.served(await current.view(), "nowhere")
        assert await current.token(await current.view(), "no such digest") is None
        await current.close()

    asyncio.run(story())
