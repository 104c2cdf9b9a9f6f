"""What operators do with people and their work: groups, skills and limits; opening work again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loop.domain.access import Permission, Token, may, require
from loop.domain.errors import Conflict, Invalid
from loop.domain.policy.queue_rules import checked_names
from loop.domain.ports import Clock, Event, Store, Transaction
from loop.domain.review import tasks as review
from loop.domain.review.people import Reviewer
from loop.domain.review.queueing import placed
from loop.domain.review.tasks import Task
from loop.domain.stage import Stage
from loop.review import qa
from loop.review.proposals import labels_proposed


@dataclass(frozen=True, slots=True)
class Oversight:
    """The operators' side of the queue."""

    store: Store
    clock: Clock

    def people(self, operator: Token, *, after: str | None = None, limit: int = 1000) -> list[Reviewer]:
        """Who may review where `operator` may operate, oldest token first, behind the token `after`; the revoked are
        left out. Raises NotFound for an unknown `after`."""
        with self.store.read() as tx:
            return tx.people.reviewers(operator.project_id, after=after, limit=limit)

    def describe(
        self,
        operator: Token,
        token_id: str,
        *,
        groups: Sequence[str] | None = None,
        skills: Sequence[str] | None = None,
        limits: Mapping[str, int | None] | None = None,
    ) -> Reviewer:
        """Say what a person's groups, skills and limits are; None leaves them as they are. limits: `max_leases` and
        `max_tasks_a_day`, those that change; None for the project's own. Raises NotFound, Forbidden, Invalid."""
        with self.store.begin() as tx:
            token = tx.tokens.get(token_id)
            require(operator, Permission.OPERATE, token.project_id)
            if token.revoked_at is not None:
                raise Invalid(
                    f"{token.name!r} was revoked, and gets no work any more.",
                    hint="Name one that is not (askance people list).",
                    token=token_id,
                )
            if not may(token, Permission.REVIEW):
                raise Invalid(
                    f"{token.name!r} is a {token.role}, who does not review.",
                    hint="Name the token of a reviewer (askance people list).",
                    token=token_id,
                )
            person = tx.people.for_update(token_id)
            person = replace(
                person,
                groups=person.groups if groups is None else checked_names("group", groups),
                skills=person.skills if skills is None else checked_names("skill", skills),
                **(limits or {}),  # type: ignore[arg-type]
            )
            tx.people.save(person)
            return tx.people.reviewer(token_id)

    def take_back(self, operator: Token, task_id: str, *, epoch: int | None = None) -> Task:
        """Take the lease of whoever holds a task: others get it, and what the holder sends late is refused. epoch: of
        the lease that the operator saw; None: whatever it is. Gives the task as it was. Raises NotFound, Conflict where
        nobody holds it, AlreadySubmitted, StaleLease where somebody else does since."""
        now = self.clock()
        with self.store.begin() as tx:
            task = tx.tasks.for_update(task_id)
            require(operator, Permission.OPERATE, task.project_id)
            tx.tasks.save(review.taken_back(task, epoch=epoch, now=now))
            body = {
                "task_id": task.id,
                "item_digest": task.item_digest,
                "reviewer": task.owner,
                "epoch": task.epoch,
            }
            tx.events.add(Event("task.taken_back", task.project_id, operator.name, body, now))
            return task

    def reopen_task(self, operator: Token, task_id: str) -> list[Task]:
        """Ask for the whole work of a task again. Of two who ask at once one gets Conflict. Raises NotFound."""
        with self.store.begin() as tx:
            work = tx.tasks.work_for_update(task_id)
            require(operator, Permission.OPERATE, work[0].project_id)
            if work[0].stage is Stage.GOLDEN:
                raise Conflict(
                    f"task {task_id} is of a golden item, which one person answers once.",
                    hint="Re-open the work on an item instead: askance reopen DIGEST --project PROJECT.",
                    task=task_id,
                )
            return reopen_work(tx, work, operator.name, self.clock())

    def reopen_item(self, operator: Token, project_id: str, item_digest: str, *, experts: bool = False) -> list[Task]:
        """All work on an item again, but for what is open already; Conflict where that is all of it. experts: for the
        expert group of the queue's rules alone, and only what nobody is to do still."""
        with self.store.begin() as tx:
            tx.items.get(project_id, item_digest)
            works = [tx.tasks.work_for_update(work_id) for work_id in tx.tasks.works_of_item(project_id, item_digest)]
            closed = [work for work in works if review.is_closed(work)]
            if experts:  # what somebody is to do still, others wait for
                closed = [work for work in closed if all(task.finished for task in work)]
            if not closed:
                raise Conflict(
                    "no task of this item is closed.",
                    hint="It is in the queue already." if works else "It never had a task: select it for people.",
                    item=item_digest,
                )
            now = self.clock()
            return [task for work in closed for task in reopen_work(tx, work, operator.name, now, experts=experts)]


def reopen_work(
    tx: Transaction, work: Sequence[Task], actor: str, now: datetime, *, experts: bool = False
) -> list[Task]:
    """All seats of a locked work, open again. Raises Conflict where nothing of it is closed."""
    rules = tx.projects.get(work[0].project_id).policy.queue
    labels = labels_proposed(tx, work[0])
    anew = review.reopened(work)
    seats = [placed(task, rules, labels, begins=now) for task in anew if task.is_first_hand]
    if experts:
        seats = [review.for_experts(task, rules.expert_group) for task in seats]
    for task in [*seats, *(task for task in anew if not task.is_first_hand)]:
        tx.tasks.reopen(task)
    qa.reopened(tx, seats[0])
    body = {
        "task_id": seats[0].work_id,
        "item_digest": seats[0].item_digest,
        "prediction_id": seats[0].prediction_id,
        "round": seats[0].round,
    }
    tx.events.add(Event("task.reopened", seats[0].project_id, actor, body, now))
    return seats
