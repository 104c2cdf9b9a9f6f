"""A project's triggers, changed by several operators at one moment and looked at meanwhile, on each database."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from loop.cycle.triggers import Triggers
from loop.domain.access import Role
from loop.domain.cycle import Cycle
from loop.domain.errors import AskanceError, Conflict, CycleRunning
from loop.domain.policy.schedule import Schedule
from loop.domain.policy.triggers import TriggerRules, rules_version
from loop.store.database import SqlStore
from tests.contract.records import NOW, PROJECT, a_project, a_token, later

OPERATOR = replace(a_token(), role=Role.OPERATOR)
ROUNDS = 6
EACH_ITS_OWN: Sequence[Mapping[str, object]] = (
    {"reviewed": 7}, {"corrected": 8}, {"failure_rate": 0.5}, {"drift": True}, {"quiet_hours": 3.0}, {"least_new": 9},
)  # fmt: skip


def no_cycle(*_: object) -> Cycle:
    raise CycleRunning("one is under way.", hint="Wait.")


@pytest.fixture
def triggers(store: SqlStore) -> Triggers:
    with store.begin() as tx:
        tx.projects.add(a_project())
    return Triggers(store, no_cycle, lambda _: False, lambda: NOW)


def kept(store: SqlStore) -> TriggerRules:
    with store.read() as tx:
        return tx.cycles.triggers(PROJECT)


def told(store: SqlStore) -> int:
    """How many changes the history has."""
    with store.read() as tx:
        return len(tx.events.newest(PROJECT, "triggers.changed", limit=1000))


def at_once(acts: Sequence[Callable[[], object]]) -> "list[AskanceError | None]":
    """What each was told, all begun at one moment."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], object]) -> AskanceError | None:
        start.wait()
        try:
            act()
        except AskanceError as error:
            return error
        return None

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def changing(triggers: Triggers, changes: Mapping[str, object], version: str | None = None) -> Callable[[], object]:
    return lambda: triggers.change(OPERATOR, PROJECT, changes, version)


def test_of_operators_who_each_change_another_trigger_at_once_all_count(store: SqlStore, triggers: Triggers) -> None:
    """Each says what changes and nothing of the rest, which stays as whoever came first has left it."""
    for turn in range(ROUNDS):
        with store.begin() as tx:
            tx.cycles.save_triggers(PROJECT, TriggerRules())
        assert at_once([changing(triggers, one) for one in EACH_ITS_OWN]) == [None] * len(EACH_ITS_OWN)
        wanted = {name: value for one in EACH_ITS_OWN for name, value in one.items()}
        assert kept(store) == TriggerRules(**wanted), turn  # type: ignore[arg-type]
        assert told(store) == (turn + 1) * len(EACH_ITS_OWN)


def test_of_operators_who_say_what_they_have_looked_at_one_wins(store: SqlStore, triggers: Triggers) -> None:
    """Also where each changes another trigger: all others are told to look again, and nothing of theirs is kept."""
    for turn in range(ROUNDS):
        before = TriggerRules(reviewed=100 + turn, every_hours=5.0)
        with store.begin() as tx:
            tx.cycles.save_triggers(PROJECT, before)
        seen = rules_version(before)
        found = at_once([changing(triggers, one, seen) for one in EACH_ITS_OWN])
        refused = [error for error in found if error is not None]
        assert len(refused) == len(EACH_ITS_OWN) - 1 and told(store) == turn + 1
        assert all(isinstance(error, Conflict) and "Look at them as they are now" in error.hint for error in refused)
        (winner,) = (one for one, error in zip(EACH_ITS_OWN, found, strict=True) if error is None)
        assert kept(store) == replace(before, **winner)
        assert all(error.ids["version"] == rules_version(kept(store)) for error in refused)


def test_what_is_there_already_may_be_sent_again(store: SqlStore, triggers: Triggers) -> None:
    """Whose answer was lost on its way is told no conflict with what they did themselves."""
    seen = rules_version(kept(store))
    for _ in range(2):
        triggers.change(OPERATOR, PROJECT, {"reviewed": 7}, seen)
    with pytest.raises(Conflict):
        triggers.change(OPERATOR, PROJECT, {"reviewed": 8}, seen)
    assert kept(store) == TriggerRules(reviewed=7)


def test_a_change_at_the_moment_of_a_look_is_kept(store: SqlStore, triggers: Triggers) -> None:
    """A look writes that a time of the schedule is over; what operators change meanwhile it writes not over."""
    nightly = Schedule(at="02:30", since=NOW - timedelta(days=3))
    for turn in range(ROUNDS):
        with store.begin() as tx:
            tx.cycles.save_triggers(PROJECT, TriggerRules(schedule=nightly))
        assert at_once([triggers.look, changing(triggers, {"reviewed": turn + 1}), triggers.look]) == [None] * 3
        assert kept(store).reviewed == turn + 1


def test_a_look_that_uses_up_a_time_changes_nothing_that_an_operator_has_looked_at(
    store: SqlStore, triggers: Triggers
) -> None:
    """It takes the time away that was due, and the version stays."""
    nightly = Schedule(at="02:30", since=NOW - timedelta(days=3))
    with store.begin() as tx:
        tx.cycles.save_triggers(PROJECT, TriggerRules(schedule=nightly))
    seen = rules_version(kept(store))
    triggers.look()
    after = kept(store).schedule
    assert after is not None and after.since == NOW and rules_version(kept(store)) == seen
    triggers.change(OPERATOR, PROJECT, {"schedule": {"at": "03:30"}}, seen)
    assert replace(triggers, clock=lambda: later(1)).status(PROJECT).rules.schedule == Schedule(at="03:30", since=NOW)


def test_the_next_times_are_told_in_their_order(triggers: Triggers) -> None:
    assert triggers.status(PROJECT).next_times == ()
    triggers.change(OPERATOR, PROJECT, {"schedule": {"at": "02:30", "days": ["mon"]}})
    first, *others = triggers.status(PROJECT).next_times
    assert first > NOW and others == [first + timedelta(days=7 * weeks) for weeks in (1, 2)]
    assert isinstance(first, datetime) and first.weekday() == 0
