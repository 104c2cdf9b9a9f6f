"""What is said of items is changed after they came: by whom, and what was said before, is in their history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loop.domain.access import Permission, Token, require
from loop.domain.errors import Invalid
from loop.domain.item import Item
from loop.domain.items.metadata import Changes, checked_changes, merged
from loop.domain.items.queries import Sort, placed
from loop.domain.ports import Clock, Event, Store, Transaction
from loop.items.lists import asked, require_caught_up

MOST_DESCRIBED = 1000  # items of one call, in one transaction: each has a line of history


@dataclass(frozen=True, slots=True)
class Described:
    """items: that the call was about; changed: those of them of which something else was said. next: where to go on;
    None where all are done."""

    items: int
    changed: int
    next: str | None


@dataclass(frozen=True, slots=True)
class Describing:
    store: Store
    clock: Clock

    def describe(self, token: Token, project_id: str, digests: Sequence[str], changes: Changes) -> Described:
        """Raises Invalid for changes that cannot be, NotFound where one of the items is not there; then nothing is
        changed."""
        require(token, Permission.OPERATE, project_id)
        wanted = sorted(set(digests))
        if len(wanted) > MOST_DESCRIBED:
            raise Invalid(f"{len(wanted)} items are too many.", hint=f"Send at most {MOST_DESCRIBED} at a time.")
        with self.store.begin() as tx:
            tx.projects.get(project_id)
            return Described(len(wanted), self._change(tx, token, project_id, wanted, changes), None)

    def describe_where(
        self, token: Token, project_id: str, query: str, changes: Changes, *, after: str | None = None
    ) -> Described:
        """Those that meet the query, MOST_DESCRIBED in a call. Their order does not depend on what is said of them, so
        that who goes on from `next` misses none, even where the query asks for what it changes. Raises Overloaded while
        lists are far behind."""
        require(token, Permission.OPERATE, project_id)
        wanted, order = asked(token, query), Sort()
        place = None if after is None else placed(after, order)
        require_caught_up(self.store)
        with self.store.begin() as tx:
            tx.projects.get(project_id)
            now = self.clock()
            places = tx.item_queries.places(project_id, wanted, order, after=place, limit=MOST_DESCRIBED, now=now)
            changed = self._change(tx, token, project_id, sorted(one.digest for one in places), changes)
        return Described(len(places), changed, str(places[-1]) if len(places) == MOST_DESCRIBED else None)

    def _change(self, tx: Transaction, token: Token, project_id: str, digests: Sequence[str], changes: Changes) -> int:
        """How many of the items there is something else said of."""
        checked_changes(changes)
        items = tx.items.for_update(project_id, digests)
        after = {digest: merged(items[digest].meta, changes) for digest in digests if digest in items}
        if len(after) < len(digests):
            for digest in digests:
                tx.items.get(project_id, digest)
        new = {digest: meta for digest, meta in after.items() if meta != items[digest].meta}
        tx.items.describe(project_id, new)
        now = self.clock()
        for digest, meta in new.items():
            body = {"item_digest": digest, **_told(items[digest], meta)}
            tx.events.add(Event("item.described", project_id, token.name, body, now))
        return len(new)


def _told(item: Item, after: Mapping[str, str]) -> dict[str, object]:
    """Of the keys that changed, what was said and what is; None: nothing."""
    keys = sorted(key for key in {**item.meta, **after} if item.meta.get(key) != after.get(key))
    return {"before": {key: item.meta.get(key) for key in keys}, "meta": {key: after.get(key) for key in keys}}
