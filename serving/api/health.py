"""Is the service alive, is it ready, and its figures for Prometheus."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from loop.domain.model import ModelVersion
from serving.api.auth import Wired
from serving.api.gateway import deadline_after
from serving.api.production_gauges import gauges
from serving.images import BLANK

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: str
    models: dict[str, str] = {}


@router.get("/healthz")
def healthz() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/readyz")
async def readyz(wired: Wired) -> Health:
    """The store can be read, and each champion answers a tiny inference."""
    champions = await run_in_threadpool(_champions, wired)
    deadline = deadline_after(None, wired.settings.limits.request_timeout_s)
    for model in champions:
        await wired.inferencer.infer(model, BLANK, deadline)
    return Health(status="ready", models={model.project_id: model.id for model in champions})


def _champions(wired: Wired) -> list[ModelVersion]:
    with wired.store.read() as tx:
        return [tx.models.get(p.id, p.champion_id) for p in tx.projects.all() if p.champion_id is not None]


@router.get("/metrics", response_class=Response)
def metrics(wired: Wired) -> Response:
    gauges.follow(wired.store)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
