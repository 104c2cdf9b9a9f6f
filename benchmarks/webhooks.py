"""Webhooks: whether every event arrives whatever goes wrong, how fast they go, and what the outbox costs.

    python -m benchmarks.webhooks                           some minutes on each database
    python -m benchmarks.webhooks --databases postgresql    on one of them
    QUICK=1 python -m benchmarks.webhooks                   some two minutes: a tenth of the events

Events are committed while they are sent; some transactions are rolled back, and nobody may hear of those. The receiver
fails one request in five, evenly by a reset, silence, garbage, a 500 and a redirect, and is sent forgeries as well. The
sender is a process of its own, killed (SIGKILL) again and again. Retries come within a second in place of three days.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import psutil
from rich.console import Console

from benchmarks.report import QUICK, Figure, at_most, publish, reading
from loop.domain.access import Role, Token
from loop.domain.identity import new_id
from loop.domain.model import ModelHead, ModelVersion
from loop.domain.outgoing.webhooks import DeliveryState
from loop.domain.ports import Event
from loop.domain.prediction import Inference
from loop.domain.project import Project, Recipe, labels_named
from loop.domain.routing import Policy
from loop.domain.truth import Shape
from loop.review.desk import Desk
from loop.routing.router import Caller, Inferred, ReceivedImage, Routed, Router
from loop.store.blobs import FsspecBlobs
from loop.store.database import SqlStore
from loop.webhooks.dispatching import Dispatcher
from loop.webhooks.outgoing import HttpSender
from loop.webhooks.sending import Deliverer, DeliverySettings, Webhooks
from tests.postgres import PostgresCluster, postgres_cluster
from tests.receivers import GARBAGE, HANG, RESET, Conduct, Received, Receiver, receiver

EVENTS = 1_000 if QUICK else 10_000
KILLS = 4 if QUICK else 20
FORGERIES = 100 if QUICK else 1_000
FAULTS: tuple[Conduct, ...] = (RESET, HANG, GARBAGE, 500, 301)
FAULTY = 0.2
TIMEOUT_S = 0.5
PAUSES = tuple(0.05 * 2**number for number in range(5)) + (1.0,) * 10
COMMITS = 100 if QUICK else 400
PROJECT = "street"
OPERATOR = Token(
    id="tok_1",
    name="bench",
    role=Role.OPERATOR,
    secret_digest="",
    project_id=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
REVIEWER = replace(OPERATOR, id="tok_2", role=Role.REVIEWER)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Where databases of one kind are made. cluster: None for SQLite."""

    folder: Path
    cluster: PostgresCluster | None

    def url(self, name: str) -> str:
        """Of a new database."""
        if self.cluster is None:
            return f"sqlite:///{self.folder / name}.db"
        return self.cluster.url(self.cluster.new_database())


def entropy(count: int) -> bytes:
    return random.randbytes(count)


# --- what arrives ------------------------------------------------------------------------------------


def webhooks(store: SqlStore) -> Webhooks:
    return Webhooks(store, HttpSender(allow_private=True, timeout_s=TIMEOUT_S, clock=now), True, now, entropy)


def send_for_ever(url: str) -> None:
    """The child's part."""
    settings = DeliverySettings(
        pauses=PAUSES,
        lease=timedelta(seconds=4 * TIMEOUT_S),
        at_once=4,
        disable_after=timedelta(days=5),
        keep_delivered=timedelta(days=1),
        keep_dead=timedelta(days=1),
    )
    deliverer = Deliverer(SqlStore.open(url), settings, now, random.random)
    sender = HttpSender(allow_private=True, timeout_s=TIMEOUT_S, clock=now)
    Dispatcher(deliverer, sender, now).run(threading.Event())


@contextmanager
def sender(url: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-m", "benchmarks.webhooks", "--send", url]) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass(slots=True)
class Happening:
    """What was committed, and what was rolled back, by cycle id."""

    committed: list[str]
    undone: list[str]


class _Undone(Exception):
    """A transaction that ends in nothing."""


def happen(store: SqlStore, count: int, done: Happening, pause_s: float = 0.0) -> None:
    """Transactions of ten events; one in ten is rolled back."""
    for number in range(0, count, 10):
        names = [f"cycle_{number + offset}" for offset in range(10)]
        with store.begin() as tx:
            tx.events.announce(_finished(name) for name in names)
        done.committed += names
        if number % 100 == 0:
            undone = [f"undone_{number + offset}" for offset in range(10)]
            with suppress(_Undone), store.begin() as tx:
                tx.events.announce(_finished(name) for name in undone)
                raise _Undone
            done.undone += undone
        time.sleep(pause_s)


def _finished(name: str) -> Event:
    body = {"cycle_id": name, "state": "refused", "candidate_id": None, "error": ""}
    return Event("cycle.finished", PROJECT, "bench", body, now())


def cycle_of(request: Received) -> str:
    return str(json.loads(request.body)["data"]["cycle_id"])


def faulty(request: Received, before: int) -> Conduct:
    """The same for the same request of the same id, whoever sends it; never for ever."""
    drawn = random.Random(f"{cycle_of(request)} {before}")
    return drawn.choice(FAULTS) if drawn.random() < FAULTY and before < len(PAUSES) - 1 else 204


def forge(there: Receiver, stop: threading.Event) -> int:
    """Replay what was heard, changed in one place; how many were sent."""
    sent = 0
    with httpx.Client(trust_env=False) as client:
        while sent < FORGERIES and not stop.is_set():
            if not there.accepted:
                time.sleep(0.05)
                continue
            heard = random.choice(there.accepted)
            headers = {name: value for name, value in heard.headers.items() if name.startswith("webhook-")}
            body = heard.body
            match sent % 3:
                case 0:
                    body = body.replace("refused", "promoted")
                case 1:
                    headers["webhook-id"] = new_id("msg", now(), entropy(10))
                case _:
                    headers["webhook-signature"] = "v1," + "A" * 43 + "="
            with suppress(httpx.HTTPError):
                client.post(there.url, content=body, headers={**headers, "x-forged": "1"})
            sent += 1
    return sent


def delivery_figures(place: Place) -> Iterator[Figure]:
    url = place.url("delivery")
    store = SqlStore.open(url)
    store.migrate()
    done = Happening([], [])
    stop = threading.Event()
    with receiver() as there:
        # A forgery is answered on its merits: a fault would hide whether it was believed.
        there.conduct = lambda request, before: 204 if "x-forged" in request.headers else faulty(request, before)
        made, there.secret = webhooks(store).create(OPERATOR, there.url, project_id=None, types=[], description="")
        work: list[tuple[Callable[..., object], tuple[object, ...]]] = [
            (happen, (store, EVENTS, done, 0.02)),
            (forge, (there, stop)),
        ]
        threads = [threading.Thread(target=target, args=arguments) for target, arguments in work]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        for kill in range(KILLS):
            with sender(url):
                _until(lambda kill=kill: len(there.accepted) >= (kill + 1) * EVENTS // (KILLS + 1))
        with sender(url):
            threads[0].join()
            _until(lambda: _pending(store, made.id) == 0)
            seconds = time.monotonic() - begun
        stop.set()
        threads[1].join()
    believed = [request for request in there.accepted if "x-forged" in request.headers]
    genuine = [request for request in there.received if "x-forged" not in request.headers]
    arrived = {cycle_of(request) for request in there.accepted}
    times = Counter(request.id for request in there.accepted)
    with store.read() as tx:
        dead = tx.deliveries.page(made.id, state=DeliveryState.DEAD, after=None, limit=EVENTS)
    faults = f"{FAULTY:.0%} faults, {KILLS} kills"
    yield at_most(f"events missing of {EVENTS:,} ({faults})", len(set(done.committed) - arrived), 0, "events", EVENTS)
    yield at_most("events given up", len(dead), 0, "events", EVENTS)
    yield at_most("rolled back, and told all the same", len(arrived & set(done.undone)), 0, "events", len(done.undone))
    many = len({(request.id, request.body) for request in genuine}) - len({request.id for request in genuine})
    yield at_most("messages whose duplicates differ in id or body", many, 0, "messages", len(genuine))
    yield at_most("ids for one event, beyond one", len(times) - len(arrived), 0, "ids", len(times))
    yield at_most("forgeries believed", len(believed), 0, "forgeries", FORGERIES)
    yield at_most("genuine messages refused", len(there.forged) - _forged(there), 0, "messages", len(genuine))
    yield reading("arrived more than once", sum(count > 1 for count in times.values()), "messages", len(times))
    yield reading("requests per event", len(genuine) / EVENTS, "requests", len(genuine))
    yield reading("deliveries with faults and kills", EVENTS / seconds, "1/s", EVENTS)
    yield at_most("problems of the database after the kills", len(store.check()), 0, "problems", 1)
    store.close()


def _forged(there: Receiver) -> int:
    return sum("x-forged" in request.headers for request in there.forged)


def speed_figures(place: Place) -> Iterator[Figure]:
    """A backlog, receivers that answer at once, and nothing else on the machine."""
    url = place.url("speed")
    store = SqlStore.open(url)
    store.migrate()
    count = EVENTS // 5
    with receiver() as there:
        made, there.secret = webhooks(store).create(OPERATOR, there.url, project_id=None, types=[], description="")
        happen(store, count, Happening([], []))
        with sender(url) as process:
            _until(lambda: bool(there.accepted))
            measured = psutil.Process(process.pid)
            before, begun = sum(measured.cpu_times()[:2]), time.monotonic()
            _until(lambda: _pending(store, made.id) == 0)
            seconds, cpu = time.monotonic() - begun, sum(measured.cpu_times()[:2]) - before
    yield reading("deliveries to one endpoint that answers", count / seconds, "1/s", count)
    yield reading("CPU of the sender for a delivery", 1000 * cpu / count, "ms", count)
    store.close()


def _pending(store: SqlStore, endpoint_id: str) -> int:
    with store.read() as tx:
        backlog = tx.deliveries.backlogs().get(endpoint_id)
    return 0 if backlog is None else backlog.pending


def _until(met: Callable[[], bool], longest_s: float = 1800.0) -> None:
    deadline = time.monotonic() + longest_s
    while not met():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come to that")
        time.sleep(0.02)


# --- what it costs -------------------------------------------------------------------------------------


def cost_figures(place: Place) -> Iterator[Figure]:
    """Of the transactions that predictions and reviews are kept by, whose cost is mostly that of the disk's sync; with
    and without an endpoint that listens, in turns, so that both meet the same moments of the machine."""
    listened, silent = _Kept(place, "one"), _Kept(place, "none")
    webhooks(listened.store).create(OPERATOR, "http://127.0.0.1:9/", project_id=PROJECT, types=[], description="")
    works: tuple[tuple[str, Callable[[_Kept], float]], ...] = (
        ("keeping a prediction that a person is to review", lambda kept: kept.seconds(1.0)),
        ("keeping the review", lambda kept: kept.review_seconds()),
        ("keeping a prediction that is accepted", lambda kept: kept.seconds(0.0)),
    )
    for what, work in works:
        with_, without = [], []
        for number in range(COMMITS):
            pairs = [(listened, with_), (silent, without)]
            for kept, seconds in pairs if number % 2 else reversed(pairs):
                seconds.append(work(kept))
        ratio = statistics.median(with_) / statistics.median(without)
        yield reading(what, 1000 * statistics.median(without), "ms", COMMITS)
        if "accepted" in what:
            yield at_most("the same with an endpoint that listens", ratio, 1.1, "times", COMMITS)
        else:
            yield reading("the same with an endpoint that listens", ratio, "times", COMMITS)
    listened.store.close()
    silent.store.close()


class _Kept:
    """A project of its own whose predictions are kept one by one."""

    def __init__(self, place: Place, name: str) -> None:
        self.store = SqlStore.open(place.url(name))
        self.store.migrate()
        policy = Policy(
            version=1, threshold=0.5, audit_rate=0.0, score_threshold=0.25, failure_iou=0.5, lease_seconds=60
        )
        recipe = Recipe(version=1, labels=labels_named(("car",)), guidelines="")
        self._project = Project(id=PROJECT, recipe=recipe, policy=policy, champion_id=None, created_at=now())
        head = ModelHead(backend="ultralytics", architecture={}, labels=("car",), image_size=64, embedding_dim=256)
        self._model = ModelVersion(
            id="model_1", project_id=PROJECT, digest="0" * 64, head=head, origin="registered", cycle_id=None,
            reference_key=None, created_at=now(),
        )  # fmt: skip
        with self.store.begin() as tx:
            tx.projects.add(self._project)
            tx.models.add(self._model)
        self._risk = 0.0
        blobs = FsspecBlobs.open(str(place.folder / f"{name}-blobs"))
        self._router = Router(self.store, blobs, b"k" * 32, lambda *_: 1.0, lambda *_: self._risk, now, entropy)
        self._desk = Desk(self.store, now, entropy)
        self._numbers = iter(range(10**9))

    def seconds(self, risk: float) -> float:
        """Of its transaction; its image is kept before that."""
        self._risk = risk
        inferred = self._inferred(next(self._numbers))
        routed: Routed = self._router.decide(inferred)
        inferred.staged.keep() if inferred.staged else None
        begun = time.perf_counter()
        self._router.keep([(inferred, routed)])
        return time.perf_counter() - begun

    def review_seconds(self) -> float:
        """Of the transaction that keeps the answer to the next task."""
        (assignment,) = self._desk.lease(REVIEWER, PROJECT, 1).assignments
        begun = time.perf_counter()
        self._desk.submit(REVIEWER, assignment.task.id, assignment.task.epoch, [Shape("car", (1, 1, 9, 9))], "")
        return time.perf_counter() - begun

    def _inferred(self, number: int) -> Inferred:
        content = number.to_bytes(8, "big")
        rng = np.random.default_rng(number)
        boxes = rng.uniform(0, 64, (10, 4)).astype(np.float32)
        inference = Inference(
            boxes, rng.uniform(0.3, 1, 10).astype(np.float32), np.zeros(10, np.int64),
            np.ones((10, 1), np.float32), rng.normal(size=256).astype(np.float32),
        )  # fmt: skip
        return Inferred(
            prediction_id=self._router.new_prediction_id(),
            project=self._project,
            model=self._model,
            image=ReceivedImage(content=content, digest=f"{number:064x}", media_type="image/png", width=64, height=64),
            inference=inference,
            caller=Caller("tok_1"),
            staged=self._router.blobs.stage(content),
        )


DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhooks", description=__doc__)
    parts = {"delivery": delivery_figures, "speed": speed_figures, "cost": cost_figures}
    parser.add_argument("--only", default=",".join(parts), help=",".join(parts))
    parser.add_argument("--databases", default=",".join(DATABASES), help=",".join(DATABASES))
    parser.add_argument("--send", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.send:
        send_for_ever(chosen.send)
        return 0
    found: list[Figure] = []
    for database in chosen.databases.split(","):
        with ExitStack() as stack:
            cluster = stack.enter_context(postgres_cluster(durable=True)) if database == "postgresql" else None
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            for name in chosen.only.split(","):
                figures = parts[name](Place(Path(folder), cluster))
                found += [replace(one, figure=f"{DATABASES[database]}: {one.figure}") for one in figures]
    return publish("webhooks", found, Console())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
