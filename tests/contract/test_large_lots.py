"""What lots are judged by, however large they are, on each database."""

import os
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, event

from loop.domain.policy.workflow import LotRules, PlanKind, Qa, Workflow
from loop.domain.review.lot import LotState
from loop.domain.review.qa import AnswerStanding
from loop.review.desk import Desk
from loop.review.lots import Lots
from loop.store.database import SqlStore
from tests.contract.conftest import Databases
from tests.contract.records import NOW, PROJECT
from tests.contract.test_lot_races import make, opened
from tests.contract.test_queue_races import HERE, Clock, reviewer
from tests.test_lot_rules import Known

ADA, BOB = reviewer(0), reviewer(1)


@pytest.mark.parametrize("seed", range(5))
def test_an_order_tells_what_a_look_at_all_of_its_works_tells(store: SqlStore, seed: int) -> None:
    """Of each count up to each place, whatever was found and whatever ended without an answer."""
    size = 30
    opened(store, Workflow(qa=Qa.LOTS, lots=LotRules(size=size)), items=size)
    make(store, *range(size))
    lots = Lots(store, lambda: NOW)
    lots.advance_all()
    (lot,) = lots.page(PROJECT, after=None, limit=2)
    rng = np.random.default_rng(seed)
    with store.begin() as tx:
        for member in tx.lots.members(lot.lot.id):
            if rng.random() < 0.4:
                tx.lots.inspected(member.work_id, defect=bool(rng.random() < 0.5))
            if rng.random() < 0.3:
                tx.lots.set_void(member.work_id, void=True)
    with store.read() as tx:
        order, known = tx.lots.order(lot.lot.id), Known(tx.lots.members(lot.lot.id))
        for before in range(size + 1):
            assert order.uncounted(before) == known.uncounted(before)
            assert order.unseen(before) == known.unseen(before)
            assert order.found(before) == known.found(before)


def test_answers_from_before_the_drawing_are_called_where_they_are_wanted(store: SqlStore) -> None:
    """Also where they were written while the order was drawn, and so do not know their place."""
    opened(store, Workflow(qa=Qa.LOTS, lots=LotRules(size=20, share=0.5)), items=20)
    make(store, *range(10))
    desk, lots = Desk(store, Clock(), os.urandom), Lots(store, lambda: NOW)
    answer(desk, 10)
    make(store, *range(10, 20))
    answer(desk, 5)
    lots.advance_all()
    ((figures, members),) = [lots.get(PROJECT, one.lot.id) for one in lots.page(PROJECT, after=None, limit=9)]
    assert figures.lot.state is LotState.INSPECTING
    wanted = [one for one in members if one.place is not None and one.place < 10 and one.standing is not None]
    assert wanted and {one.standing for one in wanted} == {AnswerStanding.IN_QA}
    assert {one.standing for one in members if one not in wanted} <= {AnswerStanding.WAITING, None}
    with store.begin() as tx:
        assert tx.lots.note_places(figures.lot.id) == 0


@pytest.mark.parametrize("plan", PlanKind)
def test_an_answer_costs_the_same_in_a_large_lot(databases: Databases, plan: PlanKind) -> None:
    """What the database does for it, of a lot of 40 and of one of 1,200 whose sample is half of it: rows that it sends
    on PostgreSQL, steps that it computes on SQLite."""
    costs = []
    for size in (40, 1200):
        with databases() as url, Cost() as cost:
            store = SqlStore.open(url)
            opened(store, Workflow(qa=Qa.LOTS, lots=LotRules(size=size, plan=plan, share=0.5)), items=size)
            make(store, *range(size))
            Lots(store, lambda: NOW).advance_all()
            desk = Desk(store, Clock(), os.urandom)
            answer(desk, 5)
            leased = desk.lease(ADA, PROJECT, 10).assignments
            before = cost.taken
            for one in leased:
                desk.submit(ADA, one.task.id, one.task.epoch, HERE, "")
            costs.append(cost.taken - before)
            store.close()
    small, large = costs
    assert small > 0
    assert large <= 1.6 * small, costs


def test_a_verdict_leaves_a_large_lot_to_the_background(store: SqlStore) -> None:
    """Who gives the last verdict waits for some of the answers, not for all."""
    size = 400
    opened(store, Workflow(qa=Qa.LOTS, lots=LotRules(size=size, share=1 / size)), items=size)
    make(store, *range(size))
    desk, lots = Desk(store, Clock(), os.urandom), Lots(store, lambda: NOW)
    lots.advance_all()
    answer(desk, size)
    (judging,) = desk.lease(BOB, PROJECT, 1).assignments
    desk.accept(BOB, judging.task.id, judging.task.epoch)
    (figures,) = lots.page(PROJECT, after=None, limit=9)
    assert figures.lot.state is LotState.ACCEPTED
    assert 100 <= figures.answers[AnswerStanding.WAITING] < size
    lots.advance_all()
    (figures,) = lots.page(PROJECT, after=None, limit=9)
    assert figures.answers[AnswerStanding.SETTLED] == size


def answer(desk: Desk, count: int) -> None:
    done = 0
    while done < count:
        leased = desk.lease(ADA, PROJECT, min(count - done, 20)).assignments
        assert leased
        for one in leased:
            desk.submit(ADA, one.task.id, one.task.epoch, HERE, "")
            done += 1


class Cost:
    """What databases do on connections that are opened meanwhile: rows of results, or tens of SQLite's instructions."""

    def __init__(self) -> None:
        self.taken = 0

    def __enter__(self) -> "Cost":
        event.listen(Engine, "connect", self._connected)
        event.listen(Engine, "after_cursor_execute", self._executed)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "connect", self._connected)
        event.remove(Engine, "after_cursor_execute", self._executed)

    def _connected(self, connection: Any, _: object) -> None:
        if hasattr(connection, "set_progress_handler"):
            connection.set_progress_handler(self._stepped, 10)

    def _stepped(self) -> int:
        self.taken += 1
        return 0

    def _executed(self, _connection: object, cursor: Any, *_: object) -> None:
        self.taken += max(cursor.rowcount, 0) if cursor.description else 0
