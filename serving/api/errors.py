"""The one table from domain errors to HTTP, as RFC 9457 problem+json."""

import logging
import math
from collections.abc import Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from loop.domain import errors
from serving.api.schemas.problem import Problem

log = logging.getLogger("askance.api")

# The first class that matches decides; subclasses stand before their bases.
_STATUS: tuple[tuple[type[errors.AskanceError], int], ...] = (
    (errors.Unauthenticated, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.PayloadTooLarge, 413),
    (errors.BadImage, 400),
    (errors.Invalid, 422),
    (errors.Conflict, 409),
    (errors.TooManyRequests, 429),
    (errors.DeadlinePassed, 504),
    (errors.FunctionFailed, 502),
    (errors.Unavailable, 503),
)
_RETRY_AFTER_SECONDS = 2


def status_of(error: errors.AskanceError) -> int:
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def install(app: FastAPI) -> None:
    app.add_exception_handler(errors.AskanceError, _domain)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def response(status: int, code: str, title: str, detail: str, hint: str, ids: dict[str, object]) -> JSONResponse:
    problem = Problem(
        type=f"/problems/{code}", title=title, status=status, detail=_text(detail), hint=_text(hint), ids=ids
    )
    headers = {"Retry-After": str(_RETRY_AFTER_SECONDS)} if status in (429, 503) else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(problem.model_dump(), status, headers, media_type="application/problem+json")


async def _domain(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.AskanceError)  # noqa: S101 - registered for this class only
    ids = {name: _plain(value) for name, value in error.ids.items()}
    answer = response(status_of(error), error.code, error.title, error.detail, error.hint, ids)
    if "retry_after_s" in ids:
        answer.headers["Retry-After"] = str(ids["retry_after_s"])
    return answer


def _plain(value: object) -> object:
    """What JSON can hold, whatever a caller sent: numbers that are finite, text without lone surrogates."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {_text(str(name)): _plain(one) for name, one in value.items()}
    if value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _text(str(value))


def _text(value: str) -> str:
    return value.encode("utf-8", "backslashreplace").decode()


async def _validation(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    fields = [{"field": _text(".".join(map(str, e["loc"]))), "problem": _text(e["msg"])} for e in error.errors()]
    few = error.errors()[:5]
    detail = "; ".join(f"{_text(_named(e['loc']))}: {_text(e['msg']).removesuffix('.')}" for e in few) + "."
    wrong = dict.fromkeys(_named(e["loc"]) for e in few)
    hint = f"Correct {_text(', '.join(wrong))}. See /openapi.json for the whole shape."
    return response(422, "invalid", "The request cannot be used", detail, hint, {"fields": fields})


def _named(place: Sequence[int | str]) -> str:
    """A field as who sent it knows it: lots.size, or `the body` where that is no JSON at all."""
    where, *path = place
    return ".".join(map(str, path)) if any(isinstance(part, str) for part in path) else f"the {where}"


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    return response(error.status_code, f"http-{error.status_code}", str(error.detail), str(error.detail), "", {})


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.exception("unexpected error in %s %s", request.method, request.url.path, exc_info=error)
    detail = "The service met an error that it did not expect; its log has it."
    hint = "Try again; if it stays, report it with the gateway's log (docs/serving.md says where logs are)."
    return response(500, "internal", "Unexpected error", detail, hint, {})
