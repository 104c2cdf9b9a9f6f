"""How SQLite does what is done all day, or with all items: planned once for a connection, by indexes that help."""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from loop.domain.queue_rules import QueueRules
from loop.domain.stage import Stage
from loop.domain.workflow import Qa
from loop.store.database import SqlStore
from tests.contract.records import PROJECT, a_model, a_prediction, a_project, an_item
from tests.contract.test_golden import PEOPLE, opened

_BEFORE, _MEASURED = 40, 30  # works, each for three people


def test_a_lease_and_its_answer_are_not_planned_anew(sqlite_template: Path, tmp_path: Path) -> None:
    """Of several people, with golden items and lots. SQLite asks its authoriser while it plans, and plans anew where a
    bare parameter is bound that decides: a limit, or a state that an index is made for."""
    planned: list[str] = []
    current = [""]

    def authorised(action: int, *_: object) -> int:
        if action != sqlite3.SQLITE_TRANSACTION:  # the driver plans COMMIT each time, which costs nothing
            planned.append(current[0])
        return sqlite3.SQLITE_OK

    def connected(connection: Any, _: object) -> None:
        connection.set_authorizer(authorised)

    def executing(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        current[0] = statement

    path = tmp_path / "askance.db"
    path.write_bytes(sqlite_template.read_bytes())
    event.listen(Engine, "connect", connected)
    event.listen(Engine, "before_cursor_execute", executing)
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
        assert set(planned) == set()
        store.close()
    finally:
        event.remove(Engine, "before_cursor_execute", executing)
        event.remove(Engine, "connect", connected)


def test_the_pool_of_a_selection_is_read_in_a_time_that_grows_with_it(sqlite_template: Path, tmp_path: Path) -> None:
    """Of eight times as many items eight times as many steps of SQLite's, whatever it knows of its tables: no item is
    compared with all others."""
    steps = [0]

    def counted() -> int:
        steps[0] += 1
        return 0

    def connected(connection: Any, _: object) -> None:
        connection.set_progress_handler(counted, 100)

    path = tmp_path / "askance.db"
    path.write_bytes(sqlite_template.read_bytes())
    event.listen(Engine, "connect", connected)
    try:
        store = SqlStore.open(f"sqlite:///{path}")
        with store.begin() as tx:
            tx.projects.add(a_project())
            tx.models.add(a_model())
        taken = []
        for begin, end in ((0, 200), (200, 1600)):
            with store.begin() as tx:
                tx.items.add_all([an_item(number) for number in range(begin, end)])
                tx.predictions.add_all([a_prediction(number, item=number) for number in range(begin, end)])
            with store.read() as tx:
                steps[0] = 0
                assert len(tx.predictions.candidates(PROJECT, a_model().id, after=0, limit=10_000)) == end
                taken.append(steps[0])
        store.close()
    finally:
        event.remove(Engine, "connect", connected)
    assert taken[1] < 12 * taken[0]
