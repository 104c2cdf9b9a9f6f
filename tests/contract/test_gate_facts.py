"""What the promotion gate and the search for label errors ask the store, on both databases."""

from dataclasses import replace

from loop.domain.cycle import CycleState, Step
from loop.domain.ports import Store
from loop.domain.review.tasks import Outcome
from tests.contract.records import (
    ODD,
    PROJECT,
    a_cycle,
    a_prediction,
    a_submission,
    a_task,
    an_item,
    digest,
    furnish,
    later,
)


def test_where_items_come_from(store: Store) -> None:
    furnish(store, items=1)
    with store.begin() as tx:
        tx.items.add(replace(an_item(1), source=""))
    with store.read() as tx:
        found = tx.items.sources(PROJECT, [digest(0), digest(1), digest(2)])
        assert found == {digest(0): ODD, digest(1): ""}
        assert tx.items.sources("other", [digest(0)]) == {}


def test_items_whose_prediction_had_to_be_corrected(store: Store) -> None:
    """By an answer that settled them; not where it is one of several, changed nothing, or is of another item."""
    furnish(store, items=5)
    with store.begin() as tx:
        for number in range(5):
            task = a_task(number, item=number)
            tx.tasks.add(task)
            said = replace(a_submission(task, number), settles=True)
            if number == 1:
                said = replace(said, settles=False)
            if number == 2:
                said = replace(said, corrections={})
            if number == 3:
                said = replace(said, corrections={"missed": 0}, outcome=Outcome.SUBMITTED)
            tx.submissions.add(said)
    with store.read() as tx:
        asked = [digest(number) for number in range(4)]
        assert tx.submissions.failed_items(PROJECT, asked) == {digest(0)}
        assert tx.submissions.failed_items("other", asked) == frozenset()


def test_how_often_images_have_decided(store: Store) -> None:
    """Cycles with a verdict on just this set; not those that failed before it, nor of other sets."""
    furnish(store)
    of_set = {"set": "a", "images": 3}
    with store.begin() as tx:
        for number, (evaluation, decision) in enumerate(
            [
                (of_set, {"promoted": False}),
                (of_set, {"promoted": True}),
                (of_set, {}),
                ({"set": "b"}, {"promoted": True}),
            ]
        ):
            cycle = replace(a_cycle(number), created_at=later(number))
            tx.cycles.add(cycle)
            done = replace(
                cycle, state=CycleState.REFUSED, step=Step.DONE, evaluation=evaluation, decision=decision,
                finished_at=later(99),
            )  # fmt: skip
            tx.cycles.save(done)
    with store.read() as tx:
        assert tx.cycles.count_judged(PROJECT, "a") == 2
        assert tx.cycles.count_judged(PROJECT, "c") == 0
        assert tx.cycles.count_judged("other", "a") == 0


def test_what_models_said_of_items(store: Store) -> None:
    """Newest first, of every model; an item without a prediction is left out."""
    furnish(store, items=3, models=2)
    made = [a_prediction(0, item=0), a_prediction(1, item=0, model=1, at=later(5)), a_prediction(2, item=1)]
    with store.begin() as tx:
        tx.predictions.add_all(made)
    with store.read() as tx:
        said = tx.predictions.said_of(PROJECT, [digest(number) for number in range(3)])
        assert tx.predictions.said_of("other", [digest(0)]) == {}
    assert {item: [one.prediction_id for one in all_] for item, all_ in said.items()} == {
        digest(0): [made[1].id, made[0].id],
        digest(1): [made[2].id],
    }
    assert (said[digest(0)][0].model_id, said[digest(0)][0].detections) == (made[1].model_id, made[1].detections)
