"""Which tasks a person gets, and what each brings along."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loop.domain.item import Item
from loop.domain.items.clips import FrameView
from loop.domain.policy.queue_rules import Lane, lane_of
from loop.domain.policy.workflow import Proposals, Qa
from loop.domain.ports import Queue, Transaction
from loop.domain.prediction import Detection
from loop.domain.project import Project
from loop.domain.quality.settling import Merged
from loop.domain.review.people import Person
from loop.domain.review.queueing import awaited_first, in_turn
from loop.domain.review.tasks import Draft, Submission, Task
from loop.domain.routing import hides_proposal
from loop.domain.stage import Stage
from loop.review import qa
from loop.review.answers import given
from loop.review.proposals import prediction_shown, proposal_of, recipe_of
from loop.review.settling import merged_for
from loop.review.subjects import item_of, proposed_frames

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


def assignment(tx: Transaction, project: Project, task: Task, draft: Draft | None) -> Assignment:
    """A task that somebody holds, in the words of the recipe that it was made with."""
    recipe = recipe_of(tx, project, task)
    hidden = task.proposal_shown is False or project.policy.workflow.proposals is Proposals.HIDDEN
    item = item_of(tx, task)
    proposal = () if hidden else proposal_of(tx, task, recipe)
    frames = proposed_frames(tx, task, recipe, hidden=hidden)
    answers: tuple[Submission, ...] = ()
    merged = None
    if task.stage is Stage.ADJUDICATE:
        said = tx.submissions.of_work(task.work_id)
        answers = tuple(one for one in given(said) if one.round == task.begun and one.task_id != task.id)
        merged = merged_for(tx, task, recipe)
    elif task.judges:
        shown = qa.shown(tx, task)
        answers = (replace(shown, shapes=recipe.translated(shown.shapes)),)
    seconds = project.policy.lease_seconds
    return Assignment(task, item, proposal, seconds, answers, draft, frames, qa.objection(tx, task), merged)


def drawn(tx: Transaction, secret: bytes, project: Project, task: Task) -> Task:
    """At its first lease, with whether the lot hides the prediction, where there is one: it stays so, whoever gets it
    later."""
    first = task.epoch == 1 and task.proposal_shown is None
    if not (first and project.policy.queue.blind_share) or task.stage is Stage.ADJUDICATE:
        return task
    if prediction_shown(tx, task) is None:
        return task
    return replace(task, proposal_shown=not hides_proposal(secret, task.id, project.policy))


def next_tasks(
    tx: Transaction, project: Project, person: Person, now: datetime, count: int, *, judges: bool, kept: bool
) -> list[Task]:
    """`count` tasks for this person, locked: the most urgent, or the next of each source in turn. Where others take
    what was looked at, looks at more. judges: whether the person gets answers to look at. kept: whether anything is
    meant for this person."""
    if count == 0:
        return []
    rules = project.policy.queue
    queues = tx.tasks.queues(project.id, by_source=rules.fair_sources)
    open_to_me = [queue for queue in queues if _may_do(person, lane_of(queue.lane), judges=judges)]
    if count == 1 and len(open_to_me) == 1 and not rules.fair_sources and project.policy.workflow.qa is Qa.OFF:
        # Nothing to merge, and no second seat of a work: look and lock are one statement.
        return tx.tasks.take_first(project.id, open_to_me[0].lane, person=person.token_id, now=now)
    spare = _SPARE if tx.tasks.contended else 0
    while True:
        window = _window(tx, project, open_to_me, person, now, count + spare, judges=judges, kept=kept)
        taken = tx.tasks.take(window, now=now, limit=count)
        if len(taken) == count or len(window) < count + spare or spare > 64 * _SPARE:
            return taken
        spare = max(8 * spare, _SPARE)


def _may_do(person: Person, lane: Lane, *, judges: bool) -> bool:
    return person.may_do(lane) and (judges or lane.stage is not Stage.QA)


def _window(
    tx: Transaction,
    project: Project,
    queues: Sequence[Queue],
    person: Person,
    now: datetime,
    limit: int,
    *,
    judges: bool,
    kept: bool,
) -> list[Task]:
    """At most `limit` tasks, in the order in which they are to be taken; what is meant for this person comes first."""
    rules = project.policy.queue
    mine: list[Task] = []
    if kept:
        meant = tx.tasks.meant_for(project.id, person=person.token_id, now=now, limit=limit)
        mine = [task for task in meant if _may_do(person, lane_of(task.lane), judges=judges)]
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
