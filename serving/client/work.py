"""Reports on people's work: what it gave, what is unclear, what it costs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from serving.api.schemas.outcomes import OutcomeKeptOut, OutcomesKeptOut
from serving.api.schemas.production import ProductionOut, ProductionSeriesOut, SuggestedAuditRatesOut
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
    def quality(
        self,
        project: str,
        *,
        by: str | None = None,
        model: str | None = None,
        last: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Call[ProductionOut]:
        """How good production is. by: label, source, day, week or model."""
        where = path("projects", project, "quality")
        return get(ProductionOut, where, by=by, model=model, last=last, **_span(since, until))

    @method
    def quality_series(
        self, project: str, *, model: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> Call[ProductionSeriesOut]:
        """Its failure rate as it was believed each day."""
        where = path("projects", project, "quality", "series")
        return get(ProductionSeriesOut, where, model=model, **_span(since, until))

    @method
    def audit_rates(self, project: str, *, rate: float = 0.02) -> Call[SuggestedAuditRatesOut]:
        """Rates by risk that draw as many audits as one rate, and tell more; nothing is changed."""
        return get(SuggestedAuditRatesOut, path("projects", project, "quality", "audit-rates"), rate=rate)

    @method
    def quality_csv(
        self,
        project: str,
        *segments: str,
        since: datetime | None = None,
        until: datetime | None = None,
        params: Mapping[str, object] | None = None,
    ) -> Call[str]:
        """What `quality` tells, or `quality_series` where the segment is "series", as CSV. params: as theirs."""
        asked = given(**(params or {}), format="csv", **_span(since, until))
        where = path("projects", project, "quality", *segments)
        return Call(method="GET", path=where, read=bytes.decode, params=asked, repeatable=True)

    @method
    def report_outcome(self, /, project: str, prediction_id: str, **body: object) -> Call[OutcomeKeptOut]:
        """How it turned out. body: outcome, and, optional, reason, labels, at, send_to_review."""
        where = path("projects", project, "predictions", prediction_id, "outcome")
        return post(OutcomeKeptOut, where, body, repeatable=True)

    @method
    def report_outcomes(self, project: str, outcomes: Sequence[Mapping[str, object]]) -> Call[OutcomesKeptOut]:
        """Up to 500, each as `report_outcome` with its prediction_id."""
        body = {"outcomes": [dict(one) for one in outcomes]}
        return post(OutcomesKeptOut, path("projects", project, "outcomes"), body, repeatable=True)

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
