"""Answers that are written in the thread that made them.

FastAPI validates what a synchronous endpoint returns in a second thread of its pool. Eight reviewers' threads contend
for the interpreter, and each change of threads costs them a fifth of what a lease does.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from fastapi import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel


class Written(APIRoute):
    """For synchronous endpoints that return the model that they are annotated with; `None` as in any route."""

    def __init__(self, path: str, endpoint: Callable[..., Any], *, status_code: int | None = None, **more: Any) -> None:
        @wraps(endpoint)
        def written(*args: Any, **given: Any) -> Any:
            answer = endpoint(*args, **given)
            if not isinstance(answer, BaseModel):
                return answer
            return Response(answer.model_dump_json(by_alias=True), status_code or 200, media_type="application/json")

        super().__init__(path, written, status_code=status_code, **more)
