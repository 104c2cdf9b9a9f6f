"""A fair rate for each token, and a bound on what waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import Overloaded, TooManyRequests
from serving.api.admission import Rates, Room


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    per_second=st.floats(0.1, 1000.0),
    burst=st.integers(1, 50),
    gaps=st.lists(st.floats(0.0, 2.0), min_size=1, max_size=200),
)
def test_no_caller_gets_more_than_burst_and_rate(per_second: float, burst: int, gaps: list[float]) -> None:
    """In any span, at most the burst plus the rate times its length are let through."""
    clock = Clock()
    rates = Rates(per_second, burst, clock)
    let_through = 0
    for gap in gaps:
        clock.now += gap
        try:
            rates.take("a")
            let_through += 1
        except TooManyRequests as error:
            assert int(str(error.ids["retry_after_s"])) >= 1
        assert let_through <= burst + per_second * clock.now + 1e-6


def test_who_waits_as_told_is_let_in() -> None:
    """Retry-After is kept as a promise."""
    clock = Clock()
    rates = Rates(0.5, 1, clock)
    rates.take("a")
    with pytest.raises(TooManyRequests) as refused:
        rates.take("a")
    clock.now += float(str(refused.value.ids["retry_after_s"]))
    rates.take("a")


def test_callers_do_not_share_a_bucket() -> None:
    """One that asks too much takes nothing from another."""
    rates = Rates(1.0, 1, Clock())
    rates.take("a")
    rates.take("b")
    with pytest.raises(TooManyRequests):
        rates.take("a")


def test_no_rate_is_no_limit() -> None:
    """The default."""
    rates = Rates(None, 1, Clock())
    for _ in range(1000):
        rates.take("a")


def test_waiting_bytes_are_bounded_and_given_back() -> None:
    """A request alone always fits; others find room when it has left, however it ended."""
    room = Room(100, 100)
    with room.taken("a", 150), pytest.raises(Overloaded), room.taken("b", 1):
        pass
    with pytest.raises(ValueError, match="mishap"), room.taken("a", 80):
        raise ValueError("mishap")
    with room.taken("a", 60), room.taken("a", 40):
        pass


def test_a_project_has_so_many_requests_and_no_more() -> None:
    """What is beyond is refused before anything is done for it; another project has its own."""
    room = Room(2, 1000)
    with room.taken("a", 1), room.taken("a", 1):
        with pytest.raises(Overloaded):
            room.require("a")
        room.require("b")
    room.require("a")
