"""Items as data: lists by a query, tags, views, history."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from loop.domain.items.metadata import LONGEST_VALUE, MOST_KEYS
from serving.api.schemas.items import ItemOut
from serving.api.schemas.wire import In, Out
from serving.api.schemas.work import LeftOut


class ListedItemOut(ItemOut):
    captured_at: datetime | None = Field(description="null for reviewers")
    tags: list[str] = Field(description="empty for all but operators, as work and corrections are null")
    model_id: str | None = Field(description="of the newest prediction; null for reviewers, as the three behind it")
    risk: float | None
    decision: str | None = Field(description="accept or review")
    truth_version: int | None = Field(description="0 without ground truth")
    work: str | None = Field(description="open, leased, done, or skipped: by all who had it; null without tasks")
    corrections: int | None = Field(description="that people made to what was predicted")


class ItemPage(Out):
    items: list[ListedItemOut]
    next: str | None = Field(description="`after` of the next page, with the same sort")
    count: int | None = Field(description="of all that meet the query, where asked for; at most 10,000")
    more: bool = Field(description="there are more than count")


class TagsIn(In):
    """Either `items` or `query`."""

    add: list[str] = Field(default=[], max_length=20)
    remove: list[str] = Field(default=[], max_length=20)
    items: list[str] | None = Field(
        default=None, max_length=10_000, description="digests, or the first 8 digits of each or more"
    )
    query: str | None = Field(default=None, description="those that meet it, 10,000 in a call")
    after: str | None = Field(default=None, description="`next` of the call before, of the same query")


class TaggedOut(Out):
    items: int = Field(description="how many this call was about")
    next: str | None = Field(description="`after` of the next call; null where all are done")


Meta = Annotated[
    dict[str, Annotated[str, Field(max_length=LONGEST_VALUE)] | None],
    Field(
        min_length=1,
        max_length=MOST_KEYS,
        description="what changes of what is said of it, as a JSON merge patch (RFC 7396): null removes a key",
    ),
]


class ItemChangeIn(In):
    meta: Meta


class MetaIn(ItemChangeIn):
    """Either `items` or `query`."""

    items: list[Annotated[str, Field(max_length=200)]] | None = Field(
        default=None, max_length=1000, description="digests, or the first 8 digits of each or more"
    )
    query: str | None = Field(default=None, description="those that meet it, 1,000 in a call")
    after: str | None = Field(default=None, description="`next` of the call before, of the same query")


class DescribedOut(Out):
    items: int = Field(description="how many this call was about")
    changed: int = Field(description="of how many of them something else was said")
    next: str | None = Field(description="`after` of the next call; null where all are done")


class AskIn(In):
    """Either `items` or `query`."""

    reason: str = Field(
        min_length=3, max_length=1000, description="reviewers read it where an item is asked for the first time"
    )
    items: list[Annotated[str, Field(max_length=200)]] | None = Field(
        default=None, max_length=1000, description="digests, or the first 8 digits of each or more"
    )
    query: str | None = Field(default=None, description="those that meet it, up to `limit` in a call, newest first")
    after: str | None = Field(default=None, description="`next` of the call before, of the same query")
    limit: int = Field(default=1000, ge=1, le=1000, description="of a query")


class AskedOut(Out):
    items: list[str] = Field(description="that people are asked for now")
    left: list[LeftOut] = Field(description="that nobody is asked for anew, and why")


class AskedPage(AskedOut):
    next: str | None = Field(description="`after` of the next call; null where all are done")


class ViewIn(In):
    query: str
    sort: str | None = None


class ViewOut(Out):
    name: str
    query: str
    sort: str
    actor: str
    updated_at: datetime


class ViewsOut(Out):
    views: list[ViewOut]


class HistoryEntryOut(Out):
    at: datetime
    kind: str = Field(description="item, prediction, task, submission, truth, snapshot or event")
    id: str
    actor: str
    body: dict[str, object]


class ItemHistoryOut(Out):
    entries: list[HistoryEntryOut]
