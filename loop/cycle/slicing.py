"""Which held-out images make a slice of a cycle's evaluation: frozen when the snapshot is, by what is known then."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from loop.domain.access import Permission, Token, require
from loop.domain.cycle import Cycle
from loop.domain.errors import BadQuery
from loop.domain.item import Item, Split
from loop.domain.items.queries import OneOf, Query, Sort, View, all_of, captured_in
from loop.domain.items.query_text import parsed
from loop.domain.policy.slice_rules import EVERY_VIEW, SliceKind, SliceRule, checked_slices, slices_of
from loop.domain.ports import Clock, Event, Store, Transaction
from loop.items.lists import catch_up
from training.slices import Slice, Slices, at, by_source, by_time
from training.snapshot import Snapshot

_TOGETHER = 500  # images that a query is asked of at once


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """Digests, ascending. judged: of the images that models are judged by. others: of further held-out ones."""

    judged: Sequence[str]
    others: Sequence[str]

    @property
    def digests(self) -> list[str]:
        return [*self.judged, *self.others]


@dataclass(frozen=True, slots=True)
class Slicing:
    """most: images beside the judged ones that one slice brings along; by digest, so that they are any, and the same
    from cycle to cycle."""

    store: Store
    clock: Clock
    most: int

    # --- which views are slices --------------------------------------------------------------------

    def rules(self, project_id: str) -> list[tuple[SliceRule, View | None]]:
        """With the view of each; None where it was removed, and of EVERY_VIEW. Raises NotFound."""
        with self.store.read() as tx:
            tx.projects.get(project_id)
            views = {view.name: view for view in tx.views.all(project_id)}
            return [(rule, views.get(rule.view)) for rule in tx.cycles.slices(project_id)]

    def change(self, operator: Token, project_id: str, rules: Iterable[SliceRule]) -> None:
        """In place of those that there are, from the next cycle on. Raises Invalid, Forbidden, and NotFound for a view
        that there is not."""
        require(operator, Permission.OPERATE, project_id)
        wanted = checked_slices(rules)
        with self.store.begin() as tx:
            tx.projects.get(project_id)
            for rule in wanted:
                if rule.view != EVERY_VIEW:
                    tx.views.get(project_id, rule.view)
            tx.cycles.save_slices(project_id, wanted)
            body = {"slices": {rule.view: rule.margin for rule in wanted}}
            tx.events.add(Event("slices.changed", project_id, operator.name, body, self.clock()))

    # --- their images ------------------------------------------------------------------------------

    def frozen(self, project_id: str, snapshot: Snapshot, *, beside: bool = True) -> Slices:
        """Sources and quarters of time of the images that are judged by; views, audits and past failures of all that
        are held out. beside: whether other images than the judged ones are looked at, where a golden set judges
        alone."""
        apart = beside and snapshot.evaluation_split is Split.GOLDEN
        held_out = _HeldOut(snapshot.evaluation_entries.digests, snapshot.of_split(Split.VAL).digests if apart else [])
        now = self.clock()
        while not catch_up(self.store):
            pass
        with self.store.read() as tx:
            items = tx.items.of(project_id, held_out.judged)
            views = {view.name: view for view in tx.views.all(project_id)}
            asked = [
                self._of_view(tx, rule, views.get(rule.view), held_out, now)
                for rule in slices_of(tx.cycles.slices(project_id), views)
            ]
            audited = tx.tasks.audited(project_id, held_out.digests)
            failed = tx.submissions.failed_items(project_id, held_out.digests)
        for kind, found in ((SliceKind.AUDITS, audited), (SliceKind.FAILURES, failed)):
            if found:
                asked.append((Slice(kind=kind, name=str(kind)), self._kept(found, held_out)))
        return _placed(held_out, items, asked)

    def of(self, cycle: Cycle, snapshot: Snapshot, get: Callable[[str], bytes]) -> Slices:
        """As they were frozen with the cycle's snapshot. get: a blob by its key."""
        key = cycle.evaluation.get("slices")
        if key:
            return Slices.read(get(str(key)))
        # Frozen by an earlier version: without images that only slices look at, which its evaluation does not have.
        return self.frozen(cycle.project_id, snapshot, beside=False)

    def _of_view(
        self, tx: Transaction, rule: SliceRule, view: View | None, held_out: _HeldOut, now: datetime
    ) -> tuple[Slice, list[str]]:
        made = Slice(kind=SliceKind.VIEW, name=rule.view, margin=rule.margin)
        if view is None:
            return replace(made, note=f"the view {rule.view!r} was removed"), []
        try:
            query = parsed(view.query)
        except BadQuery as error:  # of an earlier version
            return replace(made, note=f"the view {rule.view!r} cannot be read: {error.detail}"), []
        found = list(_matching(tx, view.project_id, query, held_out.judged, now))
        found += islice(_matching(tx, view.project_id, query, held_out.others, now), self.most)
        note = "" if found else f"no held-out image meets the view {rule.view!r} ({view.query})"
        return replace(made, note=note), found

    def _kept(self, found: Collection[str], held_out: _HeldOut) -> list[str]:
        others = [digest for digest in held_out.others if digest in found]
        return [digest for digest in held_out.judged if digest in found] + others[: self.most]


def _matching(tx: Transaction, project_id: str, query: Query, digests: Sequence[str], now: datetime) -> Iterator[str]:
    """Those that meet the query, in their order."""
    for begin in range(0, len(digests), _TOGETHER):
        part = digests[begin : begin + _TOGETHER]
        narrowed = all_of([query, OneOf("digest", tuple(part))])
        places = tx.item_queries.places(project_id, narrowed, Sort(), after=None, limit=len(part), now=now)
        found = {place.digest for place in places}
        yield from (digest for digest in part if digest in found)


def _placed(held_out: _HeldOut, items: Mapping[str, Item], asked: Sequence[tuple[Slice, list[str]]]) -> Slices:
    judged = held_out.judged
    beside = sorted({digest for _, found in asked for digest in found}.difference(judged))
    places = {digest: place for place, digest in enumerate([*judged, *beside])}
    of = [items.get(digest) for digest in judged]
    return Slices(
        judged=len(judged),
        beside=tuple(beside),
        slices=(
            *by_source([item.source if item else "" for item in of]),
            *by_time([(captured_in(item.meta) or item.created_at) if item else None for item in of]),
            *(replace(made, images=at(places, found)) for made, found in asked),
        ),
    )
