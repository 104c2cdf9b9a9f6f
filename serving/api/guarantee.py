"""What is promised of predictions that pass without a person, and what keeps it. For operators: it tells how audits are
drawn."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from loop.domain.guarantee.error_costs import Economics
from loop.domain.guarantee.thresholds import SHARES, GroupThreshold, Thresholds
from loop.production.promises import GuaranteeStatus
from serving.api.auth import Operator, Wired
from serving.api.options import LAST_VERSION
from serving.api.schemas.guarantee import (
    AcceptGuaranteeIn,
    CapacityOut,
    CurvePointOut,
    EconomicsOut,
    GuaranteeCurveOut,
    GuaranteeOut,
    GuaranteePreviewIn,
    GuaranteePreviewOut,
    GuaranteeRulesOut,
    PricedPointOut,
    ThresholdsDetailOut,
    ThresholdsOut,
    ThresholdsPage,
)

router = APIRouter(prefix="/v1/projects/{project_id}/guarantee", tags=["guarantee"])


@router.get("")
def get_guarantee(project_id: str, token: Operator, wired: Wired) -> GuaranteeOut:
    """Crawl, walk or run; what is promised, by which thresholds, on how much evidence; and what it asks of people."""
    return _guarantee_out(wired.promises.status(token, project_id))


@router.get("/thresholds")
def list_thresholds(
    project_id: str,
    token: Operator,
    wired: Wired,
    before: Annotated[int | None, Query(ge=1, le=LAST_VERSION)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> ThresholdsPage:
    """Every record, the newest first."""
    page = wired.promises.history(token, project_id, before=before, limit=limit)
    return ThresholdsPage(
        thresholds=[ThresholdsOut.model_validate(_plain(one)) for one in page],
        next=page[-1].version if len(page) == limit else None,
    )


@router.get("/thresholds/{version}")
def get_thresholds(
    project_id: str, version: Annotated[int, Path(ge=1, le=LAST_VERSION)], token: Operator, wired: Wired
) -> ThresholdsDetailOut:
    """With the predictions whose answers it rests on."""
    record, evidence = wired.promises.record(token, project_id, version)
    return ThresholdsDetailOut.model_validate(_plain(record) | {"evidence": evidence})


@router.get("/curve")
def get_guarantee_curve(
    project_id: str,
    token: Operator,
    wired: Wired,
    promise: Annotated[int, Query(ge=1, le=LAST_VERSION, description="its place in the policy, from 1")] = 1,
    group: str | None = None,
) -> GuaranteeCurveOut:
    """What each threshold would let pass and cost, by the answers of now."""
    curve = wired.promises.curve(token, project_id, promise=promise - 1, group=group)
    bargain = curve.bargain
    return GuaranteeCurveOut(
        promise=promise,
        group=curve.group,
        groups=list(curve.groups),
        alpha=curve.alpha,
        present=curve.present,
        points=[CurvePointOut(**asdict(point), kept=point.bound <= curve.alpha) for point in curve.points],
        currency=curve.currency,
        priced=[
            PricedPointOut(threshold=threshold, **_priced(one))
            for threshold, one in (bargain.points if bargain else ())
        ],
        cheapest=bargain.cheapest if bargain else None,
        worth=bargain.worth if bargain else None,
    )


@router.post("/preview")
def preview_guarantee(project_id: str, body: GuaranteePreviewIn, token: Operator, wired: Wired) -> GuaranteePreviewOut:
    """What promises would let pass by the answers of now, and what they lack; refused as the change of the policy would
    be. Nothing is changed."""
    found = wired.promises.preview(
        token, project_id, body.guarantee.model_dump(exclude_unset=True), audit_rate=body.audit_rate
    )
    plain = asdict(found) | {"groups": [_plain_group(one) for one in found.groups]}
    return GuaranteePreviewOut.model_validate(plain)


@router.post("/accept", status_code=201)
def accept_guarantee(project_id: str, body: AcceptGuaranteeIn, token: Operator, wired: Wired) -> ThresholdsOut:
    """An alarm is over, since you say so: routing goes on, and promises are watched anew from now on."""
    return ThresholdsOut.model_validate(_plain(wired.guarantee.accept(token, project_id, body.reason)))


def _guarantee_out(status: GuaranteeStatus) -> GuaranteeOut:
    capacity = status.capacity
    return GuaranteeOut(
        project_id=status.project_id,
        model_id=status.model_id,
        phase=status.phase,
        unmet=status.unmet,
        waits_for=status.waits_for,
        fewest=list(status.fewest),
        rules=GuaranteeRulesOut.model_validate(status.policy.guarantee),
        audit_rate=status.policy.audit_rate,
        thresholds=None if status.record is None else ThresholdsOut.model_validate(_plain(status.record)),
        capacity=CapacityOut(
            seconds=capacity.pace.seconds,
            predictions_a_day=capacity.pace.predictions_a_day,
            hours_needed=capacity.hours_needed,
            hours_had=capacity.hours_had,
            queue=capacity.queue,
            queue_hours=capacity.queue_hours,
            hours_for_queue=capacity.hours_for_queue,
            short=capacity.short,
            says=capacity.says,
        ),
        currency=status.currency,
        economics=None if status.economics is None else EconomicsOut(**_priced(status.economics)),
    )


def _priced(economics: Economics) -> dict[str, Any]:
    return asdict(economics) | {"cost": economics.cost}


def _plain(record: Thresholds) -> dict[str, Any]:
    """Promises are counted from 1 where people read."""
    plain = asdict(record) | {"groups": [_plain_group(one) for one in record.groups]}
    if record.alarm is not None:
        plain["alarm"] = asdict(record.alarm) | {"promise": record.alarm.promise + 1}
    return plain


def _plain_group(one: GroupThreshold) -> dict[str, Any]:
    needed = [{"automation": share, "audits": count} for share, count in zip(SHARES, one.needed, strict=True)]
    return asdict(one) | {"promise": one.promise + 1, "needed": needed}
