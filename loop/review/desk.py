"""What reviewers do: lease, heartbeat, draft, submit, skip, accept, return, release. Each is one transaction."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loop.domain import review
from loop.domain.access import Permission, Token, require
from loop.domain.clips import FrameView
from loop.domain.corrections import corrections
from loop.domain.efforts import effort_of
from loop.domain.errors import AlreadySubmitted, Conflict, Invalid, PayloadTooLarge
from loop.domain.events import task_created, told_of
from loop.domain.identity import digest_of, new_id
from loop.domain.item import Item
from loop.domain.people import Person, allowance, tasks_a_day
from loop.domain.ports import Clock, Entropy, Event, Queue, Store, Transaction
from loop.domain.prediction import Detection
from loop.domain.project import Project
from loop.domain.qa import AnswerStanding, checked_issues, require_other, require_qa, require_returnable
from loop.domain.queue_rules import QueueRules, lane_of
from loop.domain.queueing import adjudication, awaited_first, awaited_like, in_turn, placed
from loop.domain.recipe import Recipe
from loop.domain.review import ADJUDICATION_SEAT, Draft, Outcome, Submission, Task
from loop.domain.routing import hides_proposal
from loop.domain.rules import Issue, require_no_errors
from loop.domain.settling import Merged
from loop.domain.stage import Stage
from loop.domain.truth import Shape, shape_to_json
from loop.domain.workflow import Proposals, Qa
from loop.review import qa
from loop.review.escalation import sound_alarms
from loop.review.golden import closed as golden_closed
from loop.review.golden import handing
from loop.review.golden import told as golden_told
from loop.review.lots import Lots
from loop.review.proposals import labels_proposed, prediction_shown
from loop.review.settling import merged_for, settle
from loop.review.subjects import add_truth, proposed_frames, subject_of

MAX_DRAFT_BYTES = 1_000_000  # of JSON; holds the 5,000 shapes of the largest answer
_MOST_COUNTED = 1000
_ALARMS_AT_LEASE = 20  # a lease should not pay for what nobody looked at for days
_SPARE = 4  # tasks looked at beyond those asked for: others may take some meanwhile
_REMEMBERED = 200  # tasks handed out, by which the turns of sources go


@dataclass(frozen=True, slots=True)
class Assignment:
    """A task in a reviewer's hands with what is needed to work on it. answers: between which an adjudication decides,
    oldest first; that which QA looks at. draft: what the reviewer had of it before. frames: of a task of a clip, which
    `item` is the first of; None for all other work. returned: what QA says of the answer that is to be done again.
    merged: what the answers come to."""

    task: Task
    item: Item
    proposal: tuple[Detection, ...]
    lease_seconds: int
    answers: tuple[Submission, ...] = ()
    draft: Draft | None = None
    frames: tuple[FrameView, ...] | None = None
    returned: Submission | None = None
    merged: Merged | None = None


@dataclass(frozen=True, slots=True)
class Leased:
    """open: tasks that nobody holds, counted up to 1000; in tens, rounded up, where golden items are among other work,
    since handing one out leaves the exact number as it was. why: what kept the reviewer from more, or what is said of
    the own standing; "" for nothing."""

    assignments: list[Assignment]
    open: int
    why: str


# What the Python functions of a task's recipe find in an answer; `loop.review.checking.Checking.function_issues`.
FunctionIssues = Callable[[Token, str, Sequence[Shape]], tuple[Issue, ...]]


def _no_functions(token: Token, task_id: str, shapes: Sequence[Shape]) -> tuple[Issue, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What a person says of a task under an epoch, and with it closes it. found: by the recipe's Python functions in
    the shapes. objections: what QA says of the answer that it returns. active_seconds, held_by: as of `submit`."""

    task_id: str
    epoch: int
    outcome: Outcome
    shapes: tuple[Shape, ...] = ()
    note: str = ""
    found: tuple[Issue, ...] = ()
    objections: Sequence[tuple[str, Sequence[str]]] = ()
    active_seconds: float | None = None
    held_by: str | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """The reviewers' side of the queue."""

    store: Store
    clock: Clock
    entropy: Entropy
    function_issues: FunctionIssues = _no_functions

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
            if project.policy.workflow.qa is not Qa.OFF:
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
                free = golden.mixed(_taken(tx, project, person, now, allowed.tasks), allowed.tasks)
            taken = [
                drawn(
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
                _told_open(tx.tasks.count_open(project_id, now, at_most=_MOST_COUNTED), exact=not golden.mixes),
                allowed.why or golden.why(len(tasks)),
            )

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
        said = _Said(
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
        said = _Said(
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
        return self._close(token, _Said(task_id=task_id, epoch=epoch, outcome=Outcome.ACCEPTED, note=note))

    def give_back(
        self, token: Token, task_id: str, epoch: int, issues: Sequence[tuple[str, Sequence[str]]], note: str = ""
    ) -> Submission:
        """Of a QA task: its author is to do the answer again. issues: messages with the shapes concerned, as ids or
        "#3". Raises Invalid where nothing is said, Conflict for other tasks, and where it came back often enough."""
        said = _Said(task_id=task_id, epoch=epoch, outcome=Outcome.RETURNED, note=note, objections=tuple(issues))
        return self._close(token, said)

    def _close(self, token: Token, said: _Said) -> Submission:
        submission, lot_id = self._closed(token, said)
        if lot_id is not None:
            Lots(self.store, self.clock).try_advance(lot_id)
        return submission

    def _closed(self, token: Token, said: _Said) -> tuple[Submission, str | None]:
        """Also gives the lot that may have something to do now."""
        content = _content_digest(said)
        secret = self.store.secret()  # before the transaction: the first who asks writes it
        with self.store.begin() as tx:
            work = tx.tasks.work_for_update(said.task_id)
            task = next(one for one in work if one.id == said.task_id)
            require(token, Permission.REVIEW, task.project_id)
            golden = task.stage is Stage.GOLDEN
            before = tx.golden.said(task.id) if golden else tx.submissions.of_work(task.work_id)
            if earlier := [one for one in before if (one.task_id, one.epoch) == (task.id, said.epoch)]:
                same = _same_or_conflict(earlier[0], token, said.epoch, content)
                return (golden_told(tx, tx.projects.get(task.project_id), same) if golden else same), None
            now = self.clock()
            task = _in_hand(task, token, said, now)
            closed = review.closed(task, owner=token.id, epoch=said.epoch, now=now, outcome=said.outcome)
            project = tx.projects.get(task.project_id)
            shapes, issues = _judged(tx, project, task, said)
            submission = self._submission(tx, token, said, task, project, content, shapes, issues, now)
            if golden:
                return golden_closed(tx, project, submission, closed), None
            of_round = [one for one in before if one.round == task.round]
            _require_new(of_round, submission)
            require_other(task, before, token.id)
            # Of several people's answers the first ones hold nothing yet that a lot could be judged by.
            last = said.outcome is not Outcome.SUBMITTED or _is_last(task, of_round)
            if said.outcome is Outcome.SKIPPED:
                submission = _skipped(tx, submission, work, task, of_round, project.policy.queue)
            elif said.outcome is Outcome.RETURNED:
                submission = _returned(tx, submission, work, closed, project)
            else:
                submission = _submitted(tx, submission, work, closed, of_round, project, secret, last=last)
            tx.efforts.add(effort_of(submission, task))
            return submission, task.lot_id if last else None

    def _submission(
        self,
        tx: Transaction,
        token: Token,
        said: _Said,
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
            corrections=_corrected(tx, task, project, shapes, said.outcome),
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


def drawn(secret: bytes, project: Project, task: Task) -> Task:
    """At its first lease, with whether the lot hides the prediction: it stays so, whoever gets it later."""
    first = task.epoch == 1 and task.proposal_shown is None
    if not (first and project.policy.queue.blind_share and task.prediction_id) or task.stage is Stage.ADJUDICATE:
        return task
    return replace(task, proposal_shown=not hides_proposal(secret, task.id, project.policy))


def _in_hand(task: Task, token: Token, said: _Said, now: datetime) -> Task:
    """As whoever answers holds it; where another token leased it for them, it is theirs from now on."""
    if said.held_by is None:
        return task
    return review.handed_over(
        task, holder=said.held_by, owner=token.id, epoch=said.epoch, now=now, seconds=said.active_seconds
    )


def _judged(tx: Transaction, project: Project, task: Task, said: _Said) -> tuple[tuple[Shape, ...], tuple[Issue, ...]]:
    """What is kept of an answer, and what was found in it; of QA that which it accepts or returns, as it was shown, and
    its objections. Raises RulesBroken, Conflict where QA may not, Invalid where it says nothing."""
    if said.outcome is Outcome.SKIPPED:
        return (), ()
    recipe = _recipe_of(tx, project, task)
    if said.outcome is Outcome.SUBMITTED:
        judged = subject_of(tx, task).judged(recipe, said.shapes)
        issues = (*judged.issues(recipe), *said.found)
        require_no_errors(issues)
        return judged.kept, issues
    require_qa(task, said.outcome)
    if said.outcome is Outcome.RETURNED:
        require_returnable(task, project.policy.workflow.max_returns)
    shapes = recipe.translated(tx.held_answers.get(task.work_id).shapes)
    return shapes, checked_issues(said.objections, said.note, shapes) if said.outcome is Outcome.RETURNED else ()


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


def _taken(tx: Transaction, project: Project, person: Person, now: datetime, count: int) -> list[Task]:
    """`count` tasks for this person, locked: the most urgent, or the next of each source in turn. Where others take
    what was looked at, looks at more."""
    if count == 0:
        return []
    rules = project.policy.queue
    queues = tx.tasks.queues(project.id, by_source=rules.fair_sources)
    open_to_me = [queue for queue in queues if person.may_do(lane_of(queue.lane))]
    spare = _SPARE if tx.tasks.contended else 0
    while True:
        window = _window(tx, project, open_to_me, person, now, count + spare)
        taken = tx.tasks.take(window, now=now, limit=count)
        if len(taken) == count or len(window) < count + spare or spare > 64 * _SPARE:
            return taken
        spare = max(8 * spare, _SPARE)


def _window(
    tx: Transaction, project: Project, queues: Sequence[Queue], person: Person, now: datetime, limit: int
) -> list[Task]:
    """At most `limit` tasks, in the order in which they are to be taken; what is meant for this person comes first."""
    rules = project.policy.queue
    mine: list[Task] = []
    if project.policy.workflow.qa is not Qa.OFF:
        meant = tx.tasks.meant_for(project.id, person=person.token_id, now=now, limit=limit)
        mine = [task for task in meant if person.may_do(lane_of(task.lane))]
    found = [
        task
        for queue in queues
        for task in tx.tasks.leasable(project.id, queue, person=person.token_id, now=now, limit=limit)
    ]
    window = sorted(found, key=lambda task: (task.rank, task.created_at, task.id))
    if rules.fair_sources:
        window = in_turn(window, tx.tasks.handed_out(project.id, limit=_REMEMBERED), rules.source_shares)
    ids = {task.id for task in mine}
    return awaited_first([*mine, *(task for task in window if task.id not in ids)])[:limit]


def assignment(tx: Transaction, project: Project, task: Task, draft: Draft | None) -> Assignment:
    recipe = _recipe_of(tx, project, task)
    hidden = task.proposal_shown is False or project.policy.workflow.proposals is Proposals.HIDDEN
    proposal = () if hidden else _proposal(tx, task, recipe)
    frames = proposed_frames(tx, task, recipe, hidden=hidden)
    answers: tuple[Submission, ...] = ()
    merged = None
    if task.stage is Stage.ADJUDICATE:
        said = tx.submissions.of_work(task.work_id)
        answers = tuple(one for one in _answers(said) if one.round == task.begun and one.task_id != task.id)
        merged = merged_for(tx, task, recipe)
    elif task.stage is Stage.QA:
        shown = qa.shown(tx, task)
        answers = (replace(shown, shapes=recipe.translated(shown.shapes)),)
    item = tx.items.get(task.project_id, task.item_digest)
    seconds = project.policy.lease_seconds
    return Assignment(task, item, proposal, seconds, answers, draft, frames, qa.objection(tx, task), merged)


def _answers(submissions: Sequence[Submission]) -> list[Submission]:
    return [one for one in submissions if one.outcome is Outcome.SUBMITTED]


def _require_new(earlier: Sequence[Submission], submission: Submission) -> None:
    """One person has one say on a work, even where it holds two of its tasks."""
    mine = [one for one in earlier if one.reviewer == submission.reviewer]
    if mine:
        raise Conflict(
            f"you have had your say on this item with submission {mine[0].id}.",
            hint="Release this task: another person must do it.",
            task=submission.task_id,
            submission=mine[0].id,
        )


def _submitted(
    tx: Transaction,
    submission: Submission,
    work: Sequence[Task],
    closed: Task,
    earlier: Sequence[Submission],
    project: Project,
    secret: bytes,
    *,
    last: bool,
) -> Submission:
    """last: whether the work waits for no answer more."""
    alone = _decides_alone(closed)
    answers = [submission] if alone else [*_answers(earlier), submission]
    settlement = None if alone or not last else settle(tx, project, closed, answers)
    shapes = submission.shapes if alone else settlement.shapes if settlement else None
    standing = AnswerStanding.WAITING if shapes is None else qa.standing_of(tx, closed, project.policy.workflow, secret)
    settled = standing is AnswerStanding.SETTLED
    submission = replace(submission, settles=settled)
    tx.submissions.add(submission)
    tx.tasks.save(closed)
    tx.drafts.drop(closed.id, None)
    if shapes is not None:
        made_of = [one.id for one in answers]
        if closed.stage is Stage.QA:
            made_of = [*qa.judged(tx, project, submission), *made_of]
        else:
            qa.keep(tx, project, closed, answers, shapes, standing, submission.created_at)
        if settled:
            item, now = submission.item_digest, submission.created_at
            add_truth(tx, closed, qa.next_truth(tx, submission.project_id, item, shapes, made_of, now))
    elif settlement is not None:
        _call_adjudicator(tx, work, closed, project.policy.queue, submission.created_at)
    tx.events.add(_closed_event(submission, closed, settles=settled))
    return submission


def _decides_alone(task: Task) -> bool:
    return task.decides_alone or task.people == 1


def _is_last(task: Task, earlier: Sequence[Submission]) -> bool:
    """Whether an answer to the task is the last that its work waits for. earlier: all that was said in its round."""
    return _decides_alone(task) or len(_answers(earlier)) + 1 >= task.people


def _returned(
    tx: Transaction, submission: Submission, work: Sequence[Task], closed: Task, project: Project
) -> Submission:
    tx.submissions.add(submission)
    tx.tasks.save(closed)
    tx.drafts.drop(closed.id, None)
    author = qa.returned(tx, project, work, closed, submission.created_at)
    tx.events.add(_closed_event(submission, closed, author=author, settles=False))
    return submission


def _skipped(
    tx: Transaction,
    submission: Submission,
    work: Sequence[Task],
    task: Task,
    earlier: Sequence[Submission],
    rules: QueueRules,
) -> Submission:
    tx.submissions.add(submission)
    skips = sum(one.outcome is Outcome.SKIPPED for one in earlier) + 1
    changed = review.after_skip(work, task, skips=skips, rules=rules)
    for one in changed:
        tx.tasks.save(one)
        if one.finished:
            tx.drafts.drop(one.id, None)
    tx.drafts.drop(task.id, submission.reviewer)
    closed = any(one.finished for one in changed)
    if closed:
        qa.ended(tx, task)
    tx.events.add(_closed_event(submission, task, closed=closed, with_experts=any(t.with_experts for t in changed)))
    return submission


def _call_adjudicator(tx: Transaction, work: Sequence[Task], task: Task, rules: QueueRules, now: datetime) -> None:
    """The answers differ: one task, for somebody who gave none of them."""
    labels = labels_proposed(tx, task)
    earlier = [one for one in work if one.seat == ADJUDICATION_SEAT]
    if earlier:
        called = awaited_like(placed(review.called(earlier[0]), rules, labels, begins=now), task, now)
        tx.tasks.reopen(called)
    else:
        called = adjudication(task, rules, labels, now=now)
        tx.tasks.add(called)
    tx.events.announce([task_created(called, "service")])


def _recipe_of(tx: Transaction, project: Project, task: Task) -> Recipe:
    """Read only where it is an older one."""
    if task.recipe_version == project.recipe.version:
        return project.recipe
    return tx.projects.recipe(task.project_id, task.recipe_version)


def _proposal(tx: Transaction, task: Task, recipe: Recipe) -> tuple[Detection, ...]:
    """What the model said, in the words of a recipe."""
    prediction_id = prediction_shown(tx, task)
    if prediction_id is None:
        return ()
    return recipe.proposed(tx.predictions.detections(task.project_id, prediction_id))


def _content_digest(said: _Said) -> str:
    content: list[object] = [said.outcome, [_content(shape) for shape in said.shapes], said.note]
    if said.objections:
        content.append([[message, list(concerned)] for message, concerned in said.objections])
    return digest_of(json.dumps(content).encode())


def _content(shape: Shape) -> object:
    """A plain labelled box as answers were digested when there was nothing else."""
    document = shape_to_json(shape)
    return [shape.label, *shape.box] if set(document) == {"label", "box"} else document


def _same_or_conflict(earlier: Submission, token: Token, epoch: int, content: str) -> Submission:
    if (earlier.reviewer, earlier.epoch, earlier.content_digest) == (token.id, epoch, content):
        return earlier
    raise AlreadySubmitted(
        f"task {earlier.task_id} was answered by submission {earlier.id}.",
        hint="Answers are never overwritten; lease the next task.",
        task=earlier.task_id,
        submission=earlier.id,
    )


def _corrected(
    tx: Transaction, task: Task, project: Project, shapes: tuple[Shape, ...], outcome: Outcome
) -> Mapping[str, int]:
    """By the newest recipe: a label that is gone counts neither as found nor as missed."""
    if outcome in (Outcome.SKIPPED, Outcome.RETURNED) or prediction_shown(tx, task) is None:
        return {}
    detections, truth = _proposal(tx, task, project.recipe), project.recipe.translated(shapes)
    return {error.value: n for error, n in corrections(detections, truth, iou=project.policy.failure_iou).items()}


def _closed_event(submission: Submission, task: Task, **more: object) -> Event:
    return Event(
        kind=f"task.{submission.outcome}",
        project_id=submission.project_id,
        actor=submission.reviewer,
        body=told_of(submission, task, **more),
        at=submission.created_at,
    )
