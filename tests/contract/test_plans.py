"""How SQLite does what is done all day, or with all items: planned once for a connection, by indexes that help."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from loop.domain.policy.queue_rules import QueueRules
from loop.domain.policy.workflow import Qa
from loop.domain.selection import Part
from loop.domain.stage import Stage
from loop.store.database import SqlStore
from tests.contract.records import (
    PROJECT,
    a_model,
    a_prediction,
    a_project,
    a_submission,
    a_task,
    a_token,
    a_truth,
    an_item,
)
from tests.contract.test_golden import PEOPLE, opened

_BEFORE, _MEASURED = 40, 30  # works, each for three people


def test_a_lease_and_its_answer_are_not_planned_anew(sqlite_template: Path, tmp_path: Path) -> None:
    """Of several people, with golden items and lots. SQLite asks its authoriser while it plans, and plans anew where a
    bare parameter is bound that decides: a limit, or a state that an index is made for."""
    planned: list[tuple[object, ...]] = []

    def authorised(action: int, *of: object) -> int:
        if action != sqlite3.SQLITE_TRANSACTION:  # the driver plans COMMIT each time, which costs nothing
            planned.append((action, *of))
        return sqlite3.SQLITE_OK

    def connected(connection: Any, _: object) -> None:
        connection.set_authorizer(authorised)

    path = tmp_path / "askance.db"
    path.write_bytes(sqlite_template.read_bytes())
    event.listen(Engine, "connect", connected)
    try:
        store = SqlStore.open(f"sqlite:///{path}")
        queue = QueueRules(people={Stage.ANNOTATE: 3})
        world = opened(store, works=_BEFORE + _MEASURED, golden=20, queue=queue, qa=Qa.LOTS)

        def work(times: int) -> int:
            return sum(world.answer(name) for _ in range(times) for name in PEOPLE)

        work(_BEFORE)
        assert planned  # it is seen
        planned.clear()
        assert work(_MEASURED)  # with golden items
        assert planned == []
        store.close()
    finally:
        event.remove(Engine, "connect", connected)


class Steps:
    """How much SQLite computes, in hundreds of its instructions, on connections that are opened meanwhile."""

    def __init__(self) -> None:
        self._taken = 0

    def __enter__(self) -> "Steps":
        event.listen(Engine, "connect", self._connected)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "connect", self._connected)

    def _connected(self, connection: Any, _: object) -> None:
        connection.set_progress_handler(self._counted, 100)

    def _counted(self) -> int:
        self._taken += 1
        return 0

    def of(self, asked: Callable[[], object]) -> int:
        before = self._taken
        asked()
        return self._taken - before


@pytest.fixture
def steps(sqlite_template: Path, tmp_path: Path) -> Iterator[tuple[Steps, SqlStore]]:
    """Beside an empty project with a model."""
    path = tmp_path / "askance.db"
    path.write_bytes(sqlite_template.read_bytes())
    with Steps() as steps:
        store = SqlStore.open(f"sqlite:///{path}")
        with store.begin() as tx:
            tx.projects.add(a_project())
            tx.models.add(a_model())
            tx.tokens.add(a_token())
        yield steps, store
        store.close()


def add(store: SqlStore, numbers: range) -> list[str]:
    """Items that were predicted and answered; their digests."""
    with store.begin() as tx:
        tx.items.add_all([an_item(number) for number in numbers])
        tx.predictions.add_all([a_prediction(number, item=number) for number in numbers])
        works = [a_task(number, item=number) for number in numbers]
        tx.tasks.add_all(works)
        for number, task in zip(numbers, works, strict=True):
            tx.submissions.add(a_submission(task, number))
        tx.truths.add_all([a_truth(item=number) for number in numbers])
    return [an_item(number).digest for number in numbers]


def test_the_pool_of_a_selection_is_read_in_a_time_that_grows_with_it(steps: tuple[Steps, SqlStore]) -> None:
    """Of eight times as many items not much more than eight times the steps, whatever SQLite knows of its tables: no
    item is compared with all others."""
    counted, store = steps
    taken = []
    for begin, end in ((0, 200), (200, 1600)):
        add(store, range(begin, end))
        with store.read() as tx:
            taken.append(
                counted.of(
                    lambda tx=tx: tx.predictions.candidates(
                        PROJECT, a_model().id, after=0, limit=9999, parts=tuple(Part)
                    )
                )
            )
            assert len(tx.predictions.candidates(PROJECT, a_model().id, after=0, limit=9999, parts=tuple(Part))) == end
    assert taken[1] < 12 * taken[0]


def test_what_is_known_of_an_item_is_looked_up(steps: tuple[Steps, SqlStore]) -> None:
    """However many others there are; of some hundred items, too, with all that was said of them."""
    counted, store = steps
    digests = add(store, range(200))

    def asked() -> list[int]:
        with store.read() as tx:
            return [
                counted.of(lambda: tx.submissions.of_item(PROJECT, digests[0])),
                counted.of(lambda: tx.item_histories.of(PROJECT, digests[0], most=20)),
                counted.of(lambda: tx.predictions.said_of(PROJECT, digests)),
                counted.of(lambda: tx.predictions.latest_detections(PROJECT, digests)),
                counted.of(lambda: tx.truths.current_of(PROJECT, digests)),
            ]

    few = asked()
    add(store, range(200, 1600))
    assert all(after <= 1.5 * before + 2 for before, after in zip(few, asked(), strict=True))


def test_postgresql_plans_a_lease_and_its_answer_once(url: str, store: SqlStore) -> None:
    """It plans a statement five times, and from then on only where a plan for the values at hand looks cheaper: which
    takes longer than to run it."""
    if not url.startswith("postgresql"):
        return
    world = opened(store, works=1000)
    with store._engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    somebody = next(iter(PEOPLE))
    for _ in range(_BEFORE):
        world.answer(somebody)
    with store._engine.connect() as connection:
        anew = connection.exec_driver_sql(
            "SELECT statement FROM pg_prepared_statements "
            "WHERE custom_plans > 5 AND generic_plans + custom_plans >= 30 AND cardinality(parameter_types) > 0"
        )
        assert anew.scalars().all() == []
