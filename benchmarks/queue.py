"""The review queue: how fast eight reviewers work on it, what a long queue costs, beside Label Studio.

    python -m benchmarks.queue                       some minutes, and as many for Label Studio's environment
    QUICK=1 python -m benchmarks.queue --only http   a short look

http    the service's HTTP application in a process of its own (no Ray: nothing is inferred), SQLite, eight reviewers
        who take one task at a time and submit it at once
peer    the same of Label Studio: its own server on its own SQLite, `next` and a submitted annotation
quality consensus of three people, golden items and lots switched on, against one person for each item and nothing else:
        two servers in turn, what a lease and an answer cost each
store   ten thousand and a million tasks on SQLite and PostgreSQL, in turns: a lease of one reviewer in this process,
        then eight reviewers over HTTP as above

A task counts as handed twice where two reviewers were given it without its lease having ended; as an inversion where a
less urgent task was handed out before a more urgent one was asked for.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import numpy as np
from rich.console import Console

from benchmarks.queue_peers.label_studio import LabelStudio
from benchmarks.queue_peers.processes import Served, served
from benchmarks.report import QUICK, Figure, at_least, at_most, publish, reading
from benchmarks.serving_peers.environments import LABEL_STUDIO
from loop.domain.access import Role, Token
from loop.domain.item import Item
from loop.domain.model import ModelHead, ModelVersion
from loop.domain.policy.workflow import Qa
from loop.domain.prediction import Detection, Prediction
from loop.domain.project import Project
from loop.domain.review.queueing import seats
from loop.domain.review.tasks import Task
from loop.domain.routing import Action, Decision
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.review.desk import Desk
from loop.review.golden import GoldenItems
from loop.review.lots import Lots, add_members, in_lots
from loop.settings import Settings, load_settings
from loop.store.database import SqlStore
from loop.tokens import Tokens
from loop.wiring import open_store, projects_of, tokens_of
from tests.postgres import postgres_cluster

REVIEWERS = 8
PROJECT = "street"
SECONDS = 5.0 if QUICK else 30.0
WARM_SECONDS = 3.0 if QUICK else 10.0  # not measured: a server compiles and caches with its first requests
SHORT, MIDDLE, LONG = (1_000, 2_000, 20_000) if QUICK else (10_000, 100_000, 1_000_000)
LEASES = 50 if QUICK else 500
LEASE_ROUNDS = 5
LONG_ROUNDS = 3  # of eight reviewers over HTTP, together SECONDS long; with the first a warm-up
PEER_TASKS = 1_000 if QUICK else 10_000
QUALITY_ITEMS = 2_000 if QUICK else 60_000  # more than all rounds answer
QUALITY_ROUNDS = 2 if QUICK else 3
BATCH = 5_000
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
SIDE = 640
BOX = (10.0, 10.0, 90.0, 90.0)


# --- a queue of so many tasks ----------------------------------------------------------------------------


def fill(store: SqlStore, project: Project, count: int) -> None:
    """Open tasks of random risks, each with its prediction, made a second apart; of as many people and in such lots as
    the policy says."""
    rng = np.random.default_rng(0)
    with store.begin() as tx:
        model = _model()
        tx.models.add(model)
    for begin in range(0, count, BATCH):
        numbers = range(begin, min(begin + BATCH, count))
        risks = rng.uniform(0, 1, len(numbers))
        with store.begin() as tx:
            tx.items.add_all([_item(number) for number in numbers])
            tx.predictions.add_all([_prediction(n, float(risk)) for n, risk in zip(numbers, risks, strict=True)])
            works = [
                task
                for number, risk in zip(numbers, risks, strict=True)
                for task in seats(_task(number, float(risk)), project.policy.queue, ("car",), several=True)
            ]
            tasks = in_lots(tx, project, works, _at(begin), os.urandom)
            tx.tasks.add_all(tasks)
            add_members(tx, tasks)


def _at(number: int) -> datetime:
    return BEGUN + timedelta(seconds=number)


def _model() -> ModelVersion:
    head = ModelHead(backend="ultralytics", architecture={}, labels=("car",), image_size=64, embedding_dim=4)
    return ModelVersion(
        id="model_1", project_id=PROJECT, digest="0" * 64, head=head, origin="registered", cycle_id=None,
        reference_key=None, created_at=BEGUN,
    )  # fmt: skip


def _item(number: int) -> Item:
    return Item(
        project_id=PROJECT, digest=f"{number:064x}", media_type="image/png", width=SIDE, height=SIDE,
        created_at=_at(number), source=f"camera-{number % 5}",
    )  # fmt: skip


def _prediction(number: int, risk: float) -> Prediction:
    decision = Decision(
        action=Action.REVIEW, stage=Stage.ANNOTATE, risk=risk, threshold=0.0, policy_version=1, audit_rate=0.0,
        audit_drawn=False, inclusion_probability=1.0, reasons=(),
    )  # fmt: skip
    return Prediction(
        id=f"pred_{number:08}", project_id=PROJECT, item_digest=f"{number:064x}", model_id="model_1",
        detections=(Detection("car", 0.5, BOX),), embedding=np.zeros(4, dtype=np.float32), signals={},
        decision=decision, created_at=_at(number), created_by="tok_1",
    )  # fmt: skip


def _task(number: int, risk: float) -> Task:
    return Task(
        id=f"task_{number:08}", project_id=PROJECT, item_digest=f"{number:064x}", prediction_id=f"pred_{number:08}",
        stage=Stage.ANNOTATE, priority=risk, policy_version=1, recipe_version=1, created_at=_at(number),
        source=f"camera-{number % 5}",
    )  # fmt: skip


def opened(settings: Settings, count: int, **policy: Mapping[str, Any]) -> tuple[SqlStore, Tokens]:
    """A migrated database with a project whose queue has `count` works. policy: what it has that is not usual."""
    store = open_store(settings)
    projects = projects_of(settings, store)
    projects.create(PROJECT, ("car",))
    if policy:
        projects.change_policy(PROJECT, "benchmark", **policy)  # type: ignore[arg-type]
    with store.read() as tx:
        project = tx.projects.get(PROJECT)
    fill(store, project, count)
    return store, tokens_of(store)


def reviewers(tokens: Tokens) -> list[dict[str, str]]:
    """What each sends along."""
    made = (tokens.create(f"r{number}", Role.REVIEWER, PROJECT) for number in range(REVIEWERS))
    return [{"Authorization": f"Bearer {secret}"} for _, secret in made]


# --- reviewers over HTTP -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Worked:
    """What the reviewers did. seconds: that were measured, up to the end of the queue where it was emptied. handed:
    (asked, given, task), by the client's clock."""

    seconds: float
    lease_ms: list[float] = field(default_factory=list)
    submit_ms: list[float] = field(default_factory=list)
    handed: list[tuple[float, float, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def handed_twice(self) -> int:
        return sum(count - 1 for count in Counter(task for _, _, task in self.handed).values())

    def inversions(self, rank: Callable[[str], float]) -> int:
        """Tasks that were asked for after a less urgent one had been given."""
        by_given = sorted((given, rank(task)) for _, given, task in self.handed)
        found, at, least_urgent = 0, 0, float("-inf")
        for asked, _, task in sorted(self.handed):
            while at < len(by_given) and by_given[at][0] < asked:
                least_urgent = max(least_urgent, by_given[at][1])
                at += 1
            found += rank(task) < least_urgent
        return found


# Takes a task and gives its id and what answering it needs; None where there is none.
Next = Callable[[httpx.Client], "tuple[str, object] | None"]
Answer = Callable[[httpx.Client, str, Any], None]


def reviewed(
    url: str,
    headers: Sequence[dict[str, str]],
    next_task: Next,
    answer: Answer,
    *,
    seconds: float = SECONDS,
    warm: float = WARM_SECONDS,
) -> Worked:
    """Eight reviewers, each in a thread, for so long after a time that is not measured."""
    worked = Worked(seconds)
    measured = time.perf_counter() + warm
    stop = measured + seconds
    start = threading.Barrier(len(headers))

    def work(header: dict[str, str]) -> None:
        with httpx.Client(base_url=url, headers=header, timeout=60.0, trust_env=False) as client:
            start.wait()
            while time.perf_counter() < stop:
                asked = time.perf_counter()
                try:
                    found = next_task(client)
                    given = time.perf_counter()
                    if found is None:
                        worked.seconds = min(worked.seconds, given - measured)
                        return
                    worked.handed.append((asked, given, found[0]))
                    answer(client, *found)
                    if asked >= measured:
                        worked.lease_ms.append(1000 * (given - asked))
                        worked.submit_ms.append(1000 * (time.perf_counter() - given))
                except httpx.HTTPError as error:
                    worked.errors.append(str(error))

    threads = [threading.Thread(target=work, args=(header,)) for header in headers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return worked


def _lease(client: httpx.Client) -> "tuple[str, object] | None":
    response = client.post(f"/v1/projects/{PROJECT}/tasks/lease", json={"count": 1})
    response.raise_for_status()
    tasks = response.json()["tasks"]
    return (tasks[0]["id"], tasks[0]) if tasks else None


def _submit(client: httpx.Client, task_id: str, task: Any) -> None:
    """All see the same box, and QA lets it stand."""
    judges = task["stage"] == Stage.QA
    answer = {} if judges else {"shapes": [{"label": "car", "box": list(BOX)}]}
    path = f"/v1/tasks/{task_id}/{'accept' if judges else 'submit'}"
    client.post(path, json={"epoch": task["epoch"], **answer}).raise_for_status()


def api_server(place: Path, environ: Mapping[str, str] = MappingProxyType({})) -> AbstractContextManager[Served]:
    command = [sys.executable, "-m", "tests.api_server"]
    return served(command, "/healthz", place, {"ASKANCE_DATA_DIR": str(place), **environ})


def http_figures(folder: Path, console: Console) -> Iterator[Figure]:
    for count in (SHORT, MIDDLE):
        place = folder / f"http-{count}"
        settings = load_settings(environ={"ASKANCE_DATA_DIR": str(place)})
        store, tokens = opened(settings, count)
        headers = reviewers(tokens)
        with store.read() as tx:
            of_task = {task: tx.tasks.get(task).rank for task in _some_ids(count)}
        with api_server(place) as server:
            worked = reviewed(server.url, headers, _lease, _submit)
        yield from figures_of("Askance", worked, count)
        ranks = {task: of_task[task] for _, _, task in worked.handed}
        yield at_most(f"inversions, {count:,} open", worked.inversions(ranks.__getitem__), 0, "tasks", len(ranks))
        _RATES[count] = len(worked.submit_ms) / worked.seconds
        store.close()
        console.log(f"{count:,} open: done")


_RATES: dict[int, float] = {}  # annotations/s of Askance, by how many tasks were open


def _some_ids(count: int) -> list[str]:
    return [f"task_{number:08}" for number in range(count)]


def figures_of(who: str, worked: Worked, count: int) -> Iterator[Figure]:
    here = f"{who}, {count:,} open"
    ours = who == "Askance"
    done = len(worked.submit_ms)
    yield reading(f"{here}: annotations", done / worked.seconds, "1/s", done)
    p99 = float(np.percentile(worked.lease_ms, 99))
    slowest = f"{here}: next task, p99"
    yield at_most(slowest, p99, 60.0, "ms", done) if ours else reading(slowest, p99, "ms", done)
    yield reading(f"{here}: next task, median", float(np.median(worked.lease_ms)), "ms", done)
    yield reading(f"{here}: submit, p99", float(np.percentile(worked.submit_ms, 99)), "ms", done)
    twice = worked.handed_twice()
    yield (
        at_most(f"{here}: handed twice", twice, 0, "tasks", done)
        if ours
        else reading(f"{here}: handed twice", twice, "tasks", done)
    )
    yield (
        at_most(f"{here}: errors", len(worked.errors), 0, "calls", done)
        if ours
        else reading(f"{here}: errors", len(worked.errors), "calls", done)
    )


# --- Label Studio ------------------------------------------------------------------------------------------


def peer_figures(folder: Path, console: Console) -> Iterator[Figure]:
    place = folder / "label-studio"
    peer = LabelStudio(LABEL_STUDIO.python(console), place)
    with peer.served():
        pass  # makes its database
    told = peer.populated(users=REVIEWERS, tasks=PEER_TASKS)
    headers = [{"Authorization": f"Token {token}"} for token in told["tokens"]]

    def next_task(client: httpx.Client) -> "tuple[str, object] | None":
        response = client.get(f"/api/projects/{told['project']}/next")
        if response.status_code == 404:
            return None
        response.raise_for_status()
        return str(response.json()["id"]), None

    def annotate(client: httpx.Client, task_id: str, _: Any) -> None:
        value = {"x": 1, "y": 1, "width": 12, "height": 12, "rectanglelabels": ["car"]}
        box = {"from_name": "label", "to_name": "image", "type": "rectanglelabels", "value": value}
        client.post(f"/api/tasks/{task_id}/annotations/", json={"result": [box], "lead_time": 1}).raise_for_status()

    with peer.served() as server:
        worked = reviewed(server.url, headers, next_task, annotate)
    if worked.errors:
        console.log(worked.errors[0])
    yield from figures_of("Label Studio", worked, PEER_TASKS)
    theirs = len(worked.submit_ms) / worked.seconds
    if SHORT in _RATES and theirs:
        yield at_least("annotations/s beside Label Studio", _RATES[SHORT] / theirs, 20, "times", len(worked.submit_ms))


# --- what trust in the answers costs -------------------------------------------------------------------------


STRICT: Mapping[str, Mapping[str, Any]] = {
    "queue_changes": {"people": {Stage.ANNOTATE: 3}},
    "workflow_changes": {"qa": Qa.LOTS, "lots": {"size": 200, "share": 0.1}},
    "quality_changes": {"golden": {"rate": 0.05}},
}
GOLDEN = 200


def quality_figures(folder: Path, console: Console) -> Iterator[Figure]:
    policies: dict[str, Mapping[str, Mapping[str, Any]]] = {"plain": {}, "strict": STRICT}
    people = {}
    for name, policy in policies.items():
        settings = load_settings(environ={"ASKANCE_DATA_DIR": str(folder / name)})
        store, tokens = opened(settings, QUALITY_ITEMS, **policy)
        people[name] = reviewers(tokens)
        if policy:
            mark_golden(store)
            Lots(store, lambda: datetime.now(UTC)).advance_all()  # as the background does when they are full
        store.close()
    costs: dict[str, list[tuple[float, float]]] = {name: [] for name in policies}
    errors = 0
    for number in range(QUALITY_ROUNDS):
        for name, headers in people.items():
            with api_server(folder / name) as server:
                worked, cpu = with_cpu(server, headers)
            done = len(worked.submit_ms)
            costs[name].append((1000 * cpu, worked.seconds * 1000 / done))
            errors += len(worked.errors)
            console.log(f"quality, round {number + 1}, {name}: {done} answers")
    n = QUALITY_ROUNDS
    plain, strict = (np.median(costs[name], axis=0) for name in ("plain", "strict"))
    yield reading("lease and answer, plain: CPU of the server", float(plain[0]), "ms", n)
    here = "consensus of 3, golden items and lots ÷ plain, a lease and an answer"
    yield at_most(f"{here}: CPU", float(strict[0] / plain[0]), 1.3, "times", n)
    yield at_most(f"{here}: time", float(strict[1] / plain[1]), 1.3, "times", n)
    yield at_most(f"{here}: errors", errors, 0, "calls", n)


def mark_golden(store: SqlStore) -> None:
    """Items that nobody has a task for."""
    numbers = range(QUALITY_ITEMS, QUALITY_ITEMS + GOLDEN)
    with store.begin() as tx:
        tx.items.add_all([_item(number) for number in numbers])
        tx.predictions.add_all([_prediction(number, 0.5) for number in numbers])
    golden = GoldenItems(store, lambda: datetime.now(UTC))
    for number in numbers:
        golden.mark(PROJECT, _item(number).digest, [Shape("car", BOX)], "benchmark")


def with_cpu(server: Served, headers: Sequence[dict[str, str]]) -> tuple[Worked, float]:
    """What they did, and the server's CPU seconds of a lease with its answer, all of them counted."""
    before = server.cpu_seconds()
    worked = reviewed(server.url, headers, _lease, _submit)
    return worked, (server.cpu_seconds() - before) / max(len(worked.handed), 1)


# --- a long queue --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LongQueue:
    """A filled database. environ: what a server of it needs to know beside its folder."""

    count: int
    place: Path
    environ: Mapping[str, str]
    store: SqlStore
    tokens: Tokens


def store_figures(folder: Path, console: Console) -> Iterator[Figure]:
    yield from _long_queues("SQLite", dict, folder, console)
    with postgres_cluster(durable=True) as cluster:
        yield from _long_queues(
            "PostgreSQL", lambda: {"ASKANCE_DATABASE__URL": cluster.url(cluster.new_database())}, folder, console
        )


def _long_queues(
    database: str, environ: Callable[[], dict[str, str]], folder: Path, console: Console
) -> Iterator[Figure]:
    queues = []
    for count in (SHORT, LONG):
        place, environment = folder / f"{database}-{count}", environ()
        settings = load_settings(environ={"ASKANCE_DATA_DIR": str(place), **environment})
        store, tokens = opened(settings, count)
        if database == "PostgreSQL":  # as its autovacuum does by itself within a minute
            with store._engine.begin() as connection:
                connection.exec_driver_sql("ANALYZE")
        queues.append(LongQueue(count, place, environment, store, tokens))
        console.log(f"{database} with {count:,}: filled")
    yield from _growth(database, queues)
    yield from _growth_over_http(database, queues, console)
    for queue in queues:
        queue.store.close()


def _growth(database: str, queues: Sequence[LongQueue]) -> Iterator[Figure]:
    """A short and a long queue in turns, so that both have the same machine."""
    desks = {}
    for queue in queues:
        token, _ = queue.tokens.create("r", Role.REVIEWER, PROJECT)
        desks[queue.count] = Desk(queue.store, lambda: datetime.now(UTC), os.urandom), token
    took: dict[int, list[float]] = {SHORT: [], LONG: []}
    for number in range(LEASE_ROUNDS + 1):
        for count, (desk, token) in desks.items():
            found = _leases(desk, token, LEASES // LEASE_ROUNDS)
            if number:  # the first makes connections and compiles statements
                took[count] += found
    yield from _lease_figures(database, took)


def _growth_over_http(database: str, queues: Sequence[LongQueue], console: Console) -> Iterator[Figure]:
    """Both servers are up all the time; eight reviewers work on one, then on the other."""
    took: dict[int, list[float]] = {SHORT: [], LONG: []}
    twice, errors, inversions, handed = 0, 0, 0, 0
    with ExitStack() as servers:
        served_queues = [
            (queue, servers.enter_context(api_server(queue.place, queue.environ)), reviewers(queue.tokens))
            for queue in queues
        ]
        for number in range(LONG_ROUNDS):
            for queue, server, headers in served_queues:
                warm = 0.0 if number else WARM_SECONDS
                worked = reviewed(server.url, headers, _lease, _submit, seconds=SECONDS / LONG_ROUNDS, warm=warm)
                took[queue.count] += worked.lease_ms
                twice, errors = twice + worked.handed_twice(), errors + len(worked.errors)
                handed += len(worked.handed)
                with queue.store.read() as tx:
                    ranks = {task: tx.tasks.get(task).rank for _, _, task in worked.handed}
                inversions += worked.inversions(ranks.__getitem__)
                console.log(f"{database} with {queue.count:,}, eight over HTTP: {len(worked.lease_ms)} answers")
    here = f"{database}, eight over HTTP"
    yield from _lease_figures(here, took)
    yield at_most(f"{here}: handed twice", twice, 0, "tasks", handed)
    yield at_most(f"{here}: inversions", inversions, 0, "tasks", handed)
    yield at_most(f"{here}: errors", errors, 0, "calls", handed)


def _lease_figures(where: str, took: Mapping[int, Sequence[float]]) -> Iterator[Figure]:
    """took: ms of each lease, by how many tasks were open."""
    for count, one in took.items():
        here = f"{where}, {count:,} open: lease"
        yield reading(f"{here}, median", float(np.median(one)), "ms", len(one))
        yield at_most(f"{here}, p99", float(np.percentile(one, 99)), 50.0, "ms", len(one))
    growth = float(np.median(took[LONG]) / np.median(took[SHORT]))
    yield at_most(f"{where}: growth of a lease, {SHORT:,} to {LONG:,}", growth, 1.5, "times", len(took[LONG]))


def _leases(desk: Desk, token: Token, count: int) -> list[float]:
    """ms of each; what is leased is answered."""
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        (one,) = desk.lease(token, PROJECT, 1).assignments
        took.append(1000 * (time.perf_counter() - begun))
        desk.submit(token, one.task.id, one.task.epoch, [Shape("car", BOX)], "")
    return took


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue", description=__doc__)
    parts = {"http": http_figures, "peer": peer_figures, "quality": quality_figures, "store": store_figures}
    parser.add_argument("--only", default=",".join(parts), help=",".join(parts))
    chosen = parser.parse_args(arguments)
    console = Console()
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen.only.split(","):
            found += parts[name](Path(folder), console)
    return publish("queue", found, console)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
