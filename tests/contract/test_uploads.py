"""Uploads as lots of their own, on each database."""

import os
from dataclasses import replace
from datetime import timedelta

import pytest

from loop.domain.access import Role
from loop.domain.errors import AskanceError, Conflict, Forbidden, NotFound
from loop.domain.policy.workflow import LARGEST_LOT, LotRules, Qa, Workflow
from loop.domain.review.lot import Lot, LotState
from loop.review.desk import Desk
from loop.review.lots import Lots, add_members, in_lots
from loop.review.uploads import Uploads
from loop.store.database import SqlStore
from tests.contract.records import NOW, PROJECT, a_task, a_token
from tests.contract.test_lot_races import make, opened, work
from tests.contract.test_queue_races import CLIENTS, Clock, together

SENDER = replace(a_token(800), role=Role.PRODUCER, name="camera")


def uploads(store: SqlStore, lots: Lots | None = None) -> Uploads:
    return Uploads(store, lots or Lots(store, lambda: NOW), lambda: NOW, os.urandom)


def send(store: SqlStore, lot_id: str, *numbers: int) -> None:
    """A task of the upload for each of the items."""
    with store.begin() as tx:
        made = [replace(a_task(number, item=number), lot_id=lot_id) for number in numbers]
        tasks = in_lots(tx, tx.projects.get(PROJECT), made, NOW, os.urandom)
        tx.tasks.add_all(tasks)
        add_members(tx, tasks)


def read(store: SqlStore, lot_id: str) -> Lot:
    with store.read() as tx:
        return tx.lots.get(PROJECT, lot_id)


def members(store: SqlStore, lot_id: str) -> list[int | None]:
    """The places of its works."""
    with store.read() as tx:
        return [one.place for one in tx.lots.members(lot_id)]


SAMPLED = Workflow(qa=Qa.LOTS, lots=LotRules(size=4, share=0.1, threshold=0.0))


def test_an_upload_takes_its_own_whatever_its_size(store: SqlStore) -> None:
    """And nothing else: what is not sent to it goes into the lots that fill, which do not see it. Two uploads and a
    lot fill side by side."""
    opened(store, SAMPLED, items=20)
    first, second = uploads(store).open(SENDER, PROJECT, "monday"), uploads(store).open(SENDER, PROJECT)
    send(store, first.id, *range(10))
    make(store, 10, 11)
    send(store, second.id, 12)
    send(store, first.id, 13)
    with store.read() as tx:
        found = {lot.id: lot for lot in tx.lots.page(PROJECT, after=None, limit=10)}
    assert (found[first.id].items, found[first.id].closed_at, found[first.id].source) == (11, None, "monday")
    assert found[second.id].items == 1
    (filling,) = (lot for lot in found.values() if not lot.upload)
    assert filling.items == 2


def test_what_is_looked_at_is_drawn_when_the_sender_has_sent_all(store: SqlStore) -> None:
    """Not before, however full it is; closing again changes nothing, and a closed one takes no more."""
    opened(store, SAMPLED, items=20)
    lot = uploads(store).open(SENDER, PROJECT)
    send(store, lot.id, *range(15))
    Lots(store, lambda: NOW).advance_all()
    assert members(store, lot.id) == [None] * 15
    uploads(store).close(SENDER, PROJECT, lot.id)
    assert members(store, lot.id) == list(range(15))
    closed = read(store, lot.id)
    assert (closed.state, closed.closed_at) == (LotState.INSPECTING, NOW)
    uploads(store).close(SENDER, PROJECT, lot.id)
    assert read(store, lot.id) == closed
    with pytest.raises(Conflict, match="is closed"):
        send(store, lot.id, 16)
    assert read(store, lot.id).items == 15


@pytest.mark.parametrize(("items", "looked_at"), [(1, 1), (9, 1), (11, 2), (30, 3)])
def test_its_share_is_of_its_own_size(store: SqlStore, items: int, looked_at: int) -> None:
    """Rounded up: people do all, and as many as a tenth of it are looked at by another before all is the truth."""
    opened(store, SAMPLED, items=items)
    lot = uploads(store).open(SENDER, PROJECT)
    send(store, lot.id, *range(items))
    uploads(store).close(SENDER, PROJECT, lot.id)
    desk = Desk(store, Clock(), os.urandom)
    for number in (0, 1):
        work(desk, number)
    ended = read(store, lot.id)
    assert (ended.state, ended.inspected, ended.defects) == (LotState.ACCEPTED, looked_at, 0)
    with store.read() as tx:
        said = [one for number in range(items) for one in tx.submissions.of_work(a_task(number).id)]
        assert len(said) == items + looked_at
        assert all(tx.truths.current(PROJECT, a_task(number, item=number).item_digest) for number in range(items))


def test_many_who_send_at_once_are_all_in_or_refused(store: SqlStore) -> None:
    """64 clients send three each, and one of them closes it meanwhile: what was not refused is in it, and is drawn."""
    opened(store, SAMPLED, items=3 * CLIENTS)
    lot = uploads(store).open(SENDER, PROJECT)
    send(store, lot.id, 0)

    def act(number: int) -> bool:
        if number == 0:
            uploads(store).close(SENDER, PROJECT, lot.id)
            return False
        send(store, lot.id, *range(3 * number, 3 * number + 3))
        return True

    told = together(act)
    assert all(isinstance(one, Conflict) for one in told if isinstance(one, AskanceError))
    sent = 1 + 3 * sum(one is True for one in told)
    assert read(store, lot.id).items == sent
    assert members(store, lot.id) == list(range(sent))


def test_an_upload_that_nobody_closes_closes_by_age(store: SqlStore) -> None:
    """As other lots; one to which nothing was sent ends."""
    opened(store, replace(SAMPLED, lots=LotRules(close_after_seconds=1000)), items=3)
    left, empty = uploads(store).open(SENDER, PROJECT), uploads(store).open(SENDER, PROJECT)
    send(store, left.id, 0, 1)
    late = NOW + timedelta(seconds=1000)
    Lots(store, lambda: late).advance_all()
    assert (read(store, left.id).state, members(store, left.id)) == (LotState.INSPECTING, [0, 1])
    assert (read(store, empty.id).state, read(store, empty.id).reason) == (LotState.ACCEPTED, "nothing was answered")


def test_what_no_upload_can_be_is_refused(store: SqlStore) -> None:
    """With what to do: no lots in the policy, a lot that fills, nothing sent, one too many, not this project's, not
    this person's to do."""
    opened(store, SAMPLED, items=3)
    lot = uploads(store).open(SENDER, PROJECT)
    with pytest.raises(Conflict, match="nothing was sent"):
        uploads(store).close(SENDER, PROJECT, lot.id)
    make(store, 0)
    with store.read() as tx:
        filling = next(lot for lot in tx.lots.page(PROJECT, after=None, limit=5) if not lot.upload)
    for refused in (lambda: send(store, filling.id, 1), lambda: uploads(store).close(SENDER, PROJECT, filling.id)):
        with pytest.raises(Conflict, match="is no upload"):
            refused()
    with store.begin() as tx:
        tx.lots.save(replace(tx.lots.for_update(lot.id), items=LARGEST_LOT))
    with pytest.raises(Conflict, match="at most 10000"):
        send(store, lot.id, 1)
    with pytest.raises(NotFound):
        send(store, "lot_none", 1)
    with pytest.raises(NotFound):
        uploads(store).close(replace(SENDER, project_id=None), "other", lot.id)
    with pytest.raises(Forbidden):
        uploads(store).open(replace(SENDER, role=Role.REVIEWER), PROJECT)
    with store.begin() as tx:
        policy = tx.projects.get(PROJECT).policy
        tx.projects.save_policy(PROJECT, replace(policy, version=policy.version + 1, workflow=Workflow(qa=Qa.ALL)))
    with pytest.raises(Conflict, match="has no lots"):
        uploads(store).open(SENDER, PROJECT)
