"""Selections: unlabelled items chosen for people by a strategy and a budget."""

import threading
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from loop.domain.errors import Invalid, Overloaded
from loop.domain.selection import Conditions, PickedItem, Selection, box_named
from loop.items.lists import asked
from loop.selecting.picks import Wish
from selection.strategies.table import IN_WORDS, WITHOUT_MODEL
from serving.api.auth import Anyone, Operator, Wired
from serving.api.item_names import item_named, items_named
from serving.api.schemas.selections import (
    PickOut,
    SelectionIn,
    SelectionOut,
    SelectionPage,
    SelectionSummary,
    StrategiesOut,
    StrategyOut,
)

router = APIRouter(prefix="/v1", tags=["selections"])
_SELECTIONS = "/projects/{project_id}/selections"

# A selection holds the pool in memory; two at a time would hold two.
_one_at_a_time = threading.Lock()


@router.get("/strategies")
def list_strategies(token: Anyone, wired: Wired) -> StrategiesOut:
    """By what a selection can choose, and what each takes."""
    return StrategiesOut(
        strategies=[
            StrategyOut(name=name, takes=takes, without_model=name in WITHOUT_MODEL) for name, takes in IN_WORDS.items()
        ],
        default=dict(wired.selector.default_parts),
        default_without_model=dict(wired.selector.cold_parts),
    )


@router.post(_SELECTIONS, status_code=201)
def make_selection(project_id: str, body: SelectionIn, token: Operator, wired: Wired) -> SelectionOut:
    """Choose unlabelled items and make a task for each; a dry run makes none, and is not kept."""
    if body.strategies and body.strategy:
        raise Invalid("both strategy and strategies are given.", hint="Give one of them.")
    boxes = [box_named(one) for one in body.like_boxes]
    wish = Wish(
        budget=body.budget,
        parts=body.strategies or ({body.strategy: 1.0} if body.strategy else {}),
        random_share=body.random_share,
        seed=body.seed,
        conditions=Conditions(wanted=body.filter),
        query=asked(token, body.query),
        like_items=tuple(items_named(wired, token, project_id, body.like)),
        like_boxes=tuple((item_named(wired, token, project_id, item), number) for item, number in boxes),
        failures=body.failures,
        ambiguous=body.ambiguous,
        no_duplicates=body.no_duplicates,
    )
    if not _one_at_a_time.acquire(timeout=30):
        raise Overloaded("another selection is being made.", hint="Try again when it has its answer.")
    try:
        made = wired.selector.select(project_id, wish, actor=token.name, dry_run=body.dry_run)
    finally:
        _one_at_a_time.release()
    return _out(made.selection, made.picks, notes=list(made.notes), dry_run=body.dry_run)


@router.get(_SELECTIONS)
def list_selections(
    project_id: str,
    token: Operator,
    wired: Wired,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> SelectionPage:
    """Newest first, without their picks."""
    with wired.store.read() as tx:
        tx.projects.get(project_id)
        page = tx.selections.page(project_id, after=after, limit=limit)
    return SelectionPage(
        selections=[SelectionSummary.model_validate(one) for one in page],
        next=page[-1].id if len(page) == limit else None,
    )


@router.get(_SELECTIONS + "/{selection_id}")
def get_selection(project_id: str, selection_id: str, token: Operator, wired: Wired) -> SelectionOut:
    """With its picks, by rank."""
    with wired.store.read() as tx:
        selection = tx.selections.get(project_id, selection_id)
        picks = tx.selections.picks(selection_id)
    return _out(selection, picks)


def _out(selection: Selection, picks: Sequence[PickedItem], **told: object) -> SelectionOut:
    """told: what is known only while it is made."""
    summary = SelectionSummary.model_validate(selection).model_dump()
    return SelectionOut.model_validate({**summary, "picks": [PickOut.model_validate(pick) for pick in picks], **told})
