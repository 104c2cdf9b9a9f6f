"""Is the service alive, is it ready, and its figures for Prometheus."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from serving.api.auth import Wired
from serving.api.gateway import Gateway
from serving.api.production_gauges import gauges

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: str
    models: dict[str, str] = {}


@router.get("/healthz")
def healthz() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/readyz")
async def readyz(request: Request) -> Health:
    """The store can be read, and each champion answers a tiny inference, or is too busy to; looked at every two seconds
    at most."""
    gateway: Gateway = request.app.state.gateway
    return Health(status="ready", models=dict(await gateway.readiness.models()))


@router.get("/metrics", response_class=Response)
def metrics(wired: Wired) -> Response:
    gauges.follow(wired.store)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
