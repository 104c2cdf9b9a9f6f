"""When the loops beside the service look at the store: where something may be new, and not else."""

from collections.abc import Callable

from loop.store.database import SqlStore
from serving.background import when_written
from tests.contract.records import a_promotion, a_token, furnish


def looking(store: SqlStore, found: list[bool]) -> Callable[[], None]:
    """A loop's turn; it finds what stands next in `found`."""
    return when_written(store, lambda: found.pop(0))


def test_a_loop_looks_again_while_it_finds_something_and_when_something_was_written(store: SqlStore) -> None:
    """An idle service reads one number; what is asked for is seen by the next turn."""
    furnish(store)
    found = [True, True, False]
    turn = looking(store, found)
    for _ in range(5):
        turn()
    assert found == []  # twice found, once in vain, then not looked
    found += [False]
    with store.begin() as tx:
        tx.promotions.add(a_promotion())
    turn()
    turn()
    assert found == []


def test_what_is_written_while_a_loop_looks_is_not_missed(store: SqlStore) -> None:
    """The look may have been a moment too early for it."""
    furnish(store)
    looks = 0

    def look() -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            with store.begin() as tx:
                tx.tokens.add(a_token(7))
        return False

    turn = when_written(store, look)
    for _ in range(4):
        turn()
    assert looks == 2


def test_a_look_that_failed_is_made_again(store: SqlStore) -> None:
    """The store may be away for a while; what is queued stays queued."""
    looks = 0

    def look() -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise OSError("away")
        return False

    turn = when_written(store, look)
    try:
        turn()
    except OSError:
        turn()
    assert looks == 2
