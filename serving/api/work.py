"""The work of people, for operators: how fast and how good, what it costs, which items are hard to tell."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query

from loop.domain.errors import Invalid
from loop.domain.review.cost import CostBy, Rates, Spent
from loop.domain.review.efforts import WorkBy, WorkRow
from loop.review.work import AMBIGUOUS, Span
from serving.api.auth import Operator, Wired
from serving.api.presenters import left_out
from serving.api.schemas.work import (
    AmbiguousItemOut,
    AmbiguousOut,
    BiasOut,
    CostOut,
    EverythingOut,
    RatesIO,
    RequeuedOut,
    RequeueIn,
    SpentOut,
    WorkOut,
    WorkRowOut,
)

router = APIRouter(prefix="/v1/projects/{project_id}", tags=["work"])


def asked_span(wired: Wired, since: datetime | None = None, until: datetime | None = None) -> Span:
    """Without `since`, the last thirty days."""
    return wired.work.span(since, until)


AskedSpan = Annotated[Span, Depends(asked_span)]


@router.get("/work")
def work(
    project_id: str,
    token: Operator,
    wired: Wired,
    span: AskedSpan,
    by: WorkBy = WorkBy.REVIEWER,
    tz: Annotated[str, Query(max_length=60, description="in which hours and days are told: Europe/Berlin")] = "UTC",
) -> WorkOut:
    """Throughput and quality of a group of tasks at a time."""
    rows = wired.work.work(token, project_id, by, span, _zone(tz))
    names = wired.work.names() if by is WorkBy.REVIEWER else {}
    return WorkOut(by=by, **asdict(span), rows=[_row(row, names) for row in rows])


@router.get("/items/ambiguous")
def ambiguous(
    project_id: str,
    token: Operator,
    wired: Wired,
    span: AskedSpan,
    above: Annotated[float, Query(ge=0, le=1)] = AMBIGUOUS,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AmbiguousOut:
    """Items that people answered differently, or took long for."""
    found = wired.work.ambiguous(token, project_id, span, above=above)
    items = [AmbiguousItemOut.model_validate(item) for item in found[:limit]]
    return AmbiguousOut(**asdict(span), found=len(found), items=items)


@router.post("/items/ambiguous/requeue")
def requeue(project_id: str, body: RequeueIn, token: Operator, wired: Wired) -> RequeuedOut:
    """Ask the project's expert group for the most ambiguous items again; what was answered stays."""
    span = wired.work.span(body.since, body.until)
    done = wired.work.requeue(token, project_id, span, above=body.above, most=body.most)
    return RequeuedOut(items=done.items, left=left_out(done.left))


@router.get("/bias")
def bias(project_id: str, token: Operator, wired: Wired, span: AskedSpan) -> BiasOut:
    """Whether people correct less where they are shown a prediction; it takes `queue.blind_share` in the policy."""
    found = wired.work.bias(token, project_id, span)
    return BiasOut(**asdict(span), **asdict(found), found=found.found)


@router.get("/cost")
def cost(project_id: str, token: Operator, wired: Wired, span: AskedSpan, by: CostBy | None = None) -> CostOut:
    """Minutes and money, and what labelling everything that was served would have taken."""
    report = wired.work.cost(token, project_id, span, by)
    names = wired.work.names() if by is CostBy.REVIEWER else {}
    return CostOut(
        **asdict(span),
        currency=report.rates.currency,
        by=by,
        rows=[_spent(row, names) for row in report.rows],
        total=None if report.total is None else _spent(report.total, {}),
        everything=None if report.everything is None else EverythingOut.model_validate(asdict(report.everything)),
    )


@router.get("/cost/rates")
def rates(project_id: str, token: Operator, wired: Wired) -> RatesIO:
    return RatesIO(**asdict(wired.work.rates(token, project_id)))


@router.put("/cost/rates")
def set_rates(project_id: str, body: RatesIO, token: Operator, wired: Wired) -> RatesIO:
    """In place of those before; they hold for work of the past too."""
    return RatesIO(**asdict(wired.work.set_rates(token, project_id, Rates(**body.model_dump()))))


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise Invalid(f"there is no time zone {name!r}.", hint="Name one as Europe/Berlin, or UTC.") from None


def _row(row: WorkRow, names: Mapping[str, str]) -> WorkRowOut:
    return WorkRowOut(
        key=row.key,
        name=names.get(row.key, row.key),
        tasks=row.tasks,
        judged=row.judged,
        shapes=row.shapes,
        skips=row.skips,
        median_seconds=row.pace.median if row.pace else None,
        low_seconds=row.pace.low if row.pace else None,
        high_seconds=row.pace.high if row.pace else None,
        judging_median_seconds=row.judging.median if row.judging else None,
        judging_low_seconds=row.judging.low if row.judging else None,
        judging_high_seconds=row.judging.high if row.judging else None,
        hours=row.hours,
        tasks_per_hour=row.tasks_per_hour,
        corrected_share=row.corrected,
        skip_share=row.skipped,
        inspected=row.inspected.answers,
        defect_share=row.inspected.share,
    )


def _spent(row: Spent, names: Mapping[str, str]) -> SpentOut:
    return SpentOut(**asdict(row), name=names.get(row.key, row.key), minutes_per_item=row.minutes_per_item)
