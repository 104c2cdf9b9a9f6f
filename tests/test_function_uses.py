"""Which functions a project uses: what is refused, with a hint that helps; and which events call them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from loop.domain.errors import Invalid
from loop.domain.functions.calls import CallState, FunctionCall, done, failed
from loop.domain.policy.function_uses import (
    TRIGGERS,
    Button,
    FunctionUse,
    Original,
    Shapes,
    checked_uses,
    triggered,
    use_from_json,
    use_to_json,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GROUPING = FunctionUse(name="group_shapes", button=Button(label="Group", key="g"))


def checked(*uses: FunctionUse) -> tuple[FunctionUse, ...]:
    return checked_uses(uses, installed={"group_shapes", "redact"}, label_keys={"1": "the label car"})


@pytest.mark.parametrize(
    ("uses", "told"),
    [
        ((FunctionUse(name="group_shape"),), "Did you mean 'group_shapes'?"),
        ((FunctionUse(name="zzz"),), "There is: group_shapes, redact."),
        ((replace(GROUPING, on=("item.make",)),), "There is: item.created"),
        ((replace(GROUPING, on=("task.complete",)),), "Did you mean 'task.completed'?"),
        ((GROUPING, GROUPING), "declared twice"),
        ((replace(GROUPING, button=Button(label="G", key="1")),), "the label car"),
        ((GROUPING, FunctionUse(name="redact", button=Button(label="R", key="g"))), "'Group'"),
        ((replace(GROUPING, button=Button(label="G", key="gg")),), "one character"),
        ((replace(GROUPING, button=Button(label=" ")),), "no label"),
        ((replace(GROUPING, options={"n": float("nan")}),), "no JSON"),
        ((replace(GROUPING, options={"n": "x" * 20_001}),), "20,000"),
        ((replace(GROUPING, on=("item.created",), shapes=Shapes.TRUTH),), "no person has looked at"),
        (tuple(FunctionUse(name=f"f{n}") for n in range(101)), "at most 100"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(uses, told):
    """Unknown names with the nearest one; keys that are taken; shapes that would be truth without a person."""
    with pytest.raises(Invalid) as caught:
        checked(*uses)
    assert told in str(caught.value)


def test_a_declaration_comes_back_as_it_was():
    """As JSON, and from a document that says no more than the name."""
    use = replace(GROUPING, on=tuple(TRIGGERS), options={"a": [1, {"b": None}]}, original=Original.DROP)
    assert use_from_json(use_to_json(use)) == use
    assert use_from_json({"name": "f"}) == FunctionUse(name="f")


@pytest.mark.parametrize(
    ("kind", "body", "trigger"),
    [
        ("task.submitted", {"submission_id": "s", "settles": True}, "task.completed"),
        ("task.submitted", {"submission_id": "s", "settles": False}, None),
        ("task.accepted", {"submission_id": "s", "settles": True}, "task.completed"),
        ("task.settled", {"submission_id": "s", "lot_id": "l"}, "task.completed"),
        ("task.skipped", {"submission_id": "s"}, None),
        ("task.returned", {"submission_id": "s", "settles": False}, None),
        ("lot.rejected", {"lot_id": "l"}, "lot.decided"),
        ("lot.closed", {"lot_id": "l"}, None),
        ("model.promoted", {"model_id": "m"}, "model.promoted"),
        ("item.created", {"item_digest": "d"}, "item.created"),
        ("item.created", {"item_digest": "d", "derived": True}, None),
        ("task.submitted", {}, None),
    ],
)
def test_events_that_call_functions(kind, body, trigger):
    """An answer that settles nothing calls none, nor does what a function made: that could go on without end."""
    found = triggered(kind, body, NOW)
    assert (found and found.trigger) == trigger


def test_a_version_that_is_promoted_again_calls_again():
    """The same event told again does not."""
    subjects = {triggered("model.promoted", {"model_id": "m"}, at).subject for at in (NOW, NOW, NOW + timedelta(1))}
    assert len(subjects) == 2


def test_a_call_is_tried_again_later_and_then_given_up():
    """After each pause; with all pauses used up it is over, and says why."""
    call = FunctionCall(
        id="c", project_id="p", function="f", trigger="t", subject="s", item_digest=None, actor="a", body={},
        created_at=NOW, due_at=NOW, epoch=1, claimed_until=NOW,
    )  # fmt: skip
    waits = []
    for _ in range(2):
        call = failed(call, "why", NOW, (5.0, 60.0))
        assert (call.state, call.claimed_until, call.error) == (CallState.PENDING, None, "why")
        waits.append((call.due_at - NOW).total_seconds())
    assert waits == [5, 60]
    given_up = failed(call, "why", NOW, (5.0, 60.0))
    assert (given_up.state, given_up.attempts, given_up.finished_at) == (CallState.FAILED, 3, NOW)
    assert done(call, ["made"], NOW).messages == ("made",)
    assert done(call, [], NOW).error == ""
