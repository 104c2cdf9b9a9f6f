"""What operators learn of the work of people: how fast and how good it is, what it costs, which items are hard to tell,
and whether a shown prediction is corrected less."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

from loop.domain.access import Permission, Token, require
from loop.domain.cycle import CycleState
from loop.domain.errors import Conflict, Invalid, NotFound
from loop.domain.ports import Clock, Event, Store, Transaction
from loop.domain.quality.ambiguous import AmbiguousItem, ambiguous_items, compared, newest_answers
from loop.domain.review.cost import CostBy, Everything, Rates, Spent, checked_rates, costs, everything
from loop.domain.review.efforts import Inspected, WorkBy, WorkRow, work_rows
from loop.domain.review.pace import Bias, automation_bias
from loop.domain.review.tasks import Task

USUAL_DAYS = 30  # looked at where nobody says since when
AMBIGUOUS = 0.5  # where nobody says what is: no time, however long, is enough for that
MOST_COMPARED = 100_000  # of the newest answers, for ambiguous items: some two hundred megabytes
_CYCLES = 1000
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)  # so that no sum of times overflows

# Ask for an item again, of experts; `loop.review.people.Oversight.reopen_item`.
AskExperts = Callable[[Token, str, str], Sequence[Task]]


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` on, before `until`."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class CostReport:
    """rows: of each group; total: all together, None where there was no work. everything: None where it cannot be
    told yet."""

    rates: Rates
    rows: list[Spent]
    total: Spent | None
    everything: Everything | None


@dataclass(frozen=True, slots=True)
class Requeued:
    """items: asked for again. left: by item, why it was not."""

    items: list[str]
    left: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WorkReports:
    """For operators of the project. Each call reads what submissions of a span took: the cost grows with these."""

    store: Store
    default_rates: Rates
    ask_experts: AskExperts
    clock: Clock

    def span(self, since: datetime | None, until: datetime | None) -> Span:
        """Without `since`, the last thirty days. Raises Invalid for a span without time in it."""
        for moment in (since, until):
            if moment is not None and (moment.tzinfo is None or not _FIRST <= moment <= _LAST):
                raise Invalid(
                    f"{moment.isoformat()} is no time of work.",
                    hint="Write a time with its zone: 2026-03-01T00:00:00Z.",
                )
        end = until or self.clock()
        begin = since or end - timedelta(days=USUAL_DAYS)
        if begin >= end:
            raise Invalid(
                f"from {begin.isoformat()} to {end.isoformat()} is no time.", hint="Give a `since` before `until`."
            )
        return Span(begin, end)

    def work(self, operator: Token, project_id: str, by: WorkBy, span: Span, zone: tzinfo) -> list[WorkRow]:
        require(operator, Permission.OPERATE, project_id)
        with self.store.read() as tx:
            tx.projects.get(project_id)
            rows = work_rows(tx.efforts.between(project_id, span.since, span.until), by, zone)
            if by is not WorkBy.REVIEWER:
                return rows
            inspected = tx.efforts.inspected(project_id, span.since, span.until)
            return [replace(row, inspected=inspected.get(row.key, Inspected())) for row in rows]

    def names(self) -> Mapping[str, str]:
        """Of everybody who has, or had, a token."""
        with self.store.read() as tx:
            return {token.id: token.name for token in tx.tokens.all()}

    def ambiguous(self, operator: Token, project_id: str, span: Span, *, above: float) -> list[AmbiguousItem]:
        """Items more ambiguous than `above`, the most ambiguous first; by the newest 100,000 answers of the span."""
        require(operator, Permission.OPERATE, project_id)
        return self.most_ambiguous(project_id, span, above=above)

    def most_ambiguous(self, project_id: str, span: Span, *, above: float) -> list[AmbiguousItem]:
        with self.store.read() as tx:
            iou = tx.projects.get(project_id).policy.quality.consensus.iou
            answers = newest_answers(tx.efforts.newest(project_id, span.since, span.until, MOST_COMPARED))
            shapes = tx.efforts.shapes_of(compared(answers))
        return [item for item in ambiguous_items(answers, shapes, iou=iou) if item.ambiguity > above]

    def to_resemble(self, project_id: str, count: int) -> list[str]:
        """Digests of the `count` most ambiguous items of late, for selection."""
        found = self.most_ambiguous(project_id, self.span(None, None), above=AMBIGUOUS)
        return [item.item_digest for item in found[:count]]

    def requeue(self, operator: Token, project_id: str, span: Span, *, above: float, most: int) -> Requeued:
        """Ask the expert group for the `most` most ambiguous items again. Each is its own transaction: where it fails
        half way, asking again goes on with the rest. Raises Invalid where the project has no expert group."""
        found = self.ambiguous(operator, project_id, span, above=above)
        with self.store.read() as tx:
            if not tx.projects.get(project_id).policy.queue.expert_group:
                raise Invalid(
                    f"{project_id} has no expert group.", hint="Set queue.expert_group in its policy (docs/queue.md)."
                )
        asked: list[str] = []
        left: dict[str, str] = {}
        for item in found[:most]:
            try:
                self.ask_experts(operator, project_id, item.item_digest)
                asked.append(item.item_digest)
            except Conflict as error:
                left[item.item_digest] = error.detail
        return Requeued(asked, left)

    def bias(self, operator: Token, project_id: str, span: Span) -> Bias:
        """Raises TooFewImages."""
        require(operator, Permission.OPERATE, project_id)
        with self.store.read() as tx:
            tx.projects.get(project_id)
            drawn = tx.efforts.drawn(project_id, span.since, span.until)
        return automation_bias(
            hidden=[corrections for shown, corrections in drawn if not shown],
            shown=[corrections for shown, corrections in drawn if shown],
        )

    def cost(self, operator: Token, project_id: str, span: Span, by: CostBy | None) -> CostReport:
        require(operator, Permission.OPERATE, project_id)
        with self.store.read() as tx:
            tx.projects.get(project_id)
            rates = tx.efforts.rates(project_id) or self.default_rates
            cycles = _begun(tx, project_id) if by is CostBy.CYCLE else {}
            known = costs(tx.efforts.between(project_id, span.since, span.until), rates, by, cycles)
            served = tx.efforts.count_served(project_id, span.since, span.until) if known.total else 0
        return CostReport(rates, known.rows, known.total, everything(known, served))

    def rates(self, operator: Token, project_id: str) -> Rates:
        """The project's own, or those that hold for all."""
        require(operator, Permission.OPERATE, project_id)
        with self.store.read() as tx:
            tx.projects.get(project_id)
            return tx.efforts.rates(project_id) or self.default_rates

    def set_rates(self, operator: Token, project_id: str, rates: Rates) -> Rates:
        """In place of those before; they hold for work of the past too. Raises Invalid, NotFound for a person."""
        require(operator, Permission.OPERATE, project_id)
        checked_rates(rates)
        with self.store.begin() as tx:
            tx.projects.get(project_id)
            known = {token.id for token in tx.tokens.all()}
            if unknown := sorted(set(rates.people) - known):
                raise NotFound(
                    f"nobody has the token {unknown[0]!r}.", hint="See askance people list.", person=unknown[0]
                )
            tx.efforts.save_rates(project_id, rates)
            body = {"currency": rates.currency, "per_hour": rates.per_hour, "people": dict(rates.people)}
            tx.events.add(Event("cost.changed", project_id, operator.name, body, self.clock()))
        return rates


def _begun(tx: Transaction, project_id: str) -> dict[str, datetime]:
    """When the newest cycles that did not fail began, oldest first: what failed left its labels to the next."""
    page = tx.cycles.page(project_id, after=None, limit=_CYCLES)
    return {cycle.id: cycle.created_at for cycle in reversed(page) if cycle.state is not CycleState.FAILED}
