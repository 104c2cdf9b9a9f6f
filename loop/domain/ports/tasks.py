"""The queue: tasks, lists of them, callers who wait for them, and drafts of answers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from loop.domain.policy.gate import Ending
from loop.domain.review.listing import Ended, Waiting
from loop.domain.review.tasks import Draft, Task, TaskState, Urgency
from loop.domain.stage import Stage


@dataclass(frozen=True, slots=True)
class Queue:
    """Tasks of a project that share a lane (`Lane.key`), and a source where it is not None."""

    lane: str
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Whether a project has unfinished tasks that are kept for somebody for a time, and any that are kept for one
    person."""

    for_a_time: bool
    for_person: bool


NOTHING_KEPT = Kept(for_a_time=False, for_person=False)


class Tasks(Protocol):
    def add(self, task: Task) -> None:
        """At most one task per (prediction, policy version, seat): raises Conflict for a second."""
        ...

    def add_all(self, given: Sequence[Task]) -> None:
        """The same for many."""
        ...

    def get(self, task_id: str) -> Task: ...
    def for_update(self, task_id: str) -> Task:
        """Locked until the transaction ends. Raises NotFound."""
        ...

    def work_for_update(self, task_id: str) -> list[Task]:
        """All tasks of the work that this one is of, by seat, locked until the transaction ends. Raises NotFound."""
        ...

    def audited(self, project_id: str, digests: Sequence[str]) -> frozenset[str]:
        """Those of the items that were drawn for an audit, ever."""
        ...

    def works_of_item(self, project_id: str, item_digest: str) -> list[str]:
        """Ids of the first tasks of the item's works, also of those on clips that it is a frame of."""
        ...

    def queues(self, project_id: str, *, by_source: bool) -> list[Queue]:
        """Those that hold unfinished tasks. by_source: each source's apart."""
        ...

    def leasable(self, project_id: str, queue: Queue, *, person: str, now: datetime, limit: int) -> list[Task]:
        """The most urgent tasks that are open or whose lease ran out, by rank, then created_at, then id; without works
        that the person answered, skipped or holds a task of. Not locked: see `take`."""
        ...

    def take_first(self, project_id: str, lane: str, *, person: str, now: datetime) -> list[Task]:
        """The first of `leasable` that nobody locks, locked, as a list of one; [] where there is none."""
        ...

    @property
    def contended(self) -> bool:
        """Whether others may take what this transaction has found, before it does."""
        ...

    def take(self, candidates: Sequence[Task], *, now: datetime, limit: int) -> list[Task]:
        """The first `limit` of these that are leasable still, one of each work, locked, in the order given. Skips those
        that others lock."""
        ...

    def kept_for(self, project_id: str, person: str) -> Kept: ...
    def meant_for(self, project_id: str, *, person: str, now: datetime, limit: int) -> list[Task]:
        """Those that are leasable as of `leasable`, and meant for this person, of whatever lane."""
        ...

    def lapsed(self, now: datetime, *, project_id: str | None, limit: int) -> list[Task]:
        """Unfinished tasks, held by nobody, that are reserved for a person who has had the time, or whose token is
        revoked; locked, skips those that others lock. project_id: None: of all projects."""
        ...

    def handed_out(self, project_id: str, *, limit: int) -> Mapping[str, int]:
        """How many of the last `limit` tasks that were leased are of each source."""
        ...

    def alarming(self, project_id: str, now: datetime, limit: int) -> list[Task]:
        """Unfinished tasks whose alarm has come, the oldest alarm first, locked; skips those that others lock."""
        ...

    def has_alarms(self, project_id: str, now: datetime) -> bool: ...
    def held_by(self, project_id: str, owner: str, now: datetime) -> list[Task]: ...
    def of_prediction(self, prediction_id: str) -> list[Task]: ...
    def items(self, project_id: str) -> Iterator[str]:
        """Digests of the items that have one, in whatever state, each once."""
        ...

    def save(self, task: Task) -> None: ...
    def by_recipe(self, project_id: str) -> Mapping[int, int]:
        """How many unfinished tasks are to be answered under each version of the recipe."""
        ...

    def move_to_recipe(self, project_id: str, version: int) -> int:
        """Every unfinished task is answered under this version from now on; how many were not before."""

    def reopen(self, task: Task) -> None: ...
    def count_open(self, project_id: str, now: datetime, *, at_most: int) -> int:
        """Tasks that nobody holds; beyond `at_most` they are not counted."""
        ...

    def counts(self, project_id: str, now: datetime) -> Mapping[TaskState, int]:
        """A lease that has run out counts as open."""
        ...


class TaskLists(Protocol):
    """Tasks as operators list them. None: of whatever kind. Each costs as much as it gives, however many there are."""

    def waiting(
        self,
        project_id: str,
        lanes: Sequence[str],
        *,
        urgencies: Sequence[Urgency] | None,
        unheld_at: datetime | None,
        after: Waiting | None,
        limit: int,
    ) -> list[Task]:
        """The first `limit` unfinished tasks of these lanes behind `after`, by rank, then created_at, then id.
        unheld_at: only those that nobody holds then."""
        ...

    def held(
        self,
        project_id: str,
        now: datetime,
        *,
        owners: Sequence[str] | None,
        lanes: Sequence[str] | None,
        urgencies: Sequence[Urgency] | None,
        after: Waiting | None,
        limit: int,
    ) -> list[Task]:
        """Those under a live lease, in the same order; looks at all that people hold."""
        ...

    def ended(
        self,
        project_id: str,
        state: TaskState,
        *,
        stage: Stage | None,
        owners: Sequence[str] | None,
        urgencies: Sequence[Urgency] | None,
        after: Ended | None,
        limit: int,
        looked_at: int,
    ) -> tuple[list[Task], Ended | None]:
        """Of the `looked_at` tasks behind `after`, the last handed out first, the first `limit` that are so; and where
        the looking ended, None where there is nothing behind it. What nobody ever had is not among them."""
        ...

    def skips(self, work_ids: Iterable[str]) -> Mapping[tuple[str, int], int]:
        """By work and round, how many people skipped it; those that nobody skipped are left out."""
        ...


class Gates(Protocol):
    """Callers who wait for people."""

    def endings(self, prediction_ids: Sequence[str]) -> Mapping[str, Ending]:
        """Of those of the predictions on which the work of people has ended."""
        ...

    def has_passed(self, now: datetime) -> bool:
        """Whether there is something for `put_back` to do."""
        ...

    def put_back(self, now: datetime, *, limit: int) -> int:
        """Unfinished tasks whose callers' deadline has passed, or is further away than any can be, get their usual rank
        again; of at most `limit`, how many. Skips those that others lock."""
        ...

    def is_closing(self) -> bool:
        """Whether the service ends, so that nobody is to wait any more."""
        ...

    def set_closing(self, *, closing: bool) -> None: ...


class Drafts(Protocol):
    def save(self, draft: Draft) -> None:
        """In place of the person's one before. Raises StaleLease where that one has a later epoch."""
        ...

    def of(self, task_ids: Sequence[str], reviewer: str) -> Mapping[str, Draft]:
        """By task."""
        ...

    def drop(self, task_id: str, reviewer: str | None) -> None:
        """reviewer None: of all."""
        ...
