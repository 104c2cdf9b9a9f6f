"""Leases: which transition is allowed when (the store's state machine tests the same rules under concurrency)."""

from datetime import UTC, datetime, timedelta

import pytest

from loop.domain.errors import AlreadySubmitted, BadShape, StaleLease, UnknownLabel
from loop.domain.review.tasks import Outcome, Task, TaskState, closed, is_leasable, leased, released, renewed
from loop.domain.stage import Stage
from loop.domain.truth import Shape, checked_shapes

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=61)

TASK = Task(
    id="task_1", project_id="p", item_digest="d", prediction_id="pred_1", stage=Stage.ANNOTATE, priority=0.7,
    policy_version=1, recipe_version=1, created_at=NOW,
)  # fmt: skip
HELD = leased(TASK, owner="ann", now=NOW, seconds=60)


def test_each_lease_raises_the_epoch():
    """The epoch is a fencing token: whoever holds an older one is refused."""
    again = leased(HELD, owner="bob", now=LATER, seconds=60)
    assert (HELD.epoch, again.epoch, again.owner) == (1, 2, "bob")
    with pytest.raises(StaleLease):
        closed(again, owner="ann", epoch=1, now=LATER, outcome=Outcome.SUBMITTED)


def test_a_live_lease_cannot_be_taken():
    """Until it expires, a task is its holder's."""
    assert not is_leasable(HELD, NOW + timedelta(seconds=59))
    with pytest.raises(StaleLease):
        leased(HELD, owner="bob", now=NOW, seconds=60)


@pytest.mark.parametrize(
    ("owner", "epoch", "now"),
    [("ann", 0, NOW), ("ann", 2, NOW), ("bob", 1, NOW), ("ann", 1, LATER)],
    ids=["older epoch", "foreign epoch", "another reviewer", "after expiry"],
)
def test_only_the_live_holder_acts(owner, epoch, now):
    """Heartbeat, submit and release need task, owner, epoch and an unexpired lease."""
    for act in (
        lambda: renewed(HELD, owner=owner, epoch=epoch, now=now, seconds=60),
        lambda: closed(HELD, owner=owner, epoch=epoch, now=now, outcome=Outcome.SUBMITTED),
        lambda: released(HELD, owner=owner, epoch=epoch, now=now),
    ):
        with pytest.raises(StaleLease) as caught:
            act()
        assert "Lease the task again" in caught.value.hint


def test_a_heartbeat_moves_the_expiry_only():
    """Renewal keeps epoch and owner."""
    later = renewed(HELD, owner="ann", epoch=1, now=NOW + timedelta(seconds=50), seconds=60)
    assert later.expires_at == NOW + timedelta(seconds=110)
    assert (later.epoch, later.owner, later.state) == (1, "ann", TaskState.LEASED)


def test_a_closed_task_stays_closed():
    """After an answer or a skip, every further act says that the task has its answer."""
    for outcome, state in ((Outcome.SUBMITTED, TaskState.DONE), (Outcome.SKIPPED, TaskState.SKIPPED)):
        done = closed(HELD, owner="ann", epoch=1, now=NOW, outcome=outcome)
        assert done.state is state
        with pytest.raises(AlreadySubmitted):
            closed(done, owner="ann", epoch=1, now=NOW, outcome=outcome)
        assert not is_leasable(done, LATER)


def test_a_released_task_is_open_under_its_epoch():
    """Release keeps the epoch, so that the next lease is a new one."""
    back = released(HELD, owner="ann", epoch=1, now=NOW)
    assert (back.state, back.owner, back.epoch) == (TaskState.OPEN, None, 1)
    assert leased(back, owner="bob", now=NOW, seconds=60).epoch == 2


@pytest.mark.parametrize(
    "box",
    [(5, 5, 5, 9), (9, 5, 5, 9), (-3, 0, 5, 5), (0, 0, 102, 5), (float("nan"), 0, 5, 5), (0, 0, float("inf"), 5)],
    ids=["empty", "turned", "left of it", "right of it", "NaN", "infinite"],
)
def test_a_box_must_lie_in_the_image(box):
    """100 x 80 pixels: what sticks out by more than a pixel, is empty or not finite is refused."""
    with pytest.raises(BadShape, match="does not lie in the 100 x 80 image"):
        checked_shapes([Shape("cat", box)], labels=["cat"], width=100, height=80)


def test_rounding_at_the_edge_is_clipped():
    """A tool's half pixel beyond the edge is cut off, not refused."""
    (shape,) = checked_shapes([Shape("cat", (-0.5, 0, 100.6, 80))], labels=["cat"], width=100, height=80)
    assert shape.box == (0.0, 0.0, 100.0, 80.0)


def test_an_unknown_label_names_the_known_ones():
    """The hint lists what may be used."""
    with pytest.raises(UnknownLabel) as caught:
        checked_shapes([Shape("cow", (0, 0, 5, 5))], labels=["cat", "dog"], width=100, height=80)
    assert caught.value.hint == "Use one of: cat, dog."
