"""The review queue under any order of events: a model of the promises, run against the desk and a real store."""

import itertools
import math
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from loop.domain.access import Role, Token
from loop.domain.errors import AlreadySubmitted, Conflict, StaleLease
from loop.domain.people import Person
from loop.domain.ports import Transaction
from loop.domain.quality_rules import ConsensusRules, GoldenRules, QualityPolicy, QualityRules, Standing
from loop.domain.queue_rules import QueueRules
from loop.domain.queueing import seats
from loop.domain.review import Outcome, Submission
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.escalation import sound_alarms
from loop.golden import GoldenItems
from loop.people import Oversight
from loop.review import Desk
from loop.standings import Standings
from loop.store.database import SqlStore
from tests.contract.records import NOW, a_model, a_policy, a_prediction, a_project, a_task, an_item

# Runs of 50 steps: of the usual test, or of the night's (make nightly-queue).
RUNS = {"sqlite": 1000, "postgresql": 60}
STEPS = 50

LEASE_SECONDS = a_policy().lease_seconds
WORKS = 2
GOLDEN = (70, 71)  # numbers of items
EXPERTS = "experts"
# So many that three answer, another adjudicates, and two are left who may skip.
PEOPLE = {
    name: Token(id=f"tok_{name}", name=name, role=Role.REVIEWER, secret_digest=name, project_id=None, created_at=NOW)
    for name in ("ada", "bob", "cyd", "dan", "eve")
}
EXPERT = "eve"
OPERATOR = Token(id="tok_op", name="op", role=Role.OPERATOR, secret_digest="op", project_id=None, created_at=NOW)
ANSWERS = {
    "here": (Shape("seven", (0.0, 0.0, 1.0, 100.0)),),
    "there": (Shape("seven", (0.0, 200.0, 1.0, 300.0)),),
}


class _Killed(Exception):
    """The process died before its transaction ended."""


class _Mortal:
    """A store whose process can die between the last write and the commit."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.dying = False

    def secret(self) -> bytes:
        return self.store.secret()

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        with self.store.begin() as tx:
            yield tx
            if self.dying:
                raise _Killed


@dataclass(frozen=True)
class Ticket:
    """What a client remembers of a lease that it got."""

    task_id: str
    owner: str
    epoch: int


@dataclass
class Seat:
    """What the promises say about one task, kept without looking into the store."""

    live: Ticket | None = None
    begins: float = 0.0
    expires: float = 0.0
    closed: bool = False
    given: int = 0  # the highest epoch
    drafts: dict[str, str] = field(default_factory=dict)


@dataclass
class Work:
    """Tasks that answer one item. said: who answered or skipped in this round."""

    seats: dict[str, Seat]
    answers: dict[str, str] = field(default_factory=dict)
    skips: set[str] = field(default_factory=set)
    for_experts: bool = False
    round: int = 0
    truths: int = 0
    adjudicated: bool = False
    decided: tuple[str, float] | None = None  # by whom alone, and when, in this round

    @property
    def said(self) -> set[str]:
        return set(self.answers) | self.skips


@dataclass
class Golden:
    """A golden item in the hands of one person."""

    owner: str
    item: str
    seat: Seat = field(default_factory=Seat)
    told: Submission | None = None


class QueueMachine(RuleBasedStateMachine):
    """Reviewers, some slow and some dead, and an operator, on one queue, with golden items among it in some projects;
    the clock is a number."""

    tickets: Bundle[Ticket] = Bundle("tickets")
    projects = itertools.count()

    def __init__(self, store: SqlStore) -> None:
        super().__init__()
        self.store = store
        self.mortal = _Mortal(store)
        self.project = f"queue-{next(self.projects)}"
        self.seconds = 0.0
        self.desk = Desk(self.mortal, self._now, os.urandom)  # type: ignore[arg-type]
        self.oversight = Oversight(store, self._now)
        self.standings = Standings(store, self._now)
        self.golden: dict[str, Golden] = {}
        self.marked: tuple[str, ...] = ()
        self.paused: set[str] = set()
        self.good: dict[str, list[float]] = {}  # when each person answered a golden item well
        self.to_redo: dict[str, tuple[str, int]] = {}  # by submission: work and round
        self.works: dict[str, Work] = {}
        self.acknowledged: dict[str, Submission] = {}
        self.credited: set[tuple[str, str]] = set()

    @initialize(
        people=st.sampled_from([1, 2, 3]),
        skips=st.sampled_from([1, 2]),
        experts=st.booleans(),
        most=st.sampled_from([None, 1, 2]),
        due=st.booleans(),
        golden=st.booleans(),
    )
    def fill(self, people: int, skips: int, experts: bool, most: int | None, due: bool, golden: bool) -> None:
        self.rules = QueueRules(
            people={Stage.ANNOTATE: people},
            skips_before_expert=skips,
            expert_group=EXPERTS if experts else "",
            max_leases=most,
            due_seconds={Stage.ANNOTATE: 100.0} if due else {},
        )
        project = a_project(self.project)
        # What is merged, and what golden items do to a standing, have tests of their own: here all who differ are asked
        # of another, and standings are given by hand.
        quality = QualityPolicy(
            consensus=ConsensusRules(min_agreement=1.0),
            golden=GoldenRules(rate=1.0),  # a draw would be another for each project, and a run not repeatable
            standing=QualityRules(min_items=100, window=100),
        )
        project = replace(project, policy=replace(project.policy, queue=self.rules, quality=quality))
        with self.store.begin() as tx:
            tx.projects.add(project)
            tx.models.add(a_model(project_id=self.project))
            for number in range(WORKS):
                tx.items.add(an_item(number, project_id=self.project))
                first = replace(a_task(number, item=number, project_id=self.project), priority=number / WORKS)
                tasks = seats(first, self.rules, (), several=True)
                tx.tasks.add_all(tasks)
                self.works[first.id] = Work({task.id: Seat() for task in tasks})
            for number in GOLDEN if golden else ():
                tx.items.add(an_item(number, project_id=self.project))
                tx.predictions.add(a_prediction(number, item=number, project_id=self.project))
        self.marked = tuple(an_item(number).digest for number in GOLDEN) if golden else ()
        for digest in self.marked:
            GoldenItems(self.store, self._now).mark(self.project, digest, ANSWERS["here"], "op")

    # --- what reviewers do ----------------------------------------------------------------------------

    @rule(target=tickets, name=st.sampled_from(sorted(PEOPLE)), count=st.integers(1, 3))
    def lease(self, name: str, count: int) -> MultipleResults[Ticket]:
        return multiple(*self._lease(name, count))

    def _lease(self, name: str, count: int) -> list[Ticket]:
        """Brings what the person holds, then free tasks that the person may do, one of a work, the most urgent first,
        each under an epoch that was never given before, with the person's draft; as many as there are. Golden items
        stand in for some, each once for a person and for nobody else; who is paused gets them alone."""
        held = {task_id for task_id, seat in self._everything() if self._holds(seat, name)}
        room = max(count - len(held), 0)
        if self.rules.max_leases is not None:
            room = min(room, max(self.rules.max_leases - len(held), 0))
        free = [work_id for work_id in reversed(list(self.works)) if self._free_for(self.works[work_id], name)]
        leased = self.desk.lease(PEOPLE[name], self.project, count).assignments
        assert {one.task.id for one in leased[: min(len(held), count)]} <= held
        fresh = [one for one in leased if one.task.id not in held]
        back = [task_id for task_id, one in self.golden.items() if self._waits(one, name)]
        new = set(self.marked) - {one.item for one in self.golden.values() if one.owner == name}
        if name in self.paused:
            free = []
            assert len(fresh) == min(room, len(back) + len(new))
        else:
            assert len(fresh) == min(room, len(back) + len(free))
        for one in [one for one in fresh if one.task.stage is Stage.GOLDEN]:
            fresh.remove(one)
            assert one.task.id in back or one.task.item_digest in new
            seat = self.golden.setdefault(one.task.id, Golden(name, one.task.item_digest)).seat
            new.discard(one.task.item_digest)
            self._given(Ticket(one.task.id, name, one.task.epoch), seat)
        if (
            not self.marked
            and not self.rules.due_seconds
            and not any(work.round or work.adjudicated for work in self.works.values())
        ):
            assert [one.task.work_id for one in fresh] == free[: len(fresh)]
        for one in fresh:
            assert one.task.work_id in free
            assert one.task.id in self._free_for(self.works[one.task.work_id], name)
            seat = self.works[one.task.work_id].seats[one.task.id]
            self._given(Ticket(one.task.id, name, one.task.epoch), seat)
        for one in leased:
            kept = self._seat(one.task.id).drafts.get(name)
            assert (one.draft.content["text"] if one.draft else None) == kept
        return [Ticket(one.task.id, name, one.task.epoch) for one in leased]

    def _given(self, ticket: Ticket, seat: Seat) -> None:
        assert ticket.epoch > seat.given
        seat.given, seat.live = ticket.epoch, ticket
        self._extend(seat)

    def _extend(self, seat: Seat) -> None:
        seat.begins, seat.expires = self.seconds - LEASE_SECONDS, self.seconds + LEASE_SECONDS

    @rule(ticket=tickets)
    def heartbeat(self, ticket: Ticket) -> None:
        if self._act(ticket, lambda: self.desk.heartbeat(PEOPLE[ticket.owner], ticket.task_id, ticket.epoch)):
            self._extend(self._seat(ticket.task_id))

    @rule(ticket=tickets, text=st.sampled_from(["a", "b"]))
    def draft(self, ticket: Ticket, text: str) -> None:
        content = {"text": text}
        if self._act(ticket, lambda: self.desk.draft(PEOPLE[ticket.owner], ticket.task_id, ticket.epoch, content)):
            self._seat(ticket.task_id).drafts[ticket.owner] = text

    @rule(ticket=tickets)
    def release(self, ticket: Ticket) -> None:
        if self._act(ticket, lambda: self.desk.release(PEOPLE[ticket.owner], ticket.task_id, ticket.epoch)):
            self._seat(ticket.task_id).live = None

    @rule(ticket=tickets, answer=st.sampled_from(sorted(ANSWERS)))
    def submit(self, ticket: Ticket, answer: str) -> None:
        self._submit(ticket, answer)

    @rule(target=tickets, names=st.permutations(sorted(PEOPLE)), answers=st.lists(st.sampled_from(sorted(ANSWERS))))
    def some_work(self, names: list[str], answers: list[str]) -> MultipleResults[Ticket]:
        """One after the other takes a task and answers it at once."""
        done: list[Ticket] = []
        for name, answer in zip(names, answers, strict=False):
            for ticket in self._lease(name, 1):
                self._submit(ticket, answer)
                done.append(ticket)
        return multiple(*done)

    def _submit(self, ticket: Ticket, answer: str) -> None:
        """Who holds a live lease is heard, once; the same answer sent again is the same submission."""
        sent: list[Submission] = []

        def act() -> None:
            sent.append(self.desk.submit(PEOPLE[ticket.owner], ticket.task_id, ticket.epoch, ANSWERS[answer], ""))

        if self._act(ticket, act, repeats=(Outcome.SUBMITTED, ANSWERS[answer])):
            if ticket.task_id in self.golden:
                self._end_golden(ticket, sent[0])
                if answer == "here":
                    self.good.setdefault(ticket.owner, []).append(self.seconds)
                return
            self._acknowledge(ticket, sent[0])
            self._answered(ticket, answer)

    def _answered(self, ticket: Ticket, answer: str) -> None:
        work = self._work(ticket.task_id)
        seat = work.seats[ticket.task_id]
        seat.live, seat.closed = None, True
        seat.drafts.clear()
        self.credited.add((PEOPLE[ticket.owner].id, _work_id(ticket.task_id)))
        work.answers[ticket.owner] = answer
        if ticket.task_id.endswith("-adjudicate") or self.rules.people[Stage.ANNOTATE] == 1:
            work.truths += 1
            work.decided = (ticket.owner, self.seconds)
        elif len(work.answers) == self.rules.people[Stage.ANNOTATE]:
            if len(set(work.answers.values())) == 1:
                work.truths += 1
            else:
                adjudication = work.seats.setdefault(f"{_work_id(ticket.task_id)}-adjudicate", Seat())
                adjudication.closed, adjudication.live, work.adjudicated = False, None, True
                work.for_experts = False

    @rule(name=st.sampled_from(sorted(PEOPLE)))
    def take_and_skip(self, name: str) -> None:
        for ticket in self._lease(name, 1):
            self.skip(ticket)

    @rule(ticket=tickets)
    def skip(self, ticket: Ticket) -> None:
        """Before the limit others get the task; then experts, or nobody."""
        sent: list[Submission] = []

        def act() -> None:
            sent.append(self.desk.skip(PEOPLE[ticket.owner], ticket.task_id, ticket.epoch, "dark"))

        if not self._act(ticket, act, repeats=(Outcome.SKIPPED, ())):
            return
        if ticket.task_id in self.golden:
            self._end_golden(ticket, sent[0])
            return
        self._acknowledge(ticket, sent[0])
        work = self._work(ticket.task_id)
        seat = work.seats[ticket.task_id]
        work.skips.add(ticket.owner)
        seat.live = None
        seat.drafts.pop(ticket.owner, None)
        if len(work.skips) < self.rules.skips_before_expert and not work.for_experts:
            return
        if self.rules.expert_group and not work.for_experts:
            work.for_experts = True
            return
        for one in work.seats.values():
            if not one.closed:
                one.closed, one.live = True, None
                one.drafts.clear()

    @rule(ticket=tickets, doing=st.sampled_from(["lease", "submit", "skip"]))
    def die(self, ticket: Ticket, doing: str) -> None:
        """Killed between the writes and the commit: nothing was acknowledged, nothing may remain."""
        who = PEOPLE[ticket.owner]
        self.mortal.dying = True
        with suppress(_Killed, Conflict):
            if doing == "lease":
                self.desk.lease(who, self.project, 2)
            elif doing == "submit":
                self.desk.submit(who, ticket.task_id, ticket.epoch, ANSWERS["here"], "")
            else:
                self.desk.skip(who, ticket.task_id, ticket.epoch, "dark")
        self.mortal.dying = False

    @rule(ticket=consumes(tickets))
    def reviewer_is_gone(self, ticket: Ticket) -> None:
        """A client that never comes back; its task returns when the lease runs out."""

    # --- what else happens ------------------------------------------------------------------------------

    @rule(data=st.data())
    def reopen(self, data: st.DataObject) -> None:
        """All of a work is asked for again; where nothing of it is closed, that is told."""
        work_id = data.draw(st.sampled_from(sorted(self.works)))
        work = self.works[work_id]
        if not any(seat.closed for seat in work.seats.values()):
            with pytest.raises(Conflict):
                self.oversight.reopen_task(OPERATOR, work_id)
            return
        self.oversight.reopen_task(OPERATOR, work_id)
        self._reopened(work)

    def _reopened(self, work: Work) -> None:
        for task_id, seat in work.seats.items():
            seat.live, seat.closed, seat.given = None, task_id.endswith("-adjudicate"), seat.given + 1
        work.answers, work.skips, work.for_experts, work.round = {}, set(), False, work.round + 1
        work.decided = None

    @rule(name=st.sampled_from(sorted(PEOPLE)))
    def pause(self, name: str) -> None:
        """What the person holds goes back, but for golden items; what they alone decided since their last good golden
        item is to be done anew."""
        self.standings.change(OPERATOR, self.project, PEOPLE[name].id, standing=Standing.PAUSED, reason="errs")
        self.paused.add(name)
        for _, seat in self._all_seats():
            if self._holds(seat, name):
                seat.live = None
        trusted_until = max((at for at in self.good.get(name, []) if at <= self.seconds), default=-math.inf)
        for work_id, work in self.works.items():
            if work.decided and work.decided[0] == name and trusted_until < work.decided[1] <= self.seconds:
                self.to_redo[work_id] = (name, work.round)

    @rule(name=st.sampled_from(sorted(PEOPLE)))
    def qualify(self, name: str) -> None:
        self.standings.change(OPERATOR, self.project, PEOPLE[name].id, standing=Standing.QUALIFIED, reason="learned")
        self.paused.discard(name)

    @rule()
    def redo(self) -> None:
        """What was opened or decided anew meanwhile is left alone."""
        self.standings.redo()
        for work_id, (name, round_) in self.to_redo.items():
            work = self.works[work_id]
            if work.round == round_ and work.decided and work.decided[0] == name:
                self._reopened(work)
        self.to_redo.clear()

    @rule(seconds=st.sampled_from([1.0, LEASE_SECONDS / 2, LEASE_SECONDS - 1e-6, LEASE_SECONDS, 1000.0, -1.0, -1000.0]))
    def wait(self, seconds: float) -> None:
        """The clock may go back, too: a lease lives no longer for it than its own length."""
        self.seconds += seconds

    @rule()
    def deadlines_pass(self) -> None:
        with self.store.begin() as tx:
            sound_alarms(tx, tx.projects.get(self.project), self._now(), 99)

    def teardown(self) -> None:
        """Every acknowledged answer is there and no other; in each round a person said one thing, and not more people
        than were asked for answered; each truth is there; a person's credit for a work is one."""
        if not self.works:
            return
        with self.store.read() as tx:
            kept = [one for n in range(WORKS) for one in tx.submissions.of_item(self.project, an_item(n).digest)]
            truths = [tx.truths.current(self.project, an_item(n).digest) for n in range(WORKS)]
        assert {one.id for one in kept} == set(self.acknowledged)
        said = Counter((one.work_id, one.round, one.reviewer) for one in kept)
        assert not said or max(said.values()) == 1
        answered = Counter(
            (one.work_id, one.round)
            for one in kept
            if one.outcome is Outcome.SUBMITTED and not one.task_id.endswith("-adjudicate")
        )
        asked = self.rules.people[Stage.ANNOTATE]
        assert all(answers <= asked for answers in answered.values())
        assert [truth.version if truth else 0 for truth in truths] == [work.truths for work in self.works.values()]
        credit = {(one.reviewer, one.work_id) for one in kept if one.outcome is Outcome.SUBMITTED}
        assert credit == self.credited

    # --- the model ----------------------------------------------------------------------------------------

    def _act(
        self,
        ticket: Ticket,
        act: Callable[[], object],
        repeats: tuple[Outcome, tuple[Shape, ...]] | None = None,
    ) -> bool:
        """Do it under the ticket; True where it was let through, which must be while its lease is live. repeats: what
        is sent; the very answer that was acknowledged before comes back and changes nothing."""
        seat = self._seat(ticket.task_id)
        live = seat.live == ticket and self._is_live(seat)
        before = self.acknowledged_of(ticket)
        if before is not None and repeats == (before.outcome, before.shapes):
            act()
            return False
        try:
            act()
        except Conflict as error:
            assert not live, f"the holder of a live lease was refused: {error}"
            assert isinstance(error, AlreadySubmitted | StaleLease)
            return False
        assert live, "a stale lease was accepted"
        return True

    def _acknowledge(self, ticket: Ticket, submission: Submission) -> None:
        assert submission.id not in self.acknowledged
        assert (submission.task_id, submission.reviewer) == (ticket.task_id, PEOPLE[ticket.owner].id)
        self.acknowledged[submission.id] = submission

    def acknowledged_of(self, ticket: Ticket) -> Submission | None:
        mine = (ticket.task_id, ticket.epoch)
        told = (*self.acknowledged.values(), *(one.told for one in self.golden.values() if one.told))
        return next((one for one in told if (one.task_id, one.epoch) == mine), None)

    def _end_golden(self, ticket: Ticket, submission: Submission) -> None:
        one = self.golden[ticket.task_id]
        one.told, one.seat.live, one.seat.closed = submission, None, True
        one.seat.drafts.clear()

    def _waits(self, one: Golden, name: str) -> bool:
        return one.owner == name and not one.seat.closed and not self._is_live(one.seat)

    def _free_for(self, work: Work, name: str) -> list[str]:
        """Tasks of the work of which the person may get one."""
        takes_part = name in work.said or any(self._holds(seat, name) for seat in work.seats.values())
        if takes_part:
            return []
        return [
            task_id
            for task_id, seat in work.seats.items()
            if not seat.closed and not self._is_live(seat) and (not work.for_experts or name == EXPERT)
        ]

    def _holds(self, seat: Seat, name: str) -> bool:
        return seat.live is not None and seat.live.owner == name and self._is_live(seat)

    def _is_live(self, seat: Seat) -> bool:
        return seat.live is not None and seat.begins <= self.seconds < seat.expires

    def _all_seats(self) -> Iterator[tuple[str, Seat]]:
        return (pair for work in self.works.values() for pair in work.seats.items())

    def _everything(self) -> Iterator[tuple[str, Seat]]:
        return itertools.chain(self._all_seats(), ((task_id, one.seat) for task_id, one in self.golden.items()))

    def _work(self, task_id: str) -> Work:
        return self.works[_work_id(task_id)]

    def _seat(self, task_id: str) -> Seat:
        return self.golden[task_id].seat if task_id in self.golden else self._work(task_id).seats[task_id]

    def _now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)


def _work_id(task_id: str) -> str:
    first, _, seat = task_id.rpartition("-")
    return first if seat == "adjudicate" or seat.isdecimal() else task_id


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory where that can be had: nothing here asks what a power cut leaves."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def staffed(store: SqlStore) -> SqlStore:
    with store.begin() as tx:
        for token in (*PEOPLE.values(), OPERATOR):
            tx.tokens.add(token)
        tx.people.save(Person(token_id=PEOPLE[EXPERT].id, groups=(EXPERTS,)))
    return store


def test_the_queue_keeps_its_promises_in_any_order_of_events(staffed: SqlStore, request: pytest.FixtureRequest) -> None:
    """At most one live lease per task; a stale epoch never succeeds; what was acknowledged is there, once; of the
    people that are asked for, each answers once, and no other does. Leases, heartbeats, drafts, waits, answers, skips,
    releases, kills, deadlines, golden items, pauses and re-openings in any order."""
    database = request.node.callspec.params["databases"]
    run_state_machine_as_test(
        lambda: QueueMachine(staffed),  # type: ignore[arg-type]  # any factory will do
        settings=settings(
            max_examples=int(os.environ.get("QUEUE_RUNS", RUNS[database])),
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # a failure shows its steps at once; shrinking over a database takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
