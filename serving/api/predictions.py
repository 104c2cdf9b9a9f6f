"""Inference for production systems, and what people made of it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from loop.domain.errors import DeadlinePassed, Invalid, ReviewPending
from loop.domain.policy.gate import Fallback, Review
from loop.domain.project import Project
from loop.domain.review.tasks import Outcome
from loop.routing.router import Caller
from loop.wiring import Services
from serving.api.auth import Producer, Wired, authenticated, bearer, producer, services
from serving.api.bodies import announced, read_image
from serving.api.gateway import Answered, Asked, CallerGone, Gateway, deadline_after, unless
from serving.api.options import only_known_options
from serving.api.presenters import prediction_out, reviewed_out
from serving.api.schemas.predictions import PredictionOut, PredictionPage, ReviewedPredictionOut
from serving.api.schemas.problem import Problem

router = APIRouter(prefix="/v1/projects/{project_id}/predictions", tags=["predictions"])

_KEY_LENGTH = 255
# nginx's number for a caller who hung up; nobody is there to read it but logs and figures.
_CLIENT_CLOSED_REQUEST = 499


class About(BaseModel):
    """What a caller may say of an image."""

    source: str = Field(default="", max_length=200, description="where the image comes from, e.g. camera-3")
    group: str = Field(default="", max_length=200, description="clip or scene that must not be split")
    timeout: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="seconds that you wait; what is not answered by then gets 504 and is not computed",
    )
    wait: float = Field(
        default=0.0,
        description="seconds that you wait for a person, where one is needed: from 0, which is not at all, to "
        "gate.max_wait_seconds of the policy; see docs/gate.md",
    )
    review: Review = Field(
        default=Review.AUTO, description="whether a person looks: as the policy routes, or whatever the risk"
    )
    lot: str | None = Field(
        default=None,
        max_length=64,
        description="an open upload that the image is of: a person looks whatever the risk, unless people had it",
    )

    @property
    def wanted_review(self) -> Review:
        """Raises Invalid where nobody is to look at an image of an upload."""
        if self.lot is None:
            return self.review
        if self.review is Review.NEVER:
            raise Invalid(
                "each image of an upload goes to a person.", hint="Leave out review=never, or lot.", lot=self.lot
            )
        return Review.ALWAYS


_NOTHING_SAID = About()
_WHY_PENDING = {
    "unanswered": "nobody has answered in time.",
    "unsettled": "it was answered, but not settled in time: quality assurance, its lot or other people decide.",
    "skipped": "people looked at it and could not say.",
}


class _ReadByHand(APIRoute):
    """Declared like any other route. But FastAPI walks its tree of parameters with each request, which takes longer
    than all else that the gateway does for it: here they are read one by one."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return _predict


async def _predict(request: Request) -> Response:
    """`predict`, with its parameters read as it declares them."""
    token = await producer(request, await authenticated(request, await bearer(request)))
    await only_known_options(request)
    try:
        about = About.model_validate(dict(request.query_params)) if request.query_params else _NOTHING_SAID
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("query", *one["loc"])} for one in error.errors()]) from error
    wired, key = await services(request), request.headers.get("idempotency-key")
    return await predict(request.path_params["project_id"], request, token, wired, about, key)


async def predict(
    project_id: str,
    request: Request,
    token: Producer,
    wired: Wired,
    about: Annotated[About, Query()],
    idempotency_key: Annotated[str | None, Header(description="a retry with the same key creates nothing new")] = None,
) -> Response:
    """Send a JPEG, PNG or WebP image as the body (or as a multipart file); get boxes and what was decided. With `wait`,
    where a person is needed, get what that person says, or what the project's policy has for who gets no answer in
    time; ask for that again, later, with the same Idempotency-Key or GET."""
    gateway: Gateway = request.app.state.gateway
    gateway.rates.take(token.id)
    gateway.room.require(project_id)
    patience = await _patience(request, wired, project_id, about.wait)
    try:
        answered = await _answered(request, wired, project_id, token.id, about, idempotency_key, patience)
        if answered.routed is None or answered.model is None:
            body = await _replayed(request, wired, project_id, str(answered.replayed), patience)
            return _json(body, {"Idempotent-Replayed": "true"})
        routed = answered.routed
        if patience is None or not routed.prediction.decision.needs_person:
            task_id = routed.task.id if routed.task else None
            width, height = routed.item.width, routed.item.height
            return _json(prediction_out(routed.prediction, answered.model, width, height, task_id))
        prediction_id = routed.prediction.id
        del answered, routed  # what waits holds no more than it needs
        return _json(_told(await _waited(request, wired, prediction_id, patience), patience.project))
    except CallerGone:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)


@dataclass(frozen=True, slots=True)
class _Patience:
    """How long a caller waits for a person: until a moment of the loop's clock, which is `answer_by`."""

    project: Project
    until: float
    answer_by: datetime


async def _patience(request: Request, wired: Services, project_id: str, wait: float) -> _Patience | None:
    """None where the caller does not wait. Raises Invalid, Overloaded."""
    if wait == 0:
        return None
    gateway: Gateway = request.app.state.gateway
    project = (await gateway.current.served(request.state.view, project_id)).project
    seconds = project.policy.gate.checked_wait(wait)
    gateway.waiting.require()
    return _Patience(project, asyncio.get_running_loop().time() + seconds, wired.clock() + timedelta(seconds=seconds))


async def _answered(
    request: Request,
    wired: Services,
    project_id: str,
    token_id: str,
    about: About,
    key: str | None,
    patience: _Patience | None,
) -> Answered:
    """By the model. Raises CallerGone."""
    gateway: Gateway = request.app.state.gateway
    deadline = deadline_after(about.timeout, wired.settings.limits.request_timeout_s)
    if key is not None and not 1 <= len(key) <= _KEY_LENGTH:
        raise Invalid(f"an Idempotency-Key has 1 to {_KEY_LENGTH} characters.", hint="Send a UUID.")
    review, most = about.wanted_review, wired.settings.limits.max_image_bytes
    # Room is taken before the image is read: what arrives is in memory, too, however slowly.
    with gateway.room.taken(project_id, announced(request, most)) as size_is:
        content = await _received(request, most, deadline)
        size_is(len(content))
        asked = Asked(
            project_id=project_id, content=content, caller=Caller(token_id, key), source=about.source,
            group=about.group, deadline=deadline, gone=_gone(request), review=review, lot_id=about.lot,
            answer_by=None if patience is None else patience.answer_by,
        )  # fmt: skip
        return await gateway.answer(request.state.view, asked)


async def _received(request: Request, most: int, deadline: float) -> bytes:
    """Raises DeadlinePassed where it does not arrive in time."""
    try:
        async with asyncio.timeout_at(deadline):
            return await read_image(request, most)
    except TimeoutError:
        raise DeadlinePassed(
            "the image did not arrive before the deadline.", hint="Send a smaller one, or allow more time."
        ) from None


def _gone(request: Request) -> Callable[[], Coroutine[Any, Any, None]]:
    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    return gone


async def _replayed(
    request: Request, wired: Services, project_id: str, prediction_id: str, patience: _Patience | None
) -> ReviewedPredictionOut:
    """The prediction of a key that had its answer already; who waits joins those who wait for it."""
    body = await run_in_threadpool(_stored, wired, project_id, prediction_id)
    if patience is None:
        return body
    if body.is_awaited:
        await run_in_threadpool(wired.gates.wait_again, patience.project, prediction_id, patience.answer_by)
        body = await _waited(request, wired, prediction_id, patience)
    return _told(body, patience.project)


async def _waited(request: Request, wired: Services, prediction_id: str, patience: _Patience) -> ReviewedPredictionOut:
    """The prediction as soon as people have answered, or, where they have not in time, as it is then. Raises
    CallerGone."""
    gateway: Gateway = request.app.state.gateway
    left = patience.until - asyncio.get_running_loop().time()
    await unless(_gone(request), gateway.waiting.ending(prediction_id, left))
    return await run_in_threadpool(_stored, wired, patience.project.id, prediction_id)


def _told(body: ReviewedPredictionOut, project: Project) -> ReviewedPredictionOut:
    """What who waited gets of a prediction: by the policy, where no person has answered. Raises ReviewPending."""
    fallback = project.policy.gate.fallback
    if body.status == "final" or fallback is Fallback.FLAG:
        return body
    if fallback is Fallback.WITHHOLD:
        return body.model_copy(update={"detections": [], "withheld": True})
    skipped = body.provisional_because == "skipped"
    path = f"/v1/projects/{project.id}/predictions/{body.id}"
    raise ReviewPending(
        _WHY_PENDING[body.provisional_because or "unanswered"],
        hint=f"The prediction is kept (GET {path}); an operator can ask people again: askance reopen TASK."
        if skipped
        else f"The prediction is kept: GET {path}?wait=60 waits on, and the webhook prediction.reviewed tells of the "
        "answer.",
        prediction=body.id,
        because=body.provisional_because,
    )


router.add_api_route(
    "",
    predict,
    methods=["POST"],
    response_model=None,
    responses={
        200: {
            "model": PredictionOut | ReviewedPredictionOut,
            "description": "answered; durable. ReviewedPredictionOut where the call waited for people, or was replayed",
        },
        504: {"model": Problem, "description": "/problems/review-pending: nobody has answered in time"},
    },
    route_class_override=_ReadByHand,
)


def _json(body: PredictionOut, headers: dict[str, str] | None = None) -> Response:
    """Written once, by pydantic: FastAPI would validate the answer again and turn it into plain values first."""
    return Response(body.model_dump_json(), headers=headers, media_type="application/json")


def _stored(wired: Services, project_id: str, prediction_id: str) -> ReviewedPredictionOut:
    with wired.store.read() as tx:
        prediction = tx.predictions.get(project_id, prediction_id)
        item = tx.items.get(project_id, prediction.item_digest)
        model = tx.models.get(project_id, prediction.model_id)
        tasks = tx.tasks.of_prediction(prediction_id)
        # Of several people's tasks, the one that is still to be done; their answers count when they settled it.
        task = next((task for task in tasks if not task.finished), tasks[0]) if tasks else None
        said = tx.submissions.of_work(task.work_id) if task else []
        truth = tx.truths.current(project_id, prediction.item_digest)
        outcomes = tx.outcomes.of_prediction(prediction_id)
        ending = tx.gates.endings([prediction_id]).get(prediction_id)
    of_round = [one for one in said if task and one.round == task.round]
    answered = next((one for one in of_round if one.settles), None)
    unsettled = any(one.outcome is Outcome.SUBMITTED for one in of_round)
    return reviewed_out(prediction, model, item, task, answered, truth, ending, outcomes, unsettled=unsettled)


@router.get("/{prediction_id}", response_model=ReviewedPredictionOut)
async def get_prediction(
    project_id: str,
    prediction_id: str,
    request: Request,
    token: Producer,
    wired: Wired,
    wait: Annotated[
        float, Query(description="seconds until it is answered as it is, should it not be final before")
    ] = 0.0,
) -> ReviewedPredictionOut | Response:
    """A prediction and, once a person has answered, what was wrong with it and the truth. Not for reviewers: it tells
    audits from routed work. With `wait`, as of POST, answered when it is final or nobody is asked any more."""
    patience = await _patience(request, wired, project_id, wait)
    body = await run_in_threadpool(_stored, wired, project_id, prediction_id)
    if patience is None or not body.is_awaited:
        return body
    try:
        return await _waited(request, wired, prediction_id, patience)
    except CallerGone:
        return Response(status_code=_CLIENT_CLOSED_REQUEST)


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
        endings = tx.gates.endings([p.id for p in page])
    return PredictionPage(
        predictions=[
            prediction_out(
                p, models[p.model_id], item.width, item.height, tasks[0].id if tasks else None, endings.get(p.id)
            )
            for p, item, tasks in rows
        ],
        next=page[-1].id if len(page) == limit else None,
    )
