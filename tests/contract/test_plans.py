"""What reviewers do all day, on SQLite: its statements are planned once for each connection."""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from loop.domain.queue_rules import QueueRules
from loop.domain.stage import Stage
from loop.domain.workflow import Qa
from loop.store.database import SqlStore
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
