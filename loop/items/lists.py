"""Items as data: lists by a query, tags, saved views, history. Who asks sees no more than their role may know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from loop.domain.access import Permission, Token, may, require
from loop.domain.errors import AskanceError, Forbidden, Invalid, Overloaded
from loop.domain.items.queries import (
    FIELDS,
    MOST_TAGS,
    HistoryEntry,
    ListedItem,
    Place,
    Query,
    Sort,
    View,
    checked_name,
    checked_tag,
    field_of,
    forbidden,
    placed,
)
from loop.domain.items.query_text import parsed, printed
from loop.domain.ports import Blobs, Clock, Event, Store, Transaction
from training.snapshot import holds

# Further nobody counts: it would mean reading all of them.
MOST_COUNTED = 10_000
# Tagged by one call, in one transaction.
MOST_TAGGED = 10_000
# Items that have changed, of one transaction, so that others who write do not wait for long ...
_CAUGHT_UP_AT_ONCE = 100
# ... and of one call: who asks while millions come in is not kept waiting for all of them.
_MOST_CAUGHT_UP = 10_000
# Of an item's predictions, events and so on, each.
_MOST_ENTRIES = 500
# That are looked through for an item.
_MOST_SNAPSHOTS = 20
_DAY = timedelta(days=1)


def _at_once() -> None:
    """Whoever waits for its list is not to wait longer."""


def catch_up(store: Store, between: Callable[[], object] = _at_once) -> bool:
    """Until lists of items know all that was committed before this call; whether they do, or were far behind.

    between: called from one transaction to the next, for who has time: on SQLite others who write get the lock then.
    """
    with store.read() as tx:
        if not tx.item_queries.are_behind():
            return True
    for _ in range(0, _MOST_CAUGHT_UP, _CAUGHT_UP_AT_ONCE):
        with store.begin() as tx:
            if tx.item_queries.catch_up(_CAUGHT_UP_AT_ONCE) < _CAUGHT_UP_AT_ONCE:
                return True
        between()
    return False


def require_caught_up(store: Store) -> None:
    """For what is to miss none of the items that meet a query. Raises Overloaded where lists are far behind."""
    if not catch_up(store):
        raise Overloaded(
            "lists of items do not know all that has come lately, so that some would be left out.",
            hint="Ask again in some seconds: they are being brought up to date.",
        )


@dataclass(frozen=True, slots=True)
class Page:
    """next: `after` of the next page, None where this is the last. count: of all that meet the query, at most
    MOST_COUNTED + 1; None where nobody asked."""

    items: tuple[ListedItem, ...]
    next: str | None
    count: int | None


@dataclass(frozen=True, slots=True)
class Tagged:
    """How many items were tagged by this call, and where to go on; None where all are."""

    items: int
    next: str | None


@dataclass(frozen=True, slots=True)
class ItemData:
    store: Store
    blobs: Blobs
    clock: Clock

    def page(
        self,
        token: Token,
        project_id: str,
        *,
        query: str = "",
        sort: str | None = None,
        after: str | None = None,
        limit: int = 100,
        count: bool = False,
    ) -> Page:
        """Raises Forbidden for fields that the caller's role may not ask for, BadQuery and Invalid for what cannot be
        read."""
        require(token, Permission.READ, project_id)
        wanted, order = asked(token, query), _sort(token, sort)
        place = None if after is None else placed(after, order)
        now = self.clock()
        catch_up(self.store)
        with self.store.read() as tx:
            tx.projects.get(project_id)
            found = tx.item_queries.page(project_id, wanted, order, after=place, limit=limit, now=now)
            counted = tx.item_queries.count(project_id, wanted, now=now, at_most=MOST_COUNTED + 1) if count else None
        last = found[-1] if len(found) == limit else None
        return Page(tuple(found), None if last is None else str(_place_of(last, order)), counted)

    # --- tags

    def tag(
        self, token: Token, project_id: str, digests: Sequence[str], *, add: Sequence[str], remove: Sequence[str]
    ) -> Tagged:
        """Raises NotFound where one of the items is not there; then nothing is changed."""
        require(token, Permission.OPERATE, project_id)
        _check_tags(add, remove)
        wanted = sorted(set(digests))
        if len(wanted) > MOST_TAGGED:
            raise Invalid(f"{len(wanted)} items are too many.", hint=f"Send at most {MOST_TAGGED} at a time.")
        with self.store.begin() as tx:
            tx.projects.get(project_id)
            if self._tag(tx, token, project_id, wanted, add, remove, query=None) < len(wanted):
                for digest in wanted:
                    tx.items.get(project_id, digest)
        return Tagged(len(wanted), None)

    def tag_where(
        self,
        token: Token,
        project_id: str,
        query: str,
        *,
        add: Sequence[str],
        remove: Sequence[str],
        after: str | None = None,
    ) -> Tagged:
        """Those that meet the query, MOST_TAGGED in a call. Their order does not depend on tags, so that who goes on
        from `next` misses none, even where the query asks for the tags that it changes. Raises Overloaded while lists
        are far behind."""
        require(token, Permission.OPERATE, project_id)
        _check_tags(add, remove)
        wanted, order = asked(token, query), Sort()
        place = None if after is None else placed(after, order)
        require_caught_up(self.store)
        with self.store.begin() as tx:
            tx.projects.get(project_id)
            places = tx.item_queries.places(project_id, wanted, order, after=place, limit=MOST_TAGGED, now=self.clock())
            digests = sorted(place.digest for place in places)
            self._tag(tx, token, project_id, digests, add, remove, query=printed(wanted))
        return Tagged(len(places), str(places[-1]) if len(places) == MOST_TAGGED else None)

    def _tag(
        self,
        tx: Transaction,
        token: Token,
        project_id: str,
        digests: Sequence[str],
        add: Sequence[str],
        remove: Sequence[str],
        *,
        query: str | None,
    ) -> int:
        done = tx.item_queries.tag(project_id, digests, add=add, remove=remove)
        if add:
            full = [
                digest for digest, tags in tx.item_queries.tags(project_id, digests).items() if len(tags) > MOST_TAGS
            ]
            if full:
                raise Invalid(
                    f"item {full[0]} would have more than {MOST_TAGS} tags.", hint="Remove some first.", item=full[0]
                )
        body: dict[str, object] = {"added": list(add), "removed": list(remove), "items": done}
        body |= {} if query is None else {"query": query}
        body |= {"item_digest": digests[0]} if len(digests) == 1 else {}
        if done:
            tx.events.add(Event("items.tagged", project_id, token.name, body, self.clock()))
        return done

    # --- views

    def views(self, token: Token, project_id: str) -> list[View]:
        require(token, Permission.OPERATE, project_id)
        with self.store.read() as tx:
            tx.projects.get(project_id)
            return tx.views.all(project_id)

    def view(self, token: Token, project_id: str, name: str) -> View:
        require(token, Permission.OPERATE, project_id)
        with self.store.read() as tx:
            return tx.views.get(project_id, name)

    def save_view(self, token: Token, project_id: str, name: str, query: str, sort: str | None) -> View:
        """The query is kept as it is understood, which is how `printed` writes it."""
        require(token, Permission.OPERATE, project_id)
        view = View(
            project_id=project_id,
            name=checked_name(name),
            query=printed(asked(token, query)),
            sort=str(_sort(token, sort)),
            actor=token.name,
            updated_at=self.clock(),
        )
        with self.store.begin() as tx:
            tx.projects.get(project_id)
            tx.views.save(view)
        return view

    def remove_view(self, token: Token, project_id: str, name: str) -> None:
        require(token, Permission.OPERATE, project_id)
        with self.store.begin() as tx:
            tx.views.remove(project_id, name)

    # --- history

    def history(self, token: Token, project_id: str, digest: str) -> list[HistoryEntry]:
        """Oldest first; for operators, since it tells audits and golden items, and who said what."""
        require(token, Permission.OPERATE, project_id)
        with self.store.read() as tx:
            found = tx.item_histories.of(project_id, digest, most=_MOST_ENTRIES)
            snapshots = tx.item_histories.snapshots(project_id, most=_MOST_SNAPSHOTS)
        known_since = found[0].at
        held = [one for one in snapshots if one.at >= known_since - _DAY and self._holds(one.id, digest)]
        return sorted([*found, *held], key=lambda entry: entry.at)

    def _holds(self, snapshot: str, digest: str) -> bool:
        try:
            return holds(snapshot, digest, self.blobs.get)
        except AskanceError:  # it is gone or damaged: what else is known is told all the same
            return False


def asked(token: Token, text: str) -> Query:
    """Raises BadQuery, and Forbidden for fields that the caller's role may not ask for."""
    query = parsed(text)
    refused = forbidden(query, lambda needed: may(token, needed))
    if refused is not None:
        raise _refusal(token, refused)
    return query


def _sort(token: Token, text: str | None) -> Sort:
    """Without one, the newest first; for whom that would tell too much, the largest."""
    newest = Sort() if may(token, FIELDS["created_at"].needs) else Sort("width")
    sort = newest if text is None else Sort.named(text)
    field = field_of(sort.field)
    if field is None or not may(token, field.needs):
        raise _refusal(token, sort.field)
    return sort


def _refusal(token: Token, field: str) -> Forbidden:
    return Forbidden(
        f"a {token.role} token may not ask for {field}.",
        hint="Ask for digest, source, group, media_type, width, height or meta.KEY.",
        role=token.role,
        field=field,
    )


def _place_of(item: ListedItem, sort: Sort) -> Place:
    key = getattr(item if hasattr(item, sort.field) else item.item, sort.field)
    return Place(key, item.item.digest)


def _check_tags(add: Sequence[str], remove: Sequence[str]) -> None:
    for tag in (*add, *remove):
        checked_tag(tag)
    if not add and not remove:
        raise Invalid("there is no tag to add or remove.", hint="Name some in `add` or `remove`.")
