"""The review queue under any order of events: a model of the promises, run against the desk and a real store."""

import itertools
import math
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
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
    precondition,
    rule,
    run_state_machine_as_test,
)

from loop.domain.access import Role, Token
from loop.domain.errors import AlreadySubmitted, Conflict, StaleLease
from loop.domain.policy.quality_rules import ConsensusRules, GoldenRules, QualityPolicy, QualityRules, Standing
from loop.domain.policy.queue_rules import QueueRules
from loop.domain.policy.workflow import LotRules, Qa, Workflow
from loop.domain.ports import Transaction
from loop.domain.quality.golden import scored
from loop.domain.quality.judging import JudgedCheck, judging_after
from loop.domain.quality.standing import Check, standing_after
from loop.domain.review.lot import LotState
from loop.domain.review.people import Person
from loop.domain.review.queueing import seats
from loop.domain.review.tasks import Outcome, Submission
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.review.assignments import Assignment
from loop.review.desk import Desk
from loop.review.escalation import sound_alarms
from loop.review.golden import GoldenItems
from loop.review.lots import Lots, add_members, in_lots
from loop.review.people import Oversight
from loop.review.standings import Standings
from loop.store.database import SqlStore
from tests.contract.records import NOW, a_model, a_policy, a_prediction, a_project, a_task, an_item

# Runs of 50 steps: of the usual test, or of the night's (make nightly-queue).
RUNS = {"sqlite": 1000, "postgresql": 1000}
if asked := os.environ.get("QUEUE_RUNS"):
    RUNS = dict.fromkeys(RUNS, int(asked))
STEPS = 50

ALWAYS = datetime.min.replace(tzinfo=UTC)
LEASE_SECONDS = a_policy().lease_seconds
WORKS = 2
PATIENCE = 600.0
GOLDEN = (70, 71)  # numbers of items
JUDGES = ("-adjudicate", "-qa")
EXPERTS = "experts"
# So many that three answer, another adjudicates, and two are left who may skip.
PEOPLE = {
    name: Token(id=f"tok_{name}", name=name, role=Role.REVIEWER, secret_digest=name, project_id=None, created_at=NOW)
    for name in ("ada", "bob", "cyd", "dan", "eve")
}
EXPERT = "eve"
OPERATOR = Token(id="tok_op", name="op", role=Role.OPERATOR, secret_digest="op", project_id=None, created_at=NOW)
# "near" means what "here" means, a few per cent away (IoU 0.9): of people who differ like that the answers are merged.
ANSWERS = {
    "here": (Shape("seven", (0.0, 0.0, 1.0, 100.0)),),
    "near": (Shape("seven", (0.0, 5.0, 1.0, 105.0)),),
    "there": (Shape("seven", (0.0, 200.0, 1.0, 300.0)),),
}
MEANT = {"here": "here", "near": "here", "there": "there"}


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
        return b"one for all stores, so that a run can be repeated"


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
    shown: tuple[str, ...] = ()  # the answers that what it judges was made of
    reserved: tuple[str, float] | None = None  # for whom alone, and until when
    drafts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """A submission of an answer, as the model keeps it."""

    id: str
    owner: str
    task_id: str
    at: float


@dataclass
class Work:
    """Tasks that answer one item. said: who answered, judged or skipped in this round. hands: who answered since it was
    opened. held: the answer that is on its way to the truth; made_of: all submissions that it comes from; drawn: the
    answers that its shapes come from; standing: where it is on it. truth_of, truth_drawn: the same of the truth;
    decided: the answer that alone is the truth, in this round; let_stand: QA's verdict that is part of it; gave_up: the
    skip that the work ended with."""

    seats: dict[str, Seat]
    answers: dict[str, str] = field(default_factory=dict)
    skips: set[str] = field(default_factory=set)
    for_experts: bool = False
    round: int = 0
    truths: int = 0
    adjudicated: bool = False
    judges: set[str] = field(default_factory=set)
    hands: set[str] = field(default_factory=set)
    firsts: list[Answer] = field(default_factory=list)
    returns: int = 0
    held: Answer | None = None
    made_of: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()
    standing: str = ""
    defect: bool | None = None
    void: bool = False
    truth_of: tuple[str, ...] = ()
    truth_drawn: tuple[str, ...] = ()
    decided: Answer | None = None
    let_stand: Answer | None = None
    gave_up: Answer | None = None

    @property
    def said(self) -> set[str]:
        return set(self.answers) | self.skips | self.judges

    def begin_round(self) -> None:
        self.answers, self.skips, self.judges, self.for_experts = {}, set(), set(), False
        self.firsts, self.held, self.standing, self.decided = [], None, "", None
        self.let_stand = self.gave_up = None
        self.round += 1

    def settle(self) -> None:
        """The held answer is the truth."""
        self.standing = "settled"
        self.truths += self.truth_of != self.made_of  # an earlier verdict may have made it the truth
        self.truth_of, self.truth_drawn = self.made_of, self.drawn
        self.decided = self.held if len(self.made_of) == 1 else None


@dataclass
class Golden:
    """A golden item in the hands of one person. shown: whose answer to it is to be judged, where it is a check. answer:
    what the person answered, which others may judge."""

    owner: str
    item: str
    shown: "Golden | None" = None
    seat: Seat = field(default_factory=Seat)
    told: Submission | None = None
    answer: str = ""

    @property
    def sound(self) -> bool:
        return MEANT[self.answer] == "here"


@dataclass
class Trust:
    """A person as who answers, or as who judges. checks: what is known of that. good: when one of them vouched for what
    came before it."""

    standing: Standing = Standing.QUALIFIED
    since: datetime = ALWAYS
    checks: list[Check] | list[JudgedCheck] = field(default_factory=list)
    good: list[float] = field(default_factory=list)

    @property
    def paused(self) -> bool:
        return self.standing is Standing.PAUSED


class QueueMachine(RuleBasedStateMachine):
    """Reviewers, some slow and some dead, and an operator, on one queue, in some projects with QA or lots, with golden
    items among the work, or with both; the clock is a number."""

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
        self.standings = Standings(store, self._now)
        self.golden: dict[str, Golden] = {}
        self.marked: tuple[str, ...] = ()
        self.answering = {name: Trust() for name in PEOPLE}
        self.judging = {name: Trust() for name in PEOPLE}
        self.to_redo: dict[str, tuple[str, int]] = {}  # by submission: work and round
        self.lot = ""
        self.verdict = ""  # of the lot
        self.by_hand = False  # an operator decided it
        self.order: list[str] = []  # of inspection
        self.works: dict[str, Work] = {}
        self.acknowledged: dict[str, Submission] = {}
        self.credited: set[tuple[str, str]] = set()

    def _entropy(self, size: int, /) -> bytes:
        return (next(self.entropy) % 256**size).to_bytes(size, "big")

    @initialize(
        people=st.sampled_from([1, 2, 3]),
        skips=st.sampled_from([1, 2]),
        experts=st.booleans(),
        most=st.sampled_from([None, 1, 2]),
        due=st.booleans(),
        qa=st.sampled_from([Qa.OFF, Qa.ALL, Qa.LOTS]),
        returns=st.sampled_from([0, 1, 3]),
        order=st.permutations(range(WORKS)),
        golden=st.booleans(),
        telling=st.booleans(),
        outvoting=st.booleans(),
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
        golden: bool,
        telling: bool,
        outvoting: bool,
    ) -> None:
        """telling: one golden item is enough for a standing. outvoting: of three people two settle what one sees
        otherwise; where golden items tell of people that rests on their figures, too, and all who differ are asked of
        another."""
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
        self.outvoting = outvoting and not golden
        quality = QualityPolicy(
            consensus=ConsensusRules(min_agreement=0.0 if self.outvoting else 1.0),
            golden=GoldenRules(rate=1.0),  # a draw would be another for each project, and a run not repeatable
            standing=QualityRules(bar=0.5, confidence=0.6, min_items=1 if telling else 100, window=100),
        )
        self.quality = quality
        policy = replace(project.policy, queue=self.rules, workflow=self.workflow, quality=quality)
        project = replace(project, policy=policy)
        with self.store.begin() as tx:
            tx.projects.add(project)
            tx.models.add(a_model(project_id=self.project))
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

    def _lease_if_any(self, name: str, count: int) -> list[Ticket]:
        """Asks only where something may be had: `lease` sees to it that nothing comes of nothing."""
        mine = any(self._holds(seat, name) for _, seat in self._everything())
        back = any(self._waits(one, name) for one in self.golden.values())
        alone = self._alone(name)
        free = any(self._free_for(work, name) for work in self.works.values())
        lapsing = any(seat.reserved and not seat.closed for _, seat in self._all_seats())
        return self._lease(name, count) if mine or back or alone or free or lapsing else []

    def _lease(self, name: str, count: int) -> list[Ticket]:
        """Brings what the person holds, then free tasks that the person may do, one of a work, the most urgent first,
        each under an epoch that was never given before, with the person's draft; as many as there are. Golden items
        stand in for some, each once for a person and for nobody else; who is paused gets them alone, and who is paused
        as a judge gets checks before other work."""
        self._free_lapsed()
        held = {task_id for task_id, seat in self._everything() if self._holds(seat, name)}
        room = max(count - len(held), 0)
        if self.rules.max_leases is not None:
            room = min(room, max(self.rules.max_leases - len(held), 0))
        free = [work_id for work_id in reversed(list(self.works)) if self._free_for(self.works[work_id], name)]
        leased = self.desk.lease(PEOPLE[name], self.project, count).assignments
        assert {one.task.id for one in leased[: min(len(held), count)]} <= held
        fresh = [one for one in leased if one.task.id not in held]
        if self.answering[name].paused:
            free = []
        back = [task_id for task_id, one in self.golden.items() if self._waits(one, name)]
        alone = self._alone(name)
        assert len(fresh) == min(room, len(back) + len(free) + len(alone))
        if alone:
            ahead = fresh[: len(back) + len(alone)]
            new = [one.task for one in ahead if one.task.id not in back]
            assert all(task.item_digest in alone and task.judges != self.answering[name].paused for task in new)
        self._golden_given([one for one in fresh if one.task.stage is Stage.GOLDEN], name, back, free)
        fresh = [one for one in fresh if one.task.stage is not Stage.GOLDEN]
        self._nothing_stands_in([one.task.id for one in fresh], name)
        as_made = not self.marked and not any(
            work.round or work.adjudicated or f"{work_id}-qa" in work.seats for work_id, work in self.works.items()
        )
        if not self.rules.due_seconds and as_made:
            assert [one.task.work_id for one in fresh] == free[: len(fresh)]
        for one in fresh:
            assert one.task.work_id in free
            assert one.task.id in self._free_for(self.works[one.task.work_id], name)
            seat = self.works[one.task.work_id].seats[one.task.id]
            self._given(Ticket(one.task.id, name, one.task.epoch), seat)
        for one in leased:
            self._shown(one)
            kept = self._seat(one.task.id).drafts.get(name)
            assert (one.draft.content["text"] if one.draft else None) == kept
        return [Ticket(one.task.id, name, one.task.epoch) for one in leased]

    def _golden_given(self, given: list[Assignment], name: str, back: list[str], free: list[str]) -> None:
        """Those that the person has not done come again; others stand in: answers to be judged for what QA is to look
        at, items to be answered for answers, nothing for adjudications."""
        new = [one for one in given if one.task.id not in back]
        stood_in = Counter(one.task.judges for one in new)
        open_ = [task_id for work_id in free for task_id in self._free_for(self.works[work_id], name)[:1]]
        alone = len(self._alone(name))
        paused = self.answering[name].paused
        judged = sum(task_id.endswith("-qa") for task_id in open_)
        assert stood_in[True] <= judged + (0 if paused else alone)
        assert stood_in[False] <= sum(not task_id.endswith(JUDGES) for task_id in open_) + (alone if paused else 0)
        for one in new:
            item = one.task.item_digest
            assert item in self._new_golden(name)
            self.golden[one.task.id] = Golden(name, item, self._to_judge(one, name) if one.task.judges else None)
        for one in given:
            self._given(Ticket(one.task.id, name, one.task.epoch), self.golden[one.task.id].seat)

    def _to_judge(self, one: Assignment, name: str) -> Golden:
        """What others answered, never the person's own."""
        (answer,) = one.answers
        (found,) = (other for other in self._judgeable(name, one.task.item_digest) if other.told.id == answer.id)
        return found

    def _judgeable(self, name: str, item: str) -> list[Golden]:
        return [one for one in self.golden.values() if one.item == item and one.owner != name and one.answer]

    def _nothing_stands_in(self, task_ids: list[str], name: str) -> None:
        """Here where all is drawn, other work is given only to who has had all that could stand in for it."""
        for task_id in task_ids:
            if task_id.endswith("-qa"):
                assert not self._new_checks(name)
            elif not task_id.endswith(JUDGES):
                assert not self._new_golden(name)

    def _alone(self, name: str) -> list[str]:
        """Golden items that come in the place of nothing: to be answered, or judged by who is paused as that."""
        if self.answering[name].paused:
            return self._new_golden(name)
        return self._new_checks(name) if self.judging[name].paused else []

    def _new_checks(self, name: str) -> list[str]:
        return [item for item in self._new_golden(name) if self._judgeable(name, item)]

    def _new_golden(self, name: str) -> list[str]:
        had = {one.item for one in self.golden.values() if one.owner == name}
        return [digest for digest in self.marked if digest not in had]

    def _shown(self, one: Assignment) -> None:
        """QA sees the one answer; who is to do it again sees what QA says. A golden item comes with neither, a check
        with the answer that is to be judged, the same whenever it comes."""
        judges = one.task.id.endswith("-qa")
        assert one.task.judges == judges
        if one.task.id in self.golden:
            shown = self.golden[one.task.id].shown
            expected = [(shown.told.id, PEOPLE[shown.owner].id, ANSWERS[shown.answer])] if shown else []
            assert [(answer.id, answer.reviewer, answer.shapes) for answer in one.answers] == expected
            assert judges == (shown is not None)
            assert one.returned is None
            return
        work = self._work(one.task.id)
        if judges:
            assert work.held
            assert [answer.reviewer for answer in one.answers] == [PEOPLE[work.held.owner].id]
            assert self._comes_from(one.answers[0].shapes, work.drawn)
        assert (one.returned is not None) == (work.returns > 0 and not judges)

    def _free_lapsed(self) -> None:
        if self.workflow.qa is Qa.OFF:
            return
        for _, seat in self._all_seats():
            if seat.reserved and not seat.closed and not self._is_live(seat):
                owner, until = seat.reserved
                if until <= self.seconds or self.answering[owner].paused:
                    seat.reserved = None

    def _given(self, ticket: Ticket, seat: Seat) -> None:
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
            for ticket in self._lease_if_any(name, 1):
                self._judge(ticket, judging, answer)
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
            for ticket in self._lease_if_any(name, 2):
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
            if ticket.task_id in self.golden:
                self._golden_told(ticket, sent[0])
                return
            self._acknowledge(ticket, sent[0])
            self._judged(ticket, sent[0])

    @rule(ticket=tickets)
    def give_back(self, ticket: Ticket) -> None:
        """QA has the author do the answer again, as often as the policy says; the work goes on in its next round."""
        if not ticket.task_id.endswith("-qa"):
            return
        who, check = PEOPLE[ticket.owner], ticket.task_id in self.golden
        returns = 0 if check else self._work(ticket.task_id).returns
        sent: list[Submission] = []

        def act() -> None:
            sent.append(self.desk.give_back(who, ticket.task_id, ticket.epoch, [("no", ())]))

        seat = self._seat(ticket.task_id)
        if seat.live == ticket and self._is_live(seat) and returns >= self.workflow.max_returns:
            with pytest.raises(Conflict):
                act()
            return
        if not self._act(ticket, act, repeats=(Outcome.RETURNED, None)):
            return
        if check:
            self._golden_told(ticket, sent[0])
            return
        self._acknowledge(ticket, sent[0])
        self._returned(ticket)

    def _returned(self, ticket: Ticket) -> None:
        work = self._work(ticket.task_id)
        assert work.held
        author, task_id = work.held.owner, work.held.task_id
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

    def _judged(self, ticket: Ticket, submission: Submission, correction: str = "") -> None:
        """A correction to what means the same finds no defect."""
        work = self._work(ticket.task_id)
        assert ticket.owner not in work.hands, "somebody judged an answer of their own"
        seat = work.seats[ticket.task_id]
        seat.live, seat.closed = None, True
        seat.drafts.clear()
        work.judges.add(ticket.owner)
        defect = bool(correction) and MEANT[correction] != MEANT[seat.shown[0]]
        if submission.outcome is Outcome.ACCEPTED:
            work.made_of = (*work.made_of, submission.id)
            work.let_stand = Answer(submission.id, ticket.owner, ticket.task_id, self.seconds)
        else:
            work.held = Answer(submission.id, ticket.owner, ticket.task_id, self.seconds)
            work.made_of, work.drawn = (submission.id,), (correction,)
        work.settle()
        work.defect = defect if work.defect is None else work.defect
        self._advance_lot()

    def _submit(self, ticket: Ticket, answer: str) -> None:
        """Who holds a live lease is heard, once; the same answer sent again is the same submission."""
        sent: list[Submission] = []

        def act() -> None:
            sent.append(self.desk.submit(PEOPLE[ticket.owner], ticket.task_id, ticket.epoch, ANSWERS[answer], ""))

        if self._act(ticket, act, repeats=(Outcome.SUBMITTED, ANSWERS[answer])):
            if ticket.task_id in self.golden:
                self._golden_told(ticket, sent[0], answer)
                return
            self._acknowledge(ticket, sent[0])
            self._answered(ticket, sent[0], answer)

    def _answered(self, ticket: Ticket, submission: Submission, answer: str) -> None:
        work = self._work(ticket.task_id)
        self.credited.add((PEOPLE[ticket.owner].id, _work_id(ticket.task_id)))
        if ticket.task_id.endswith("-qa"):
            self._judged(ticket, submission, answer)
            return
        seat = work.seats[ticket.task_id]
        seat.live, seat.closed, seat.reserved = None, True, None
        seat.drafts.clear()
        work.answers[ticket.owner] = answer
        work.hands.add(ticket.owner)
        given = Answer(submission.id, ticket.owner, ticket.task_id, self.seconds)
        work.firsts.append(given)
        if ticket.task_id.endswith("-adjudicate") or work.returns:
            self._complete(work, given, (answer,), [given])
        elif len(work.answers) == self.rules.people[Stage.ANNOTATE]:
            if drawn := self._settled(list(work.answers.values())):
                # The last to answer comes last, whatever the clock says.
                *before, last = work.firsts
                held = min(before, key=lambda one: one.at, default=last)
                self._complete(work, held, drawn, work.firsts)
            else:
                adjudication = work.seats.setdefault(f"{_work_id(ticket.task_id)}-adjudicate", Seat())
                adjudication.closed, adjudication.live, work.adjudicated = False, None, True
                work.for_experts = False
        self._advance_lot()

    def _settled(self, answers: list[str]) -> tuple[str, ...]:
        """Those that the shapes of their consensus come from; none where another has to decide."""
        sides = [tuple(one for one in answers if MEANT[one] == side) for side in ("here", "there")]
        larger, smaller = sorted(sides, key=len, reverse=True)
        outvoted = self.outvoting and len(larger) > len(smaller)
        return larger if outvoted or not smaller else ()

    def _complete(self, work: Work, held: Answer, drawn: tuple[str, ...], made_of: list[Answer]) -> None:
        """The work has its answer: QA looks at it, or it waits for its lot, or it is the truth."""
        work.held, work.drawn, work.made_of = held, drawn, tuple(one.id for one in made_of)
        lot = {"accepted": "settled", "rejected": "in_qa", "inspecting": "waiting"}.get(self.verdict)
        work.standing = "in_qa" if self.workflow.qa is Qa.ALL or work.returns else lot or "settled"
        if work.standing == "in_qa":
            self._call(work)
        elif work.standing == "settled":
            work.settle()

    def _call(self, work: Work) -> None:
        work.standing, work.decided = "in_qa", None
        name = f"{next(task_id for task_id in work.seats)}-qa"
        seat = work.seats.get(name)
        if seat is None:
            seat = work.seats[name] = Seat()
        elif seat.closed:
            seat.closed, seat.live, seat.given = False, None, seat.given + 1
        else:
            return
        seat.shown = work.drawn
        work.for_experts = False

    def _advance_lot(self) -> None:
        """One of the lot is looked at; all others follow it."""
        if self.verdict == "inspecting":
            works = [self.works[one] for one in self.order]
            counting = [work for work in works if not work.void or work.defect is not None]
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

    def _decide(self, verdict: str, *, by_hand: bool = False) -> None:
        self.verdict, self.by_hand = verdict, by_hand
        for work in self.works.values():
            if verdict == "accepted" and work.standing == "in_qa":
                work.standing = "recalled"
        if verdict == "rejected":
            self._withdraw()

    def _let_through(self, work: Work) -> None:
        judging = [seat for task_id, seat in work.seats.items() if task_id.endswith("-qa") and not seat.closed]
        if any(self._is_live(seat) for seat in judging):
            work.standing = "in_qa"
            return
        for seat in judging:
            seat.live, seat.closed, seat.given = None, True, seat.given + 1
        work.settle()

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
        self._decide(verdict, by_hand=True)
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
        if ticket.task_id in self.golden:
            self._end_golden(ticket, sent[0])
            return
        self._acknowledge(ticket, sent[0])
        work = self._work(ticket.task_id)
        seat = work.seats[ticket.task_id]
        work.skips.add(ticket.owner)
        seat.live = None
        seat.drafts.pop(ticket.owner, None)
        if seat.reserved:
            seat.reserved = (seat.reserved[0], seat.leased_at)
        self._skipped(work, Answer(sent[0].id, ticket.owner, ticket.task_id, self.seconds))
        self._advance_lot()

    def _skipped(self, work: Work, skip: Answer) -> None:
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
        work.gave_up = skip

    @rule(ticket=tickets, doing=st.sampled_from(["lease", "submit", "accept", "skip"]))
    def die(self, ticket: Ticket, doing: str) -> None:
        """Killed between the writes and the commit: nothing was acknowledged, nothing may remain."""
        who = PEOPLE[ticket.owner]
        self.mortal.dying = True
        with suppress(_Killed, Conflict):
            if doing == "lease":
                self.desk.lease(who, self.project, 2)
            elif doing == "submit":
                self.desk.submit(who, ticket.task_id, ticket.epoch, ANSWERS["here"], "")
            elif doing == "accept":
                self.desk.accept(who, ticket.task_id, ticket.epoch)
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
        # An adjudication or a QA that nobody needs any more is neither answered nor skipped.
        if not any(seat.closed for task_id, seat in work.seats.items() if not task_id.endswith(JUDGES)):
            with pytest.raises(Conflict):
                self.oversight.reopen_task(OPERATOR, work_id)
            return
        self.oversight.reopen_task(OPERATOR, work_id)
        self._reopened(work)

    def _reopened(self, work: Work) -> None:
        for task_id, seat in work.seats.items():
            judges = task_id.endswith(JUDGES)
            seat.live, seat.closed, seat.given, seat.reserved = None, judges, seat.given + 1, None
        work.begin_round()
        work.hands, work.returns, work.void = set(), 0, False

    @rule(name=st.sampled_from(sorted(PEOPLE)), judging=st.booleans(), at_work=st.booleans())
    def pause(self, name: str, judging: bool, at_work: bool = False) -> None:
        """What the person holds goes back, but for golden items; what they alone decided since their last good golden
        item is to be done anew, and what would be the truth with its lot; what they let stand in QA is to be looked at
        again, and what they gave up is to be asked for again. judging: as a judge; they go on to answer, and all that
        is so of QA alone, since the last wrong answer that they caught. at_work: with something in hand."""
        held = self._lease_if_any(name, 3) if at_work else []
        self._stand(name, Standing.PAUSED, judging=judging)
        for ticket in held:
            self.heartbeat(ticket)

    def _stand(self, name: str, standing: Standing, *, judging: bool) -> None:
        given = {"judging": standing} if judging else {"standing": standing}
        self.standings.change(OPERATOR, self.project, PEOPLE[name].id, reason="as seen", **given)
        self._moved(name, standing, judging=judging)

    def _paused(self, name: str, *, judging: bool) -> None:
        def concerned(task_id: str) -> bool:
            return task_id.endswith("-qa") or not judging

        for task_id, seat in self._all_seats():
            if self._holds(seat, name) and concerned(task_id):
                seat.live = None
        good = (self.judging if judging else self.answering)[name].good
        trusted_until = max((at for at in good if at <= self.seconds), default=-math.inf)
        for work_id, work in self.works.items():
            for one in (work.decided or self._waits_for_verdict(work), work.let_stand, work.gave_up):
                mine = one and one.owner == name and concerned(one.task_id)
                if mine and trusted_until < one.at <= self.seconds:
                    self.to_redo[one.id] = (work_id, work.round)

    @rule(
        target=tickets,
        data=st.data(),
        names=st.permutations(sorted(PEOPLE)),
        answers=st.lists(st.sampled_from(sorted(ANSWERS)), min_size=2, max_size=len(PEOPLE)),
        judging=st.sampled_from(["accept", "correct"]),
        as_judge=st.booleans(),
        at_once=st.booleans(),
    )
    def pause_who_decided(
        self, data: st.DataObject, names: list[str], answers: list[str], judging: str, as_judge: bool, at_once: bool
    ) -> MultipleResults[Ticket]:
        """People work, and one is paused whose answer alone is a truth, or who let one stand."""
        done = self.some_work(names, answers, judging)
        said = [one for work in self.works.values() for one in (work.decided, work.let_stand) if one]
        deciders = sorted({one.owner for one in said})
        if deciders:
            self.pause(data.draw(st.sampled_from(deciders)), as_judge)
        if at_once:
            self.redo()
        return done

    @rule(target=tickets, name=st.sampled_from(sorted(PEOPLE)), at_once=st.booleans())
    def err_and_be_found_out(self, name: str, at_once: bool) -> MultipleResults[Ticket]:
        """Somebody has golden items in hand, decides what else there is, and then answers the golden ones wrongly:
        where they tell, that person is paused."""
        held = {ticket.task_id: ticket for _ in range(2) for ticket in self._lease_if_any(name, 3)}
        for ticket in sorted(held.values(), key=lambda one: one.task_id in self.golden):
            self.seconds += 1.0  # what counts is younger than a warning
            if ticket.task_id.endswith("-qa"):
                self.accept(ticket)
            else:
                self._submit(ticket, "there")
        if at_once:
            self.redo()
        return multiple(*held.values())

    @precondition(lambda self: self.marked and self.workflow.qa is not Qa.OFF)
    @rule(
        target=tickets,
        names=st.permutations(sorted(PEOPLE)),
        answers=st.lists(st.sampled_from(sorted(ANSWERS)), min_size=2, max_size=2),
        lets_stand=st.booleans(),
        checks_last=st.booleans(),
        paused=st.booleans(),
        at_once=st.booleans(),
    )
    def judge_and_be_found_out(
        self, names: list[str], answers: list[str], lets_stand: bool, checks_last: bool, paused: bool, at_once: bool
    ) -> MultipleResults[Ticket]:
        """Some answer what there is, golden items too; another, who had fewest of these, lets stand what QA is to look
        at, and before or after that judges the checks that came with it. Where they tell, who was warned and lets all
        stand is paused as a judge; who returns what is wrong is trusted in what came before. paused: then, by an
        operator."""
        *authors, judge = sorted(names, key=lambda name: len(self._new_golden(name)))
        done = self._answer_all(authors[: self.rules.people[Stage.ANNOTATE]], itertools.cycle(answers))
        if lets_stand:
            self._stand(judge, Standing.WARNED, judging=True)
        held = {ticket.task_id: ticket for _ in range(2) for ticket in self._lease_if_any(judge, 3)}
        for ticket in sorted(held.values(), key=lambda one: (one.task_id in self.golden) is checks_last):
            self.seconds += 1.0  # what counts is younger than a warning
            one = self.golden.get(ticket.task_id)
            wrong = one is not None and one.shown is not None and not one.shown.sound
            self._judge(ticket, "return" if wrong and not lets_stand else "accept", "here")
        if paused:
            self.pause(judge, judging=True)
        if at_once:
            self.redo()
        return multiple(*done, *held.values())

    def _answer_all(self, names: list[str], answers: Iterator[str]) -> list[Ticket]:
        """answers: to golden items."""
        done: list[Ticket] = []
        for name in [name for name in names for _ in range(2)]:
            for ticket in self._lease_if_any(name, 3):
                self.seconds += 1.0
                self._submit(ticket, next(answers) if ticket.task_id in self.golden else "here")
                done.append(ticket)
        return done

    def _judge(self, ticket: Ticket, judging: str, answer: str) -> None:
        """Or answer, where there is nothing to be judged."""
        if judging == "accept" and ticket.task_id.endswith("-qa"):
            self.accept(ticket)
        elif judging == "return" and ticket.task_id.endswith("-qa"):
            self.give_back(ticket)
        else:
            self._submit(ticket, answer)

    @rule(names=st.lists(st.sampled_from(sorted(PEOPLE)), min_size=1, unique=True))
    def qualify(self, names: list[str]) -> None:
        for name in names:
            for judging in (False, True):
                self._stand(name, Standing.QUALIFIED, judging=judging)

    @rule()
    def redo(self) -> None:
        """What was opened or decided anew meanwhile is left alone."""
        while self.standings.redo():  # also what is left of other projects
            pass
        for submission_id, (work_id, round_) in sorted(self.to_redo.items()):  # as they are done
            work = self.works[work_id]
            if work.round != round_:
                continue
            if work.let_stand and work.let_stand.id == submission_id:
                self._look_again(work)
                continue
            if work.gave_up and work.gave_up.id == submission_id:
                self._reopened(work)
                continue
            waits = self._waits_for_verdict(work)
            looked_at = any(task_id.endswith("-qa") and self._is_live(seat) for task_id, seat in work.seats.items())
            will_be = waits is not None and waits.id == submission_id and not looked_at
            if submission_id in work.truth_of or will_be:
                self._reopened(work)
        self.to_redo.clear()
        if self.lot:  # as the background does
            self.lots.advance(self.lot)
            self._advance_lot()

    def _look_again(self, work: Work) -> None:
        """The truth stays until another has judged; the lot that was accepted by that verdict waits for it too."""
        assert work.let_stand
        work.made_of = tuple(one for one in work.made_of if one != work.let_stand.id)
        work.let_stand = None
        if work.defect is False:
            work.defect = None
            if self.verdict == "accepted" and not self.by_hand:
                self.verdict = "inspecting"
                self._withdraw()
        self._call(work)

    def _withdraw(self) -> None:
        """What QA has not looked at waits for the verdict."""
        for work in self.works.values():
            if work.standing == "settled" and work.defect is None:
                work.standing = "waiting"

    def _waits_for_verdict(self, work: Work) -> Answer | None:
        """The answer that alone will be the truth with its lot."""
        waits = work.standing in ("waiting", "recalled") and self.verdict != "rejected"
        return work.held if waits and len(work.made_of) == 1 else None

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
        than were asked for answered; each truth is there, of its answers; a person's credit for a work is one. What was
        answered to golden items is no answer to an item, and no truth. Each is trusted as is known of them."""
        if not self.works:
            return
        with self.store.read() as tx:
            kept = [one for n in range(WORKS) for one in tx.submissions.of_item(self.project, an_item(n).digest)]
            truths = [tx.truths.current(self.project, an_item(n).digest) for n in range(WORKS)]
            for digest in self.marked:
                assert tx.submissions.of_item(self.project, digest) == []
                assert tx.truths.current(self.project, digest) is None
            for judging, trusts in ((False, self.answering), (True, self.judging)):
                for name, trust in trusts.items():
                    known = tx.standings.get(self.project, PEOPLE[name].id, judging=judging)
                    assert trust.standing is (known.standing if known else Standing.QUALIFIED)
        assert {one.id for one in kept} == set(self.acknowledged)
        said = Counter((one.work_id, one.round, one.reviewer) for one in kept)
        assert not said or max(said.values()) == 1
        answered = Counter(
            (one.work_id, one.round)
            for one in kept
            if one.outcome is Outcome.SUBMITTED and not one.task_id.endswith(JUDGES)
        )
        asked = self.rules.people[Stage.ANNOTATE]
        assert all(answers <= asked for answers in answered.values())
        assert [truth.version if truth else 0 for truth in truths] == [work.truths for work in self.works.values()]
        made_of = [set(truth.submission_ids) if truth else set() for truth in truths]
        assert made_of == [set(work.truth_of) for work in self.works.values()]
        for truth, work in zip(truths, self.works.values(), strict=True):
            assert truth is None or self._comes_from(truth.shapes, work.truth_drawn)
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
        told = (*self.acknowledged.values(), *(one.told for one in self.golden.values() if one.told))
        return next((one for one in told if (one.task_id, one.epoch) == mine), None)

    def _end_golden(self, ticket: Ticket, submission: Submission) -> None:
        one = self.golden[ticket.task_id]
        one.told, one.seat.live, one.seat.closed = submission, None, True
        one.seat.drafts.clear()

    def _golden_told(self, ticket: Ticket, submission: Submission, answer: str = "") -> None:
        """What golden items do to a standing follows at once, with all that follows from that: answers to that as who
        answers, verdicts to that as who judges. answer: with which the verdict corrects, where it is one."""
        one, name = self.golden[ticket.task_id], ticket.owner
        self._end_golden(ticket, submission)
        if one.shown:
            trust, decide = self.judging[name], judging_after
            check = JudgedCheck(self._now(), one.shown.sound, self._comes_right(one.shown, submission.outcome, answer))
            vouches = check.right and not check.sound
        else:
            one.answer = answer
            trust, decide = self.answering[name], standing_after
            iou = self.quality.consensus.iou
            check = Check(self._now(), scored(ANSWERS[answer], ANSWERS["here"], a_project().recipe, iou=iou))
            vouches = one.sound
        trust.checks.append(check)
        if vouches:
            trust.good.append(self.seconds)
        after = decide(trust.standing, trust.checks, since=trust.since, rules=self.quality.standing).standing
        if after is not trust.standing:
            self._moved(name, after, judging=one.shown is not None)

    def _comes_right(self, shown: Golden, outcome: Outcome, answer: str) -> bool:
        """Whether a right answer stands in the end, or a wrong one goes back."""
        return {Outcome.ACCEPTED: shown.sound, Outcome.RETURNED: not shown.sound}.get(
            outcome, MEANT.get(answer) == "here"
        )

    def _moved(self, name: str, standing: Standing, *, judging: bool) -> None:
        trust = (self.judging if judging else self.answering)[name]
        trust.standing, trust.since = standing, self._now()
        if trust.paused:
            self._paused(name, judging=judging)

    def _waits(self, one: Golden, name: str) -> bool:
        return one.owner == name and not one.seat.closed and not self._is_live(one.seat)

    def _comes_from(self, shapes: Sequence[Shape], drawn: tuple[str, ...]) -> bool:
        """The very answer where all drew the same; else a mean, of people of whom nothing is known the usual one."""
        boxes = np.array([ANSWERS[name][0].box for name in drawn])
        if len(set(drawn)) == 1:
            return tuple(shapes) == ANSWERS[drawn[0]]
        (shape,) = shapes
        usual = np.allclose(shape.box, boxes.mean(axis=0))
        low, high = boxes.min(axis=0), boxes.max(axis=0)
        between = np.where(low < high, (low < shape.box) & (shape.box < high), np.isclose(shape.box, low)).all()
        return bool(between and (usual or self.marked) and shape == Shape("seven", shape.box))

    def _free_for(self, work: Work, name: str) -> list[str]:
        """Tasks of the work of which the person may get one; a paused judge none that judges."""
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
            and not (task_id.endswith("-qa") and (name in work.hands or self.judging[name].paused))
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


@pytest.mark.timeout(300 + 3 * max(RUNS.values()))
def test_the_queue_keeps_its_promises_in_any_order_of_events(
    staffed: SqlStore, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most one live lease per task; a stale epoch never succeeds; what was acknowledged is there, once; of the
    people that are asked for, each answers once, and no other does. Leases, heartbeats, drafts, waits, answers, skips,
    releases, kills, deadlines, QA, rework, lots, golden items, pauses and re-openings in any order."""
    database = request.node.callspec.params["databases"]
    # A person's own order rests on ids, which no two runs share; by age the same steps have the same effects.
    monkeypatch.setattr("loop.review.golden.golden_order", lambda _secret, _reviewer, name: name)
    run_state_machine_as_test(
        lambda: QueueMachine(staffed),  # type: ignore[arg-type]  # any factory will do
        settings=settings(
            max_examples=RUNS[database],
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # a failure shows its steps at once; shrinking over a database takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
