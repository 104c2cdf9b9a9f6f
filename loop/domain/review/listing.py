"""The queue as operators look at it: which tasks, in which order, and from where a page goes on."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from loop.domain.errors import Invalid
from loop.domain.policy.queue_rules import Lane
from loop.domain.review.people import Person
from loop.domain.review.tasks import Task, TaskState, Urgency, is_leasable
from loop.domain.stage import Stage

_BETWEEN = "~"  # in no id and no number


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskQuery:
    """What all must hold; None and False: whatever it is. state None: unfinished, held or not. holder: the id of a
    token, or its name; of what is finished, who did it. overdue: also escalated. group: one that may do it; skill: that
    it needs. nobody: who may review there has the groups and skills for it."""

    state: TaskState | None = None
    stage: Stage | None = None
    holder: str | None = None
    overdue: bool = False
    escalated: bool = False
    group: str | None = None
    skill: str | None = None
    nobody: bool = False

    @property
    def of_finished(self) -> bool:
        return self.state in (TaskState.DONE, TaskState.SKIPPED)

    @property
    def of_held(self) -> bool:
        return self.state is TaskState.LEASED or (self.holder is not None and not self.of_finished)

    @property
    def by_lane(self) -> bool:
        """Whether it asks who may do a task."""
        return self.stage is not None or self.group is not None or self.skill is not None or self.nobody

    @property
    def urgencies(self) -> tuple[Urgency, ...] | None:
        """None: of whatever urgency."""
        if self.escalated:
            return (Urgency.ESCALATED,)
        return (Urgency.OVERDUE, Urgency.ESCALATED) if self.overdue else None

    def wants(self, lane: Lane, people: Iterable[Person]) -> bool:
        """people: all who may review there."""
        return (
            self.stage in (None, lane.stage)
            and (self.group is None or self.group in lane.groups)
            and (self.skill is None or self.skill in lane.skills)
            and not (self.nobody and somebody_may(lane, people))
        )


@dataclass(frozen=True, slots=True)
class Waiting:
    """A place in the order of the queue: behind the task with these."""

    rank: float
    created_at: datetime
    task_id: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A place among finished tasks, the last handed out first: behind the task with these."""

    leased_at: datetime
    task_id: str


def checked_query(query: TaskQuery) -> TaskQuery:
    """Raises Invalid for what nothing can meet, or no index finds."""
    if query.holder is not None and query.state is TaskState.OPEN:
        raise Invalid("nobody holds what is open.", hint="Leave the state out, or ask for leased.", field="holder")
    if query.of_finished and (query.group is not None or query.skill is not None or query.nobody):
        raise Invalid(
            f"who may do a task is asked of what is to be done; this asks for {query.state}.",
            hint="Leave out group, skill and nobody, or the state.",
            field="state",
        )
    return query


def somebody_may(lane: Lane, people: Iterable[Person]) -> bool:
    """Whether one of them has the groups and skills for it. Golden items are made for who gets them."""
    return lane.stage is Stage.GOLDEN or any(person.may_do(lane) for person in people)


def state_at(task: Task, now: datetime) -> TaskState:
    """A lease that has run out is none."""
    return TaskState.OPEN if is_leasable(task, now) else task.state


def place_of(task: Task) -> Waiting:
    return Waiting(task.rank, task.created_at, task.id)


def cursor_of(place: Waiting | Ended) -> str:
    if isinstance(place, Waiting):
        return _BETWEEN.join([repr(place.rank), _told(place.created_at), place.task_id])
    return _BETWEEN.join([_told(place.leased_at), place.task_id])


def waiting_after(cursor: str | None) -> Waiting | None:
    """The place that `cursor_of` told; None for none. Raises Invalid."""
    if cursor is None:
        return None
    try:
        rank, created_at, task_id = cursor.split(_BETWEEN)
        return Waiting(float(rank), _moment(created_at), task_id)
    except (ValueError, OverflowError):
        raise _unknown(cursor) from None


def ended_after(cursor: str | None) -> Ended | None:
    """As `waiting_after`."""
    if cursor is None:
        return None
    try:
        leased_at, task_id = cursor.split(_BETWEEN)
        return Ended(_moment(leased_at), task_id)
    except (ValueError, OverflowError):
        raise _unknown(cursor) from None


def _told(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"  # no + that an address would lose


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)


def _unknown(cursor: str) -> Invalid:
    return Invalid(
        f"no page of this list starts after {cursor[:80]!r}.",
        hint="Take `after` from `next` of the page before, with the same filters, or leave it out to start again.",
        after=cursor[:80],
    )
