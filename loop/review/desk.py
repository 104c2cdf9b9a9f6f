"""What reviewers do: lease, heartbeat, draft, submit, skip, accept, return, release. Each is one transaction."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from loop.domain.access import Permission, Token, require
from loop.domain.errors import Invalid, PayloadTooLarge
from loop.domain.identity import new_id
from loop.domain.policy.workflow import Qa
from loop.domain.ports import NOTHING_KEPT, Clock, Entropy, Store, Transaction
from loop.domain.project import Project
from loop.domain.recipes.rules import Issue
from loop.domain.review import tasks as review
from loop.domain.review.efforts import effort_of
from loop.domain.review.people import Person, allowance, tasks_a_day
from loop.domain.review.qa import require_other
from loop.domain.review.queueing import awaited_first
from loop.domain.review.tasks import Draft, Outcome, Submission, Task
from loop.domain.stage import Stage
from loop.domain.truth import Shape
from loop.review import qa
from loop.review.answers import (
    Said,
    content_digest,
    corrected,
    in_hand,
    is_last,
    judged,
    require_new,
    returned,
    same_or_conflict,
    skipped,
    submitted,
)
from loop.review.assignments import Assignment, assignment, drawn, next_tasks
from loop.review.escalation import sound_alarms
from loop.review.golden import closed as golden_closed
from loop.review.golden import handing
from loop.review.golden import told as golden_told
from loop.review.lots import Lots, stirs

MAX_DRAFT_BYTES = 1_000_000  # of JSON; holds the 5,000 shapes of the largest answer
_MOST_COUNTED = 1000
_STILL_MANY = timedelta(seconds=1)  # counting so many takes the database longer than all else that a lease reads
_ALARMS_AT_LEASE = 20  # a lease should not pay for what nobody looked at for days


@dataclass(frozen=True, slots=True)
class Leased:
    """open: tasks that nobody holds, counted up to 1000, and while there are so many once a second; in tens, rounded
    up, where golden items are among other work, since handing one out leaves the exact number as it was. why: what kept
    the reviewer from more, or what is said of the own standing; "" for nothing."""

    assignments: list[Assignment]
    open: int
    why: str


# What the Python functions of a task's recipe find in an answer; `loop.review.checking.Checking.function_issues`.
FunctionIssues = Callable[[Token, str, Sequence[Shape]], tuple[Issue, ...]]


def _no_functions(token: Token, task_id: str, shapes: Sequence[Shape]) -> tuple[Issue, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Desk:
    """The reviewers' side of the queue."""

    store: Store
    clock: Clock
    entropy: Entropy
    function_issues: FunctionIssues = _no_functions
    _many: dict[str, datetime] = field(default_factory=dict, repr=False)  # when so many were counted, by project

    def lease(self, token: Token, project_id: str, count: int) -> Leased:
        """Up to `count` tasks that this reviewer may do, most urgent first.

        Tasks that the reviewer holds already come first, under their present epoch, so that a reloaded page
        goes on where it was; before them those that a caller waits for.
        """
        now = self.clock()
        secret = self.store.secret()  # before the transaction: the first time it may have one of its own
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            if project.policy.queue.due_seconds:  # what is due by an earlier policy is left to the background
                sound_alarms(tx, project, now, _ALARMS_AT_LEASE)
            kept = tx.tasks.kept_for(project_id, token.id) if project.policy.workflow.qa is not Qa.OFF else NOTHING_KEPT
            if kept.for_a_time:
                qa.free_lapsed(tx, now, project)
            person = tx.people.for_update(token.id)
            held = tx.tasks.held_by(project_id, token.id, now)
            allowed = allowance(
                person,
                project.policy.queue,
                wanted=max(count - len(held), 0),
                held=len(held),
                answered_today=_answered_today(tx, person, project, now),
            )
            golden = handing(tx, project, person, held, secret, now, self.entropy)
            if golden.standing.waits:
                free = golden.alone(allowed.tasks)
            else:
                judges = not golden.judging.waits
                ordinary = next_tasks(tx, project, person, now, allowed.tasks, judges=judges, kept=kept.for_person)
                free = golden.mixed(ordinary, allowed.tasks)
            taken = [
                drawn(
                    tx,
                    secret,
                    project,
                    review.leased(task, owner=token.id, now=now, seconds=project.policy.lease_seconds),
                )
                for task in free
            ]
            for task in taken:
                tx.tasks.save(task)
            tasks = awaited_first(held[:count] + taken)
            # A first lease finds no draft.
            drafts = tx.drafts.of([task.id for task in held[:count] + [t for t in taken if t.epoch > 1]], token.id)
            return Leased(
                [assignment(tx, project, task, drafts.get(task.id)) for task in tasks],
                _told_open(self._open(tx, project_id, now), exact=not golden.mixes),
                allowed.why or golden.why(len(tasks)),
            )

    def _open(self, tx: Transaction, project_id: str, now: datetime) -> int:
        counted = self._many.get(project_id)
        if counted is not None and counted <= now < counted + _STILL_MANY:
            return _MOST_COUNTED
        count = tx.tasks.count_open(project_id, now, at_most=_MOST_COUNTED)
        if count == _MOST_COUNTED:
            self._many[project_id] = now
        return count

    def heartbeat(self, token: Token, task_id: str, epoch: int) -> Task:
        now = self.clock()
        with self.store.begin() as tx:
            task = self._mine(tx, token, task_id)
            seconds = tx.projects.get(task.project_id).policy.lease_seconds
            task = review.renewed(task, owner=token.id, epoch=epoch, now=now, seconds=seconds)
            tx.tasks.save(task)
            return task

    def release(self, token: Token, task_id: str, epoch: int) -> None:
        now = self.clock()
        with self.store.begin() as tx:
            task = self._mine(tx, token, task_id)
            tx.tasks.save(review.released(task, owner=token.id, epoch=epoch, now=now))

    def draft(self, token: Token, task_id: str, epoch: int, content: Mapping[str, object]) -> Draft:
        """Keep what the reviewer has so far; every later lease of the task by the same person brings it.

        Raises StaleLease, PayloadTooLarge.
        """
        size = len(_json_of(content, task_id))
        if size > MAX_DRAFT_BYTES:
            raise PayloadTooLarge(
                f"the draft has {size:,} bytes of JSON; {MAX_DRAFT_BYTES:,} are kept.",
                hint="Send the shapes and the note only.",
                task=task_id,
            )
        now = self.clock()
        with self.store.begin() as tx:
            task = self._mine(tx, token, task_id)
            review.require_live(task, token.id, epoch, now)
            kept = Draft(task_id=task_id, reviewer=token.id, epoch=epoch, content=content, saved_at=now)
            tx.drafts.save(kept)
            return kept

    def submit(
        self,
        token: Token,
        task_id: str,
        epoch: int,
        shapes: Sequence[Shape],
        note: str,
        *,
        active_seconds: float | None = None,
        held_by: str | None = None,
    ) -> Submission:
        """An answer; with those of all people that the policy asks for, it becomes ground truth. Sending the same
        answer again gives the same submission back.

        It is judged by the recipe that the task was made with. active_seconds: as of Submission, at least 0; it counts
        up to the time of the lease. held_by: who leased the task for whoever answers; None: `token` itself. Raises
        UnknownLabel, BadShape, RulesBroken.
        """
        said = Said(
            task_id=task_id,
            epoch=epoch,
            outcome=Outcome.SUBMITTED,
            shapes=tuple(shapes),
            note=note,
            found=self.function_issues(token, task_id, shapes),  # before the transaction: they may take their time
            active_seconds=active_seconds,
            held_by=held_by,
        )
        return self._close(token, said)

    def skip(
        self,
        token: Token,
        task_id: str,
        epoch: int,
        reason: str,
        *,
        active_seconds: float | None = None,
        held_by: str | None = None,
    ) -> Submission:
        """The reviewer cannot say; the reason is kept, and others get the task, as the policy says."""
        said = Said(
            task_id=task_id,
            epoch=epoch,
            outcome=Outcome.SKIPPED,
            note=reason,
            active_seconds=active_seconds,
            held_by=held_by,
        )
        return self._close(token, said)

    def accept(self, token: Token, task_id: str, epoch: int, note: str = "") -> Submission:
        """Of a QA task: the answer stands, and becomes ground truth. Raises Conflict for other tasks."""
        return self._close(token, Said(task_id=task_id, epoch=epoch, outcome=Outcome.ACCEPTED, note=note))

    def give_back(
        self, token: Token, task_id: str, epoch: int, issues: Sequence[tuple[str, Sequence[str]]], note: str = ""
    ) -> Submission:
        """Of a QA task: its author is to do the answer again. issues: messages with the shapes concerned, as ids or
        "#3". Raises Invalid where nothing is said, Conflict for other tasks, and where it came back often enough."""
        said = Said(task_id=task_id, epoch=epoch, outcome=Outcome.RETURNED, note=note, objections=tuple(issues))
        return self._close(token, said)

    def _close(self, token: Token, said: Said) -> Submission:
        submission, lot_id = self._closed(token, said)
        if lot_id is not None:
            Lots(self.store, self.clock).answered(lot_id)
        return submission

    def _closed(self, token: Token, said: Said) -> tuple[Submission, str | None]:
        """Also gives the lot that may have something to do now."""
        content = content_digest(said)
        secret = self.store.secret()  # before the transaction: the first who asks writes it
        with self.store.begin() as tx:
            work = tx.tasks.work_for_update(said.task_id)
            task = next(one for one in work if one.id == said.task_id)
            require(token, Permission.REVIEW, task.project_id)
            golden = task.stage is Stage.GOLDEN
            before = tx.golden.said(task.id) if golden else tx.submissions.of_work(task.work_id)
            if earlier := [one for one in before if (one.task_id, one.epoch) == (task.id, said.epoch)]:
                same = same_or_conflict(earlier[0], token, said.epoch, content)
                return (golden_told(tx, tx.projects.get(task.project_id), same) if golden else same), None
            now = self.clock()
            task = in_hand(task, token, said, now)
            closed = review.closed(task, owner=token.id, epoch=said.epoch, now=now, outcome=said.outcome)
            project = tx.projects.get(task.project_id)
            shapes, issues = judged(tx, project, task, said)
            submission = self._submission(tx, token, said, task, project, content, shapes, issues, now)
            if golden:
                return golden_closed(tx, project, submission, closed), None
            of_round = [one for one in before if one.round == task.round]
            require_new(of_round, submission)
            require_other(task, before, token.id)
            # Of several people's answers the first ones hold nothing yet that a lot could be judged by.
            last = said.outcome is not Outcome.SUBMITTED or is_last(task, of_round)
            if said.outcome is Outcome.SKIPPED:
                submission = skipped(tx, submission, work, task, of_round, project.policy.queue)
            elif said.outcome is Outcome.RETURNED:
                submission = returned(tx, submission, work, closed, project)
            else:
                submission = submitted(tx, submission, work, closed, of_round, project, secret, last=last)
            tx.efforts.add(effort_of(submission, task))
            # What waits says nothing of its lot; whatever else ends a work does.
            waits = said.outcome is Outcome.SUBMITTED and task.stage is not Stage.QA
            return submission, task.lot_id if last and (not waits or stirs(tx, task, now)) else None

    def _submission(
        self,
        tx: Transaction,
        token: Token,
        said: Said,
        task: Task,
        project: Project,
        content: str,
        shapes: tuple[Shape, ...],
        issues: tuple[Issue, ...],
        now: datetime,
    ) -> Submission:
        """shapes, issues: as they are kept."""
        held = max((now - (task.leased_at or now)).total_seconds(), 0.0)  # the clock may go back
        return Submission(
            id=new_id("sub", now, self.entropy(10)),
            task_id=task.id,
            project_id=task.project_id,
            item_digest=task.item_digest,
            reviewer=token.id,
            epoch=said.epoch,
            outcome=said.outcome,
            shapes=shapes,
            note=said.note,
            content_digest=content,
            corrections=corrected(tx, task, project, shapes, said.outcome),
            seconds=held,
            created_at=now,
            issues=issues,
            work_id=task.work_id,
            round=task.round,
            settles=False,
            active_seconds=None if said.active_seconds is None else min(said.active_seconds, held),
            proposal_shown=task.proposal_shown,
        )

    def _mine(self, tx: Transaction, token: Token, task_id: str) -> Task:
        task = tx.tasks.for_update(task_id)
        require(token, Permission.REVIEW, task.project_id)
        return task


def _json_of(content: Mapping[str, object], task_id: str) -> bytes:
    try:
        return json.dumps(content, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Invalid(
            f"the draft cannot be kept as JSON ({error}).",
            hint="Send finite numbers and whole characters.",
            task=task_id,
        ) from error


def _answered_today(tx: Transaction, person: Person, project: Project, now: datetime) -> int:
    """Read only where it matters."""
    if tasks_a_day(person, project.policy.queue) is None:
        return 0
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    kinds = (tx.submissions, tx.golden)
    return sum(kind.count_since(project.id, person.token_id, midnight) for kind in kinds)


def _told_open(count: int, *, exact: bool) -> int:
    return count if exact else min(-(-count // 10) * 10, _MOST_COUNTED)
