"""Items as data: lists by a query, tags, saved views, what happened to an item."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from loop.domain.access import Permission, Token, may
from loop.domain.errors import Invalid
from loop.domain.items.queries import ListedItem
from loop.items.lists import MOST_COUNTED
from serving.api.auth import Operator, Reader, Wired
from serving.api.item_names import ItemDigest, items_named
from serving.api.presenters import is_blind, item_fields, left_out
from serving.api.schemas.item_data import (
    AskedPage,
    AskIn,
    DescribedOut,
    HistoryEntryOut,
    ItemHistoryOut,
    ItemPage,
    ListedItemOut,
    MetaIn,
    TaggedOut,
    TagsIn,
    ViewIn,
    ViewOut,
    ViewsOut,
)

router = APIRouter(prefix="/v1/projects/{project_id}", tags=["items"])


@router.get("/items")
def list_items(
    project_id: str,
    token: Reader,
    wired: Wired,
    q: Annotated[str, Query(description="in the query language (docs/items.md); all where it is empty")] = "",
    sort: Annotated[
        str | None,
        Query(description="created_at, captured_at, risk, width or height; -FIELD: the largest first. -created_at"),
    ] = None,
    after: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    count: Annotated[bool, Query(description="also count them, up to 10,000")] = False,
) -> ItemPage:
    """Those that meet a query, newest first or as sorted. What tells audits and golden items cannot be asked for by
    reviewers, nor can times, which they do not see: they get the widest first."""
    page = wired.item_data.page(token, project_id, query=q, sort=sort, after=after, limit=limit, count=count)
    counted = page.count
    return ItemPage(
        items=[_listed_out(one, token) for one in page.items],
        next=page.next,
        count=None if counted is None else min(counted, MOST_COUNTED),
        more=counted is not None and counted > MOST_COUNTED,
    )


@router.post("/items/tags")
def tag_items(project_id: str, body: TagsIn, token: Operator, wired: Wired) -> TaggedOut:
    """Add and remove tags of items by their digests, or of those that meet a query."""
    _require_one_way(body)
    if body.items is not None:
        named = items_named(wired, token, project_id, body.items)
        done = wired.item_data.tag(token, project_id, named, add=body.add, remove=body.remove)
    else:
        done = wired.item_data.tag_where(
            token, project_id, body.query or "", add=body.add, remove=body.remove, after=body.after
        )
    return TaggedOut.model_validate(done)


@router.post("/items/meta")
def change_meta(project_id: str, body: MetaIn, token: Operator, wired: Wired) -> DescribedOut:
    """Change what is said of items under free keys, by their digests or those that meet a query."""
    _require_one_way(body)
    if body.items is not None:
        named = items_named(wired, token, project_id, body.items)
        done = wired.describing.describe(token, project_id, named, body.meta)
    else:
        done = wired.describing.describe_where(token, project_id, body.query or "", body.meta, after=body.after)
    return DescribedOut.model_validate(done)


@router.post("/items/ask")
def ask_people(project_id: str, body: AskIn, token: Operator, wired: Wired) -> AskedPage:
    """People look at items, by their digests or those that meet a query: for the first time, or again. What people are
    asked for already is left as it is, so that the same call again asks nobody twice."""
    _require_one_way(body)
    digests, following = items_named(wired, token, project_id, body.items or ()), None
    if body.query is not None:
        page = wired.item_data.page(token, project_id, query=body.query, after=body.after, limit=body.limit)
        digests, following = [one.item.digest for one in page.items], page.next
    asked = wired.asking.ask(token, project_id, digests, reason=body.reason)
    return AskedPage(items=list(asked.items), left=left_out(asked.left), next=following)


@router.get("/items/{digest}/history")
def item_history(project_id: str, digest: ItemDigest, token: Operator, wired: Wired) -> ItemHistoryOut:
    """Predictions, tasks, answers, ground truths, snapshots and events of an item, oldest first."""
    entries = wired.item_data.history(token, project_id, digest)
    return ItemHistoryOut(entries=[HistoryEntryOut.model_validate(entry) for entry in entries])


@router.get("/views")
def list_views(project_id: str, token: Operator, wired: Wired) -> ViewsOut:
    return ViewsOut(views=[ViewOut.model_validate(view) for view in wired.item_data.views(token, project_id)])


@router.get("/views/{name}")
def get_view(project_id: str, name: str, token: Operator, wired: Wired) -> ViewOut:
    return ViewOut.model_validate(wired.item_data.view(token, project_id, name))


@router.put("/views/{name}")
def save_view(project_id: str, name: str, body: ViewIn, token: Operator, wired: Wired) -> ViewOut:
    """Keep a query and its sort under a name, over what was kept under it."""
    return ViewOut.model_validate(wired.item_data.save_view(token, project_id, name, body.query, body.sort))


@router.delete("/views/{name}", status_code=204)
def remove_view(project_id: str, name: str, token: Operator, wired: Wired) -> Response:
    wired.item_data.remove_view(token, project_id, name)
    return Response(status_code=204)


def _listed_out(listed: ListedItem, token: Token) -> ListedItemOut:
    blind = is_blind(token)
    fields = item_fields(listed.item, blind=blind) | {"captured_at": None if blind else listed.captured_at}
    sees_model, sees_work = may(token, Permission.PREDICT), may(token, Permission.OPERATE)
    fields |= {name: getattr(listed, name) if sees_model else None for name in ("model_id", "risk", "truth_version")}
    fields |= {name: getattr(listed, name) if sees_work else None for name in ("work", "corrections")}
    decision = None if listed.routed is None else "accept" if listed.routed == "accept" else "review"
    fields["decision"] = decision if sees_model else None
    fields["tags"] = list(listed.tags) if sees_work else []
    return ListedItemOut.model_validate(fields)


def _require_one_way(body: TagsIn | MetaIn | AskIn) -> None:
    if (body.items is None) == (body.query is None):
        raise Invalid("say which items: `items` or `query`.", hint='Give one of the two; query "" is all items.')
