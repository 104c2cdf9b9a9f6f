"""Cycles that are followed as they go on, and ended by hand."""

import json
import threading
from collections.abc import Sequence

import pytest

from loop.cycle import books
from loop.cycle.work import TrainedWeights, TrainingJob
from loop.domain.cycle import Cycle, CycleState
from loop.domain.identity import digest_of
from tests.api.conftest import Service, picture
from tests.api.test_recipes import BOX, Bench, _working
from tests.api.test_review import leased, submit
from tests.tiny_models import tiny_weights

PATH = "/v1/projects/shapes/cycles"


class Slow(Bench):
    """Trains until it is let go, reporting all the time."""

    def __init__(self) -> None:
        super().__init__({digest_of(tiny_weights()): ("circle", "square", "bar")})
        self.begun, self.let_go = threading.Event(), threading.Event()
        self.cleaned: list[str] = []
        self.pace = 0.001  # of the training, from one report to the next

    def train(self, job: TrainingJob, progress: object) -> TrainedWeights:
        self.begun.set()
        share = 0.0
        while not self.let_go.wait(0.01):
            share = min(share + self.pace, 0.9)
            progress(share, {})  # type: ignore[operator]
        return super().train(job, progress)

    def infer(self, weights_key: str, image_keys: Sequence[str], progress: object):  # type: ignore[no-untyped-def]
        return super().infer(weights_key, image_keys, progress)

    def clean(self, cycle_id: str) -> None:
        self.cleaned.append(cycle_id)


@pytest.fixture
def training(service: Service, monkeypatch: pytest.MonkeyPatch):
    """A cycle whose training is under way in a thread, as in the service."""
    monkeypatch.setattr(books, "_LOOK_SECONDS", 0.05)
    for seed in range(12):
        service.predict(picture(seed))
        (task,) = leased(service)
        assert submit(service, task, [BOX]).status_code == 200
    bench = Slow()
    controller = _working(service.services.controller, bench)
    cycle = controller.request("shapes", "op", "test", {})
    ended: list[Cycle] = []

    def work() -> None:
        now = cycle
        while not now.state.finished and now.step != "promote":
            now = controller.advance(now)
        ended.append(now)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert bench.begun.wait(20)
    yield cycle, bench, thread, ended
    bench.let_go.set()
    thread.join(20)


def test_a_cancelled_cycle_stops_and_says_who_ended_it(service: Service, training) -> None:
    """What works on it stops, its scratch files go, and the next cycle may begin."""
    cycle, bench, thread, ended = training
    bench.pace = 0.0  # nothing is kept of a report that says nothing new: what stops it has looked
    answer = service.call("POST", f"{PATH}/{cycle.id}/cancel", json={"reason": "wrong data"})
    assert answer.json()["state"] == "failed" and "wrong data" in answer.json()["error"]
    thread.join(20)
    assert not thread.is_alive()
    assert ended[0].state is CycleState.FAILED and "wrong data" in ended[0].error
    assert bench.cleaned == [cycle.id]
    again = service.call("POST", f"{PATH}/{cycle.id}/cancel", json={})
    assert again.status_code == 409 and "already" in again.json()["detail"]
    assert service.call("POST", PATH, json={}).status_code == 202


def test_only_operators_cancel(service: Service, training) -> None:
    cycle, *_ = training
    for role in ("reviewer", "producer"):
        assert service.call("POST", f"{PATH}/{cycle.id}/cancel", role, json={}).status_code == 403
    assert service.call("POST", f"{PATH}/none/cancel", json={}).status_code == 404


def test_a_cycle_is_followed_until_it_ends(service: Service, training) -> None:
    """Each event is the cycle as it is then; the last one is the finished one, and the stream ends."""
    cycle, *_ = training
    ending = threading.Timer(2.0, service.services.controller.cancel, ("shapes", cycle.id, "op", "enough"))
    ending.start()
    answer = service.call("GET", f"{PATH}/{cycle.id}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[-1]["state"] == "failed" and all(event["id"] == cycle.id for event in events)
    shares = [event["progress"] for event in events]
    assert len(set(shares)) > 1 and shares == sorted(shares)
    assert service.call("GET", f"{PATH}/none/events").status_code == 404
