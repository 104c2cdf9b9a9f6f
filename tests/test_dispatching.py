"""Webhooks from the event to a receiver that breaks in every way, with real HTTP and with processes that are killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loop.domain.outgoing.webhooks import Answer, Delivery, DeliveryState, Endpoint, secret_from
from loop.domain.ports import Event, Sender
from loop.store.database import SqlStore
from loop.webhooks.dispatching import Dispatcher
from loop.webhooks.outgoing import HttpSender
from loop.webhooks.sending import Deliverer, DeliverySettings
from tests.receivers import GARBAGE, HANG, RESET, Conduct, Received, Receiver, receiver

SECRET = secret_from(bytes(range(32)))
TIMEOUT_S = 0.5


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as running:
        running.secret = SECRET.value
        yield running


def listening(store: SqlStore, url: str, name: str = "hook_1", types: tuple[str, ...] = ("cycle.finished",)) -> str:
    endpoint = Endpoint(
        id=name, project_id=None, url=url, types=types, description="", secrets=(SECRET,), created_by="ada",
        created_at=now(),
    )  # fmt: skip
    with store.begin() as tx:
        tx.endpoints.add(endpoint)
    return name


def happen(store: SqlStore, *cycles: str) -> None:
    with store.begin() as tx:
        for cycle in cycles:
            body = {"cycle_id": cycle, "state": "refused", "candidate_id": None, "error": ""}
            tx.events.add(Event("cycle.finished", "street", "ada", body, now()))


def dispatcher(store: SqlStore, sender: Sender | None = None, *, pauses: tuple[float, ...] = (0.05,) * 8) -> Dispatcher:
    settings = DeliverySettings(
        pauses=pauses,
        lease=timedelta(seconds=4 * TIMEOUT_S),
        at_once=4,
        disable_after=timedelta(days=5),
        keep_delivered=timedelta(days=1),
        keep_dead=timedelta(days=1),
    )
    sender = sender or HttpSender(allow_private=True, timeout_s=TIMEOUT_S, clock=now)
    return Dispatcher(Deliverer(store, settings, now, lambda: 0.5), sender, now)


@contextmanager
def running(sending: Dispatcher) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=sending.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive()


def until(met: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def kept(store: SqlStore, name: str = "hook_1") -> list[Delivery]:
    with store.read() as tx:
        return tx.deliveries.page(name, state=None, after=None, limit=1_000)


def cycles(requests: list[Received]) -> list[str]:
    return [json.loads(request.body)["data"]["cycle_id"] for request in requests]


FAULTS: tuple[Conduct, ...] = (500, 301, 429, RESET, GARBAGE, HANG)


def test_every_message_arrives_whatever_the_receiver_does(store: SqlStore, there: Receiver) -> None:
    """Each under one id with one body, however often; what the library verifies is what was sent."""
    listening(store, there.url)
    order = [f"cycle_{number}" for number in range(60)]

    def conduct(request: Received, before: int) -> Conduct:
        number = int(json.loads(request.body)["data"]["cycle_id"].removeprefix("cycle_"))
        return FAULTS[(number + before) % len(FAULTS)] if before < number % 4 else 204

    there.conduct = conduct
    with running(dispatcher(store)):
        for cycle in order:
            happen(store, cycle)
        until(lambda: all(one.state is DeliveryState.DELIVERED for one in kept(store)))
    assert sorted(cycles(there.accepted)) == sorted(order)
    assert there.forged == []
    bodies = {(request.id, request.body) for request in there.received}
    assert len(bodies) == len({request.id for request in there.received}) == 60
    assert {one.message_id: one.attempts for one in kept(store)} == Counter(request.id for request in there.received)
    with store.read() as tx:
        (tries,) = (tx.deliveries.attempts("hook_1", one.message_id) for one in kept(store) if _is(one, "cycle_7"))
    assert [one.number for one in tries] == [1, 2, 3, 4]
    assert [one.error == "" for one in tries] == [False, False, False, True]


def _is(delivery: Delivery, cycle: str) -> bool:
    return bool(json.loads(delivery.body)["data"]["cycle_id"] == cycle)


def test_a_receiver_that_hangs_holds_up_nobody_else(store: SqlStore, there: Receiver) -> None:
    """All of another endpoint's messages arrive while the first one's are still under way."""
    with receiver() as slow:
        slow.conduct = lambda _request, _before: HANG
        listening(store, slow.url, "hook_slow")
        listening(store, there.url, "hook_quick")
        patient = HttpSender(allow_private=True, timeout_s=20.0, clock=now)
        with running(dispatcher(store, patient)):
            happen(store, *(f"cycle_{number}" for number in range(30)))
            until(lambda: len(there.accepted) == 30)
            assert len(slow.received) == 4 and {one.attempts for one in kept(store, "hook_slow")} == {0}
            slow.let_go.set()


def test_410_ends_it_and_the_other_endpoints_are_told(store: SqlStore, there: Receiver) -> None:
    with receiver() as gone:
        gone.conduct = lambda _request, _before: 410
        listening(store, gone.url, "hook_gone")
        listening(store, there.url, types=("webhook.disabled",))
        happen(store, "cycle_1")
        with running(dispatcher(store)):
            until(lambda: len(there.accepted) == 1)
        assert json.loads(there.accepted[0].body)["data"]["endpoint_id"] == "hook_gone"
        happen(store, "cycle_2")
    assert [one.state for one in kept(store, "hook_gone")] == [DeliveryState.DEAD]


def test_a_message_that_cannot_be_sent_holds_up_no_other(store: SqlStore, there: Receiver) -> None:
    """Whatever goes wrong in sending it."""
    listening(store, there.url)
    happen(store, "cycle_1", "cycle_2")
    real = HttpSender(allow_private=True, timeout_s=TIMEOUT_S, clock=now)

    class Broken:
        async def send(self, endpoint: Endpoint, message_id: str, body: str) -> Answer:
            if "cycle_1" in body:
                raise LookupError(message_id)
            return await real.send(endpoint, message_id, body)

    with running(dispatcher(store, Broken(), pauses=(0.05,))):
        until(lambda: all(one.state is not DeliveryState.PENDING for one in kept(store)))
    states = {one.body.count("cycle_1"): (one.state, one.error) for one in kept(store)}
    assert states == {1: (DeliveryState.DEAD, "It could not be sent (LookupError)."), 0: (DeliveryState.DELIVERED, "")}


def test_what_is_under_way_at_the_end_is_finished_or_sent_again(store: SqlStore, there: Receiver) -> None:
    """Stopping waits a little for answers and writes them down; what hangs goes out again later."""
    listening(store, there.url)
    arrived = threading.Event()

    def conduct(request: Received, before: int) -> Conduct:
        arrived.set()
        return HANG if "cycle_1" in request.body and not before else 204

    there.conduct = conduct
    happen(store, "cycle_1", "cycle_2")
    patient = HttpSender(allow_private=True, timeout_s=20.0, clock=now)
    with running(dispatcher(store, patient)):
        arrived.wait(timeout=20)
    assert sorted(one.state for one in kept(store)) == [DeliveryState.DELIVERED, DeliveryState.PENDING]
    with running(dispatcher(store)):
        until(lambda: len(there.accepted) == 2)
    assert sorted(cycles(there.accepted)) == ["cycle_1", "cycle_2"]


# A process that sends what the database holds, until it is killed.
WORKER = """
import sys, threading
from loop.store.database import SqlStore
from tests.test_dispatching import dispatcher
store = SqlStore.open(sys.argv[1])
print("ready", flush=True)
dispatcher(store).run(threading.Event())
"""


@contextmanager
def worker(url: str) -> Iterator[subprocess.Popen[str]]:
    root = str(Path(__file__).resolve().parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, "-c", WORKER, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root, env=environment) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def test_a_kill_between_post_and_commit_sends_the_same_message_again(
    store: SqlStore, there: Receiver, tmp_path: Path
) -> None:
    """The receiver has it, the sender dies before it is told: a duplicate with the same id, and none is missing. The
    receiver itself kills the sender, three times over, with SIGKILL."""
    listening(store, there.url)
    happen(store, *(f"cycle_{number}" for number in range(12)))
    senders: list[subprocess.Popen[str]] = []
    killed_over: list[str] = []
    lock = threading.Lock()

    def conduct(request: Received, before: int) -> Conduct:
        with lock:
            if len(there.accepted) >= 3 * len(killed_over) + 1 and len(killed_over) < len(senders) <= 3:
                killed_over.append(request.id)
                senders[-1].send_signal(signal.SIGKILL)
                senders[-1].wait()
        return 204

    there.conduct = conduct
    url = f"sqlite:///{tmp_path / 'askance.db'}"
    for _ in range(4):
        with worker(url) as process:
            senders.append(process)
            until(lambda: process.poll() is not None or len(set(map(_id, there.accepted))) == 12)
    assert len(killed_over) == 3
    until(lambda: len(set(map(_id, there.accepted))) == 12)
    with running(dispatcher(store)):
        until(lambda: all(one.state is DeliveryState.DELIVERED for one in kept(store)))
    times = Counter(map(_id, there.accepted))
    assert {name for name, count in times.items() if count > 1} >= set(killed_over)
    assert len({(request.id, request.body) for request in there.received}) == 12
    assert there.forged == []
    assert store.check() == []


def _id(request: Received) -> str:
    return request.id
