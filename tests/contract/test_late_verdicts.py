"""QA judges an answer at the very moment at which its lot's decision asks for QA again."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import pytest

from loop.domain.policy.workflow import LotRules, Qa, Workflow
from loop.domain.ports import Transaction
from loop.domain.review.qa import AnswerStanding
from loop.domain.stage import Stage
from loop.review.desk import Desk
from loop.review.lots import Lots
from loop.store.database import SqlStore
from loop.store.lots import SqlLots
from tests.contract.records import NOW, PROJECT
from tests.contract.test_lot_races import OPERATORS, make, opened
from tests.contract.test_queue_races import HERE, Clock, reviewer


class _Killed(Exception):
    """The process died."""


class _DiesAfterOne:
    """A store whose process dies after its first transaction."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.transactions = 0

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        self.transactions += 1
        if self.transactions > 1:
            raise _Killed
        with self.store.begin() as tx:
            yield tx

    def secret(self) -> bytes:
        return self.store.secret()


def test_what_was_judged_meanwhile_is_not_asked_for_again(
    store: SqlStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL, where others write at the same time. Somebody looks at an answer of a lot that an operator
    accepts; the service dies before it follows; the lot is opened again, and while that calls QA the verdict comes: it
    counts, once, and QA is not called anew."""
    if not url.startswith("postgresql"):
        return
    opened(store, Workflow(qa=Qa.LOTS, lots=LotRules(size=1, share=1.0, threshold=0.0)), items=1)
    make(store, 0)
    desk, lots = Desk(store, Clock(), os.urandom), Lots(store, lambda: NOW)
    (one,) = desk.lease(reviewer(0), PROJECT, 1).assignments
    desk.submit(reviewer(0), one.task.id, one.task.epoch, HERE, "")
    (judging,) = desk.lease(reviewer(1), PROJECT, 1).assignments
    assert judging.task.stage is Stage.QA
    lot = lots.page(PROJECT, after=None, limit=1)[0].lot
    with suppress(_Killed):
        Lots(_DiesAfterOne(store), lambda: NOW).accept(OPERATORS[0], PROJECT, lot.id, "seen")  # type: ignore[arg-type]

    judge = threading.Thread(target=lambda: desk.accept(reviewer(1), judging.task.id, judging.task.epoch))
    list_ = SqlLots.unfollowed

    def judged_after(self: SqlLots, lot_id: str, *, limit: int) -> Sequence[str]:
        found = list_(self, lot_id, limit=limit)
        if found and not judge.ident:
            judge.start()
            while _standing(store, judging.task.work_id) is not AnswerStanding.SETTLED:
                judge.join(0.01)
        return found

    monkeypatch.setattr(SqlLots, "unfollowed", judged_after)
    lots.reopen(OPERATORS[0], PROJECT, lot.id, "again")
    judge.join()
    assert _standing(store, judging.task.work_id) is AnswerStanding.SETTLED
    assert desk.lease(reviewer(2), PROJECT, 1).assignments == []
    with store.read() as tx:
        truth = tx.truths.current(PROJECT, judging.task.item_digest)
    assert truth is not None
    assert (truth.version, len(truth.submission_ids)) == (1, 2)


def _standing(store: SqlStore, work_id: str) -> AnswerStanding:
    with store.read() as tx:
        return tx.held_answers.get(work_id).standing
