"""Inference for production systems, and what people made of it."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from loop.domain.errors import Invalid
from loop.router import Caller
from loop.wiring import Services
from serving.api.auth import Producer, Wired, authenticated, bearer, producer, services
from serving.api.bodies import read_image
from serving.api.gateway import Asked, CallerGone, Gateway, deadline_after
from serving.api.presenters import prediction_out, reviewed_out
from serving.api.schemas.predictions import PredictionOut, PredictionPage, ReviewedPredictionOut

router = APIRouter(prefix="/v1/projects/{project_id}/predictions", tags=["predictions"])

_KEY_LENGTH = 255
# nginx's number for a caller who hung up; nobody is there to read it but logs and figures.
_CLIENT_CLOSED_REQUEST = 499


class About(BaseModel):
    """What a caller may say of an image."""

    source: str = Field(default="", max_length=200, description="where the image comes from, e.g. camera-3")
    group: str = Field(default="", max_length=200, description="clip or scene that must not be split")
    timeout: float | None = Field(
        default=None, description="seconds that you wait; what is not answered by then gets 504 and is not computed"
    )


_NOTHING_SAID = About()


class _ReadByHand(APIRoute):
    """Declared like any other route. But FastAPI walks its tree of parameters with each request, which takes longer
    than all else that the gateway does for it: here they are read one by one."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return _predict


async def _predict(request: Request) -> Response:
    """`predict`, with its parameters read as it declares them."""
    token = await producer(request, await authenticated(request, await bearer(request)))
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
    """Send a JPEG, PNG or WebP image as the body (or as a multipart file); get boxes and what was decided."""
    gateway: Gateway = request.app.state.gateway
    gateway.rates.take(token.id)
    gateway.room.require(project_id)
    deadline = deadline_after(about.timeout, wired.settings.limits.request_timeout_s)
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= _KEY_LENGTH:
        raise Invalid(f"an Idempotency-Key has 1 to {_KEY_LENGTH} characters.", hint="Send a UUID.")
    content = await read_image(request, wired.settings.limits.max_image_bytes)

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    asked = Asked(
        project_id=project_id, content=content, caller=Caller(token.id, idempotency_key), source=about.source,
        group=about.group, deadline=deadline, gone=gone,
    )  # fmt: skip
    with gateway.room.taken(project_id, len(content)):
        try:
            answered = await gateway.answer(request.state.view, asked)
        except CallerGone:
            return Response(status_code=_CLIENT_CLOSED_REQUEST)
    if answered.routed is None or answered.model is None:
        body = await run_in_threadpool(_stored, wired, project_id, str(answered.replayed))
        return _json(body, {"Idempotent-Replayed": "true"})
    routed = answered.routed
    task_id = routed.task.id if routed.task else None
    return _json(prediction_out(routed.prediction, answered.model, routed.item.width, routed.item.height, task_id))


router.add_api_route(
    "",
    predict,
    methods=["POST"],
    response_model=None,
    responses={200: {"model": PredictionOut, "description": "answered; durable"}},
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
    answered = next((one for one in said if task and one.settles and one.round == task.round), None)
    return reviewed_out(prediction, model, item, task, answered, truth, outcomes)


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
