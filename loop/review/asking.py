"""Asking people for an item that routing did not send to them."""

from datetime import datetime

from loop.domain.events import task_created
from loop.domain.identity import new_id
from loop.domain.ports import Entropy, Transaction
from loop.domain.project import Project
from loop.domain.review.tasks import Task
from loop.domain.routing import asks_several
from loop.domain.stage import Stage
from loop.review.lots import add_members, in_lots
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
