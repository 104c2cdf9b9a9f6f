"""What operators see of the queue: its tasks in their order, who holds them, and which of them nobody may do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from loop.domain.access import Permission, Token, require, reviews
from loop.domain.errors import NotFound
from loop.domain.item import Item
from loop.domain.policy.queue_rules import Lane, lane_of
from loop.domain.ports import Clock, Store, Transaction
from loop.domain.review.listing import Ended as EndedPlace
from loop.domain.review.listing import (
    TaskQuery,
    checked_query,
    cursor_of,
    ended_after,
    place_of,
    somebody_may,
    state_at,
    waiting_after,
)
from loop.domain.review.people import Person
from loop.domain.review.tasks import Task, TaskState
from loop.domain.stage import Stage

_LOOKED_AT = 10_000  # tasks of a page of finished ones: what few of them meet must not take a walk through all


@dataclass(frozen=True, slots=True)
class ListedTask:
    """state: now, so that a lease that has run out is none. holder: the name of who holds it, or did it; kept_for: of
    who alone may do it; "" for nobody. skips: how many people skipped it in this round. nobody: who may review there
    has the groups and skills for it. item: None where it was dropped."""

    task: Task
    lane: Lane
    state: TaskState
    holder: str
    kept_for: str
    skips: int
    nobody: bool
    item: Item | None


@dataclass(frozen=True, slots=True)
class ListedTasks:
    """next: where the next page begins; None where this is the last."""

    tasks: list[ListedTask]
    next: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """For operators of the project."""

    store: Store
    clock: Clock

    def page(self, operator: Token, project_id: str, query: TaskQuery, *, after: str | None, limit: int) -> ListedTasks:
        """Unfinished tasks in the order in which people get them, golden items only where somebody holds them; of
        finished ones those that somebody had, the last handed out first. A page of these may have fewer than `limit`
        and not be the last. Raises NotFound, Invalid."""
        require(operator, Permission.OPERATE, project_id)
        checked_query(query)
        now = self.clock()
        with self.store.read() as tx:
            tx.projects.get(project_id)
            tokens = tx.tokens.all()
            owners = _owners(tokens, query.holder)
            people = _people(tx, tokens, project_id)
            if query.of_finished:
                found, following = _ended(tx, project_id, query, owners, ended_after(after), limit)
            else:
                found, following = _unfinished(tx, project_id, query, owners, people, now, after, limit)
            return ListedTasks(_listed(tx, project_id, found, tokens, people, now), following)

    def get(self, operator: Token, task_id: str) -> ListedTask:
        """Raises NotFound."""
        with self.store.read() as tx:
            task = tx.tasks.get(task_id)
            require(operator, Permission.OPERATE, task.project_id)
            tokens = tx.tokens.all()
            people = _people(tx, tokens, task.project_id)
            (listed,) = _listed(tx, task.project_id, [task], tokens, people, self.clock())
            return listed


def _unfinished(
    tx: Transaction,
    project_id: str,
    query: TaskQuery,
    owners: Sequence[str] | None,
    people: Sequence[Person],
    now: datetime,
    after: str | None,
    limit: int,
) -> tuple[list[Task], str | None]:
    place = waiting_after(after)
    lanes = [
        queue.lane for queue in tx.tasks.queues(project_id, by_source=False) if query.wants(lane_of(queue.lane), people)
    ]
    if query.of_held:
        found = tx.task_lists.held(
            project_id,
            now,
            owners=owners,
            lanes=lanes if query.by_lane else None,
            urgencies=query.urgencies,
            after=place,
            limit=limit,
        )
    else:
        found = tx.task_lists.waiting(
            project_id,
            [lane for lane in lanes if lane_of(lane).stage is not Stage.GOLDEN],
            urgencies=query.urgencies,
            unheld_at=now if query.state is TaskState.OPEN else None,
            after=place,
            limit=limit,
        )
    return found, cursor_of(place_of(found[-1])) if len(found) == limit else None


def _ended(
    tx: Transaction,
    project_id: str,
    query: TaskQuery,
    owners: Sequence[str] | None,
    after: EndedPlace | None,
    limit: int,
) -> tuple[list[Task], str | None]:
    found, edge = tx.task_lists.ended(
        project_id,
        query.state or TaskState.DONE,
        stage=query.stage,
        owners=owners,
        urgencies=query.urgencies,
        after=after,
        limit=limit,
        looked_at=_LOOKED_AT,
    )
    if len(found) == limit and (last := found[-1]).leased_at is not None:
        edge = EndedPlace(last.leased_at, last.id)
    return found, None if edge is None else cursor_of(edge)


def _listed(
    tx: Transaction,
    project_id: str,
    tasks: Sequence[Task],
    tokens: Iterable[Token],
    people: Sequence[Person],
    now: datetime,
) -> list[ListedTask]:
    names = {token.id: token.name for token in tokens}
    items = tx.items.of(project_id, [task.item_digest for task in tasks])
    skips = tx.task_lists.skips(task.work_id for task in tasks)
    undone = {key for key in {task.lane for task in tasks} if not somebody_may(lane_of(key), people)}

    def listed(task: Task) -> ListedTask:
        state, lane = state_at(task, now), lane_of(task.lane)
        owner = task.owner if task.owner and state is not TaskState.OPEN else ""
        return ListedTask(
            task=task,
            lane=lane,
            state=state,
            holder=names.get(owner, owner),
            kept_for=names.get(lane.person, lane.person),
            skips=skips.get((task.work_id, task.round), 0),
            nobody=not task.finished and task.lane in undone,
            item=items.get(task.item_digest),
        )

    return [listed(task) for task in tasks]


def _owners(tokens: Iterable[Token], holder: str | None) -> list[str] | None:
    """The tokens of that id or name, the revoked ones too: they may hold something still."""
    if holder is None:
        return None
    found = [token.id for token in tokens if holder in (token.id, token.name)]
    if not found:
        raise NotFound(f"there is nobody called {holder!r}.", hint="See askance people list.", person=holder)
    return found


def _people(tx: Transaction, tokens: Iterable[Token], project_id: str) -> list[Person]:
    """Who may review there."""
    described = tx.people.all()
    return [described.get(token.id, Person(token_id=token.id)) for token in tokens if reviews(token, project_id)]
