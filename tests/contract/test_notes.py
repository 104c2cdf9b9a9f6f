"""What MLflow is still to be told, as the store keeps it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.outgoing.notes import Note, Untold, after_failure, aliases_note, end_note, metrics_note
from loop.store.database import SqlStore
from tests.contract.records import NOW, a_project

CYCLES = ("cycle_1", "cycle_2")


@pytest.fixture
def cycles(store: SqlStore) -> dict[str, Cycle]:
    """Of two projects."""
    made = {}
    with store.begin() as tx:
        for number, name in enumerate(CYCLES):
            project = replace(a_project(), id=f"project_{number}")
            tx.projects.add(project)
            made[name] = Cycle(
                id=name, project_id=project.id, state=CycleState.QUEUED, step=Step.TRAIN, actor="ada", reason="",
                recipe={}, created_at=NOW, updated_at=NOW,
            )  # fmt: skip
            tx.cycles.add(made[name])
    return made


def added(store: SqlStore, *notes: Note) -> None:
    with store.begin() as tx:
        for note in notes:
            tx.notes.add(note)


def heads(store: SqlStore) -> list[Note]:
    with store.read() as tx:
        return tx.notes.heads()


def test_a_line_is_told_in_the_order_of_its_commits(store: SqlStore, cycles: dict[str, Cycle]) -> None:
    """What is told makes room for the next; numbers survive a failure; the last of a line takes all of it away."""
    one, other = cycles.values()
    first = metrics_note(one, {"loss": 0.1, "no number": float("nan")}, 1, NOW)
    added(store, first, metrics_note(one, {"loss": 0.2}, 2, NOW + timedelta(seconds=1)))
    added(store, metrics_note(other, {}, 1, NOW), aliases_note(one.project_id, NOW), end_note(one, NOW))
    found = heads(store)
    assert [note.line for note in found] == ["cycle_1", "cycle_2", "project_0"]
    assert replace(found[0], sequence=0) == first and found[0].body["figures"] == {"loss": 0.1}
    failed = after_failure(found[0], "away", refused=True, now=NOW)
    with store.begin() as tx:
        tx.notes.save(failed)
    assert heads(store)[0] == failed
    with store.read() as tx:
        assert tx.notes.untold() == {"cycle_1": Untold(3, NOW), "cycle_2": Untold(1, NOW), "project_0": Untold(1, NOW)}
        assert tx.notes.untold("project_1") == {"cycle_2": Untold(1, NOW)}
    for _ in range(2):
        with store.begin() as tx:
            tx.notes.save(replace(tx.notes.heads()[0], told_at=NOW))
    with store.read() as tx:
        (last,) = (note for note in tx.notes.heads() if note.line == "cycle_1")
        assert (last.key, tx.notes.untold()["cycle_1"]) == ("end", Untold(1, NOW))
    with store.begin() as tx:
        tx.notes.forget(last)
    assert [note.line for note in heads(store)] == ["cycle_2", "project_0"]


def test_a_cycle_says_each_thing_once(store: SqlStore, cycles: dict[str, Cycle]) -> None:
    """Whether it was told or not, and the first counts; aliases are said again, since they may have changed meanwhile,
    and go when they are told."""
    one, _ = cycles.values()
    note = metrics_note(one, {"loss": 1}, 1, NOW)
    again = metrics_note(one, {"loss": 2}, 1, NOW)
    added(store, note)
    added(store, again, aliases_note(one.project_id, NOW))
    added(store, aliases_note(one.project_id, NOW))
    assert heads(store)[0].body["figures"] == {"loss": 1}
    with store.read() as tx:
        assert {line: left.count for line, left in tx.notes.untold().items()} == {"cycle_1": 1, "project_0": 2}
    with store.begin() as tx:
        metrics, aliases = tx.notes.heads()
        tx.notes.save(replace(metrics, told_at=NOW))
        tx.notes.forget(aliases)
    added(store, again)
    with store.read() as tx:
        assert {line: left.count for line, left in tx.notes.untold().items()} == {"project_0": 1}


def test_where_mlflow_has_it_is_written_whoever_works_on_it(store: SqlStore, cycles: dict[str, Cycle]) -> None:
    """Who works on the cycle does not write over it, and it is written where the cycle has ended meanwhile."""
    one, _ = cycles.values()
    with store.begin() as tx:
        tx.cycles.recorded(one.project_id, one.id, "run 1")
        tx.cycles.save(replace(one, state=CycleState.FAILED, finished_at=NOW))
        assert tx.cycles.get(one.project_id, one.id).mlflow_run_id == "run 1"
        tx.cycles.recorded(one.project_id, one.id, "run 2")
    with store.read() as tx:
        assert tx.cycles.get(one.project_id, one.id).mlflow_run_id == "run 2"
