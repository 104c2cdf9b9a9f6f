"""How predictions turned out: told by the systems that used them."""

from dataclasses import asdict

from fastapi import APIRouter, Response

from loop.domain.production.outcomes import Told
from serving.api.auth import Producer, Wired
from serving.api.schemas.outcomes import (
    OutcomeIn,
    OutcomeKeptOut,
    OutcomeOut,
    OutcomesIn,
    OutcomesKeptOut,
    RefusedOutcomeOut,
)

router = APIRouter(prefix="/v1/projects/{project_id}", tags=["outcomes"])


@router.post("/predictions/{prediction_id}/outcome", status_code=201)
def report_outcome(
    project_id: str, prediction_id: str, body: OutcomeIn, token: Producer, wired: Wired, response: Response
) -> OutcomeKeptOut:
    """Say that a prediction turned out wrong, or right. 200 where you have said the same before; another word of yours
    takes the place of the one before. It is shown and counted apart: no estimate is made from it."""
    kept = wired.outcomes.report(token, project_id, prediction_id, _told(body))
    if not kept.fresh:
        response.status_code = 200
    return OutcomeKeptOut(**OutcomeOut.model_validate(kept.outcome).model_dump(), note=kept.note)


@router.post("/outcomes")
def report_outcomes(project_id: str, body: OutcomesIn, token: Producer, wired: Wired) -> OutcomesKeptOut:
    """Up to 500 at once. Those that cannot be kept are told with the reason; the others are."""
    given = [(one.prediction_id, _told(one)) for one in body.outcomes]
    kept, refused = wired.outcomes.report_all(token, project_id, given)
    fresh = [one for one in kept if one.fresh]
    tasks = {one.outcome.task_id for one in fresh} - {None}
    return OutcomesKeptOut(
        kept=len(fresh),
        unchanged=len(kept) - len(fresh),
        tasks=len(tasks),
        notes=sorted({one.note for one in kept} - {""}),
        refused=[RefusedOutcomeOut(**asdict(one)) for one in refused],
    )


def _told(body: OutcomeIn) -> Told:
    return Told(
        outcome=body.outcome,
        reason=body.reason,
        labels=tuple(body.labels),
        at=body.at,
        send_to_review=body.send_to_review,
    )
