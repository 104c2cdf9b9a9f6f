"""Which model versions have to be loaded: those that answer, those that will, and those that may have to again; and by
which images their runtimes are chosen."""

from dataclasses import replace
from datetime import datetime, timedelta

from loop.domain.errors import NoChampion
from loop.domain.model import ModelVersion, PromotionKind, PromotionState
from loop.domain.ports import Blobs, Store, Transaction
from loop.domain.rollouts.rollout import RolloutState


def serving(tx: Transaction) -> list[ModelVersion]:
    """Champions, canaries and shadows of all projects."""
    champions = [(p.id, p.champion_id) for p in tx.projects.all() if p.champion_id is not None]
    beside = [(r.project_id, r.model_id) for r in tx.rollouts.unfinished() if r.state is RolloutState.ACTIVE]
    return [tx.models.get(project_id, model_id) for project_id, model_id in champions + beside]


def champion(tx: Transaction, project_id: str) -> ModelVersion:
    """The version that answers for a project. Raises NotFound, and NoChampion where it has none."""
    champion_id = tx.projects.get(project_id).champion_id
    if champion_id is None:
        raise NoChampion(
            f"{project_id} has no model yet.",
            hint=f"Add one: askance models add WEIGHTS --project {project_id}, or run a cycle on answers of people.",
        )
    return tx.models.get(project_id, champion_id)


def needed(tx: Transaction, now: datetime, standby: timedelta) -> list[ModelVersion]:
    """Those that serve; what waits to be settled, with the options that it will have; and the champions that were
    replaced less than `standby` ago, by a promotion or a rollback."""
    return [*serving(tx), *_waiting(tx), *(_on_standby(tx, now - standby) if standby else ())]


def newest_images(store: Store, blobs: Blobs, project_id: str, wanted: int) -> list[str]:
    """Blobs of at most `wanted` of the newest images of a project that are kept: to compare a model's runtimes on, and
    to calibrate with."""
    with store.read() as tx:
        items = tx.items.page(project_id, after=None, limit=2 * wanted)
    return [item.digest for item in items if blobs.has(item.digest)][:wanted]


def _waiting(tx: Transaction) -> list[ModelVersion]:
    found = []
    for promotion in tx.promotions.queued():
        model = tx.models.get(promotion.project_id, promotion.model_id)
        if promotion.kind is PromotionKind.RECONFIGURE:
            model = replace(model, serving=promotion.serving)
        found.append(model)
    return found + [
        tx.models.get(rollout.project_id, rollout.model_id)
        for rollout in tx.rollouts.unfinished()
        if rollout.state is RolloutState.QUEUED
    ]


def _on_standby(tx: Transaction, since: datetime) -> list[ModelVersion]:
    return [
        tx.models.get(promotion.project_id, promotion.previous_id)
        for promotion in tx.promotions.finished_since(since)
        if promotion.state is PromotionState.ACTIVE and promotion.previous_id is not None
    ]
