"""Reports on people's work: what it gave, what is unclear, what it costs."""

from collections.abc import Mapping
from datetime import UTC, datetime

from serving.api.schemas.work import AmbiguousOut, BiasOut, CostOut, RatesIO, RequeuedOut, WorkOut
from serving.client.calls import Call, get, given, method, path, post


class WorkCalls:
    @method
    def work(
        self,
        project: str,
        *,
        by: str = "reviewer",
        tz: str = "UTC",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Call[WorkOut]:
        """Throughput and quality; by: reviewer, label, source, hour or day."""
        return get(WorkOut, path("projects", project, "work"), by=by, tz=tz, **_span(since, until))

    @method
    def ambiguous(
        self,
        project: str,
        *,
        above: float = 0.5,
        limit: int = 100,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Call[AmbiguousOut]:
        """The most ambiguous items first."""
        where = path("projects", project, "items", "ambiguous")
        return get(AmbiguousOut, where, above=above, limit=limit, **_span(since, until))

    @method
    def requeue_ambiguous(
        self,
        project: str,
        *,
        above: float = 0.5,
        most: int = 20,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Call[RequeuedOut]:
        """Ask the expert group for the most ambiguous items again."""
        body: dict[str, object] = {"above": above, "most": most, **_span(since, until)}
        return post(RequeuedOut, path("projects", project, "items", "ambiguous", "requeue"), body)

    @method
    def bias(self, project: str, *, since: datetime | None = None, until: datetime | None = None) -> Call[BiasOut]:
        return get(BiasOut, path("projects", project, "bias"), **_span(since, until))

    @method
    def cost(
        self, project: str, *, by: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> Call[CostOut]:
        """by: label, cycle, source or reviewer."""
        return get(CostOut, path("projects", project, "cost"), by=by, **_span(since, until))

    @method
    def cost_rates(self, project: str) -> Call[RatesIO]:
        return get(RatesIO, path("projects", project, "cost", "rates"))

    @method
    def set_cost_rates(self, project: str, rates: Mapping[str, object]) -> Call[RatesIO]:
        return post(RatesIO, path("projects", project, "cost", "rates"), dict(rates), method="PUT")


def _span(since: datetime | None, until: datetime | None) -> dict[str, str]:
    """As sent; a time without a zone is UTC."""
    return {
        name: (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
        for name, moment in given(since=since, until=until).items()
    }
