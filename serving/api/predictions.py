"""Inference for production systems, and what people made of it."""

import asyncio
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from loop.domain.errors import Invalid, ModelGone, NoChampion
from loop.domain.identity import digest_of
from loop.domain.model import ModelVersion
from loop.domain.ports import Claim
from loop.domain.project import Project
from loop.domain.review import Outcome
from loop.router import Caller, ReceivedImage, Routed
from loop.wiring import Services
from serving.api.auth import Producer, Wired
from serving.api.bodies import read_image
from serving.api.presenters import prediction_out, reviewed_out
from serving.api.schemas import PredictionOut, PredictionPage, ReviewedPredictionOut
from serving.images import decode_image

router = APIRouter(prefix="/v1/projects/{project_id}/predictions", tags=["predictions"])

# A champion may be replaced between reading its name and calling it; the next one is tried at once.
_TRIES = 5
_KEY_LENGTH = 255


@router.post("", responses={200: {"description": "answered; durable"}})
async def predict(
    project_id: str,
    request: Request,
    response: Response,
    token: Producer,
    wired: Wired,
    source: Annotated[str, Query(max_length=200, description="where the image comes from, e.g. camera-3")] = "",
    group: Annotated[str, Query(max_length=200, description="clip or scene that must not be split")] = "",
    idempotency_key: Annotated[str | None, Header(description="a retry with the same key creates nothing new")] = None,
) -> PredictionOut:
    """Send a JPEG, PNG or WebP image as the body (or as a multipart file); get boxes and what was decided."""
    content = await read_image(request, wired.settings.limits.max_image_bytes)
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= _KEY_LENGTH:
        raise Invalid(f"an Idempotency-Key has 1 to {_KEY_LENGTH} characters.", hint="Send a UUID.")
    caller = Caller(token.id, idempotency_key)
    digest = digest_of(content)
    claim = await _claimed(wired, caller, project_id, digest, source, group)
    if claim is not None and not claim.fresh:
        response.headers["Idempotent-Replayed"] = "true"
        return await run_in_threadpool(_stored, wired, project_id, str(claim.prediction_id))
    # Shielded: once begun, a caller who hangs up does not leave a half-done request behind.
    return await asyncio.shield(
        asyncio.ensure_future(_answer(wired, caller, project_id, content, digest, source, group))
    )


async def _claimed(
    wired: Services, caller: Caller, project_id: str, digest: str, source: str, group: str
) -> Claim | None:
    if caller.key is None:
        return None
    request_digest = digest_of("\0".join([project_id, digest, source, group]).encode())

    def claim() -> Claim:
        with wired.store.begin() as tx:
            return tx.keys.claim(caller.token_id, str(caller.key), request_digest, wired.clock())

    return await run_in_threadpool(claim)


async def _answer(
    wired: Services, caller: Caller, project_id: str, content: bytes, digest: str, source: str, group: str
) -> PredictionOut:
    try:
        facts, pixels = await run_in_threadpool(
            partial(decode_image, content, max_pixels=wired.settings.limits.max_image_pixels)
        )
        image = ReceivedImage(
            content=content, digest=digest, media_type=facts.media_type, width=facts.width, height=facts.height,
            source=source, group=group,
        )  # fmt: skip
        for attempt in range(1, _TRIES + 1):
            project, model = await run_in_threadpool(_champion, wired, project_id)
            try:
                inference = await wired.inferencer.infer(model, pixels)
                break
            except ModelGone:
                if attempt == _TRIES:
                    raise
                await asyncio.sleep(0.05 * attempt)
        routed: Routed = await run_in_threadpool(wired.router.route, project, model, image, inference, caller)
    except BaseException:
        if caller.key is not None:
            await run_in_threadpool(_abandon, wired, caller)
        raise
    return prediction_out(routed.prediction, model, facts.width, facts.height, routed.task.id if routed.task else None)


def _champion(wired: Services, project_id: str) -> tuple[Project, ModelVersion]:
    with wired.store.read() as tx:
        project = tx.projects.get(project_id)
        if project.champion_id is None:
            raise NoChampion(
                f"{project_id} has no model yet.",
                hint=f"Add one: askance models add WEIGHTS --project {project_id}, or run a cycle on imported truth.",
                project=project_id,
            )
        return project, tx.models.get(project_id, project.champion_id)


def _abandon(wired: Services, caller: Caller) -> None:
    with wired.store.begin() as tx:
        tx.keys.abandon(caller.token_id, str(caller.key))


def _stored(wired: Services, project_id: str, prediction_id: str) -> ReviewedPredictionOut:
    with wired.store.read() as tx:
        prediction = tx.predictions.get(project_id, prediction_id)
        item = tx.items.get(project_id, prediction.item_digest)
        model = tx.models.get(project_id, prediction.model_id)
        task = next(iter(tx.tasks.of_prediction(prediction_id)), None)
        submission = tx.submissions.of_task(task.id) if task else None
        truth = tx.truths.current(project_id, prediction.item_digest)
    answered = submission if submission and submission.outcome is Outcome.SUBMITTED else None
    return reviewed_out(prediction, model, item, task, answered, truth)


@router.get("/{prediction_id}")
def get_prediction(project_id: str, prediction_id: str, token: Producer, wired: Wired) -> ReviewedPredictionOut:
    """A prediction and, once a person has answered, what was wrong with it and the truth. Not for reviewers: it tells
    audits from routed work."""
    return _stored(wired, project_id, prediction_id)


@router.get("")
def list_predictions(
    project_id: str,
    token: Producer,
    wired: Wired,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> PredictionPage:
    """Newest first."""
    with wired.store.read() as tx:
        tx.projects.get(project_id)
        page = tx.predictions.page(project_id, after=after, limit=limit)
        models = {p.model_id: tx.models.get(project_id, p.model_id) for p in page}
        rows = [(p, tx.items.get(project_id, p.item_digest), tx.tasks.of_prediction(p.id)) for p in page]
    return PredictionPage(
        predictions=[
            prediction_out(p, models[p.model_id], item.width, item.height, tasks[0].id if tasks else None)
            for p, item, tasks in rows
        ],
        next=page[-1].id if len(page) == limit else None,
    )
