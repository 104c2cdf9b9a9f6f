"""The review queue under any order of events: a model of the promises, run against the desk and a real store."""

import itertools
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
from loop.domain.lot import LotState
from loop.domain.people import Person
from loop.domain.ports import Transaction
from loop.domain.queue_rules import QueueRules
from loop.domain.queueing import seats
from loop.domain.review import Outcome, Submission
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.domain.workflow import LotRules, Qa, Workflow
from loop.escalation import sound_alarms
from loop.lots import Lots, add_members, in_lots
from loop.people import Oversight
from loop.review import Assignment, Desk
from loop.store.database import SqlStore
from tests.contract.records import NOW, a_policy, a_project, a_task, an_item

# Runs of 50 steps: of the usual test, or of the night's (make nightly-queue).
RUNS = {"sqlite": 800, "postgresql": 60}
STEPS = 50

LEASE_SECONDS = a_policy().lease_seconds
WORKS = 2
PATIENCE = 600.0
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

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        with self.store.begin() as tx:
            yield tx
            if self.dying:
                raise _Killed

    def secret(self) -> bytes:
        return self.store.secret()


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
    leased_at: float = 0.0
    shown: str = ""  # the answer that it judges
    reserved: tuple[str, float] | None = None  # for whom alone, and until when
    drafts: dict[str, str] = field(default_factory=dict)


@dataclass
class Work:
    """Tasks that answer one item. said: who answered, judged or skipped in this round. hands: who answered since it was
    opened. held: whose answer, by which task, is on its way to the truth; standing: where it is on it."""

    seats: dict[str, Seat]
    answers: dict[str, str] = field(default_factory=dict)
    skips: set[str] = field(default_factory=set)
    for_experts: bool = False
    round: int = 0
    truths: int = 0
    adjudicated: bool = False
    judges: set[str] = field(default_factory=set)
    hands: set[str] = field(default_factory=set)
    firsts: list[tuple[float, int, tuple[str, str]]] = field(default_factory=list)
    returns: int = 0
    held: tuple[str, str] | None = None
    answer: str = ""
    standing: str = ""
    defect: bool | None = None
    void: bool = False

    @property
    def said(self) -> set[str]:
        return set(self.answers) | self.skips | self.judges

    def begin_round(self) -> None:
        self.answers, self.skips, self.judges, self.for_experts = {}, set(), set(), False
        self.firsts, self.held, self.standing = [], None, ""
        self.round += 1


class QueueMachine(RuleBasedStateMachine):
    """Reviewers, some slow and some dead, and an operator, on one queue; the clock is a number."""

    tickets: Bundle[Ticket] = Bundle("tickets")
    projects = itertools.count()
    entropy = itertools.count()  # ids grow, so that the order of answers at one moment is known

    def __init__(self, store: SqlStore) -> None:
        super().__init__()
        self.store = store
        self.mortal = _Mortal(store)
        self.project = f"queue-{next(self.projects)}"
        self.seconds = 0.0
        self.desk = Desk(self.mortal, self._now, self._entropy)  # type: ignore[arg-type]
        self.oversight = Oversight(store, self._now)
        self.lots = Lots(store, self._now)
        self.lot = ""
        self.verdict = ""  # of the lot
        self.order: list[str] = []  # of inspection
        self.works: dict[str, Work] = {}
        self.acknowledged: dict[str, Submission] = {}
        self.credited: set[tuple[str, str]] = set()

    def _entropy(self, size: int, /) -> bytes:
        return next(self.entropy).to_bytes(size, "big")

    @initialize(
        people=st.sampled_from([1, 2, 3]),
        skips=st.sampled_from([1, 2]),
        experts=st.booleans(),
        most=st.sampled_from([None, 1, 2]),
        due=st.booleans(),
        qa=st.sampled_from([Qa.OFF, Qa.ALL, Qa.LOTS]),
        returns=st.sampled_from([0, 1, 3]),
        order=st.permutations(range(WORKS)),
    )
    def fill(
        self,
        people: int,
        skips: int,
        experts: bool,
        most: int | None,
        due: bool,
        qa: Qa,
        returns: int,
        order: list[int],
    ) -> None:
        self.rules = QueueRules(
            people={Stage.ANNOTATE: people},
            skips_before_expert=skips,
            expert_group=EXPERTS if experts else "",
            max_leases=most,
            due_seconds={Stage.ANNOTATE: 100.0} if due else {},
        )
        project = a_project(self.project)
        lots = LotRules(size=WORKS, share=1 / WORKS, threshold=0.0)  # one of them is looked at
        self.workflow = Workflow(qa=qa, max_returns=returns, rework_patience_seconds=PATIENCE, lots=lots)
        project = replace(project, policy=replace(project.policy, queue=self.rules, workflow=self.workflow))
        with self.store.begin() as tx:
            tx.projects.add(project)
            for number in range(WORKS):
                tx.items.add(an_item(number, project_id=self.project))
                first = replace(a_task(number, item=number, project_id=self.project), priority=number / WORKS)
                tasks = in_lots(tx, project, seats(first, self.rules, (), several=True), self._now(), os.urandom)
                tx.tasks.add_all(tasks)
                add_members(tx, tasks)
                self.works[first.id] = Work({task.id: Seat() for task in tasks})
                self.lot = tasks[0].lot_id or ""
            if self.lot:  # as drawn by Hypothesis, for the same steps to have the same effects
                self.order, self.verdict = [list(self.works)[number] for number in order], "inspecting"
                tx.lots.draw(self.order)
                tx.lots.save(replace(tx.lots.for_update(self.lot), state=LotState.INSPECTING))

    # --- what reviewers do ----------------------------------------------------------------------------

    @rule(target=tickets, name=st.sampled_from(sorted(PEOPLE)), count=st.integers(1, 3))
    def lease(self, name: str, count: int) -> MultipleResults[Ticket]:
        return multiple(*self._lease(name, count))

    def _lease(self, name: str, count: int) -> list[Ticket]:
        """Brings what the person holds, then free tasks that the person may do, one of a work, the most urgent first,
        each under an epoch that was never given before, with the person's draft; as many as there are."""
        self._free_lapsed()
        held = {task_id for task_id, seat in self._all_seats() if self._holds(seat, name)}
        room = max(count - len(held), 0)
        if self.rules.max_leases is not None:
            room = min(room, max(self.rules.max_leases - len(held), 0))
        free = [work_id for work_id in reversed(list(self.works)) if self._free_for(self.works[work_id], name)]
        leased = self.desk.lease(PEOPLE[name], self.project, count).assignments
        assert {one.task.id for one in leased[: min(len(held), count)]} <= held
        fresh = [one for one in leased if one.task.id not in held]
        assert len(fresh) == min(room, len(free))
        as_made = not any(
            work.round or work.adjudicated or f"{work_id}-qa" in work.seats for work_id, work in self.works.items()
        )
        if not self.rules.due_seconds and as_made:
            assert [one.task.work_id for one in fresh] == free[: len(fresh)]
        for one in fresh:
            assert one.task.work_id in free
            assert one.task.id in self._free_for(self.works[one.task.work_id], name)
            self._given(Ticket(one.task.id, name, one.task.epoch), self.works[one.task.work_id])
        for one in leased:
            self._shown(one)
            kept = self._seat(one.task.id).drafts.get(name)
            assert (one.draft.content["text"] if one.draft else None) == kept
        return [Ticket(one.task.id, name, one.task.epoch) for one in leased]

    def _shown(self, one: Assignment) -> None:
        """QA sees the one answer; who is to do it again sees what QA says."""
        work = self._work(one.task.id)
        judges = one.task.id.endswith("-qa")
        if judges:
            assert work.held
            assert [answer.reviewer for answer in one.answers] == [PEOPLE[work.held[0]].id]
        assert (one.returned is not None) == (work.returns > 0 and not judges)

    def _free_lapsed(self) -> None:
        if self.workflow.qa is Qa.OFF:
            return
        for _, seat in self._all_seats():
            if seat.reserved and seat.reserved[1] <= self.seconds and not seat.closed and not self._is_live(seat):
                seat.reserved = None

    def _given(self, ticket: Ticket, work: Work) -> None:
        seat = work.seats[ticket.task_id]
        assert ticket.epoch > seat.given
        seat.given, seat.live, seat.leased_at = ticket.epoch, ticket, self.seconds
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

    @rule(
        target=tickets,
        names=st.permutations(sorted(PEOPLE)),
        answers=st.lists(st.sampled_from(sorted(ANSWERS)), min_size=2, max_size=len(PEOPLE)),
        judging=st.sampled_from(["accept", "return", "correct"]),
    )
    def some_work(self, names: list[str], answers: list[str], judging: str) -> MultipleResults[Ticket]:
        """One after the other takes a task and answers or judges it at once."""
        done: list[Ticket] = []
        for name, answer in zip(names, answers, strict=False):
            for ticket in self._lease(name, 1):
                if judging == "accept" and ticket.task_id.endswith("-qa"):
                    self.accept(ticket)
                elif judging == "return" and ticket.task_id.endswith("-qa"):
                    self.give_back(ticket)
                else:
                    self._submit(ticket, answer)
                done.append(ticket)
        return multiple(*done)

    @rule(
        target=tickets,
        names=st.permutations(sorted(PEOPLE)),
        pause=st.sampled_from([0.0, LEASE_SECONDS / 2, PATIENCE]),
        again=st.booleans(),
    )
    def some_rework(self, names: list[str], pause: float, again: bool) -> MultipleResults[Ticket]:
        """Answers come, QA returns them; later somebody does them again, or skips, and QA decides."""
        done: list[Ticket] = []
        for later, name in [(False, name) for name in names] + [(True, name) for name in names]:
            if later and name == names[0]:
                self.seconds += pause
            for ticket in self._lease(name, 2):
                if not ticket.task_id.endswith("-qa"):
                    self._submit(ticket, "there" if later else "here")
                elif later and not again:
                    self.accept(ticket)
                else:
                    self.give_back(ticket)
                done.append(ticket)
        return multiple(*done)

    @rule(ticket=tickets)
    def accept(self, ticket: Ticket) -> None:
        """QA lets an answer stand: it is the truth."""
        if not ticket.task_id.endswith("-qa"):
            return
        sent: list[Submission] = []

        def act() -> None:
            sent.append(self.desk.accept(PEOPLE[ticket.owner], ticket.task_id, ticket.epoch))

        if self._act(ticket, act, repeats=(Outcome.ACCEPTED, None)):
            self._acknowledge(ticket, sent[0])
            self._judged(ticket, defect=False)

    @rule(ticket=tickets)
    def give_back(self, ticket: Ticket) -> None:
        """QA has the author do the answer again, as often as the policy says; the work goes on in its next round."""
        if not ticket.task_id.endswith("-qa"):
            return
        work, who = self._work(ticket.task_id), PEOPLE[ticket.owner]
        sent: list[Submission] = []

        def act() -> None:
            sent.append(self.desk.give_back(who, ticket.task_id, ticket.epoch, [("no", ())]))

        seat = self._seat(ticket.task_id)
        if seat.live == ticket and self._is_live(seat) and work.returns >= self.workflow.max_returns:
            with pytest.raises(Conflict):
                act()
            return
        if not self._act(ticket, act, repeats=(Outcome.RETURNED, None)):
            return
        self._acknowledge(ticket, sent[0])
        assert work.held
        author, task_id = work.held
        self._seat(ticket.task_id).closed = True
        for seat in work.seats.values():
            seat.live, seat.given = None, seat.given + 1
            seat.drafts.clear()
        again = work.seats[task_id]
        again.closed, again.reserved = False, (author, self.seconds + PATIENCE)
        work.begin_round()
        work.returns += 1
        work.defect = True if work.defect is None else work.defect
        self._advance_lot()

    def _judged(self, ticket: Ticket, *, defect: bool) -> None:
        work = self._work(ticket.task_id)
        assert ticket.owner not in work.hands, "somebody judged an answer of their own"
        seat = work.seats[ticket.task_id]
        seat.live, seat.closed = None, True
        seat.drafts.clear()
        work.judges.add(ticket.owner)
        work.truths += 1
        work.standing = "settled"
        work.defect = defect if work.defect is None else work.defect
        self._advance_lot()

    def _submit(self, ticket: Ticket, answer: str) -> None:
        """Who holds a live lease is heard, once; the same answer sent again is the same submission."""
        sent: list[Submission] = []

        def act() -> None:
            sent.append(self.desk.submit(PEOPLE[ticket.owner], ticket.task_id, ticket.epoch, ANSWERS[answer], ""))

        if self._act(ticket, act, repeats=(Outcome.SUBMITTED, ANSWERS[answer])):
            self._acknowledge(ticket, sent[0])
            self._answered(ticket, answer)

    def _answered(self, ticket: Ticket, answer: str) -> None:
        work = self._work(ticket.task_id)
        self.credited.add((PEOPLE[ticket.owner].id, _work_id(ticket.task_id)))
        if ticket.task_id.endswith("-qa"):
            self._judged(ticket, defect=answer != work.seats[ticket.task_id].shown)
            return
        seat = work.seats[ticket.task_id]
        seat.live, seat.closed, seat.reserved = None, True, None
        seat.drafts.clear()
        work.answers[ticket.owner] = answer
        work.hands.add(ticket.owner)
        work.firsts.append((self.seconds, len(work.firsts), (ticket.owner, ticket.task_id)))
        if ticket.task_id.endswith("-adjudicate") or work.returns:
            self._complete(work, (ticket.owner, ticket.task_id), answer)
        elif len(work.answers) == self.rules.people[Stage.ANNOTATE]:
            if len(set(work.answers.values())) == 1:
                # The last to answer comes last, whatever the clock says.
                *before, last = work.firsts
                self._complete(work, min(before, default=last)[2], answer)
            else:
                adjudication = work.seats.setdefault(f"{_work_id(ticket.task_id)}-adjudicate", Seat())
                adjudication.closed, adjudication.live, work.adjudicated = False, None, True
                work.for_experts = False
        self._advance_lot()

    def _complete(self, work: Work, held: tuple[str, str], answer: str) -> None:
        """The work has its answer: QA looks at it, or it waits for its lot, or it is the truth."""
        work.held, work.answer = held, answer
        lot = {"accepted": "settled", "rejected": "in_qa", "inspecting": "waiting"}.get(self.verdict)
        work.standing = "in_qa" if self.workflow.qa is Qa.ALL or work.returns else lot or "settled"
        if work.standing == "in_qa":
            self._call(work)
        elif work.standing == "settled":
            work.truths += 1

    def _call(self, work: Work) -> None:
        work.standing = "in_qa"
        name = f"{next(task_id for task_id in work.seats)}-qa"
        seat = work.seats.get(name)
        if seat is None:
            seat = work.seats[name] = Seat()
        elif seat.closed:
            seat.closed, seat.live, seat.given = False, None, seat.given + 1
        else:
            return
        seat.shown = work.answer
        work.for_experts = False

    def _advance_lot(self) -> None:
        """One of the lot is looked at; all others follow it."""
        if self.verdict == "inspecting":
            counting = [self.works[one] for one in self.order if not self.works[one].void]
            if not counting:
                self._decide("accepted")
            elif counting[0].defect is not None:
                self._decide("rejected" if counting[0].defect else "accepted")
            elif counting[0].standing == "waiting":
                self._call(counting[0])
        for work in self.works.values() if self.lot else ():
            if work.standing in ("waiting", "recalled") and self.verdict == "rejected":
                self._call(work)
            elif work.standing in ("waiting", "recalled") and self.verdict == "accepted":
                self._let_through(work)

    def _decide(self, verdict: str) -> None:
        self.verdict = verdict
        for work in self.works.values():
            if verdict == "accepted" and work.standing == "in_qa":
                work.standing = "recalled"
            elif verdict == "rejected" and work.standing == "settled" and work.defect is None:
                work.standing = "waiting"

    def _let_through(self, work: Work) -> None:
        judging = [seat for task_id, seat in work.seats.items() if task_id.endswith("-qa") and not seat.closed]
        if any(self._is_live(seat) for seat in judging):
            work.standing = "in_qa"
            return
        for seat in judging:
            seat.live, seat.closed, seat.given = None, True, seat.given + 1
        work.standing, work.truths = "settled", work.truths + 1

    @rule(verdict=st.sampled_from(["accepted", "rejected"]), stale=st.booleans())
    def decide_by_hand(self, verdict: str, stale: bool) -> None:
        """An operator decides otherwise; who decides the same, or by an older look, is told so."""
        if not self.lot:
            return
        figures, _ = self.lots.get(self.project, self.lot)
        decide = self.lots.accept if verdict == "accepted" else self.lots.reopen
        version = figures.lot.version - stale
        if stale or verdict == self.verdict:
            with pytest.raises(Conflict):
                decide(OPERATOR, self.project, self.lot, "seen", version=version)
            return
        assert decide(OPERATOR, self.project, self.lot, "seen", version=version).state == verdict
        self._decide(verdict)
        self._advance_lot()

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
        self._acknowledge(ticket, sent[0])
        work = self._work(ticket.task_id)
        seat = work.seats[ticket.task_id]
        work.skips.add(ticket.owner)
        seat.live = None
        seat.drafts.pop(ticket.owner, None)
        if seat.reserved:
            seat.reserved = (seat.reserved[0], seat.leased_at)
        self._skipped(work)
        self._advance_lot()

    def _skipped(self, work: Work) -> None:
        if len(work.skips) < self.rules.skips_before_expert and not work.for_experts:
            return
        if self.rules.expert_group and not work.for_experts:
            work.for_experts = True
            for one in work.seats.values():
                one.reserved = None if not one.closed else one.reserved
            return
        for one in work.seats.values():
            if not one.closed:
                one.closed, one.live = True, None
                one.drafts.clear()
        work.held, work.standing, work.void = None, "", bool(self.lot)

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
        # An adjudication that nobody needs any more is neither answered nor skipped.
        if not any(seat.closed for task_id, seat in work.seats.items() if not task_id.endswith("-adjudicate")):
            with pytest.raises(Conflict):
                self.oversight.reopen_task(OPERATOR, work_id)
            return
        self.oversight.reopen_task(OPERATOR, work_id)
        for task_id, seat in work.seats.items():
            judges = task_id.endswith(("-adjudicate", "-qa"))
            seat.live, seat.closed, seat.given, seat.reserved = None, judges, seat.given + 1, None
        work.begin_round()
        work.hands, work.returns, work.void = set(), 0, False

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
            if one.outcome is Outcome.SUBMITTED and not one.task_id.endswith(("-adjudicate", "-qa"))
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
        repeats: tuple[Outcome, tuple[Shape, ...] | None] | None = None,
    ) -> bool:
        """Do it under the ticket; True where it was let through, which must be while its lease is live. repeats: what
        is sent; the very answer that was acknowledged before comes back and changes nothing."""
        seat = self._seat(ticket.task_id)
        live = seat.live == ticket and self._is_live(seat)
        before = self.acknowledged_of(ticket)
        if before is not None and repeats in ((before.outcome, before.shapes), (before.outcome, None)):
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
        return next((one for one in self.acknowledged.values() if (one.task_id, one.epoch) == mine), None)

    def _free_for(self, work: Work, name: str) -> list[str]:
        """Tasks of the work of which the person may get one."""
        takes_part = name in work.said or any(self._holds(seat, name) for seat in work.seats.values())
        if takes_part:
            return []
        return [
            task_id
            for task_id, seat in work.seats.items()
            if not seat.closed
            and not self._is_live(seat)
            and (not work.for_experts or name == EXPERT)
            and (seat.reserved is None or seat.reserved[0] == name)
            and not (task_id.endswith("-qa") and name in work.hands)
        ]

    def _holds(self, seat: Seat, name: str) -> bool:
        return seat.live is not None and seat.live.owner == name and self._is_live(seat)

    def _is_live(self, seat: Seat) -> bool:
        return seat.live is not None and seat.begins <= self.seconds < seat.expires

    def _all_seats(self) -> Iterator[tuple[str, Seat]]:
        return (pair for work in self.works.values() for pair in work.seats.items())

    def _work(self, task_id: str) -> Work:
        return self.works[_work_id(task_id)]

    def _seat(self, task_id: str) -> Seat:
        return self._work(task_id).seats[task_id]

    def _now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)


def _work_id(task_id: str) -> str:
    first, _, seat = task_id.rpartition("-")
    return first if seat in ("adjudicate", "qa") or seat.isdecimal() else task_id


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
    releases, kills, deadlines and re-openings in any order."""
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
