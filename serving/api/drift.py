"""Drift: whether production still looks like what the champion was judged on."""

from typing import Annotated

from fastapi import APIRouter, Query

from loop.domain.access import Token
from serving.api.auth import Operator, Reader, Wired
from serving.api.presenters import is_blind
from serving.api.schemas.drift import DriftPage, DriftReportOut, DriftStatusOut

router = APIRouter(prefix="/v1/projects/{project_id}/drift", tags=["drift"])


@router.get("")
def list_drift_reports(
    project_id: str,
    token: Reader,
    wired: Wired,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> DriftPage:
    """Newest first, of all models; with what the next look waits for. Reviewers are told of no single item."""
    status = wired.drift.status(project_id)
    with wired.store.read() as tx:
        page = tx.drift_reports.page(project_id, after=after, limit=limit)
    return DriftPage(
        **DriftStatusOut.model_validate(status).model_dump(),
        reports=[_told(DriftReportOut.model_validate(report), token) for report in page],
        next=page[-1].id if len(page) == limit else None,
    )


@router.post("", status_code=201)
def look_for_drift(project_id: str, token: Operator, wired: Wired) -> DriftReportOut:
    """Compare the newest predictions now, whether or not a window is full. It neither begins nor ends an alarm.

    409 with the type too-few-images where nothing can be said yet.
    """
    return DriftReportOut.model_validate(wired.drift.look_now(project_id, token.name))


@router.post("/reference", status_code=201)
def accept_drift(project_id: str, token: Operator, wired: Wired) -> DriftStatusOut:
    """What production shows now is normal: its newest predictions are what later ones are compared with."""
    wired.drift.accept(project_id, token.name)
    return DriftStatusOut.model_validate(wired.drift.status(project_id))


def _told(report: DriftReportOut, token: Token) -> DriftReportOut:
    """What is of now in production is no golden item."""
    return report.model_copy(update={"unlike": []}) if is_blind(token) else report
