"""The HTTP application: routers, problems, headers, figures, the page."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import Counter, Histogram

from loop.wiring import Services
from serving.api import errors, health, items, models, predictions, projects, tasks
from serving.api.bodies import BodyLimit
from serving.api.schemas import Problem

PAGE = Path(__file__).resolve().parents[1] / "web" / "dist"

# A submission of 5,000 shapes takes well below a megabyte.
_JSON_BYTES = 4_000_000

_requests = Counter("askance_http_requests", "Requests by route, method and status.", ["route", "method", "status"])
_seconds = Histogram("askance_http_request_seconds", "Seconds from request to answer.", ["route", "method"])

# The page loads nothing from elsewhere; images of items arrive as blob: URLs made by the page itself.
_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def create_app(services: Services) -> FastAPI:
    app = FastAPI(
        title="Askance",
        version="1",
        summary="Object detection that knows what it is unsure of.",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        responses={"default": {"model": Problem, "description": "What went wrong, as problem+json (RFC 9457)"}},
    )
    app.state.services = services
    errors.install(app)
    app.middleware("http")(_measured)
    app.add_middleware(BodyLimit, limit=_JSON_BYTES)
    for module in (predictions, tasks, items, projects, models, health):
        app.include_router(module.router)
    if PAGE.is_dir():
        app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    return app


async def _measured(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    begun = time.perf_counter()
    response = await call_next(request)
    route = getattr(request.scope.get("route"), "path", "other")
    _requests.labels(route, request.method, response.status_code).inc()
    _seconds.labels(route, request.method).observe(time.perf_counter() - begun)
    if not request.url.path.startswith("/v1/"):
        response.headers.setdefault("Content-Security-Policy", _PAGE_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    return response
