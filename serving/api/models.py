"""Model versions, promotions, rollouts, cycles."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from loop.cycle.page import cycle_page
from loop.cycle.telling import told_later
from loop.domain.errors import NotFound
from loop.domain.rollouts.canary import CanaryRules
from loop.domain.rollouts.rollout import RolloutKind
from loop.models import loaded
from loop.settings import changed_options
from serving.api.auth import Operator, Reader, Wired
from serving.api.bodies import read_body
from serving.api.presenters import cycle_out, model_out, shadow_answer_out
from serving.api.schemas.canaries import CanaryIn
from serving.api.schemas.models import (
    CancelIn,
    ConfiguredOut,
    CycleIn,
    CycleOut,
    CyclePage,
    EndIn,
    MlflowOut,
    ModelOut,
    ModelsOut,
    OptionsIn,
    PromoteIn,
    PromotionOut,
    RollbackIn,
    RolloutIn,
    RolloutOut,
    RolloutsOut,
    ShadowAnswersOut,
)
from serving.api.schemas.selections import RiskOut
from serving.images import decode_image

router = APIRouter(prefix="/v1/projects/{project_id}", tags=["models and cycles"])

_FITS_LOOKED_AT = 50  # of all versions, the newest: further back nobody remembers
_FOLLOW_SECONDS = 0.5
_HEARTBEAT_SECONDS = 15.0  # so that no proxy takes the silence of a long training for the end


@router.get("/models")
def list_models(project_id: str, token: Reader, wired: Wired) -> ModelsOut:
    """Versions, promotions and rollouts, newest first."""
    with wired.store.read() as tx:
        project = tx.projects.get(project_id)
        models = tx.models.all(project_id)
        promotions = tx.promotions.of_project(project_id)
        rollouts = tx.rollouts.of_project(project_id)
    return ModelsOut(
        models=[model_out(model, project.champion_id) for model in models],
        promotions=[PromotionOut.model_validate(p) for p in promotions],
        rollouts=[RolloutOut.model_validate(r) for r in rollouts],
    )


@router.get("/risk")
def get_risk(project_id: str, token: Operator, wired: Wired) -> RiskOut:
    """How well the champion's risk tells which of its predictions people correct."""
    with wired.store.read() as tx:
        model = loaded.champion(tx, project_id)
        fits = tx.events.newest(project_id, "risk.fitted", limit=_FITS_LOOKED_AT)
    status = wired.risks.status(model)
    told = {name: getattr(status, name) for name in ("model_id", "reviewed", "learned", "why", "routed_by")}
    return RiskOut.model_validate(
        told
        | {
            "in_use": "heuristic" if wired.risks.used_key(model) is None else "learned",
            "learned_at": next((fit.at for fit in fits if fit.body.get("risk_key") == model.risk_key), None),
        }
    )


@router.post("/models", status_code=201)
async def add_model(
    project_id: str, request: Request, token: Operator, wired: Wired, base: Annotated[bool, Query()] = False
) -> ModelOut:
    """Weights as a safetensors file with Askance's head (`askance models add` makes one of what you have).

    Pickles are not accepted: the service never unpickles what a caller sends. A project's first model serves
    at once; a later one waits to be promoted. base: only for the project's first training to start from, whatever its
    labels.
    """
    content = await read_body(request, wired.settings.limits.max_model_bytes)
    model, _ = await run_in_threadpool(wired.models.register, project_id, content, token.name, base=base)
    return await run_in_threadpool(_present, wired, project_id, model.id)


def _present(wired: Wired, project_id: str, model_id: str) -> ModelOut:
    with wired.store.read() as tx:
        return model_out(tx.models.get(project_id, model_id), tx.projects.get(project_id).champion_id)


@router.post("/models/rollback", status_code=202)
def rollback(project_id: str, body: RollbackIn, token: Operator, wired: Wired) -> PromotionOut:
    """Back to the champion before the present one. Poll /models until the promotion is active."""
    return PromotionOut.model_validate(wired.models.rollback(project_id, token.name, body.reason))


@router.post("/models/{model_id}/promote", status_code=202)
def promote(project_id: str, model_id: str, body: PromoteIn, token: Operator, wired: Wired) -> PromotionOut:
    """Make a version champion in your name, whatever the gate said."""
    return PromotionOut.model_validate(wired.models.override(project_id, model_id, token.name, body.reason))


@router.post("/models/{model_id}/serving", status_code=202)
def configure(project_id: str, model_id: str, body: OptionsIn, token: Operator, wired: Wired) -> ConfiguredOut:
    """Serve this version with other options (replicas, device, batch size ...) than the settings say.

    The champion is deployed anew beside itself and takes over without a failed request: follow the promotion.
    Another version keeps them until it serves.
    """
    model, promotion = wired.models.configure(
        project_id, model_id, token.name, lambda present: changed_options(wired.settings, present, body.options)
    )
    return ConfiguredOut(
        model=_present(wired, project_id, model.id),
        promotion=None if promotion is None else PromotionOut.model_validate(promotion),
    )


@router.post("/rollouts", status_code=202)
def start_rollout(project_id: str, body: RolloutIn, token: Operator, wired: Wired) -> RolloutOut:
    """A model beside the champion, as canary or shadow; one of each kind at a time.

    It takes its share once it is active, and is taken back by itself when it errs, is slow, or is a canary that people
    find worse than the champion.
    """
    rollout = wired.rollouts.start(
        project_id,
        body.model_id,
        kind=body.kind,
        share=body.share,
        limits=wired.settings.rollout.as_limits(),
        actor=token.name,
        reason=body.reason,
        judging=_judging(wired, body),
    )
    return RolloutOut.model_validate(rollout)


def _judging(wired: Wired, body: RolloutIn) -> CanaryRules | None:
    if isinstance(body.judging, CanaryIn):
        return replace(wired.settings.canary.as_rules(), **body.judging.model_dump(exclude_none=True))
    judged = body.judging is None and body.kind is RolloutKind.CANARY and body.share < 1.0
    return wired.settings.canary.as_rules() if judged else None


@router.get("/rollouts")
def list_rollouts(project_id: str, token: Reader, wired: Wired) -> RolloutsOut:
    """Newest first."""
    with wired.store.read() as tx:
        tx.projects.get(project_id)
        rollouts = tx.rollouts.of_project(project_id)
    return RolloutsOut(rollouts=[RolloutOut.model_validate(r) for r in rollouts])


@router.get("/rollouts/{rollout_id}")
def get_rollout(project_id: str, rollout_id: str, token: Reader, wired: Wired) -> RolloutOut:
    """With how it stands, where it is a canary that people's answers judge."""
    with wired.store.read() as tx:
        return RolloutOut.model_validate(tx.rollouts.get(project_id, rollout_id))


@router.get("/rollouts/{rollout_id}/answers")
def shadow_answers(
    project_id: str,
    rollout_id: str,
    token: Operator,
    wired: Wired,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> ShadowAnswersOut:
    """What a shadow said of the predictions that it saw, oldest first, and where it differs from what callers got."""
    with wired.store.read() as tx:
        tx.rollouts.get(project_id, rollout_id)
        iou = tx.projects.get(project_id).policy.failure_iou
        answers = tx.rollouts.shadow_answers(rollout_id, after=after, limit=limit)
        pairs = []
        for answer in answers:
            with suppress(NotFound):  # lost in a crash, where the project answers before it commits
                pairs.append((answer, tx.predictions.get(project_id, answer.prediction_id)))
    return ShadowAnswersOut(
        answers=[shadow_answer_out(answer, prediction, iou) for answer, prediction in pairs],
        next=answers[-1].prediction_id if len(answers) == limit else None,
    )


@router.post("/rollouts/{rollout_id}/end")
def end_rollout(project_id: str, rollout_id: str, body: EndIn, token: Operator, wired: Wired) -> RolloutOut:
    """From the next request on, the champion answers alone."""
    return RolloutOut.model_validate(wired.rollouts.end(project_id, rollout_id, token.name, body.reason))


@router.post("/cycles", status_code=202)
def start_cycle(project_id: str, body: CycleIn, token: Operator, wired: Wired) -> CycleOut:
    """Freeze a snapshot, train, evaluate, pass the gate or not. One cycle per project at a time."""
    overrides = body.model_dump(exclude_none=True, exclude={"reason"})
    return cycle_out(wired.controller.request(project_id, token.name, body.reason, overrides))


@router.get("/cycles")
def list_cycles(
    project_id: str,
    token: Reader,
    wired: Wired,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> CyclePage:
    """Newest first."""
    with wired.store.read() as tx:
        tx.projects.get(project_id)
        page = tx.cycles.page(project_id, after=after, limit=limit)
    return CyclePage(cycles=[cycle_out(c) for c in page], next=page[-1].id if len(page) == limit else None)


@router.get("/mlflow")
def mlflow(project_id: str, token: Operator, wired: Wired) -> MlflowOut:
    """What it is still to be told, as after it was away; it is told by itself, in order, once it is there."""
    with wired.store.read() as tx:
        tx.projects.get(project_id)
    left = told_later(wired.store, project_id)
    return MlflowOut(
        required=wired.settings.mlflow.required,
        untold=left.whole.count,
        oldest=left.whole.oldest,
        error=left.error,
        cycles={line: untold.count for line, untold in left.lines.items() if line != project_id},
    )


@router.get("/cycles/{cycle_id}/report", response_class=HTMLResponse)
def report(project_id: str, cycle_id: str, token: Operator, wired: Wired) -> HTMLResponse:
    """One HTML page that needs nothing else: what was learned, why it was promoted or not, what to label next."""
    found = wired.cycle_reports.of(project_id, cycle_id)
    max_pixels = wired.settings.limits.max_image_pixels

    def pixels(digest: str) -> NDArray[np.uint8]:
        return decode_image(wired.blobs.get(digest), max_pixels=max_pixels)[1]

    return HTMLResponse(cycle_page(found, pixels), headers={"X-Content-Type-Options": "nosniff"})


@router.post("/cycles/{cycle_id}/cancel")
def cancel(project_id: str, cycle_id: str, body: CancelIn, token: Operator, wired: Wired) -> CycleOut:
    """It ends as failed, with your reason; what works on it stops within seconds, and the champion stays."""
    return cycle_out(wired.controller.cancel(project_id, cycle_id, token.name, body.reason))


@router.get(
    "/cycles/{cycle_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "a cycle as JSON in each event"}},
)
async def follow(project_id: str, cycle_id: str, token: Reader, wired: Wired) -> StreamingResponse:
    """Server-sent events: the cycle whenever it has gone on, until it has ended."""

    def now() -> CycleOut:
        with wired.store.read() as tx:
            return cycle_out(tx.cycles.get(project_id, cycle_id))

    first = await run_in_threadpool(now)

    async def events() -> AsyncIterator[str]:
        told, cycle, silent = "", first, 0.0
        while True:
            text = cycle.model_dump_json()
            if text != told:
                told, silent = text, 0.0
                yield f"event: cycle\ndata: {text}\n\n"
            elif silent >= _HEARTBEAT_SECONDS:
                silent = 0.0
                yield ": still there\n\n"
            if cycle.state.finished:
                return
            await asyncio.sleep(_FOLLOW_SECONDS)
            silent += _FOLLOW_SECONDS
            cycle = await run_in_threadpool(now)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.get("/cycles/{cycle_id}")
def get_cycle(project_id: str, cycle_id: str, token: Reader, wired: Wired) -> CycleOut:
    with wired.store.read() as tx:
        return cycle_out(tx.cycles.get(project_id, cycle_id))
