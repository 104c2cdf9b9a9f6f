"""The pool of a selection as the store gives it, and what is kept of a selection, on both databases."""

import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError

from loop.domain.errors import NotFound
from loop.domain.item import Item
from loop.domain.ports import Candidate, Store
from loop.domain.selection import Conditions, Part, PickedItem, Selection
from tests.contract.records import (
    NOW,
    ODD,
    PROJECT,
    a_model,
    a_prediction,
    a_project,
    a_task,
    a_truth,
    an_item,
    digest,
    later,
)


@pytest.fixture
def filled(store: Store) -> Store:
    """A project with two models and six items."""
    with store.begin() as tx:
        tx.projects.add(a_project())
        for number in range(2):
            tx.models.add(a_model(number))
        tx.items.add_all([an_item(number) for number in range(6)])
    return store


def candidates(store: Store, *, model: int = 0, after: int = 0, limit: int = 100) -> list[Candidate]:
    with store.read() as tx:
        return tx.predictions.candidates(
            PROJECT, f"model_{PROJECT}_{model}", after=after, limit=limit, parts=(Part.SIGNALS, Part.DETECTIONS)
        )


def test_of_a_prediction_what_is_asked_for_is_read(filled: Store) -> None:
    """The rest is None, and not read from the database."""
    with filled.begin() as tx:
        tx.predictions.add(a_prediction(0, item=0))
    with filled.read() as tx:
        of_model = PROJECT, f"model_{PROJECT}_0"
        (bare,) = tx.predictions.candidates(*of_model, after=0, limit=1, parts=())
        (seen,) = tx.predictions.candidates(*of_model, after=0, limit=1, parts=(Part.DETECTIONS,))
    assert (bare.signals, bare.detections, bare.objects) == (None, None, None)
    assert (seen.signals, seen.detections) == (None, a_prediction(0, item=0).detections)


def test_each_item_is_there_once_by_its_newest_prediction(filled: Store) -> None:
    """Of the asked model version; a younger one of another version changes nothing."""
    with filled.begin() as tx:
        tx.predictions.add(a_prediction(0, item=0, at=later(5)))
        tx.predictions.add(a_prediction(1, item=0, at=later(1)))
        tx.predictions.add(a_prediction(2, item=0, model=1, at=later(9)))
        tx.predictions.add(a_prediction(3, item=1, at=later(2)))
    first, second = candidates(filled)
    assert (first.prediction_id, second.prediction_id) == (a_prediction(0).id, a_prediction(3).id)
    stored = a_prediction(0, item=0, at=later(5))
    item = an_item(0)
    assert (first.item_digest, first.source, first.group, first.meta) == (
        item.digest, item.source, item.group, item.meta,
    )  # fmt: skip
    assert np.array_equal(first.embedding, stored.embedding)
    assert (first.risk, first.signals, first.detections) == (
        stored.decision.risk,
        stored.signals,
        stored.detections,
    )


def test_of_predictions_of_one_moment_one_counts(filled: Store) -> None:
    with filled.begin() as tx:
        tx.predictions.add_all([a_prediction(number, item=0) for number in range(3)])
    (one,) = candidates(filled)
    assert one.prediction_id == a_prediction(2).id


def test_items_with_a_task_or_their_truth_are_settled(filled: Store) -> None:
    with filled.begin() as tx:
        tx.predictions.add_all([a_prediction(number, item=number) for number in range(3)])
        tx.tasks.add(a_task(0, item=1, prediction=1))
        tx.truths.add(a_truth(item=2))
    assert [one.settled for one in candidates(filled)] == [False, True, True]


def test_pages_follow_each_other(filled: Store) -> None:
    with filled.begin() as tx:
        tx.predictions.add_all([a_prediction(number, item=number) for number in range(6)])
    pages, after = [], 0
    while page := candidates(filled, after=after, limit=2):
        pages += page
        after = page[-1].sequence
    assert [one.item_digest for one in pages] == [digest(number) for number in range(6)]
    assert all(one.sequence < other.sequence for one, other in pairwise(pages))


def test_settled_items_are_found_however_many_are_asked_for(filled: Store) -> None:
    with filled.begin() as tx:
        tx.predictions.add(a_prediction(0, item=4))
        tx.tasks.add(a_task(0, item=4, prediction=0))
        tx.truths.add(a_truth(item=2))
    with filled.read() as tx:
        assert tx.items.settled(PROJECT, [digest(number) for number in range(1200)]) == {digest(2), digest(4)}
        assert tx.items.settled("other", [digest(4)]) == tx.items.settled(PROJECT, []) == frozenset()


def a_selection(number: int = 0) -> Selection:
    return Selection(
        id=f"sel_{number:05}",
        project_id=PROJECT,
        model_id=f"model_{PROJECT}_0",
        mix={"hybrid": 0.1 + 0.2, "random": 0.7},
        budget=5,
        seed=2**32 - 1,
        conditions={"source": ODD},
        like_items=(digest(3),),
        pool=6,
        picked=2,
        actor=ODD,
        created_at=later(number),
    )


def test_a_selection_comes_back_as_it_was(filled: Store) -> None:
    picks = [
        PickedItem(
            selection_id="sel_00000", rank=rank, item_digest=digest(rank), prediction_id=a_prediction(rank).id,
            task_id=task, strategy="hybrid", score=1 / 3, reason=ODD, inclusion_probability=probability,
        )
        for rank, task, probability in ((1, None, None), (2, a_task(0).id, 0.1))
    ]  # fmt: skip
    with filled.begin() as tx:
        tx.predictions.add_all([a_prediction(number, item=number) for number in range(3)])
        task = replace(a_task(0, item=2, prediction=2), reason=ODD)
        tx.tasks.add(task)
        tx.selections.add(a_selection(), picks)
        tx.selections.add(a_selection(1), [])
    with filled.read() as tx:
        assert tx.selections.get(PROJECT, "sel_00000") == a_selection()
        assert tx.selections.picks("sel_00000") == picks
        assert tx.tasks.get(task.id) == task
        assert tx.selections.page(PROJECT, after=None, limit=1) == [a_selection(1)]
        assert tx.selections.page(PROJECT, after="sel_00001", limit=9) == [a_selection()]
        with pytest.raises(NotFound):
            tx.selections.get("other", "sel_00000")


def test_a_selection_before_there_is_a_model_names_the_space_of_its_descriptor(filled: Store) -> None:
    """Neither a version nor predictions; one with both, or with neither, is not kept."""
    first = replace(a_selection(), model_id=None, space="colours-1")
    pick = PickedItem(
        selection_id=first.id, rank=1, item_digest=digest(3), prediction_id=None, task_id=None, strategy="typiclust",
        score=2.0, reason=ODD, inclusion_probability=None,
    )  # fmt: skip
    with filled.begin() as tx:
        tx.selections.add(first, [pick])
    with filled.read() as tx:
        assert tx.selections.get(PROJECT, first.id) == first
        assert tx.selections.picks(first.id) == [pick]
    for wrong in (replace(a_selection(1), model_id=None), replace(a_selection(1), space="colours-1")):
        with pytest.raises(IntegrityError), filled.begin() as tx:
            tx.selections.add(wrong, [])


def test_conditions_hold_all_together() -> None:
    item: Item = replace(an_item(), source="a", group="g", meta={"light": "dim"})
    wanted = {"source": "a", "group": "g", "meta.light": "dim", "label": "seven"}
    assert Conditions(wanted=wanted).met_by(item, frozenset({"seven", "one"}))
    for name in wanted:
        assert not Conditions(wanted=wanted | {name: "other"}).met_by(item, frozenset({"seven"}))
    assert Conditions().met_by(item, frozenset())
    assert item.created_at == NOW


def test_who_holds_a_project_keeps_nobody_from_predicting(filled: Store, url: str) -> None:
    """Of two that hold it, the second waits for the first; a prediction refers to the project, and does not."""
    if not url.startswith("postgresql"):
        return  # SQLite has one writer at a time anyway
    order: list[str] = []
    with filled.begin() as tx:
        tx.projects.hold(PROJECT)
        with filled.begin() as other:
            other.predictions.add(a_prediction(0, item=0))

        def second() -> None:
            with filled.begin() as late:
                late.projects.hold(PROJECT)
                order.append("second")

        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(timeout=0.3)
        order.append("first")
    waiting.join(timeout=20)
    assert order == ["first", "second"]
