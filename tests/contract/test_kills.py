"""SIGKILL of the API while eight people submit: what was acknowledged is there, once.

A usual run kills as often as some forty seconds allow; `make chaos` does it 500 times on each database.
"""

import itertools
import os
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from loop.domain.identity import digest_of
from loop.domain.policy.queue_rules import QueueRules
from loop.domain.review.queueing import seats
from loop.domain.review.tasks import Submission
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.store.database import SqlStore
from tests.api_server import KillableServer
from tests.contract.records import a_project, a_task, a_token, an_item

KILLS = {"sqlite": 100, "postgresql": 60}
if asked := os.environ.get("CHAOS_KILLS"):
    KILLS = dict.fromkeys(KILLS, int(asked))
REVIEWERS = 8
# How many people answer each item.
PROJECTS = {"alone": 1, "in-pairs": 2}
# A server lives for as many answers as are drawn, at most so many, and those that come before it is dead.
MOST_ANSWERS = 30
WORKS_PER_KILL = MOST_ANSWERS + 2 * REVIEWERS
DAY = 86_400
RETRY_SECONDS = 0.05
START_SECONDS = 60  # a server must answer by then


# --- what the clients know ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A submission as its reviewer knows it."""

    id: str
    project: str
    task_id: str
    item: str
    epoch: int
    reviewer: str
    shapes: tuple[Shape, ...]
    note: str


@dataclass
class Ledger:
    """What the servers acknowledged, kept outside of them. lost: how many requests found no answer; late: how many of
    these were submissions that a server had kept before it died."""

    entries: list[Acknowledged] = field(default_factory=list)
    lost: int = 0
    late: int = 0
    failures: list[BaseException] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition, init=False)

    def add(self, entry: Acknowledged) -> None:
        with self._changed:
            self.entries.append(entry)
            self._changed.notify_all()

    def count_lost(self) -> None:
        with self._changed:
            self.lost += 1

    def count_late(self) -> None:
        with self._changed:
            self.late += 1

    def fail(self, error: BaseException) -> None:
        with self._changed:
            self.failures.append(error)
            self._changed.notify_all()

    def wait_for(self, more: int) -> None:
        """Until so many more have been acknowledged. Raises what a client failed with."""
        with self._changed:
            goal = len(self.entries) + more
            came = self._changed.wait_for(lambda: self.failures or len(self.entries) >= goal, timeout=120)
        if self.failures:
            raise self.failures[0]
        assert came, "the reviewers stand still"


class Reviewer(threading.Thread):
    """Leases and submits until it is told to stop; asks again, and again, where no answer came."""

    def __init__(self, number: int, url: str, ledger: Ledger) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.token = a_token(number)
        self.ledger = ledger
        self.stopping = threading.Event()
        self.http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {_secret(number)}"}, timeout=60, trust_env=False
        )
        self.sent = 0
        self.before: tuple[str, dict[str, Any], dict[str, Any]] | None = None  # path, body and answer

    def run(self) -> None:
        try:
            with self.http:
                for project in itertools.cycle(PROJECTS):
                    if self.stopping.is_set():
                        return
                    self._work(project)
        except BaseException as error:
            self.ledger.fail(error)

    def _work(self, project: str) -> None:
        answer, _ = self._asked(f"/v1/projects/{project}/tasks/lease", {"count": 2})
        assert answer["tasks"], "the queue is empty: nothing is under way when the server is killed"
        for task in answer["tasks"]:
            self._submit(project, task)

    def _submit(self, project: str, task: dict[str, Any]) -> None:
        self.sent += 1
        shape, note = _answer_to(task["item_digest"]), f"answer {self.sent} of {self.number}"
        path = f"/v1/tasks/{task['id']}/submit"
        body = {"epoch": task["epoch"], "shapes": [{"label": shape.label, "box": list(shape.box)}], "note": note}
        answer, cut_at = self._asked(path, body)
        self.ledger.add(
            Acknowledged(
                answer["id"], project, task["id"], task["item_digest"], task["epoch"], self.token.id, (shape,), note
            )
        )
        if cut_at:
            self._ask_again(answer, cut_at)
        self.before = path, body, answer

    def _ask_again(self, answer: dict[str, Any], cut_at: datetime) -> None:
        """What was acknowledged before a kill is answered by the next server as it was by the last."""
        if datetime.fromisoformat(answer["created_at"]) < cut_at:
            self.ledger.count_late()
        if self.before:
            path, body, told = self.before
            assert self._asked(path, body)[0] == told

    def _asked(self, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], datetime | None]:
        """The answer, and when the last try was cut off, None where the first had an answer."""
        cut_at = None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                response = self.http.post(path, json=body)
            except httpx.TransportError:
                cut_at = datetime.now(UTC)
                self.ledger.count_lost()
                time.sleep(RETRY_SECONDS)
                continue
            assert response.status_code == 200, response.text
            answer: dict[str, Any] = response.json()
            return answer, cut_at
        raise AssertionError(f"no answer to {path} for {START_SECONDS} s")


def _secret(number: int) -> str:
    return f"ask_{number}"


def _answer_to(digest: str) -> Shape:
    """The same of everybody, so that a pair agrees, and another for each of a hundred items."""
    top = float(int(digest, 16) % 100)
    return Shape("seven", (0.0, top, 1.0, top + 100.0))


# --- the test -------------------------------------------------------------------------------------------------


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    return KILLS[request.node.callspec.params["databases"]]


@pytest.fixture
def server(url: str, store: SqlStore, tmp_path: Path, kills: int) -> Iterator[KillableServer]:
    _fill(store, (kills + 2) * WORKS_PER_KILL)
    environ = {"ASKANCE_DATA_DIR": str(tmp_path), "ASKANCE_DATABASE__URL": url}
    started = KillableServer(environ, log=tmp_path / "server.log")
    yield started
    started.stop()


def _fill(store: SqlStore, works: int) -> None:
    with store.begin() as tx:
        for number in range(REVIEWERS):
            tx.tokens.add(replace(a_token(number), secret_digest=digest_of(_secret(number).encode())))
        for name, people in PROJECTS.items():
            project = a_project(name)
            rules = QueueRules(people={Stage.ANNOTATE: people})
            # No lease ends meanwhile: who asks again after a kill asks as who holds the task.
            policy = replace(project.policy, queue=rules, lease_seconds=DAY)
            tx.projects.add(replace(project, policy=policy))
            tx.items.add_all([an_item(number, project_id=name) for number in range(works)])
            for number in range(works):
                tx.tasks.add_all(seats(a_task(number, item=number, project_id=name), rules, (), several=True))


def _killed(server: KillableServer, ledger: Ledger, kills: int, rng: random.Random) -> None:
    """So often while answers come; before one in ten of these also while the server starts. It is up at the end."""
    for _ in range(kills):
        server.start()
        if rng.random() < 0.1:
            time.sleep(rng.uniform(0, 0.3))
            server.kill()
            server.start()
        ledger.wait_for(rng.randint(1, MOST_ANSWERS))
        time.sleep(rng.uniform(0, 0.02))
        server.kill()
    server.start()


@pytest.mark.timeout(120 + 10 * max(KILLS.values()))
def test_no_kill_loses_or_doubles_what_was_acknowledged(server: KillableServer, store: SqlStore, kills: int) -> None:
    """The server is killed at random moments, with eight reviewers who lease and submit, and started again at once on
    the same database. In the end each acknowledged submission is there with its content, and no other; no task has two
    answers of a round; each has its record for the statistics; each item that was answered by as many people as it
    needs has one truth, made of their answers, and no other item has one; the database is sound. A submission that is
    sent again since its answer was lost, or for no reason, is answered as the same."""
    ledger = Ledger()
    reviewers = [Reviewer(number, server.url, ledger) for number in range(REVIEWERS)]
    begun = time.monotonic()
    for reviewer in reviewers:
        reviewer.start()
    try:
        _killed(server, ledger, kills, random.Random(20261126))
        ledger.wait_for(REVIEWERS)
    finally:
        for reviewer in reviewers:
            reviewer.stopping.set()
        for reviewer in reviewers:
            reviewer.join(2 * START_SECONDS)
    assert not ledger.failures
    server.kill()
    print(
        f"{kills} kills in {time.monotonic() - begun:.0f} s: {len(ledger.entries)} acknowledged, {ledger.lost} requests"
        f" without an answer, {ledger.late} submissions of them kept by the server before it was killed"
    )
    assert store.check() == []
    for name, people in PROJECTS.items():
        _check(store, name, people, [entry for entry in ledger.entries if entry.project == name])


def _check(store: SqlStore, project: str, people: int, told: list[Acknowledged]) -> None:
    with store.read() as tx:
        kept = tx.submissions.page(project, after=None, limit=10**6)
    assert len({entry.id for entry in told}) == len(told)
    assert {_as_told(one) for one in kept} == set(told)
    assert len(kept) == len(told)
    assert max(Counter((one.task_id, one.round) for one in kept).values()) == 1
    assert sorted(_records(store, project)) == sorted(one.id for one in kept)

    answers = defaultdict(set)
    for one in kept:
        answers[one.item_digest].add(one.id)
    answered = {item: ids for item, ids in answers.items() if len(ids) == people}
    assert answered
    with store.read() as tx:
        truths = [truth for _, truth in tx.truths.all_current(project)]
    assert {truth.item_digest: set(truth.submission_ids) for truth in truths} == answered
    assert {truth.version for truth in truths} == {1}, "an item has two"
    assert all(truth.shapes == (_answer_to(truth.item_digest),) for truth in truths)


def _as_told(one: Submission) -> Acknowledged:
    return Acknowledged(
        one.id, one.project_id, one.task_id, one.item_digest, one.epoch, one.reviewer, one.shapes, one.note
    )


def _records(store: SqlStore, project: str) -> list[str]:
    """The submissions of the statistics."""
    begin, end = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    with store.read() as tx:
        return [one.submission_id for one in tx.efforts.between(project, begin, end)]
