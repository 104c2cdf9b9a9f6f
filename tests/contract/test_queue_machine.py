"""The review queue under any order of events: a model of the promises, run against the store."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from loop.domain import review
from loop.domain.errors import AlreadySubmitted, Conflict, StaleLease
from loop.domain.ports import Transaction
from loop.domain.review import Outcome, Task, TaskState
from loop.domain.stage import Stage
from loop.store.database import SqlStore
from tests.contract.records import NOW, a_submission, a_task, furnish

LEASE_SECONDS = 60
TASKS = 3
OWNERS = ("ada", "bob")
CLOSED = (TaskState.DONE, TaskState.SKIPPED)


@dataclass(frozen=True)
class Ticket:
    """What a client remembers of a lease that it got."""

    task_id: str
    owner: str
    epoch: int


@dataclass
class Known:
    """What the promises say about one task, kept without looking into the store."""

    live: Ticket | None = None
    expires: float = 0.0
    acknowledged: str | None = None  # submission id


class _Killed(Exception):
    """The process died before its transaction ended."""


class QueueMachine(RuleBasedStateMachine):
    """Reviewers, some slow and some dead, on one queue; the clock is a number."""

    tickets: Bundle[Ticket] = Bundle("tickets")
    projects = count()

    def __init__(self, store: SqlStore) -> None:
        super().__init__()
        self.store = store
        self.project = f"queue-{next(self.projects)}"
        self.seconds = 0.0
        self.numbers = count()
        self.known: dict[str, Known] = {}
        self.epochs: dict[str, int] = {}  # the highest that was given out

    @initialize()
    def fill(self) -> None:
        furnish(self.store, project_id=self.project)
        with self.store.begin() as tx:
            for number in range(TASKS):
                task = a_task(number, project_id=self.project, priority=number / TASKS)
                tx.tasks.add(task)
                self.known[task.id] = Known()
                self.epochs[task.id] = 0

    @rule(target=tickets, owner=st.sampled_from(OWNERS), limit=st.integers(1, 2))
    def lease(self, owner: str, limit: int) -> MultipleResults[Ticket]:
        """Gives exactly the most urgent tasks that nobody holds, each under an epoch that was never given before."""
        expected = [task_id for task_id in reversed(list(self.known)) if self._is_free(task_id)][:limit]
        now = self._now()
        with self.store.begin() as tx:
            free = tx.tasks.take_leasable(self.project, stages=tuple(Stage), now=now, limit=limit)
            leased = [review.leased(task, owner=owner, now=now, seconds=LEASE_SECONDS) for task in free]
            for task in leased:
                tx.tasks.save(task)
        assert [task.id for task in leased] == expected
        return multiple(*(self._given(Ticket(task.id, owner, task.epoch)) for task in leased))

    def _given(self, ticket: Ticket) -> Ticket:
        assert ticket.epoch > self.epochs[ticket.task_id]
        self.epochs[ticket.task_id] = ticket.epoch
        self.known[ticket.task_id].live = ticket
        self.known[ticket.task_id].expires = self.seconds + LEASE_SECONDS
        return ticket

    @rule(ticket=tickets)
    def heartbeat(self, ticket: Ticket) -> None:
        def act(tx: Transaction, task: Task) -> None:
            owner, epoch, now = ticket.owner, ticket.epoch, self._now()
            tx.tasks.save(review.renewed(task, owner=owner, epoch=epoch, now=now, seconds=LEASE_SECONDS))

        if self._act(ticket, act):
            self.known[ticket.task_id].expires = self.seconds + LEASE_SECONDS

    @rule(ticket=tickets)
    def release(self, ticket: Ticket) -> None:
        def act(tx: Transaction, task: Task) -> None:
            tx.tasks.save(review.released(task, owner=ticket.owner, epoch=ticket.epoch, now=self._now()))

        if self._act(ticket, act):
            self.known[ticket.task_id].live = None

    @rule(ticket=tickets, outcome=st.sampled_from(Outcome))
    def close(self, ticket: Ticket, outcome: Outcome) -> None:
        """Submit or skip; what was acknowledged is written down outside of the store."""
        submission_id = f"sub_{self.project}_{next(self.numbers)}"
        if self._act(ticket, self._closing(ticket, outcome, submission_id)):
            known = self.known[ticket.task_id]
            known.live, known.acknowledged = None, submission_id

    @rule(ticket=tickets, outcome=st.sampled_from(Outcome))
    def die_while_closing(self, ticket: Ticket, outcome: Outcome) -> None:
        """Killed between the writes and the commit: nothing was acknowledged, nothing may remain."""
        closing = self._closing(ticket, outcome, f"sub_{self.project}_{next(self.numbers)}")

        def act(tx: Transaction, task: Task) -> None:
            closing(tx, task)
            raise _Killed

        with suppress(_Killed):
            self._act(ticket, act)

    @rule(ticket=consumes(tickets))
    def reviewer_is_gone(self, ticket: Ticket) -> None:
        """A client that never comes back; its task returns when the lease runs out."""

    @rule(ticket=tickets)
    def save_without_reading(self, ticket: Ticket) -> None:
        """A client that saves what it remembers, unread, is held off by the fence of the statement itself."""
        known = self.known[ticket.task_id]
        with self.store.read() as tx:
            task = tx.tasks.get(ticket.task_id)
        remembered = replace(
            task, state=TaskState.LEASED, owner=ticket.owner, epoch=ticket.epoch, expires_at=self._now()
        )
        refused: type[Exception] | None = None
        try:
            with self.store.begin() as tx:
                tx.tasks.save(remembered)
                raise _Killed  # whether it is let through is the question, not what it would leave
        except (AlreadySubmitted, StaleLease) as error:
            refused = type(error)
        except _Killed:
            pass
        overtaken = ticket.epoch < self.epochs[ticket.task_id]
        assert refused is (AlreadySubmitted if known.acknowledged else StaleLease if overtaken else None)

    @precondition(lambda self: any(known.acknowledged for known in self.known.values()))
    @rule(data=st.data())
    def answer_again(self, data: st.DataObject) -> None:
        """A second submission of a task is refused by the table itself."""
        answered = [task_id for task_id, known in self.known.items() if known.acknowledged]
        task_id = data.draw(st.sampled_from(answered))
        with pytest.raises(AlreadySubmitted), self.store.begin() as tx:
            tx.submissions.add(replace(a_submission(tx.tasks.get(task_id)), id=f"sub_{self.project}_again"))

    @rule(seconds=st.sampled_from([1.0, LEASE_SECONDS / 2, LEASE_SECONDS - 1e-6, LEASE_SECONDS, 1000.0]))
    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    @invariant()
    def the_store_agrees(self) -> None:
        """Every acknowledged answer is there and no other; who holds what, and the counts, are as promised."""
        with self.store.read() as tx:
            answers = {answer.task_id: answer.id for answer in tx.submissions.page(self.project, after=None, limit=99)}
            closed = [task_id for task_id in self.known if tx.tasks.get(task_id).state in CLOSED]
            held = {owner: tx.tasks.held_by(self.project, owner, self._now()) for owner in OWNERS}
            counts = tx.tasks.counts(self.project, self._now())
        assert answers == {task_id: known.acknowledged for task_id, known in self.known.items() if known.acknowledged}
        assert closed == [task_id for task_id in self.known if task_id in answers]
        assert {task.id: owner for owner, tasks in held.items() for task in tasks} == self._holders()
        assert counts[TaskState.OPEN] == sum(self._is_free(task_id) for task_id in self.known)
        assert sum(counts.values()) == len(self.known)

    def _act(self, ticket: Ticket, act: Callable[[Transaction, Task], None]) -> bool:
        """Do it under the ticket; True where it was let through, which must be while its lease is live."""
        known = self.known[ticket.task_id]
        live = known.live == ticket and self.seconds < known.expires
        try:
            with self.store.begin() as tx:
                act(tx, tx.tasks.for_update(ticket.task_id))
        except Conflict as error:
            assert not live, f"the holder of a live lease was refused: {error}"
            assert isinstance(error, AlreadySubmitted if known.acknowledged else StaleLease)
            return False
        except _Killed:
            assert live
            raise
        assert live, "a stale lease was accepted"
        return True

    def _closing(self, ticket: Ticket, outcome: Outcome, submission_id: str) -> Callable[[Transaction, Task], None]:
        def act(tx: Transaction, task: Task) -> None:
            closed = review.closed(task, owner=ticket.owner, epoch=ticket.epoch, now=self._now(), outcome=outcome)
            tx.submissions.add(replace(a_submission(task), id=submission_id, outcome=outcome))
            tx.tasks.save(closed)

        return act

    def _holders(self) -> dict[str, str]:
        return {
            task_id: known.live.owner
            for task_id, known in self.known.items()
            if known.live is not None and self.seconds < known.expires
        }

    def _is_free(self, task_id: str) -> bool:
        known = self.known[task_id]
        return known.acknowledged is None and (known.live is None or self.seconds >= known.expires)

    def _now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)


def test_the_queue_keeps_its_promises_in_any_order_of_events(store: SqlStore) -> None:
    """At most one live lease per task; a stale epoch never succeeds; one submission per task; what was
    acknowledged is there. Leases, heartbeats, waits, answers, releases and kills in any order."""
    run_state_machine_as_test(
        lambda: QueueMachine(store),  # type: ignore[arg-type]  # any factory will do
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # a failure shows its steps at once; shrinking over a database takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
