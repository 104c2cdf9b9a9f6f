"""What a client raises, beside what `loop.domain.errors` says of its own arguments."""

import httpx

from loop.domain.errors import AskanceError
from serving.api.schemas.problem import Problem


class ApiError(AskanceError):
    """The service refused. status: HTTP's. problem: what it said; `type`, `detail` and `hint` are its own."""

    code, title = "api", "The service refused"

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.detail, hint=problem.hint, **problem.ids)
        self.status = status
        self.problem = problem

    @property
    def type(self) -> str:
        """Stable, e.g. /problems/not-found."""
        return self.problem.type


class ServiceUnreachable(AskanceError):
    code, title = "unreachable", "No answer"


def refusal(response: httpx.Response) -> ApiError:
    return ApiError(response.status_code, _problem_of(response))


def _problem_of(response: httpx.Response) -> Problem:
    try:
        return Problem.model_validate(response.json())
    except ValueError:
        text = response.text[:200] or response.reason_phrase
        return Problem(type="/problems/http", title="HTTP error", status=response.status_code, detail=text, hint="")
