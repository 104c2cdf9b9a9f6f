"""Asking people for an item that routing did not send to them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from loop.domain.access import Permission, Token, require
from loop.domain.errors import Conflict
from loop.domain.events import task_created
from loop.domain.identity import new_id
from loop.domain.ports import Clock, Entropy, Event, Store, Transaction
from loop.domain.project import Project
from loop.domain.review.tasks import Task
from loop.domain.routing import asks_several
from loop.domain.stage import Stage
from loop.review.lots import add_members, in_lots
from loop.review.people import reopen_work
from loop.review.proposals import seats_of


def ask_people(
    tx: Transaction,
    project: Project,
    item_digest: str,
    prediction_id: str | None,
    *,
    reason: str,
    actor: str,
    now: datetime,
    entropy: Entropy,
    secret: bytes,
    lot_id: str | None = None,
) -> Task:
    """The first task of a new work on an item, most urgent; its seats, lot and announcements are written too. Nobody
    knows how probable it was: it never counts as an audit. prediction_id: that people begin with. lot_id:
    the upload that the item is of."""
    first = Task(
        id=new_id("task", now, entropy(10)),
        project_id=project.id,
        item_digest=item_digest,
        prediction_id=prediction_id,
        stage=Stage.ANNOTATE,
        priority=1.0,
        policy_version=project.policy.version,
        recipe_version=project.recipe.version,
        created_at=now,
        reason=reason,
        lot_id=lot_id,
    )
    several = asks_several(secret, first.id, project.policy)
    tasks = in_lots(tx, project, seats_of(tx, first, project, several=several), now, entropy)
    tx.tasks.add_all(tasks)
    add_members(tx, tasks)
    tx.events.announce(task_created(one, actor) for one in tasks)
    return first


@dataclass(frozen=True, slots=True)
class Asked:
    """items: that people are asked for now. left: why of the others, by digest."""

    items: Sequence[str]
    left: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Asking:
    """The operators' side. kept: whether the image of an item is there to be shown."""

    store: Store
    kept: Callable[[str], bool]
    clock: Clock
    entropy: Entropy

    def ask(self, operator: Token, project_id: str, digests: Sequence[str], *, reason: str) -> Asked:
        """People look at these items: for the first time, or again; what they answered before stays until then. Each is
        a transaction of its own, so that asking again goes on where it failed half way. reason: people read it where
        they are asked for the first time, and the history keeps it. Raises NotFound where one of the items is not
        there; then nobody is asked."""
        require(operator, Permission.OPERATE, project_id)
        wanted = list(dict.fromkeys(digests))
        with self.store.read() as tx:
            tx.projects.get(project_id)
            for digest in wanted:
                tx.items.get(project_id, digest)
        asked: list[str] = []
        left: dict[str, str] = {}
        for digest in wanted:
            try:
                self.again(operator.name, project_id, digest, reason=reason)
            except Conflict as why:
                left[digest] = str(why)
            else:
                asked.append(digest)
        return Asked(asked, left)

    def again(self, actor: str, project_id: str, digest: str, *, reason: str) -> None:
        """The same for one item, by whoever may. Raises Conflict where its image was not kept, it was dropped or people
        are asked for it already."""
        if not self.kept(digest):
            raise Conflict("its image was not kept.", hint="Add it again first (Items, Add images).", item=digest)
        secret = self.store.secret()
        with self.store.begin() as tx:
            tx.projects.hold(project_id)  # of two who ask at once the other sees the first one's tasks
            project, now = tx.projects.get(project_id), self.clock()
            if tx.items.is_dropped(project_id, digest):
                raise Conflict("it was dropped.", hint="", item=digest)
            works = _works_of(tx, project_id, digest)
            if _unfinished(works):
                raise Conflict("people are asked for it already.", hint="", item=digest)
            for work in works:
                reopen_work(tx, work, actor, now)
            if not works:
                latest = tx.predictions.latest_of(project_id, digest)
                ask_people(
                    tx, project, digest, None if latest is None else latest.id, reason=reason,
                    actor=actor, now=now, entropy=self.entropy, secret=secret,
                )  # fmt: skip
            body = {"item_digest": digest, "reason": reason, "again": bool(works)}
            tx.events.add(Event("item.asked", project_id, actor, body, now))

    def with_people(self, project_id: str, digests: Iterable[str]) -> frozenset[str]:
        """Those of the items that somebody is asked for now."""
        found = []
        for digest in digests:
            with self.store.begin() as tx:
                if _unfinished(_works_of(tx, project_id, digest)):
                    found.append(digest)
        return frozenset(found)


def _works_of(tx: Transaction, project_id: str, digest: str) -> list[list[Task]]:
    """Of the item, locked."""
    return [tx.tasks.work_for_update(one) for one in tx.tasks.works_of_item(project_id, digest)]


def _unfinished(works: Sequence[Sequence[Task]]) -> bool:
    return any(not task.finished for work in works for task in work)
