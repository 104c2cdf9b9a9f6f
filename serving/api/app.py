"""The HTTP application: routers, problems, headers, figures, the page."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI
from fastapi.staticfiles import StaticFiles
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from loop.wiring import Services
from serving.api import (
    annotations,
    collecting,
    comments,
    drift,
    duplicates,
    errors,
    evaluations,
    exchange,
    functions,
    golden,
    groups,
    guarantee,
    health,
    item_data,
    items,
    label_errors,
    label_studio,
    lots,
    maps,
    models,
    objects,
    outcomes,
    people,
    predictions,
    production,
    projects,
    recipes,
    reviews,
    search_index,
    selections,
    snapshots,
    tasks,
    triggers,
    webhooks,
    work,
)
from serving.api.bodies import BodyLimit
from serving.api.gateway import Gateway
from serving.api.options import only_known_options
from serving.api.schemas.problem import Problem

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


_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))
_PAGE_HEADERS = (*_HEADERS, (b"content-security-policy", _PAGE_POLICY.encode()))


def create_app(services: Services) -> FastAPI:
    @asynccontextmanager
    async def lifespan(started: FastAPI) -> AsyncIterator[None]:
        started.state.gateway = Gateway(started.state.services)
        store = started.state.services.store
        # Here alone: in processes that list nothing they would only take memory.
        store.hold_columns(started.state.services.settings.serving.item_columns_from)
        yield
        await started.state.gateway.close()
        store.hold_columns(0)

    app = FastAPI(
        lifespan=lifespan,
        title="Askance",
        version="1",
        summary="Object detection that knows what it is unsure of.",
        dependencies=[Depends(only_known_options)],
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        responses={"default": {"model": Problem, "description": "What went wrong, as problem+json (RFC 9457)"}},
    )
    app.state.services = services
    errors.install(app)
    app.add_middleware(_Measured)
    app.add_middleware(BodyLimit, limit=_JSON_BYTES)
    for module in (
        # work before items: /items/ambiguous is no digest.
        predictions, reviews, tasks, work, item_data, collecting, items, objects, duplicates, label_errors, projects,
        recipes, models, triggers, evaluations, snapshots, annotations, selections, search_index, drift, guarantee,
        production, outcomes, maps, people, golden, groups, lots, comments, label_studio, webhooks, functions, exchange,
        health,
    ):  # fmt: skip
        app.include_router(module.router)
    if PAGE.is_dir():
        app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    return app


class _Measured:
    """ASGI middleware: figures for each request, and the headers that every answer carries. Plain ASGI, since
    Starlette's own base class would run each request in a task of its own and hide that its caller has gone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        added = _PAGE_HEADERS if not scope["path"].startswith("/v1/") else _HEADERS
        status = 500

        async def measured(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in added if h[0] not in present)]
            await send(message)

        try:
            await self._app(scope, receive, measured)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            _requests.labels(route, scope["method"], status).inc()
            _seconds.labels(route, scope["method"]).observe(time.perf_counter() - begun)
