"""Requests of one model travel together: nobody waits for company, nobody is computed for nothing."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest

from loop.domain.errors import AskanceError, BadImage, DeadlinePassed, ModelGone, Overloaded
from loop.domain.item import ImageFacts
from loop.domain.prediction import Inference, Timed
from serving.calls import CallLimits, Calls


def timed(content: bytes) -> Timed:
    nothing = np.empty((0, 4), dtype=np.float32)
    inference = Inference(
        boxes=nothing,
        scores=nothing[:, 0],
        classes=np.empty(0, dtype=np.int64),
        class_scores=nothing,
        embedding=np.frombuffer(content.ljust(8), dtype=np.float32),
    )
    return Timed(inference, ImageFacts(8, 8, "image/png"), 0.0, 0.0, 0.0)


class Far:
    """The other side of the calls: keeps each until the test answers it."""

    def __init__(self) -> None:
        self.calls: list[list[bytes]] = []
        self.budgets: list[list[float]] = []
        self.cancelled = 0
        self.answers: list[asyncio.Future[None]] = []
        self.outcome = timed
        self.asked: list[asyncio.Task[Timed]] = []

    async def send(self, contents: Sequence[bytes], budgets_s: Sequence[float]) -> list[Timed | AskanceError]:
        self.calls.append(list(contents))
        self.budgets.append(list(budgets_s))
        answer = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        try:
            await answer
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return [self.outcome(content) for content in contents]

    def ask(self, calls: Calls, *contents: bytes) -> list["asyncio.Task[Timed]"]:
        """Ask for each, with time to spare."""
        asked = [asyncio.create_task(calls.infer(content, soon())) for content in contents]
        self.asked += asked  # referred to, so that they are not collected
        return asked

    async def settled(self) -> None:
        """Let all that is ready run."""
        for _ in range(20):
            await asyncio.sleep(0)

    def answer(self, number: int) -> None:
        self.answers[number].set_result(None)


def limits(**changes: int) -> CallLimits:
    return CallLimits(**({"in_flight": 1, "images": 8, "call_bytes": 1000, "waiting": 100} | changes))


def soon() -> float:
    return asyncio.get_running_loop().time() + 60.0


def test_a_lone_request_leaves_at_once_and_the_next_share_a_call() -> None:
    """What arrives while a call is under way travels together in the next."""

    async def story() -> None:
        far = Far()
        calls = Calls(far.send, limits())
        requests = far.ask(calls, b"a")
        await far.settled()
        requests += far.ask(calls, b"b", b"c", b"d")
        await far.settled()
        assert far.calls == [[b"a"]]
        far.answer(0)
        await far.settled()
        assert far.calls[1:] == [[b"b", b"c", b"d"]]
        far.answer(1)
        answers = await asyncio.gather(*requests)
        assert [answer.inference.embedding.tobytes().strip() for answer in answers] == [b"a", b"b", b"c", b"d"]
        assert calls.idle

    asyncio.run(story())


def test_free_calls_share_what_waits() -> None:
    """Two calls that are free take half each, so that they come back at different times."""

    async def story() -> None:
        far = Far()
        calls = Calls(far.send, limits(in_flight=2))
        far.ask(calls, b"a", b"b")
        await far.settled()
        far.ask(calls, b"c", b"d", b"e", b"f")
        far.answer(0)
        far.answer(1)
        await far.settled()
        assert sorted(map(len, far.calls[2:])) in ([2, 2], [4])
        assert [content for call in far.calls[2:] for content in call] == [b"c", b"d", b"e", b"f"]

    asyncio.run(story())


@pytest.mark.parametrize(("change", "sizes"), [({"images": 2}, [2, 2]), ({"call_bytes": 5}, [1, 3])])
def test_a_call_is_bounded_in_images_and_bytes(change: dict[str, int], sizes: list[int]) -> None:
    """The rest waits for the next call; a single image goes whatever its size."""

    async def story() -> None:
        far = Far()
        calls = Calls(far.send, limits(**change))
        far.ask(calls, b"first")
        await far.settled()
        far.ask(calls, b"large, large", b"b", b"c", b"d")
        for number in range(3):
            await far.settled()
            far.answer(number)
        await far.settled()
        assert [len(call) for call in far.calls[1:]] == sizes

    asyncio.run(story())


def test_each_gets_its_own_outcome() -> None:
    """An error that the detector found for one image is that caller's alone."""

    async def story() -> None:
        far = Far()
        far.outcome = lambda content: BadImage("damaged.") if content == b"bad" else timed(content)
        calls = Calls(far.send, limits())
        requests = far.ask(calls, b"x", b"bad", b"good")
        for number in range(2):
            await far.settled()
            far.answer(number)
        answers = await asyncio.gather(*requests, return_exceptions=True)
        assert [type(answer) for answer in answers] == [Timed, BadImage, Timed]

    asyncio.run(story())


def test_a_call_that_fails_fails_for_all_in_it() -> None:
    """The gateway may try again: inference has no side effects."""

    async def story() -> None:
        async def gone(_contents: Sequence[bytes], _budgets: Sequence[float]) -> list[Timed | AskanceError]:
            raise ModelGone("it does not serve.")

        with pytest.raises(ModelGone):
            await Calls(gone, limits()).infer(b"a", soon())

    asyncio.run(story())


def test_a_request_that_is_taken_back_is_not_sent() -> None:
    """And a call that nobody waits for any more is cancelled."""

    async def story() -> None:
        far = Far()
        calls = Calls(far.send, limits())
        first, second = far.ask(calls, b"a", b"b")
        await far.settled()
        second.cancel()
        first.cancel()
        await far.settled()
        assert (far.calls, far.cancelled) == ([[b"a"]], 1)
        assert calls.idle

    asyncio.run(story())


def test_the_deadline_holds_wherever_a_request_is() -> None:
    """Waiting or under way, its caller gets DeadlinePassed, and what is left of the time travels with the image."""

    async def story() -> None:
        far = Far()
        calls = Calls(far.send, limits())
        now = asyncio.get_running_loop().time()
        under_way, waiting = (asyncio.ensure_future(calls.infer(content, now + 0.3)) for content in (b"a", b"b"))
        answers = await asyncio.gather(under_way, waiting, return_exceptions=True)
        assert [type(answer) for answer in answers] == [DeadlinePassed, DeadlinePassed]
        assert far.calls == [[b"a"]]
        assert 0.0 < far.budgets[0][0] <= 0.3
        await far.settled()
        assert far.cancelled == 1

    asyncio.run(story())


def test_more_than_may_wait_is_refused_at_once() -> None:
    """Rather than kept until it is too late."""

    async def story() -> None:
        far = Far()
        calls = Calls(far.send, limits(waiting=2))
        for _ in range(3):  # one under way, two waiting
            far.ask(calls, b"a")
            await far.settled()
        with pytest.raises(Overloaded):
            await calls.infer(b"a", soon())

    asyncio.run(story())
