"""The queue of custom functions: filled with what calls them, claimed by one, settled once; on both databases."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from loop.domain.errors import NotFound
from loop.domain.functions.calls import CallState, FunctionCall, done, failed
from loop.domain.policy.function_uses import Button, FunctionUse, Original, Shapes
from loop.domain.ports import Event, Store
from loop.store.database import SqlStore
from tests.contract.records import (
    NOW,
    ODD,
    PROJECT,
    a_policy,
    a_task,
    a_truth,
    an_item,
    digest,
    furnish,
    later,
)

USES = (
    FunctionUse(name="f", on=("item.created", "task.completed"), options={"ö": [1, None]}, shapes=Shapes.IGNORE),
    FunctionUse(name="g", on=("task.completed", "model.promoted"), shapes=Shapes.TRUTH, original=Original.DROP),
    FunctionUse(name="h", button=Button(label=ODD, key="é", needs_selection=True)),
)
CALL = FunctionCall(
    id="call_1", project_id=PROJECT, function=ODD, trigger="task.completed", subject=ODD, item_digest=digest(0),
    actor=ODD, body={"a": [1.5, None]}, created_at=NOW, due_at=NOW, attempts=2, error=ODD, messages=(ODD, ""),
)  # fmt: skip


@pytest.fixture
def filled(store: Store) -> Store:
    """A project that uses f, g and h, and another that uses none."""
    furnish(store, items=2)
    furnish(store, items=2, project_id="other")
    with store.begin() as tx:
        tx.projects.save_policy(PROJECT, replace(a_policy(2), functions=USES))
    return store


def answered(number: int = 0, **body: object) -> Event:
    told = {"submission_id": f"sub_{number}", "item_digest": digest(0), "settles": True, **body}
    return Event("task.submitted", PROJECT, "ann", told, NOW)


def claimed(store: Store, now: datetime = NOW, seconds: float = 60) -> FunctionCall | None:
    with store.begin() as tx:
        return tx.function_calls.claim(now=now, until=now + timedelta(seconds=seconds))


def everything(store: Store) -> list[tuple[str, str, str | None]]:
    """Whatever can be claimed: function, trigger, item."""
    found = []
    while (call := claimed(store)) is not None:
        found.append((call.function, call.trigger, call.item_digest))
    return sorted(found)


def test_a_policy_and_a_call_come_back_as_they_were(filled: Store) -> None:
    """Whatever names, options and messages hold."""
    with filled.begin() as tx:
        assert tx.projects.get(PROJECT).policy.functions == USES
        assert tx.projects.get("other").policy.functions == ()
        assert tx.function_calls.add(CALL)
    with filled.read() as tx:
        assert tx.function_calls.get(PROJECT, CALL.id) == CALL
        assert tx.function_calls.unfinished(PROJECT) == 1
        assert tx.function_calls.unfinished("other") == 0
        with pytest.raises(NotFound):
            tx.function_calls.get("other", CALL.id)


def test_an_event_calls_the_functions_that_want_it(filled: Store) -> None:
    """In its own transaction; of other kinds and in other projects none."""
    with filled.begin() as tx:
        tx.events.add(answered())
        tx.events.add(answered(1, settles=False))
        tx.events.add(replace(answered(2), project_id="other"))
        tx.events.add(
            Event("model.promoted", PROJECT, "gate", {"model_id": "m", "previous_id": None, "kind": "gate"}, NOW)
        )
    assert everything(filled) == [
        ("f", "task.completed", digest(0)),
        ("g", "model.promoted", None),
        ("g", "task.completed", digest(0)),
    ]


def test_nothing_is_called_by_what_was_rolled_back(filled: Store) -> None:
    """Both are there, or neither."""
    with pytest.raises(ZeroDivisionError), filled.begin() as tx:
        tx.events.add(answered())
        _ = 1 / 0
    assert everything(filled) == []


def test_the_same_event_calls_once(filled: Store) -> None:
    """However often it is told: while the call waits, and when it is over."""
    for _ in range(2):
        with filled.begin() as tx:
            tx.events.add(answered())
    assert len(everything(filled)) == 2
    call = claimed(filled, later(61))
    assert call is not None
    with filled.begin() as tx:
        assert tx.function_calls.settle(done(call, (), NOW))
        tx.events.add(answered())
        assert tx.function_calls.unfinished(PROJECT) == 1


@pytest.mark.parametrize("at_once", [True, False])
def test_an_image_that_came_calls_once(filled: Store, at_once: bool) -> None:
    """One that the project had calls nothing, nor does one that a function made."""
    new = [an_item(number) for number in (0, 5, 6, 6)]
    made = replace(an_item(7), meta={"derived_from": digest(0)})
    with filled.begin() as tx:
        given = [*new, made, an_item(8, project_id="other")]
        if at_once:
            tx.items.add_all(given)
        else:
            for item in given:
                tx.items.add(item)
    assert everything(filled) == [("f", "item.created", digest(5)), ("f", "item.created", digest(6))]
    with filled.read() as tx:
        assert tx.items.get("other", digest(8)) == an_item(8, project_id="other")
        assert tx.items.get(PROJECT, digest(7)) == made


def test_a_claim_is_exclusive_until_it_runs_out(filled: Store) -> None:
    """Then another gets the call, and what the first brings counts no more."""
    with filled.begin() as tx:
        tx.function_calls.add(replace(CALL, due_at=later(10)))
        assert not tx.function_calls.is_due(later(9))
    assert claimed(filled, later(9)) is None
    first = claimed(filled, later(10))
    assert first is not None
    with filled.read() as tx:
        assert not tx.function_calls.is_due(later(69))
    assert claimed(filled, later(69)) is None
    second = claimed(filled, later(70))
    assert second is not None
    assert (first.epoch, second.epoch) == (1, 2)
    with filled.begin() as tx:
        assert not tx.function_calls.settle(done(first, ("first",), later(71)))
        assert tx.function_calls.settle(done(second, ("second",), later(71)))
        assert not tx.function_calls.settle(done(second, ("again",), later(72)))
        kept = tx.function_calls.get(PROJECT, CALL.id)
    assert (kept.state, kept.messages, kept.claimed_until) == (CallState.DONE, ("second",), None)


def test_the_longest_due_comes_first(filled: Store) -> None:
    """Of all projects; one that failed comes again when it is due."""
    with filled.begin() as tx:
        for number, due in enumerate((3.0, 1.0, 2.0)):
            other = {"project_id": "other"} if number == 1 else {}
            tx.function_calls.add(
                replace(CALL, id=f"call_{number}", subject=str(number), due_at=later(due), attempts=0, **other)
            )
    order = [call.id for _ in range(3) if (call := claimed(filled, later(9))) is not None]
    assert order == ["call_1", "call_2", "call_0"]
    with filled.begin() as tx:
        call = tx.function_calls.get("other", "call_1")
        assert tx.function_calls.settle(failed(call, ODD, later(9), (5.0,)))
    assert claimed(filled, later(13)) is None
    again = claimed(filled, later(14))
    assert again is not None
    assert (again.id, again.attempts, again.error) == ("call_1", 1, ODD)


def test_two_who_claim_get_two_calls(filled: SqlStore) -> None:
    """However close together they ask, each call goes to one of them."""
    with filled.begin() as tx:
        for number in range(8):
            tx.function_calls.add(replace(CALL, id=f"call_{number}", subject=str(number)))
    got: list[str] = []

    def work() -> None:
        while (call := claimed(filled)) is not None:
            got.append(call.id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(got) == [f"call_{number}" for number in range(8)]


def test_calls_that_ended_long_ago_are_forgotten(filled: Store) -> None:
    """Never one that waits."""
    with filled.begin() as tx:
        for number in range(3):
            tx.function_calls.add(replace(CALL, id=f"call_{number}", subject=str(number)))
        for number in (0, 1):
            call = tx.function_calls.get(PROJECT, f"call_{number}")
            assert tx.function_calls.settle(done(call, (), later(number)))
        assert tx.function_calls.prune(later(1), 10) == 1
        assert tx.function_calls.prune(later(99), 10) == 1
        assert tx.function_calls.get(PROJECT, "call_2").state is CallState.PENDING


def test_the_newest_events_of_a_kind(filled: Store) -> None:
    """At most so many, the newest first."""
    for number in range(3):
        with filled.begin() as tx:
            tx.events.add(Event("function.ran", PROJECT, "a", {"n": number}, NOW))
            tx.events.add(Event("other", PROJECT, "a", {}, NOW))
    with filled.read() as tx:
        assert [event.body["n"] for event in tx.events.newest(PROJECT, "function.ran", limit=2)] == [2, 1]


# --- images that are dropped -------------------------------------------------------------------------------


def test_a_dropped_image_has_no_truth_any_more(filled: Store) -> None:
    """Nothing is trained on what cannot be read; its truth stays in the history."""
    with filled.begin() as tx:
        tx.truths.add(a_truth(item=0))
        tx.truths.add(a_truth(item=1))
        assert tx.items.drop(PROJECT, digest(0), by="redact", at=NOW)
        assert tx.items.drop(PROJECT, digest(0), by="redact", at=NOW)
    with filled.read() as tx:
        assert [item.digest for item, _ in tx.truths.all_current(PROJECT)] == [digest(1)]
        assert sum(tx.truths.label_counts(PROJECT).values()) == len(a_truth(item=1).shapes)
        assert tx.truths.current(PROJECT, digest(0)) == a_truth(item=0)
        assert tx.items.dropped(PROJECT) == {digest(0)}
        assert tx.items.dropped("other") == frozenset()


def test_an_image_that_somebody_is_to_work_on_is_not_dropped(filled: Store) -> None:
    """They would see nothing."""
    with filled.begin() as tx:
        tx.tasks.add(replace(a_task(), prediction_id=None))
        assert not tx.items.drop(PROJECT, digest(0), by="redact", at=NOW)
        assert tx.items.left(10) == {}


def test_bytes_go_when_no_project_keeps_them(filled: Store) -> None:
    """Content is shared by projects; each drops for itself. What is done is not looked at again."""
    with filled.begin() as tx:
        assert tx.items.drop(PROJECT, digest(0), by="redact", at=NOW)
    with filled.begin() as tx:
        assert tx.items.left(10) == {digest(0): True}
        tx.items.removed(digest(0))
        assert tx.items.left(10) == {}
        assert tx.items.drop("other", digest(0), by="redact", at=NOW)
        assert tx.items.left(10) == {digest(0): False}
