"""The order of the review queue: who is before whom, when a deadline passes, whose turn it is.

The urgency of a task, in points, grows with time at one rate for all tasks of a policy:

    urgency(t) = risk_weight * risk + stage boost + source boost
               + age_weight * (t - created) / horizon
               + deadline_weight * (1 - (due - t) / horizon)          (not due: as if due a horizon after its creation)

Of two tasks, the one that is more urgent now is so at any time. So the order is kept as a number that never changes:
`rank`, the moment of creation moved back by a head start, which is the points at creation in seconds of waiting. The
smallest rank is the most urgent. In seconds, tasks of policies with other weights still compare. A head start is at
most all weights together, so that nothing waits behind what was made later than that.

A task that a caller waits for is before all of those, whatever their weights, by its deadline. It keeps its usual rank
beside, and goes back to it when the deadline has passed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from loop.domain.policy.queue_rules import Lane, QueueRules
from loop.domain.review.tasks import ADJUDICATION_SEAT, QA_SEAT, Task, Urgency
from loop.domain.stage import Stage

# Seconds. Further back than all weights together can move a task (checked_rules: five times 1000 points of at most
# 3.2e11 seconds), and of a size at which a float still tells deadlines half a second apart.
_BEFORE_ALL = 2.0**52


def head_start(rules: QueueRules, *, risk: float, stage: Stage, source: str, allotted: float | None) -> float:
    """Seconds, at least 0. risk: in [0, 1]. allotted: seconds from its creation to its due time; None: not due."""
    near = 0.0 if allotted is None else max(1 - allotted / rules.horizon_seconds, 0.0)
    points = (
        rules.risk_weight * risk
        + rules.stage_boosts.get(stage, 0.0)
        + rules.source_boosts.get(source, 0.0)
        + rules.deadline_weight * near
    )
    return points * rules.seconds_of_a_point


def placed(task: Task, rules: QueueRules, labels: Iterable[str], *, begins: datetime) -> Task:
    """The task with its place in the queue, its deadline from `begins` on, and who may do it. labels: that the model
    proposes."""
    allotted = rules.due_seconds.get(task.stage)
    due = None if allotted is None else begins + timedelta(seconds=allotted)
    start = head_start(rules, risk=task.priority, stage=task.stage, source=task.source, allotted=allotted)
    present = frozenset(labels)
    skills = tuple(rule.skill for rule in rules.skills if rule.applies(task.stage, task.source, present))
    lane = Lane(task.stage, rules.stage_groups.get(task.stage, ()), skills)
    return replace(task, rank=begins.timestamp() - start, lane=lane.key, due_at=due, alarm_at=due)


def seats(draft: Task, rules: QueueRules, labels: Iterable[str], *, several: bool) -> tuple[Task, ...]:
    """All tasks of a work, of which `draft` is the first. several: whether as many people as the stage asks for."""
    people = rules.people.get(draft.stage, 1) if several else 1
    first = replace(placed(draft, rules, labels, begins=draft.created_at), people=people)
    more = (replace(first, id=f"{first.id}-{seat}", work_id=first.id, seat=seat) for seat in range(2, people + 1))
    return (first, *more)


def awaited(task: Task, *, answer_by: datetime, start_by: datetime) -> Task:
    """The task before all that no caller waits for. start_by: after that it is not handed out until `answer_by`."""
    return replace(
        task,
        rank=answer_by.timestamp() - _BEFORE_ALL,
        usual_rank=task.rank if task.usual_rank is None else task.usual_rank,
        answer_by=answer_by,
        start_by=start_by,
    )


def awaited_like(task: Task, of: Task, now: datetime) -> Task:
    """The next task of a work, which is in the hurry of the one before while its caller waits still."""
    if of.answer_by is None or of.start_by is None or of.answer_by <= now:
        return task
    return awaited(task, answer_by=of.answer_by, start_by=of.start_by)


def awaited_first(tasks: Iterable[Task]) -> list[Task]:
    """Those that a caller waits for by their deadlines, then the others in their order."""
    known = list(tasks)
    waited = sorted((task.answer_by, number) for number, task in enumerate(known) if task.answer_by is not None)
    return [*(known[number] for _, number in waited), *(task for task in known if task.answer_by is None)]


def adjudication(of: Task, rules: QueueRules, labels: Iterable[str], *, now: datetime) -> Task:
    """The task of who decides between the answers to the work of `of`."""
    task = placed(_judging(of, Stage.ADJUDICATE, ADJUDICATION_SEAT, now), rules, labels, begins=now)
    return awaited_like(task, of, now)


def quality_task(of: Task, rules: QueueRules, labels: Iterable[str], *, now: datetime) -> Task:
    """The task of who looks at the answer to the work of `of`."""
    return awaited_like(placed(_judging(of, Stage.QA, QA_SEAT, now), rules, labels, begins=now), of, now)


def _judging(of: Task, stage: Stage, seat: int, now: datetime) -> Task:
    return Task(
        id=f"{of.work_id}-{stage}",
        work_id=of.work_id,
        seat=seat,
        stage=stage,
        project_id=of.project_id,
        item_digest=of.item_digest,
        prediction_id=of.prediction_id,
        priority=of.priority,
        policy_version=of.policy_version,
        recipe_version=of.recipe_version,
        created_at=now,
        source=of.source,
        people=of.people,
        round=of.round,
        begun=of.begun,
        lot_id=of.lot_id,
    )


def alarmed(task: Task, rules: QueueRules, now: datetime) -> Task:
    """A task whose alarm has come: overdue, with a head start for it, or, later, in the hands of the escalation group.

    A task that nobody looked at for long may be due for both; it gets them one after the other. After the last there
    is no alarm.
    """
    if task.alarm_at is None or task.alarm_at > now or task.due_at is None or task.finished:
        return task
    if task.urgency is Urgency.ORDINARY:
        later = rules.escalate_after_seconds
        return replace(
            _moved(task, rules.overdue_weight * rules.seconds_of_a_point),
            urgency=Urgency.OVERDUE,
            alarm_at=None if later is None else task.due_at + timedelta(seconds=later),
        )
    if task.urgency is Urgency.OVERDUE and rules.escalation_group:
        lane = Lane(task.stage, groups=(rules.escalation_group,))
        return replace(task, urgency=Urgency.ESCALATED, lane=lane.key, alarm_at=None, reserved_until=None)
    return replace(task, alarm_at=None)


def _moved(task: Task, seconds: float) -> Task:
    """By so much more urgent among those that no caller waits for."""
    if task.usual_rank is not None:
        return replace(task, usual_rank=task.usual_rank - seconds)
    return replace(task, rank=task.rank - seconds)


def in_turn(window: Sequence[Task], recent: Mapping[str, int], shares: Mapping[str, float]) -> list[Task]:
    """`window`, which is in the order of urgency, so that the sources get their shares: next is always the source that
    was handed out least, as a part of its share, and its most urgent task. recent: how often each was handed out
    lately. Ties go to the more urgent task.
    """
    queues: dict[str, list[Task]] = {}
    for task in reversed(window):
        queues.setdefault(task.source, []).append(task)
    place = {task.id: number for number, task in enumerate(window)}
    given = dict(recent)
    ordered: list[Task] = []
    while queues:
        source = min(queues, key=lambda s: (given.get(s, 0) / shares.get(s, 1.0), place[queues[s][-1].id]))
        ordered.append(queues[source].pop())
        given[source] = given.get(source, 0) + 1
        if not queues[source]:
            del queues[source]
    return ordered


def one_of_each_work(tasks: Iterable[Task]) -> list[Task]:
    """The first task of each work: one person does not get two seats of it."""
    found: dict[str, Task] = {}
    for task in tasks:
        found.setdefault(task.work_id, task)
    return list(found.values())
