"""SIGKILL at random points: what was acknowledged is there, once, and the service goes on."""

import random
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from importlib.resources import files

import pytest

from askance.client import Client
from loop.demo.scenes import LABELS, Pool, drifting_scenes
from loop.domain.errors import AskanceError
from serving.api.schemas.models import CycleIn
from serving.api.schemas.predictions import PredictionOut
from serving.api.schemas.review import SubmissionOut
from serving.api.schemas.shapes import ShapeIO
from tests.service.running import ServiceProcess

PROJECT = "digits"
# What people make of a prediction later is told with it.
_UNCHANGING = set(PredictionOut.model_fields) - {"status"}
KILLS = 5


@dataclass
class Ledger:
    """What the service acknowledged, kept outside of it."""

    predictions: dict[str, PredictionOut] = field(default_factory=dict)
    submissions: dict[str, SubmissionOut] = field(default_factory=dict)
    cycle_id: str | None = None


class Traffic:
    """A production system and a reviewer who never stop; each answer they get goes into the ledger."""

    def __init__(self, service: ServiceProcess, ledger: Ledger, seed: int) -> None:
        self._service, self._ledger, self._seed = service, ledger, seed
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._guarded, args=(work,)) for work in (self._produce, self._review)]
        self.unexpected: list[BaseException] = []

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, work) -> None:
        with self._service.operator() as client:
            try:
                work(client)
            except AskanceError:
                return  # the service was killed under us: not acknowledged
            except BaseException as error:
                self.unexpected.append(error)

    def _produce(self, client: Client) -> None:
        for scene in drifting_scenes(self._seed, 100_000, Pool.STREAM, start=0.5):
            if self._stop.is_set():
                return
            answer = client.predict(PROJECT, scene.jpeg())
            self._ledger.predictions[answer.id] = answer

    def _review(self, client: Client) -> None:
        shape = ShapeIO(label="3", box=[10.0, 10.0, 60.0, 60.0])
        while not self._stop.is_set():
            for task in client.lease(PROJECT, 2).tasks:
                answer = client.submit(task.id, task.epoch, [shape])
                self._ledger.submissions[answer.id] = answer
            time.sleep(0.02)


@pytest.mark.service
@pytest.mark.timeout(900)
def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path):
    """The whole process tree is killed at random points of the stream, one of them while a cycle trains. After each
    restart every acknowledged prediction and submission is there, unchanged and once; each routed prediction has
    exactly one task; the stream goes on; the cycle that was cut comes to its end."""
    rng = random.Random(20261122)
    service = ServiceProcess(
        tmp_path / "state", {"ASKANCE_POLICY__THRESHOLD": "0.3", "ASKANCE_POLICY__LEASE_SECONDS": "5"}
    )
    ledger = Ledger()
    service.start()
    try:
        with service.operator() as operator:
            operator.create_project(PROJECT, list(LABELS))
            operator.add_model(PROJECT, files("loop.demo").joinpath("seed.safetensors").read_bytes())
            operator.await_champion(PROJECT)
        for kill in range(KILLS):
            with Traffic(service, ledger, seed=kill) as traffic:
                reached = len(ledger.predictions) + 10
                _wait(lambda goal=reached: len(ledger.predictions) >= goal, traffic)
                if kill == KILLS - 2:
                    ledger.cycle_id = _begin_cycle(service)
                time.sleep(rng.uniform(0.0, 2.0))
                service.kill_tree()
            assert not traffic.unexpected
            service.start()
            _check(service, ledger)
        assert len(ledger.predictions) >= 10 * KILLS
        assert ledger.submissions
        _await_end_of_cycle(service, str(ledger.cycle_id))
    finally:
        service.stop()
    database = sqlite3.connect(tmp_path / "state" / "askance.db")
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def _wait(done, traffic: Traffic) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline, "the stream stands still"
        assert not traffic.unexpected, traffic.unexpected
        time.sleep(0.05)


def _begin_cycle(service: ServiceProcess) -> str:
    """A short cycle; returns once it trains."""
    with service.operator() as operator:
        cycle = operator.start_cycle(PROJECT, CycleIn(epochs=3, reason="to be cut"))
        for state in operator.follow_cycle(PROJECT, cycle.id, every_s=0.1):
            if state.step == "train" or state.state.finished:
                break
        return cycle.id


def _await_end_of_cycle(service: ServiceProcess, cycle_id: str) -> None:
    with service.operator() as operator:
        for cycle in operator.follow_cycle(PROJECT, cycle_id):
            end = cycle
    assert end.state in ("promoted", "refused"), end.error


def _check(service: ServiceProcess, ledger: Ledger) -> None:
    with service.operator() as operator:
        tasks: dict[str, str] = {}
        for answered in ledger.predictions.values():
            stored = operator.prediction(PROJECT, answered.id)
            assert stored.model_dump(include=_UNCHANGING) == answered.model_dump(include=_UNCHANGING)
            assert (stored.task_id is not None) == (stored.decision.action == "review")
            if stored.task_id is not None:
                assert tasks.setdefault(stored.task_id, stored.id) == stored.id
        for submission in ledger.submissions.values():
            item = operator.item(PROJECT, submission.item_digest)
            assert item.truth is not None
        _each_submission_once(service, ledger)


def _each_submission_once(service: ServiceProcess, ledger: Ledger) -> None:
    database = sqlite3.connect(f"file:{service.data_dir / 'askance.db'}?mode=ro", uri=True)
    rows = database.execute("SELECT id, task_id FROM submissions").fetchall()
    database.close()
    assert set(ledger.submissions) <= {row[0] for row in rows}
    assert len({row[1] for row in rows}) == len(rows)
