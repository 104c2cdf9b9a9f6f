"""Which items a choice is narrowed to by a query of items (docs/items.md)."""

from datetime import datetime

from loop.domain.items.queries import EVERYTHING, Place, Query, Sort
from loop.domain.ports import Store
from loop.items.lists import require_caught_up

_PAGE = 10_000


def meeting(store: Store, project_id: str, query: Query, now: datetime) -> frozenset[str] | None:
    """Digests of the items that meet it; None where it asks for nothing, so that all do. Raises
    Overloaded while lists of items are far behind."""
    if query == EVERYTHING:
        return None
    require_caught_up(store)
    found: set[str] = set()
    after: Place | None = None
    while True:
        with store.read() as tx:
            page = tx.item_queries.places(project_id, query, Sort(), after=after, limit=_PAGE, now=now)
        found.update(place.digest for place in page)
        if len(page) < _PAGE:
            return frozenset(found)
        after = page[-1]
