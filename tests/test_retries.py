"""Which calls a client sends again, and when: decisions without a network."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.client.calls import Call, Pause, nothing
from serving.client.errors import ApiError, ServiceUnreachable
from serving.client.retries import Attempt, Outcome, Retries, persistently

ONCE = Call(method="POST", path="/v1/x", read=nothing)
OFTEN = replace(ONCE, repeatable=True)


def answer(status: int, *, retry_after: str | None = None, problem: str = "") -> httpx.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    told = {"type": problem, "title": "", "status": status, "detail": "", "hint": ""}
    return httpx.Response(status, headers=headers, json=told if problem else {})


# The service has surely not acted, whatever was asked of it.
NOT_ACTED: list[Outcome] = [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), answer(429), answer(503)]
# It may have acted.
UNSURE: list[Outcome] = [
    httpx.ReadTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.WriteError("reset"),
    httpx.RemoteProtocolError("gone"),
    answer(502),
    answer(504),
    answer(409, problem="/problems/idempotency-in-flight"),
]
# Sent again, it would be refused again.
SAID = [
    *(answer(status) for status in (400, 401, 403, 404, 409, 413, 422, 500)),
    answer(504, problem="/problems/deadline-passed"),
    answer(504, problem="/problems/review-pending"),
    answer(409, problem="/problems/no-champion"),
]


class Clock:
    """Time passes only in attempts and pauses."""

    def __init__(self) -> None:
        self.now = 0.0
        self.attempts: list[float] = []
        self.pauses: list[float] = []

    def play(self, call: Call, outcomes: list[Outcome], retries: Retries, *, took_s: float = 0.0, timeout_s=60.0):
        """What the call gives where these come of its attempts, the last again and again."""
        steps = persistently(call, "http://x", timeout_s, retries, now=lambda: self.now, chance=random.Random(0))
        sent: Outcome | None = None
        while True:
            try:
                step = steps.send(sent)
            except StopIteration as end:
                return end.value
            sent = None
            if isinstance(step, Pause):
                self.pauses.append(step.seconds)
                self.now += step.seconds
            else:
                assert isinstance(step, Attempt)
                sent = outcomes[min(len(self.attempts), len(outcomes) - 1)]
                self.attempts.append(step.timeout_s)
                self.now += min(took_s, step.timeout_s)


@pytest.mark.parametrize("failure", [*NOT_ACTED, *UNSURE, *SAID], ids=str)
def test_what_may_be_sent_again_is(failure: Outcome) -> None:
    """Any call where the service surely has not acted; where it may have, only one that may be repeated; and none that
    would be refused again."""
    for call, expected in (
        (ONCE, failure in NOT_ACTED),
        (OFTEN, failure in NOT_ACTED or failure in UNSURE),
    ):
        clock = Clock()
        if expected:
            assert clock.play(call, [failure, answer(200)], Retries()) == b"{}"
        else:
            with pytest.raises((ApiError, ServiceUnreachable)):
                clock.play(call, [failure, answer(200)], Retries())
        assert len(clock.attempts) == 1 + expected


@given(
    times=st.integers(0, 8), deadline=st.floats(0.1, 100), took=st.floats(0, 30), first=st.floats(0.01, 5),
    timeout=st.floats(0.1, 30),
)  # fmt: skip
def test_patience_ends(times: int, deadline: float, took: float, first: float, timeout: float) -> None:
    """After so many retries, or when another one would begin behind the deadline; each pause is random up to twice the
    bound of the one before, and no attempt takes longer than its timeout or goes on behind the deadline."""
    clock, rules = Clock(), Retries(times=times, deadline_s=deadline, first_wait_s=first, longest_wait_s=10.0)
    with pytest.raises(ServiceUnreachable):
        clock.play(OFTEN, [httpx.ReadError("reset")], rules, took_s=took, timeout_s=timeout)
    assert len(clock.attempts) == len(clock.pauses) + 1 <= times + 1
    assert all(pause <= min(10.0, first * 2**n) for n, pause in enumerate(clock.pauses))
    assert all(seconds <= timeout for seconds in clock.attempts)
    assert clock.now <= max(deadline, timeout) + 0.01


def test_pauses_differ() -> None:
    """Full jitter: those who failed together do not come back together."""
    pauses = [Retries().pause(3, 0.0, random.Random(seed)) for seed in range(50)]
    assert min(pauses) < 0.2 < 0.6 < max(pauses) <= 0.8


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_the_service_says_when(form: str) -> None:
    """Retry-After is waited for, and more; where it is behind the deadline, nothing is waited for."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    busy = answer(503, retry_after="18" if form == "seconds" else soon)
    clock = Clock()
    assert clock.play(ONCE, [busy, busy, answer(200)], Retries(deadline_s=60.0)) == b"{}"
    assert all(17.0 <= pause <= 21.0 for pause in clock.pauses)
    clock = Clock()
    with pytest.raises(ApiError):
        clock.play(ONCE, [busy], Retries(deadline_s=10.0))
    assert clock.pauses == []


@pytest.mark.parametrize("nonsense", ["", "-3", "soon", "1e9", "9" * 30, "٣", "Thu, 99 Foo 2026"])
def test_nonsense_for_a_moment_is_ignored(nonsense: str) -> None:
    busy = httpx.Response(503, headers=[(b"Retry-After", nonsense.encode())])
    assert Clock().play(ONCE, [busy, answer(200)], Retries(deadline_s=5.0)) == b"{}"


def test_what_the_service_was_asked_to_wait_comes_on_top() -> None:
    """A call that waits for people gets its time, and the calls' own bounds stand instead of the client's."""
    clock = Clock()
    clock.play(replace(OFTEN, held_s=100.0), [answer(200)], Retries(deadline_s=5.0), timeout_s=10.0)
    clock.play(replace(OFTEN, timeout_s=3.0, deadline_s=2.0, held_s=1.0), [answer(200)], Retries(), timeout_s=10.0)
    assert clock.attempts == [110.0, 4.0]


def test_what_takes_long_may_take_long_again() -> None:
    """A call with a timeout beyond the deadline is not cut short after it was refused at once."""
    clock = Clock()
    clock.play(replace(ONCE, timeout_s=900.0), [answer(503), answer(200)], Retries(deadline_s=60.0))
    assert clock.attempts[0] == 900.0
    assert clock.attempts[1] > 890.0
