"""SIGKILL of the API while eight people review: what was acknowledged is there, once, and every work goes on.

With all that the queue does switched on: QA of every answer, of a share and of lots, people who disagree, golden items,
drafts, skips, and an operator who decides lots otherwise. `make chaos` kills 500 times on each database.
"""

import itertools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from loop.domain.access import Role
from loop.domain.identity import digest_of
from loop.domain.policy.quality_rules import GoldenRules, QualityPolicy, QualityRules
from loop.domain.policy.queue_rules import QueueRules
from loop.domain.policy.workflow import LotRules, Qa, Workflow
from loop.domain.review.queueing import placed, seats
from loop.domain.review.tasks import Outcome, Submission
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.review.golden import GoldenItems
from loop.review.lots import Lots, add_members, in_lots
from loop.review.standings import Standings
from loop.store.database import SqlStore
from tests.api_server import KillableServer
from tests.contract.records import a_project, a_task, a_token, an_item
from tests.contract.states_of_works import check_lots, check_works

KILLS = int(os.environ.get("CHAOS_KILLS", "100"))
REVIEWERS = 8
OPERATOR = 99
LOT = 10
DAY = 86_400
GOLDEN, FIRST_GOLDEN = 30, 100_000  # how many items of each project are golden, and from which number on
LOTTED = "in-lots"
# How many people answer each item, and what becomes of their answers then.
PROJECTS = {
    "checked": (1, Workflow(qa=Qa.ALL, max_returns=1)),
    "in-pairs": (2, Workflow(qa=Qa.SHARE, share=0.5, max_returns=2)),
    LOTTED: (1, Workflow(qa=Qa.LOTS, lots=LotRules(size=LOT, share=0.2, threshold=0.0))),
}
SKIPS = 2  # by so many people, and nobody is asked any more
# A server lives for as many answers as are drawn, at most so many, and those that come before it is dead.
MOST_ANSWERS = 12
RETRY_SECONDS = 0.02
START_SECONDS = 60  # a server must answer by then


# --- what people say ------------------------------------------------------------------------------------------


def right(digest: str) -> Shape:
    """Another for each of a hundred items."""
    return _at(float(int(digest, 16) % 100))


def _at(top: float) -> Shape:
    return Shape("seven", (0.0, top, 1.0, top + 100.0))


def answer_of(person: int, digest: str, project: str) -> Shape:
    """The same of everybody for half of the items, so that they stand; nearly the same for a quarter, so that they are
    merged; and for a quarter of one half of the people another thing. Of every other lot a third is amiss."""
    number, top = int(digest, 16), right(digest).box[1]
    if project == LOTTED:
        return _at(top + 10_000 * (number // LOT % 2 == 1 and number % 3 == 0))
    return _at(top + (0.0, 0.0, float(person), 10_000.0 * (person % 2))[number % 4])


# --- what the clients know ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What was said of a task, as its reviewer knows it."""

    id: str
    project: str
    task_id: str
    item: str
    epoch: int
    reviewer: str
    outcome: Outcome
    shapes: tuple[Shape, ...]
    note: str


@dataclass
class Ledger:
    """What the servers acknowledged, kept outside of them. lost: how many requests found no answer; late: how many of
    these were answers of people that a server had kept before it died. decided: by operators, by lot and version."""

    entries: list[Acknowledged] = field(default_factory=list)
    drafts: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)  # by task and reviewer, of open tasks
    decided: dict[tuple[str, int], str] = field(default_factory=dict)
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


class Client(threading.Thread):
    """Somebody who asks again, and again, where no answer came, until told to stop."""

    def __init__(self, number: int, url: str, ledger: Ledger) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.ledger = ledger
        self.rng = random.Random(number)
        self.stopping = threading.Event()
        self.http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {_secret(number)}"}, timeout=60, trust_env=False
        )

    def run(self) -> None:
        try:
            with self.http:
                self.work()
        except BaseException as error:
            self.ledger.fail(error)

    def work(self) -> None:
        raise NotImplementedError

    def asked(self, path: str, body: dict[str, Any] | None = None) -> tuple[dict[str, Any] | None, datetime | None]:
        """The answer, None where it is that something else came first; and when the last try was cut off, None where
        the first had an answer. body: None to read."""
        cut_at = None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                response = self.http.get(path) if body is None else self.http.post(path, json=body)
            except httpx.TransportError:
                cut_at = datetime.now(UTC)
                self.ledger.count_lost()
                time.sleep(RETRY_SECONDS)
                continue
            if response.status_code == 409:
                return None, cut_at
            assert response.status_code == 200, response.text
            return response.json(), cut_at
        raise AssertionError(f"no answer to {path} for {START_SECONDS} s")


class Reviewer(Client):
    """Leases, drafts, answers, judges and skips."""

    def __init__(self, number: int, url: str, ledger: Ledger) -> None:
        super().__init__(number, url, ledger)
        self.id = a_token(number).id
        self.sent = 0
        self.before: tuple[str, dict[str, Any], dict[str, Any]] | None = None  # path, body and answer

    def work(self) -> None:
        for project in itertools.cycle(PROJECTS):
            if self.stopping.is_set():
                return
            answer, _ = self.asked(f"/v1/projects/{project}/tasks/lease", {"count": 2})
            assert answer and answer["tasks"], "the queue is empty: nothing is under way when the server is killed"
            for task in answer["tasks"]:
                self._do(task)

    def _do(self, task: dict[str, Any]) -> None:
        kept = self.ledger.drafts.get((task["id"], self.id))
        assert (task["draft"] and task["draft"]["content"]) == kept
        self.sent += 1
        if self.rng.random() < 0.2 and not self._draft(task):
            return  # what others said ended the work
        chance = self.rng.random()
        if chance < 0.05:
            return  # it comes again with the next lease
        if chance < 0.12:
            self._say(task, "skip", Outcome.SKIPPED, (), reason=self._note)
        elif task["stage"] == "qa":
            self._judge(task, returns=chance < 0.3)
        else:
            shape = right(task["item_digest"])
            if task["stage"] == "review":
                shape = answer_of(self.number, task["item_digest"], task["project_id"])
            self._submit(task, shape)

    @property
    def _note(self) -> str:
        return f"{self.sent} of {self.number}"

    def _draft(self, task: dict[str, Any]) -> bool:
        """Whether it was kept."""
        content = {"text": self._note}
        kept, _ = self.asked(f"/v1/tasks/{task['id']}/draft", {"epoch": task["epoch"], "content": content})
        if kept is not None:
            self.ledger.drafts[task["id"], self.id] = content
        return kept is not None

    def _judge(self, task: dict[str, Any], *, returns: bool) -> None:
        """Lets stand what is right, and corrects or returns the rest; where it may not be returned again, corrects."""
        (answer,) = task["answers"]
        said = tuple(Shape(one["label"], tuple(one["box"])) for one in answer["shapes"])
        if said == (right(task["item_digest"]),):
            self._say(task, "accept", Outcome.ACCEPTED, said, note=self._note)
        elif not returns or not self._say(task, "return", Outcome.RETURNED, said, note=self._note):
            self._submit(task, right(task["item_digest"]))

    def _submit(self, task: dict[str, Any], shape: Shape) -> None:
        shapes = [{"label": shape.label, "box": list(shape.box)}]
        self._say(task, "submit", Outcome.SUBMITTED, (shape,), shapes=shapes, note=self._note)

    def _say(self, task: dict[str, Any], how: str, outcome: Outcome, said: tuple[Shape, ...], **content: Any) -> bool:
        """False where it was refused, since others ended the work, or QA may not return it again."""
        path, body = f"/v1/tasks/{task['id']}/{how}", {"epoch": task["epoch"], **content}
        answer, cut_at = self.asked(path, body)
        if answer is None:
            return False
        self.ledger.drafts.pop((task["id"], self.id), None)
        self.ledger.add(
            Acknowledged(
                answer["id"], task["project_id"], task["id"], task["item_digest"], task["epoch"], self.id, outcome,
                said, self._note,
            )
        )  # fmt: skip
        if cut_at:
            self._ask_again(answer, cut_at)
        self.before = path, body, answer
        return True

    def _ask_again(self, answer: dict[str, Any], cut_at: datetime) -> None:
        """What was acknowledged before a kill is answered by the next server as it was by the last."""
        if datetime.fromisoformat(answer["created_at"]) < cut_at:
            self.ledger.count_late()
        if self.before:
            path, body, told = self.before
            assert self.asked(path, body)[0] == told


class Operator(Client):
    """Now and then accepts what a sample rejected, or opens again what it accepted."""

    def work(self) -> None:
        while not self.stopping.wait(self.rng.uniform(0.2, 1.0)):
            listed, _ = self.asked(f"/v1/projects/{LOTTED}/lots?limit=200")
            assert listed
            decided = [lot for lot in listed["lots"] if lot["state"] in ("accepted", "rejected")]
            if decided:
                self._decide(self.rng.choice(decided))

    def _decide(self, lot: dict[str, Any]) -> None:
        how, state = ("reopen", "rejected") if lot["state"] == "accepted" else ("accept", "accepted")
        body = {"reason": "seen", "version": lot["version"]}
        told, _ = self.asked(f"/v1/projects/{LOTTED}/lots/{lot['id']}/{how}", body)
        if told is not None:  # else it was decided meanwhile, by the try that had no answer too
            self.ledger.decided[lot["id"], lot["version"] + 1] = state


def _secret(number: int) -> str:
    return f"ask_{number}"


# --- the test -------------------------------------------------------------------------------------------------


@pytest.fixture
def lives() -> list[int]:
    """How many answers each server lives for."""
    rng = random.Random(20261126)
    return [rng.randint(1, MOST_ANSWERS) for _ in range(KILLS)]


@pytest.fixture
def server(url: str, store: SqlStore, tmp_path: Path, lives: list[int]) -> Iterator[KillableServer]:
    _fill(store, _enough(lives))
    environ = {"ASKANCE_DATA_DIR": str(tmp_path), "ASKANCE_DATABASE__URL": url}
    started = KillableServer(environ, log=tmp_path / "server.log")
    yield started
    started.stop()


def _enough(lives: Sequence[int]) -> int:
    """Works of each project: nobody may ever find its queue empty, were each answer the first of its work."""
    answers = sum(lives) + 2 * REVIEWERS * (len(lives) + 2)
    return LOT * -(-answers // (len(PROJECTS) * LOT))


def _fill(store: SqlStore, works: int) -> None:
    now = datetime.now(UTC)
    with store.begin() as tx:
        for number in (*range(REVIEWERS), OPERATOR):
            role = Role.OPERATOR if number == OPERATOR else Role.REVIEWER
            tx.tokens.add(replace(a_token(number), role=role, secret_digest=digest_of(_secret(number).encode())))
        for name, (people, workflow) in PROJECTS.items():
            project = a_project(name)
            rules = QueueRules(
                people={Stage.ANNOTATE: people},
                skips_before_expert=SKIPS,
                stage_boosts={Stage.QA: 10.0, Stage.ADJUDICATE: 10.0},  # before what is left to be answered
            )
            quality = QualityPolicy(golden=GoldenRules(rate=0.15), standing=QualityRules(min_items=GOLDEN + 1))
            # No lease ends meanwhile: who asks again after a kill asks as who holds the task.
            policy = replace(project.policy, queue=rules, workflow=workflow, quality=quality, lease_seconds=DAY)
            project = replace(project, policy=policy)
            tx.projects.add(project)
            numbers = [*range(works), *range(FIRST_GOLDEN, FIRST_GOLDEN + GOLDEN)]
            tx.items.add_all([an_item(number, project_id=name) for number in numbers])
            first = [a_task(number, item=number, project_id=name, at=now) for number in range(works)]
            placed_ = [placed(task, rules, (), begins=now) for task in first]
            tasks = [seat for task in placed_ for seat in seats(task, rules, (), several=True)]
            tasks = in_lots(tx, project, tasks, now, os.urandom)
            tx.tasks.add_all(tasks)
            add_members(tx, tasks)
    golden = GoldenItems(store, lambda: now)
    for name, number in itertools.product(PROJECTS, range(FIRST_GOLDEN, FIRST_GOLDEN + GOLDEN)):
        digest = an_item(number).digest
        golden.mark(name, digest, (right(digest),), "op")


def _killed(server: KillableServer, ledger: Ledger, lives: Sequence[int], rng: random.Random) -> None:
    """So often while answers come; before one in ten of these also while the server starts. It is up at the end."""
    for answers in lives:
        server.start()
        if rng.random() < 0.1:
            time.sleep(rng.uniform(0, 0.3))
            server.kill()
            server.start()
        ledger.wait_for(answers)
        time.sleep(rng.uniform(0, 0.02))
        server.kill()
    server.start()


@pytest.mark.timeout(120 + 10 * KILLS)
def test_no_kill_loses_or_doubles_what_was_acknowledged(
    server: KillableServer, store: SqlStore, lives: list[int]
) -> None:
    """The server is killed at random moments, with eight reviewers and an operator at work, and started again at once
    on the same database. In the end all that was acknowledged is there with its content, and nothing else: answers,
    verdicts, skips, drafts of open tasks, decisions on lots. Each answer has its record for the statistics, and each
    golden one counts once. Every work is in the one state that follows from what was said of it by the rules (see
    states_of_works.py), every lot counts what its works are, and the database is sound. What is sent again since its
    answer was lost, or for no reason, is answered as the same."""
    ledger = Ledger()
    reviewers = [Reviewer(number, server.url, ledger) for number in range(REVIEWERS)]
    clients: list[Client] = [*reviewers, Operator(OPERATOR, server.url, ledger)]
    begun = time.monotonic()
    for client in clients:
        client.start()
    try:
        _killed(server, ledger, lives, random.Random(20261126))
        ledger.wait_for(REVIEWERS)
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join(2 * START_SECONDS)
    assert not ledger.failures
    server.kill()
    print(
        f"{len(lives)} kills in {time.monotonic() - begun:.0f} s: {len(ledger.entries)} acknowledged, {ledger.lost}"
        f" requests without an answer, {ledger.late} answers of people of them kept by the server before it was killed"
    )
    Lots(store, lambda: datetime.now(UTC)).advance_all()  # as the background does; this server has none
    assert store.check() == []
    for name in PROJECTS:
        _check_answers(store, name, [entry for entry in ledger.entries if entry.project == name])
    states = {name: check_works(store, name, _enough(lives)) for name in PROJECTS}
    check_lots(store, LOTTED, states[LOTTED], ledger.decided)
    print(*(f"{name}: {dict(Counter(found.values()))}" for name, found in states.items()), sep="\n")
    with store.read() as tx:
        for (task_id, reviewer), content in ledger.drafts.items():
            if not tx.tasks.get(task_id).finished:
                assert tx.drafts.of([task_id], reviewer)[task_id].content == content


def _check_answers(store: SqlStore, project: str, told: Sequence[Acknowledged]) -> None:
    golden = [entry for entry in told if int(entry.item, 16) >= FIRST_GOLDEN]
    with store.read() as tx:
        kept = tx.submissions.page(project, after=None, limit=10**6)
        of_golden = [one for entry in golden for one in tx.golden.said(entry.task_id)]
    assert len({entry.id for entry in told}) == len(told)
    assert Counter(_as_told(one) for one in (*kept, *of_golden)) == Counter(told)
    assert max(Counter((one.task_id, one.epoch) for one in kept).values()) == 1
    assert sorted(_records(store, project)) == sorted(one.id for one in kept)
    _check_golden(store, project, golden)
    print(f"{project}: {dict(Counter(entry.outcome.value for entry in told))}, {len(golden)} of them golden")


def _check_golden(store: SqlStore, project: str, told: Sequence[Acknowledged]) -> None:
    """Nobody had one twice, each is in the history once, and the figures of each person are of those that they answered
    themselves."""
    assert max(Counter((entry.reviewer, entry.item) for entry in told).values()) == 1
    with store.read() as tx:
        events = [one for one in tx.events.after(project, 0, 10**6) if one.kind == "golden.answered"]
    assert Counter(one.body["submission_id"] for one in events) == Counter(entry.id for entry in told)
    answers = [one for one in told if one.outcome is Outcome.SUBMITTED and not one.task_id.endswith(f"-{Stage.QA}")]
    answered = Counter(entry.reviewer for entry in answers)
    standings = Standings(store, lambda: datetime.now(UTC))
    for reviewer in range(REVIEWERS):
        quality = standings.of(project, a_token(reviewer).id).quality
        assert (quality.items if quality else 0) == answered[a_token(reviewer).id]


def _as_told(one: Submission) -> Acknowledged:
    return Acknowledged(
        one.id, one.project_id, one.task_id, one.item_digest, one.epoch, one.reviewer, one.outcome, one.shapes, one.note
    )


def _records(store: SqlStore, project: str) -> list[str]:
    """The submissions of the statistics."""
    begin, end = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    with store.read() as tx:
        return [one.submission_id for one in tx.efforts.between(project, begin, end)]
