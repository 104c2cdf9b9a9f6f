"""What MLflow is still to be told: kept first, told in order, once, whatever fails meanwhile."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loop.cycle.record import Record
from loop.cycle.telling import Telling, told_later
from loop.cycle.work import TrainedWeights
from loop.domain.cycle import Cycle, CycleState, Step
from loop.domain.model import ModelHead, ModelVersion
from loop.domain.outgoing.notes import (
    Note,
    NoteKind,
    Untold,
    after_failure,
    aliases_note,
    backlog,
    metrics_note,
    next_to_tell,
)
from loop.projects import Projects
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from tests.cycle_worker import LABELS, POLICY
from tests.mlflow_told import Told, told
from training.provenance import Provenance
from training.registry import Registry

PROJECT = "shapes"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = ModelHead(backend="torchvision", architecture={}, labels=LABELS, image_size=64, embedding_dim=4)


# --- whose turn it is -----------------------------------------------------------------------------------------------


def a_note(sequence: int, line: str = "cycle_1", **changes: Any) -> Note:
    note = Note(
        project_id=PROJECT, cycle_id=line, key=str(sequence), kind=NoteKind.METRICS, body={}, at=NOW, due_at=NOW,
        sequence=sequence,
    )  # fmt: skip
    return replace(note, **changes)


AWAY: dict[str, Any] = {"due_at": NOW + timedelta(seconds=1), "error": "connection refused", "failures": 1}
REFUSED = {**AWAY, "refused": True, "error": "no such run"}
TURNS: dict[str, tuple[list[Note], int | None, str]] = {
    "nothing is left": ([], None, ""),
    "the oldest first": ([a_note(1), a_note(2, "cycle_2")], 1, ""),
    "one that was not tried yet, whatever the clock says": ([a_note(1, due_at=NOW + timedelta(days=1))], 1, ""),
    "one that a clock has put off": ([a_note(1, **{**AWAY, "due_at": NOW + timedelta(days=1)})], 1, AWAY["error"]),
    "an MLflow that is away holds all up": ([a_note(1, **AWAY), a_note(2, "cycle_2")], None, "connection refused"),
    "a refusal holds up its own line": ([a_note(1, **REFUSED), a_note(2, "cycle_2")], 2, ""),
    "each is tried again": ([a_note(1, **{**AWAY, "due_at": NOW}), a_note(2, "cycle_2")], 1, "connection refused"),
    "a refusal, too": ([a_note(1, **{**REFUSED, "due_at": NOW}), a_note(2, "cycle_2")], 1, ""),
    "away after a refusal": (
        [a_note(1, **REFUSED), a_note(2, "cycle_2", **AWAY), a_note(3, "cycle_3")],
        None,
        "connection refused",
    ),
}


@pytest.mark.parametrize("case", TURNS)
def test_whose_turn_it_is_and_what_is_in_the_way(case: str) -> None:
    """why: of the last line."""
    heads, turn, why = TURNS[case]
    found = next_to_tell(heads, NOW)
    assert (found.sequence if found else None) == turn
    lines = {heads[-1].line: Untold(3, NOW)} if heads else {}
    assert backlog(heads, lines).error == why
    assert backlog(heads, lines).whole == (Untold(3, NOW) if heads else Untold())


def test_pauses_double_up_to_a_minute_and_to_ten_where_mlflow_says_no() -> None:
    away = refused = a_note(1)
    pauses: list[tuple[float, float]] = []
    for _ in range(12):
        away = after_failure(away, "away", refused=False, now=NOW)
        refused = after_failure(refused, "no", refused=True, now=NOW)
        pauses.append(((away.due_at - NOW).total_seconds(), (refused.due_at - NOW).total_seconds()))
    assert [a for a, _ in pauses[:7]] == [2, 4, 8, 16, 32, 60, 60] and pauses[-1] == (60, 600)
    assert (away.failures, away.error, refused.refused) == (12, "away", True)


# --- an MLflow that fails at any call -------------------------------------------------------------------------------


class Killed(BaseException):
    """This process, at this moment."""


class Flaky:
    """An MlflowClient whose calls have these faults, one after the other; then none. first: the fault of each call when
    it is made for the first time, other arguments making it another. no_to: what it refuses to do."""

    faults: Iterator[str] = iter(())
    first = ""
    made: ClassVar[set[str]] = set()
    no_to = ""
    real: Callable[..., Any]

    def __init__(self, *given: object) -> None:
        self._client = type(self).real(*given)

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def faulty(*given: object, **named: object) -> object:
            fault = self._fault(name, f"{name} {[Path(str(one)).name for one in given]} {named}")
            if fault.endswith("before"):
                self._fail(fault)
            answer = call(*given, **named)
            if fault.endswith("after"):
                self._fail(fault)
            return answer

        return faulty

    def _fault(self, name: str, call: str) -> str:
        if name == type(self).no_to:
            return "refused before"
        if type(self).first and call not in type(self).made:
            type(self).made.add(call)
            return type(self).first
        return next(type(self).faults, "")

    def _fail(self, fault: str) -> None:
        from mlflow.exceptions import MlflowException
        from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

        if fault.startswith("killed"):
            raise Killed
        if fault.startswith("refused"):
            raise MlflowException("this is not taken", error_code=INVALID_PARAMETER_VALUE)
        raise MlflowException("the answer was lost")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Any]:
    """Of the MLflow that registries reach as Flaky."""
    registry = Registry(f"sqlite:///{folder}/mlflow.db", folder / "artifacts")
    registry.open()
    from mlflow import tracking

    with pytest.MonkeyPatch.context() as patch:
        Flaky.real = tracking.MlflowClient
        patch.setattr(tracking, "MlflowClient", Flaky)
        yield Flaky.real(f"sqlite:///{folder}/mlflow.db", f"sqlite:///{folder}/mlflow.db")


class Installation:
    """Two cycles, as a service that may die between any two steps writes them: the first candidate is promoted, the
    second refused. prefix: of what it has in MLflow."""

    def __init__(self, folder: Path, store: SqlStore, prefix: str) -> None:
        self.folder, self.store, self.prefix = folder, store, prefix
        self.blobs = FsspecBlobs.open(str(folder / "blobs"))
        self.now = NOW
        self.steps: list[Callable[[], None]] = [
            step
            for number, state in enumerate((CycleState.PROMOTED, CycleState.REFUSED), 1)
            for step in self._steps_of(number, state)
        ]
        self.start()
        Projects(store, POLICY, lambda: NOW).create(PROJECT, LABELS)

    def start(self) -> None:
        """Again, after a kill."""
        registry = Registry(f"sqlite:///{self.folder}/mlflow.db", self.folder / "artifacts", prefix=self.prefix)
        self.telling = Telling(self.store, self.blobs, registry, lambda: self.now)

    def tell(self) -> None:
        try:
            self.telling.run(lambda: False)
        except Killed:
            self.start()

    def tell_all(self) -> None:
        while told_later(self.store).whole.count:
            self.now += timedelta(minutes=15)
            self.tell()

    def _steps_of(self, number: int, state: CycleState) -> Iterator[Callable[[], None]]:
        one = Scripted(self.store, self.blobs, number, NOW + timedelta(hours=number))
        yield from (one.begin, partial(one.epoch, 0.5), partial(one.epoch, 1.0), partial(one.epoch, 1.0))
        yield from (one.candidate, one.decide)
        if state is CycleState.PROMOTED:
            yield one.flip
        yield partial(one.end, state)


@dataclass(frozen=True)
class Scripted:
    """A cycle, step by step, each in a transaction. The last epoch is told twice, as by a training that was cut."""

    store: SqlStore
    blobs: FsspecBlobs
    number: int
    at: datetime

    @property
    def record(self) -> Record:
        return Record(self.blobs.put, self.at)

    @property
    def cycle(self) -> Cycle:
        with self.store.read() as tx:
            return tx.cycles.get(PROJECT, f"cycle_{self.number}")

    @property
    def model(self) -> ModelVersion:
        return ModelVersion(
            id=f"model_{self.number}", project_id=PROJECT, digest=self.blobs.put(f"weights {self.number}".encode()),
            head=HEAD, origin="cycle", cycle_id=f"cycle_{self.number}", reference_key=None, created_at=self.at,
        )  # fmt: skip

    def begin(self) -> None:
        asked = Cycle(
            id=f"cycle_{self.number}", project_id=PROJECT, state=CycleState.QUEUED, step=Step.SNAPSHOT, actor="ada",
            reason="", recipe={"epochs": 2, "mode": "superior"}, created_at=self.at, updated_at=self.at,
        )  # fmt: skip
        with self.store.begin() as tx:
            tx.cycles.add(asked)
        begun = replace(asked, state=CycleState.RUNNING, step=Step.TRAIN, snapshot_digest=self.blobs.put(b"{}"))
        self._write(begun, self.record.begun(begun, None, None, Provenance("abc", {"python": "3"})))

    def epoch(self, share: float) -> None:
        record = replace(self.record, at=self.at + timedelta(minutes=60 * share))
        self._write(self.cycle, record.trained_on(self.cycle, share, {"loss": 1 / 3, "lr": share}))

    def candidate(self) -> None:
        trained = TrainedWeights(b"", HEAD, {}, [{"epoch": 1.0, "loss": 9}, {"epoch": 2.0, "loss": 9}])
        notes = self.record.candidate(self.cycle, self.model, trained)
        with self.store.begin() as tx:
            tx.models.add(self.model)
        ready = replace(self.cycle, candidate_id=self.model.id, step=Step.EVALUATE)
        self._write(ready, [*notes, aliases_note(PROJECT, self.at)])

    def decide(self) -> None:
        notes = self.record.decided(self.cycle, {"map50": 0.5}, {"promoted": 1}, None)
        self._write(replace(self.cycle, step=Step.PROMOTE), notes)

    def flip(self) -> None:
        with self.store.begin() as tx:
            tx.projects.move_champion(PROJECT, expected=None, to=self.model.id)
            tx.notes.add(aliases_note(PROJECT, self.at))

    def end(self, state: CycleState) -> None:
        done = replace(self.cycle, state=state, step=Step.DONE, finished_at=self.at)
        self._write(done, self.record.ended(done))

    def _write(self, cycle: Cycle, notes: Sequence[Note]) -> None:
        with self.store.begin() as tx:
            for note in notes:
                tx.notes.add(note)
            tx.cycles.save(cycle)


@pytest.fixture(scope="module")
def opened(folder: Path, sqlite_template: Path) -> Callable[[str], Installation]:
    def make(prefix: str) -> Installation:
        path = folder / f"{prefix}.db"
        path.write_bytes(sqlite_template.read_bytes())
        return Installation(folder, SqlStore.open(f"sqlite:///{path}"), prefix)

    return make


@pytest.fixture(scope="module")
def calm(client: Any, opened: Callable[[str], Installation], folder: Path) -> Told:
    """What MLflow has where nothing fails."""
    Flaky.faults = iter(())
    made = opened("calm")
    for step in made.steps:
        step()
        made.tell()
    found = told(client, "calm", PROJECT, folder)
    made.store.close()
    return found


def test_mlflow_has_all_of_a_cycle(calm: Told) -> None:
    """One run with its settings, points at their own moments, files and end; one version; the aliases that the database
    decides: what was refused, or serves, is no candidate."""
    assert list(calm.versions) and calm.aliases == {"champion": "1"}
    run = calm.runs["cycle_1"]
    begun = (NOW + timedelta(hours=1)).timestamp() * 1000
    assert (run["status"], run["begun"], run["ended"]) == ("FINISHED", begun, begun)
    assert run["params"]["epochs"] == "2" and run["tags"]["mlflow.source.git.commit"] == "abc"
    half = int(begun + 30 * 60_000)
    assert [p for p in run["points"] if p[1] == 500] == [("loss", 500, half, 1 / 3), ("lr", 500, half, 0.5)]
    assert [p[1] for p in run["points"] if p[0] == "loss"] == [500, 1000]
    kept = {"environment.json", "snapshot.json", "decision.json", "model/MLmodel", "model/weights.safetensors"}
    assert set(run["files"]) == kept
    assert calm.versions["2"]["tags"]["askance.model"] == "model_2" and calm.versions["2"]["run"] == "cycle_2"


@pytest.mark.parametrize("fault", ["away before", "away after", "killed before", "killed after"])
def test_each_call_may_fail_once(
    calm: Told, client: Any, opened: Callable[[str], Installation], folder: Path, fault: str
) -> None:
    """Before it took effect or after, with or without the service."""
    made = opened(fault.replace(" ", "-"))
    Flaky.faults, Flaky.first = iter(()), fault
    for step in made.steps:
        step()
        made.tell()
    made.tell_all()
    Flaky.first = ""
    assert told(client, made.prefix, PROJECT, folder) == calm
    made.store.close()


FAULTS = ("", "", "away before", "away after", "killed before", "killed after")
runs_so_far = count()


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_whatever_fails_mlflow_ends_with_what_it_would_have_had(
    calm: Told, client: Any, opened: Callable[[str], Installation], folder: Path, data: st.DataObject
) -> None:
    """Calls that fail before or after they took effect, a service that dies at either, outages over several steps: the
    same runs, points with their own moments, files, numbers of versions, aliases and ends."""
    prefix = f"run{next(runs_so_far)}"
    made = opened(prefix)
    faults = data.draw(st.lists(st.sampled_from(FAULTS), max_size=60), "faults")
    away_until = data.draw(st.integers(0, len(made.steps)), "steps before MLflow is there")
    Flaky.faults = iter(faults)
    for number, step in enumerate(made.steps):
        step()
        if number >= away_until:
            made.now += timedelta(minutes=data.draw(st.sampled_from([0, 2]), "pause"))
            made.tell()
    Flaky.faults = iter(())
    made.tell_all()
    assert told(client, prefix, PROJECT, folder) == calm
    with made.store.read() as tx:
        assert {cycle.mlflow_run_id is None for cycle in tx.cycles.page(PROJECT, after=None, limit=9)} == {False}
        assert {model.mlflow_version for model in tx.models.all(PROJECT)} == {"1", "2"}
    made.store.close()


def test_a_refusal_holds_up_its_cycle_alone_and_is_told(
    calm: Told, client: Any, opened: Callable[[str], Installation], folder: Path
) -> None:
    """What MLflow says no to stays, with the reason, until it says yes; other cycles are told meanwhile."""
    made = opened("refusing")
    second = len(made.steps) // 2 + 1
    for step in made.steps[:second]:
        step()
    Flaky.faults, Flaky.no_to = iter(()), "log_batch"
    made.tell()
    Flaky.no_to = ""
    for step in made.steps[second:]:
        step()
    made.tell()
    left = told_later(made.store, PROJECT)
    assert "this is not taken" in left.error and set(left.lines) == {"cycle_1"}
    found = told(client, "refusing", PROJECT, folder)
    assert found.runs["cycle_2"]["status"] == "FINISHED" and found.runs["cycle_1"]["status"] == "RUNNING"
    made.tell_all()
    after = told(client, "refusing", PROJECT, folder)
    assert after.runs["cycle_1"]["points"] == calm.runs["cycle_1"]["points"] and after.aliases == {"champion": "2"}
    assert told_later(made.store).whole == Untold()
    made.store.close()


def test_a_damaged_file_holds_up_nobody_else(opened: Callable[[str], Installation], client: Any) -> None:
    """It is told of, as what MLflow says no to."""
    Flaky.faults = iter(())
    made = opened("damaged")
    for step in made.steps:
        step()
    with made.store.read() as tx:
        weights = tx.models.get(PROJECT, "model_1").digest
    (path,) = (made.folder / "blobs").rglob(weights)
    kept = path.read_bytes()
    path.write_bytes(b"damaged")
    made.tell()
    left = told_later(made.store)
    assert set(left.lines) == {"cycle_1"} and weights in left.error
    path.write_bytes(kept)
    made.tell_all()
    made.store.close()


def test_what_a_step_says_again_is_told_once(opened: Callable[[str], Installation], client: Any) -> None:
    """As a step does that is done again after a kill, also where MLflow was told already."""
    made = opened("again")
    for step in made.steps[:2]:
        step()
    made.tell()
    with made.store.read() as tx:
        cycle = tx.cycles.get(PROJECT, "cycle_1")
    with made.store.begin() as tx:
        tx.notes.add(metrics_note(cycle, {"loss": 7.0}, 500, NOW))
    assert told_later(made.store).whole == Untold()
    made.store.close()
