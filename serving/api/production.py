"""How good production is, as JSON or CSV."""

import csv
import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from loop.domain.errors import Overloaded
from loop.domain.production.estimate import Estimate
from loop.domain.production.figures import ProductionBy
from loop.domain.production.outcomes import TurnedOut
from loop.domain.production.windows import Figure, Row
from loop.production.estimates import MOST_AUDITS, ProductionReport, ProductionSeries
from serving.api.auth import Operator, Wired
from serving.api.schemas.production import (
    FigureOut,
    PointOut,
    ProductionEstimateOut,
    ProductionOut,
    ProductionRowOut,
    ProductionSeriesOut,
    ReportedOut,
    SuggestedAuditRatesOut,
)
from serving.api.work import AskedSpan

router = APIRouter(prefix="/v1/projects/{project_id}/quality", tags=["quality of production"])

CSV = "text/csv"
# A report takes a second of one core, which predictions want too.
_one_at_a_time = threading.Lock()
_PATIENCE_SECONDS = 20.0


class Format(StrEnum):
    JSON = "json"
    CSV = "csv"


AskedFormat = Annotated[Format | None, Query(alias="format", description="else by Accept")]
Accept = Annotated[str, Header(include_in_schema=False)]
_AS_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {CSV: {}}}}


@router.get("", response_model=ProductionOut, responses=_AS_CSV)
def get_quality(
    project_id: str,
    token: Operator,
    wired: Wired,
    span: AskedSpan,
    by: ProductionBy | None = None,
    model: Annotated[str | None, Query(max_length=200, description="a version; else the champion")] = None,
    last: Annotated[
        int | None, Query(ge=1, le=MOST_AUDITS, description="the newest audits; else the setting's")
    ] = None,
    wanted: AskedFormat = None,
    accept: Accept = "",
) -> object:
    """Failure rate, precision and recall of what was answered in production, with 95 % intervals, by what people found
    in audits and reviewed predictions, each weighted by its probability. Not for reviewers: it tells of audits."""
    with _turn():
        report = wired.production.report(project_id, **asdict(span), by=by, last=last, model_id=model)
    if _as_csv(wanted, accept):
        rows = [_row_cells(_row_out(row)) for row in (report.rows if by else [report.total])]
        return _csv(rows, list(_row_cells(_row_out(report.total))))
    return _report_out(project_id, by, report)


@router.get("/series", response_model=ProductionSeriesOut, responses=_AS_CSV)
def get_series(
    project_id: str,
    token: Operator,
    wired: Wired,
    since: Annotated[datetime | None, Query(description="else the beginning of the version")] = None,
    until: datetime | None = None,
    model: Annotated[str | None, Query(max_length=200, description="a version; else the champion")] = None,
    wanted: AskedFormat = None,
    accept: Accept = "",
) -> object:
    """The failure rate for whoever looks every day, a point for each day with audits: bounds that hold at all times
    together (a confidence sequence), from audits alone."""
    span = wired.work.span(since, until)
    begin = None if since is None else span.since
    with _turn():
        series = wired.production.series(project_id, since=begin, until=span.until, model_id=model)
    if _as_csv(wanted, accept):
        return _csv([asdict(point) for point in series.points], list(PointOut.model_fields))
    return _series_out(project_id, series)


@router.get("/audit-rates")
def get_audit_rates(
    project_id: str,
    token: Operator,
    wired: Wired,
    rate: Annotated[float, Query(description="of all predictions that pass, above 0, at most 1")] = 0.02,
) -> SuggestedAuditRatesOut:
    """Rates by risk that draw as many audits as one rate, where they tell most of the failure rate. Nothing is changed:
    PATCH the policy with `audit_rate` and `audit_rates`."""
    with _turn():
        found = wired.production.audit_bands(project_id, rate)
    return SuggestedAuditRatesOut.model_validate(asdict(found))


@contextmanager
def _turn() -> Iterator[None]:
    """Raises Overloaded where other reports take long."""
    if not _one_at_a_time.acquire(timeout=_PATIENCE_SECONDS):
        raise Overloaded("another report is being made.", hint="Try again when it has its answer.")
    try:
        yield
    finally:
        _one_at_a_time.release()


def _as_csv(wanted: Format | None, accept: str) -> bool:
    return wanted is Format.CSV or (wanted is None and CSV in accept)


# --- shapes -------------------------------------------------------------------------------------------


def _report_out(project_id: str, by: ProductionBy | None, report: ProductionReport) -> ProductionOut:
    wrong, right = report.outcomes[TurnedOut.WRONG], report.outcomes[TurnedOut.RIGHT]
    return ProductionOut(
        **_told(project_id, report),
        by=by,
        total=_row_out(report.total),
        rows=[_row_out(row) for row in report.rows],
        outcomes=ReportedOut(wrong=wrong, right=right),
    )


def _series_out(project_id: str, series: ProductionSeries) -> ProductionSeriesOut:
    points = [PointOut.model_validate(point) for point in series.points]
    return ProductionSeriesOut(**_told(project_id, series), points=points)


def _told(project_id: str, of: ProductionReport | ProductionSeries) -> dict[str, Any]:
    window = of.window
    return {
        "project_id": project_id,
        "model_id": of.model_id,
        "since": window.since,
        "until": window.until,
        "basis": window.basis,
        "cut": window.cut,
        "waiting": window.waiting,
        "notes": list(of.notes),
    }


def _row_out(row: Row) -> ProductionRowOut:
    return ProductionRowOut(
        key=row.key,
        predictions=row.predictions,
        answers=row.seen,
        audits=row.audits,
        unanswered=row.unanswered,
        failure_rate=_figure_out(row.failure),
        perfect_rate=_figure_out(row.perfect),
        precision=_figure_out(row.precision),
        recall=_figure_out(row.recall),
        more_audits=row.more,
        words=row.words,
    )


def _figure_out(figure: Figure) -> FigureOut:
    return FigureOut(plain=_estimate_out(figure.plain), assisted=_estimate_out(figure.assisted), worst=figure.worst)


def _estimate_out(one: Estimate | None) -> ProductionEstimateOut | None:
    if one is None:
        return None
    return ProductionEstimateOut(value=one.value, low=one.low, high=one.high, n=one.seen, effective_n=one.worth)


# --- CSV ------------------------------------------------------------------------------------------------


def _row_cells(row: ProductionRowOut) -> dict[str, object]:
    cells: dict[str, object] = {
        name: getattr(row, name) for name in ("key", "predictions", "answers", "audits", "unanswered", "more_audits")
    }
    for name in ("failure_rate", "perfect_rate", "precision", "recall"):
        figure: FigureOut = getattr(row, name)
        for kind in ("plain", "assisted"):
            estimate: ProductionEstimateOut | None = getattr(figure, kind)
            for part in ProductionEstimateOut.model_fields:
                cells[f"{name}_{kind}_{part}"] = None if estimate is None else getattr(estimate, part)
        cells[f"{name}_worst_low"], cells[f"{name}_worst_high"] = figure.worst or (None, None)
    return cells


def _csv(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> Response:
    page = io.StringIO()
    writer = csv.DictWriter(page, columns)
    writer.writeheader()
    writer.writerows([{name: _safe(value) for name, value in row.items()} for row in rows])
    return Response(page.getvalue(), media_type=CSV)


def _safe(value: object) -> object:
    """A source that a spreadsheet would run as a formula becomes a text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
