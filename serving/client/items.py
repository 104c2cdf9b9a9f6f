"""Items: the images, what is like them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from serving.api.schemas.collecting import CollectedOut
from serving.api.schemas.item_data import (
    AskedOut,
    AskedPage,
    DescribedOut,
    ItemHistoryOut,
    ItemPage,
    TaggedOut,
    ViewOut,
    ViewsOut,
)
from serving.api.schemas.items import ItemDetailOut, ItemOut, NeighboursOut
from serving.api.schemas.label_errors import LabelErrorsOut
from serving.api.schemas.maps import MapIn, MapOut
from serving.api.schemas.objects import DuplicatesOut, ObjectNeighboursOut
from serving.api.schemas.work import LeftOut
from serving.client.calls import Call, Give, Steps, Stream, delete, get, given, method, path, post, stream
from serving.client.pictures import content_of
from serving.client.waiting import polled

if TYPE_CHECKING:
    from serving.client.pictures import Picture, Pixels

_LABEL_ERRORS_SECONDS = 7200.0  # of millions of items
_AT_ONCE = 1000  # items of a request that asks for each, or changes each
_DUPLICATES_SECONDS = 900.0  # of a pool of millions


class ItemCalls:
    @method
    def add_item(
        self,
        project: str,
        image: "Picture | Pixels",
        *,
        source: str = "",
        group: str = "",
        name: str = "",
        lot: str | None = None,
    ) -> Steps[CollectedOut]:
        """Keep an image without a prediction, as a project without a model begins; again, it changes nothing.

        image: as `predict` takes it. name: of the file, to find it again. lot: an open upload that it is of; people are
        asked for it then, unless they were before.
        """
        content = yield from content_of(image)
        return (
            yield from Call(
                method="POST",
                path=path("projects", project, "items"),
                read=CollectedOut.model_validate_json,
                params=given(source=source or None, group=group or None, path=name or None, lot=lot),
                content=content,
                headers={"Content-Type": "application/octet-stream"},
                repeatable=True,
            )
        )

    @method
    def items(
        self,
        project: str,
        query: str = "",
        *,
        sort: str | None = None,
        after: str | None = None,
        limit: int = 100,
        count: bool = False,
    ) -> Call[ItemPage]:
        """A page of those that meet a query (docs/items.md), newest first or as sorted."""
        where = path("projects", project, "items")
        return get(ItemPage, where, q=query or None, sort=sort, after=after, limit=limit, count=count or None)

    @method
    def tag_items(
        self,
        project: str,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        items: Sequence[str] | None = None,
        query: str | None = None,
    ) -> Steps[int]:
        """Of items by their digests, or of all that meet a query, 10,000 in a request; how many that was."""
        body = given(add=list(add), remove=list(remove), items=None if items is None else list(items), query=query)
        where = path("projects", project, "items", "tags")
        tagged, after = 0, None
        while True:
            done = yield from post(TaggedOut, where, body | given(after=after), repeatable=True)
            tagged, after = tagged + done.items, done.next
            if after is None:
                return tagged

    @method
    def describe_item(self, project: str, digest: str, meta: Mapping[str, str | None]) -> Call[ItemOut]:
        """Change what is said of it under free keys; None removes one."""
        where = path("projects", project, "items", digest)
        return post(ItemOut, where, {"meta": dict(meta)}, repeatable=True, method="PATCH")

    @method
    def describe_items(
        self,
        project: str,
        meta: Mapping[str, str | None],
        *,
        items: Sequence[str] | None = None,
        query: str | None = None,
    ) -> Steps[int]:
        """The same of items by their digests, or of all that meet a query, 1,000 in a request; of how many something
        else is said now."""
        where, change = path("projects", project, "items", "meta"), {"meta": dict(meta)}
        changed, after = 0, None
        for begin in range(0, len(items or ()), _AT_ONCE):
            some = list(items or ())[begin : begin + _AT_ONCE]
            done = yield from post(DescribedOut, where, change | {"items": some}, repeatable=True)
            changed += done.changed
        while query is not None:
            done = yield from post(DescribedOut, where, change | {"query": query} | given(after=after), repeatable=True)
            changed, after = changed + done.changed, done.next
            if after is None:
                break
        return changed

    @method
    def ask_for(
        self,
        project: str,
        reason: str,
        *,
        items: Sequence[str] | None = None,
        query: str | None = None,
        most: int | None = None,
    ) -> Steps[AskedPage]:
        """People look at items, by their digests or all that meet a query, newest first: for the first time, or again;
        and which were left, and why. most: look at so many of the query at most. reason: people read it."""
        where = path("projects", project, "items", "ask")
        asked: list[str] = []
        left: list[LeftOut] = []
        for begin in range(0, len(items or ()), _AT_ONCE):
            body: dict[str, object] = {"reason": reason, "items": list(items or ())[begin : begin + _AT_ONCE]}
            done = yield from post(AskedPage, where, body, repeatable=True)
            asked, left = asked + done.items, left + done.left
        after: str | None = None
        while query is not None:
            limit = _AT_ONCE if most is None else min(_AT_ONCE, most - len(asked) - len(left))
            body = {"reason": reason, "query": query, "limit": limit} | given(after=after)
            done = yield from post(AskedPage, where, body, repeatable=True)
            asked, left, after = asked + done.items, left + done.left, done.next
            if after is None or len(asked) + len(left) == most:
                break
        return AskedPage(items=asked, left=left, next=after)

    @method
    def item_history(self, project: str, digest: str) -> Call[ItemHistoryOut]:
        """What happened to it, oldest first; for operators."""
        return get(ItemHistoryOut, path("projects", project, "items", digest, "history"))

    @method
    def views(self, project: str) -> Call[list[ViewOut]]:
        return get(ViewsOut, path("projects", project, "views")).giving(lambda told: told.views)

    @method
    def view(self, project: str, name: str) -> Call[ViewOut]:
        return get(ViewOut, path("projects", project, "views", name))

    @method
    def save_view(self, project: str, name: str, query: str, sort: str | None = None) -> Call[ViewOut]:
        where = path("projects", project, "views", name)
        return post(ViewOut, where, given(query=query, sort=sort), repeatable=True, method="PUT")

    @method
    def remove_view(self, project: str, name: str) -> Call[None]:
        return delete(path("projects", project, "views", name))

    @method
    def item(self, project: str, digest: str) -> Call[ItemDetailOut]:
        return get(ItemDetailOut, path("projects", project, "items", digest))

    @method
    def drop_item(self, project: str, digest: str, reason: str) -> Call[None]:
        """Its image is removed, its truth counts no more, and the same image is refused from now on."""
        return delete(path("projects", project, "items", digest), reason=reason)

    @method
    def image(self, project: str, digest: str) -> Call[bytes]:
        """As it was sent."""
        return Call(method="GET", path=path("projects", project, "items", digest, "image"), read=bytes, repeatable=True)

    @method
    def neighbours(self, project: str, digest: str, k: int = 12) -> Call[NeighboursOut]:
        return get(NeighboursOut, path("projects", project, "items", digest, "neighbours"), k=k)

    @method
    def object_neighbours(self, project: str, digest: str, number: int, k: int = 12) -> Call[ObjectNeighboursOut]:
        where = path("projects", project, "items", digest, "objects", number, "neighbours")
        return get(ObjectNeighboursOut, where, k=k)

    @stream
    def duplicates(
        self, project: str, *, threshold: float | None = None, limit: int = 20, members: int = 20
    ) -> Stream[DuplicatesOut]:
        """Page by page, at least one. threshold: None for the service's own."""
        after: str | None = None
        while True:
            page = yield from Call(
                method="GET",
                path=path("projects", project, "duplicates"),
                read=DuplicatesOut.model_validate_json,
                params=given(threshold=threshold, limit=limit, members=members, after=after),
                timeout_s=_DUPLICATES_SECONDS,
            )
            yield Give(page)
            after = page.next
            if after is None:
                return

    @method
    def label_errors(self, project: str, limit: int = 50, *, most: int | None = None) -> Call[LabelErrorsOut]:
        """The items whose ground truth is doubted most. most: look at so many items only; None: at all, which takes
        minutes where there are a hundred thousand."""
        call = get(LabelErrorsOut, path("projects", project, "label-errors"), limit=limit, most=most)
        return replace(call, timeout_s=_LABEL_ERRORS_SECONDS)

    @method
    def ask_again(self, project: str, items: Sequence[str]) -> Call[AskedOut]:
        """People look at these items once more."""
        return post(AskedOut, path("projects", project, "label-errors", "review"), {"items": list(items)})

    # --- the map -----------------------------------------------------------------------------------------

    @method
    def ask_for_map(self, project: str, *, refit: bool = False) -> Call[MapOut]:
        """Have it drawn, or brought up to date; another process does it."""
        body = MapIn(refit=refit).model_dump()
        return post(MapOut, path("projects", project, "map"), body, repeatable=True)

    @method
    def map_status(self, project: str) -> Call[MapOut]:
        return _map_status(project)

    @method
    def await_map(self, project: str, *, timeout_s: float = 3600.0) -> Steps[MapOut]:
        """Its status once nothing is awaited any more: ready or failed."""
        settled = _map_status(project).giving(lambda told: None if told.state in ("queued", "running") else told)
        return polled(settled, timeout_s, f"the map of {project}")

    @method
    def map(self, project: str) -> Call[bytes]:
        """The newest drawing as an Arrow IPC stream (`selection.map_file.read_map`). Raises ApiError where there is
        none; ask for it first."""
        return Call(method="GET", path=path("projects", project, "map"), read=bytes, repeatable=True)


def _map_status(project: str) -> Call[MapOut]:
    return get(MapOut, path("projects", project, "map", "status"))
