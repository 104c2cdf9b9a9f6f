"""Writers of one process on SQLite: whose turn it is, and how those that waited share a commit."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection, Engine, event

from loop.domain.errors import Unavailable
from loop.store.commit_groups import CommitGroups
from loop.store.engine import engine_for, prepare
from loop.store.turns import Turns


def test_writers_of_a_process_get_their_turn_in_the_order_of_asking() -> None:
    """Nobody starves behind a thread that writes again and again."""
    turns, order = Turns(timeout_seconds=60), list[int]()

    def write(number: int) -> None:
        turns.take()
        order.append(number)
        turns.pass_on()

    turns.take()
    with ThreadPoolExecutor(5) as pool:
        for number in range(5):
            pool.submit(write, number)
            while turns.waiting <= number:
                pass
        assert order == []
        assert turns.hand_over()
    assert order == [0, 1, 2, 3, 4]
    assert turns.waiting == 0


def test_a_writer_that_waited_in_vain_is_told_and_leaves_the_queue() -> None:
    """Unavailable after the timeout; whoever holds the turn is not disturbed, and the next gets it."""
    turns = Turns(timeout_seconds=0.001)
    turns.take()
    with pytest.raises(Unavailable, match="busy"):
        turns.take()
    assert turns.waiting == 0
    assert not turns.hand_over()
    turns.pass_on()
    turns.take()


# --- writers that share a commit ------------------------------------------------------------------------------


@pytest.fixture
def groups(tmp_path: Path) -> Iterator[tuple[CommitGroups, Engine]]:
    """On a file with a table of numbers."""
    engine = _made(tmp_path)
    yield CommitGroups(engine, 60, open_seconds=60), engine
    engine.dispose()


def _made(folder: Path) -> Engine:
    engine = engine_for(f"sqlite:///{folder / 'numbers.db'}")
    prepare(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE numbers (n INTEGER PRIMARY KEY)")
    return engine


def _numbers(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.exec_driver_sql("SELECT n FROM numbers ORDER BY n").scalars())


def _behind_each_other(
    groups: CommitGroups,
    parts: Sequence[Callable[[Connection], None]],
    kept: Callable[[int], object] = lambda number: None,
) -> list[object]:
    """What each part ended with, None or its error: all ask, in this order, while the first is under way. kept: called
    with the number of each that is told that it is kept."""
    begun = threading.Event()

    def run(number: int) -> None:
        with groups.part() as connection:
            begun.set()
            while number == 0 and groups.waiting < len(parts) - 1:
                pass
            parts[number](connection)
        kept(number)

    with ThreadPoolExecutor(len(parts)) as pool:
        futures = [pool.submit(run, 0)]
        begun.wait()
        for number in range(1, len(parts)):
            futures.append(pool.submit(run, number))
            while groups.waiting < number:
                if futures[0].done():
                    break
        return [future.exception() for future in futures]


def _adds(*numbers: int) -> Callable[[Connection], None]:
    def add(connection: Connection) -> None:
        for number in numbers:
            connection.exec_driver_sql(f"INSERT INTO numbers VALUES ({number})")

    return add


def _fails_after(*numbers: int) -> Callable[[Connection], None]:
    def fail(connection: Connection) -> None:
        _adds(*numbers)(connection)
        raise KeyError(numbers)

    return fail


def test_who_waited_while_another_wrote_is_committed_with_it(groups: tuple[CommitGroups, Engine]) -> None:
    """One commit for all of them, which each has waited for."""
    several, engine = groups
    commits: list[object] = []
    event.listen(engine, "commit", commits.append)
    assert _behind_each_other(several, [_adds(n) for n in range(5)]) == [None] * 5
    assert len(commits) == 1
    assert _numbers(engine) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_writer_that_fails_undoes_its_own_part_alone(groups: tuple[CommitGroups, Engine], failing: int) -> None:
    """Whatever its place among those that share the transaction."""
    several, engine = groups
    parts = [_fails_after(n) if n == failing else _adds(n) for n in range(3)]
    errors = _behind_each_other(several, parts)
    assert [type(error) for error in errors] == [KeyError if n == failing else type(None) for n in range(3)]
    assert _numbers(engine) == [n for n in range(3) if n != failing]


def test_where_the_commit_fails_all_that_share_it_are_told(groups: tuple[CommitGroups, Engine]) -> None:
    """Nobody is answered as if what they wrote were kept; the next writer begins anew."""
    several, engine = groups

    def refuse(connection: Connection) -> None:
        raise OSError("the disk is gone")

    event.listen(engine, "commit", refuse)
    errors = _behind_each_other(several, [_adds(n) for n in range(3)])
    assert [type(error) for error in errors] == [OSError] * 3
    event.remove(engine, "commit", refuse)
    assert _numbers(engine) == []
    with several.part() as connection:
        _adds(7)(connection)
    assert _numbers(engine) == [7]


def test_where_the_database_gives_up_the_transaction_no_part_is_kept(groups: tuple[CommitGroups, Engine]) -> None:
    """SQLite rolls all of it back on a full disk: those who wrote before the one that failed are told too."""
    several, engine = groups

    def give_up(connection: Connection) -> None:
        connection.connection.execute("ROLLBACK")
        raise OSError("no space left on device")

    errors = _behind_each_other(several, [_adds(0), give_up])
    assert [type(error) for error in errors] == [OSError, OSError]
    assert _numbers(engine) == []


@pytest.mark.parametrize(
    ("moment", "numbers"), [("in a part", [0]), ("before the commit", [0]), ("after the commit", [0, 1, 2, 3, 4])]
)
def test_a_kill_leaves_all_parts_of_a_transaction_or_none(tmp_path: Path, moment: str, numbers: list[int]) -> None:
    """A process dies while four writers share its transaction: what was committed before is there, none of the four
    has been told anything, and they are there together or not at all."""
    engine = _made(tmp_path)
    process = multiprocessing.get_context("spawn").Process(target=_write_and_die, args=(engine.url, moment, tmp_path))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "told").read_text() == "0 "
    assert _numbers(engine) == numbers
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]
    engine.dispose()


def _write_and_die(url: URL, moment: str, folder: Path) -> None:
    """0 alone; then 1 to 4 in one transaction, which the process does not survive."""
    engine = engine_for(str(url))
    several = CommitGroups(engine, 60, open_seconds=60)
    file = (folder / "told").open("a")

    def tell(number: int) -> None:
        file.write(f"{number} ")
        file.flush()

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    _behind_each_other(several, [_adds(0)], tell)
    if moment == "before the commit":
        event.listen(engine, "commit", die)
    elif moment == "after the commit":
        event.listen(engine, "checkin", die)  # the connection goes back to its pool before anybody is told

    def end(connection: Connection) -> None:
        _adds(4)(connection)
        if moment == "in a part":
            die()

    _behind_each_other(several, [_adds(1), _adds(2), _adds(3), end], lambda number: tell(number + 1))
