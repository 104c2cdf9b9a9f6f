"""Which tasks lie in Label Studio, on each database."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from loop.domain.errors import Conflict, NotFound
from loop.domain.outgoing.label_studio import Link, LinkState
from loop.store.database import SqlStore
from tests.contract.records import (
    NOW,
    ODD,
    PROJECT,
    a_model,
    a_prediction,
    a_project,
    a_submission,
    a_task,
    an_item,
    later,
)

SERVER = "https://label-studio.example.org"


@pytest.fixture
def tasks(store: SqlStore) -> Iterator[SqlStore]:
    """A store with tasks 0, 1 and 2, the first of which is answered."""
    with store.begin() as tx:
        tx.projects.add(a_project())
        tx.models.add(a_model())
        for number in range(3):
            tx.items.add(an_item(number))
            tx.predictions.add(a_prediction(number, item=number))
            tx.tasks.add(a_task(number, item=number))
        tx.submissions.add(a_submission(a_task(0)))
    yield store


def a_link(number: int = 0, **changes: object) -> Link:
    task = a_task(number, item=number)
    link = Link(
        id=f"ls_{number:03}",
        project_id=PROJECT,
        server=SERVER,
        place=7,
        task_id=task.id,
        work_id=task.work_id,
        round=0,
        epoch=2**31 - 1,
        created_at=NOW,
        created_by=ODD,
    )
    return replace(link, **changes)  # type: ignore[arg-type]


def test_links_come_back_as_they_were(tasks: SqlStore) -> None:
    """Every field, moments with their microseconds, in the order of their ids."""
    first = a_link(0, claimed_until=later(1.5), problem=ODD)
    second = a_link(1, state=LinkState.OUT, remote=2**31 - 1, seen="2026-03-29T02:59:59.123457Z")
    with tasks.begin() as tx:
        tx.label_studio.add_all([second, first])
    with tasks.read() as tx:
        assert tx.label_studio.of_project(PROJECT) == [first, second]
        assert tx.label_studio.of_project(PROJECT, states=[LinkState.OUT]) == [second]
        assert tx.label_studio.of_project(PROJECT, server=SERVER, place=8) == []
        assert tx.label_studio.of_project("another") == []


def test_a_link_is_saved_whole(tasks: SqlStore) -> None:
    """What was taken stands beside what was sent."""
    with tasks.begin() as tx:
        tx.label_studio.add_all([a_link()])
        link = tx.label_studio.for_update("ls_000")
        taken = replace(
            link, state=LinkState.ANSWERED, remote=3, annotation=9, answer="d", submission_id=a_submission(a_task()).id
        )
        tx.label_studio.save(taken)
    with tasks.read() as tx:
        assert tx.label_studio.of_project(PROJECT) == [taken]
    with pytest.raises(NotFound), tasks.begin() as tx:
        tx.label_studio.for_update("ls_999")


def test_a_task_lies_there_once(tasks: SqlStore) -> None:
    """A second link of a task is refused while the first is being sent or waits; afterwards it is not."""
    with tasks.begin() as tx:
        tx.label_studio.add_all([a_link(0, state=LinkState.RELEASED), a_link(0, id="ls_b")])
    with pytest.raises(Conflict), tasks.begin() as tx:
        tx.label_studio.add_all([a_link(0, id="ls_c", state=LinkState.OUT, remote=4)])
    with tasks.read() as tx:
        assert [link.id for link in tx.label_studio.of_project(PROJECT)] == ["ls_000", "ls_b"]


def test_the_last_round_of_a_work_counts(tasks: SqlStore) -> None:
    """Unless it was called back, or refused; works that were never sent are left out."""
    works = [a_task(number, item=number).work_id for number in range(3)]
    with tasks.begin() as tx:
        tx.label_studio.add_all(
            [
                a_link(0, id="ls_a", state=LinkState.ANSWERED, remote=1, round=1, submission_id="sub_00000"),
                a_link(0, id="ls_b", round=2),
                a_link(0, id="ls_c", state=LinkState.REFUSED, remote=2, round=3),
                a_link(1, id="ls_d", state=LinkState.RELEASED, round=4),
            ]
        )
    with tasks.read() as tx:
        assert tx.label_studio.rounds(works) == {works[0]: 2}
        assert tx.label_studio.rounds([]) == {}
