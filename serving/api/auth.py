"""Who is calling: bearer tokens, and the permission that each route names."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from loop.domain.access import Permission, Token, require
from loop.domain.errors import Unauthenticated
from loop.wiring import Services

_bearer = HTTPBearer(auto_error=False, description="a token made with `askance token create`")


def services(request: Request) -> Services:
    wired: Services = request.app.state.services
    return wired


def authenticated(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    wired: Annotated[Services, Depends(services)],
) -> Token:
    if credentials is None:
        raise Unauthenticated(
            "this call needs a token.",
            hint="Send Authorization: Bearer TOKEN; `askance up` prints the operator's.",
        )
    return wired.administration.authenticate(credentials.credentials)


def needs(permission: Permission) -> Callable[..., Token]:
    """A dependency that lets through whoever may do `permission` in the project of the path."""

    def check(request: Request, token: Annotated[Token, Depends(authenticated)]) -> Token:
        require(token, permission, request.path_params.get("project_id"))
        return token

    check.permission = permission  # type: ignore[attr-defined]  # read by the test that every route names one
    return check


Wired = Annotated[Services, Depends(services)]
Anyone = Annotated[Token, Depends(authenticated)]
Producer = Annotated[Token, Depends(needs(Permission.PREDICT))]
Reader = Annotated[Token, Depends(needs(Permission.READ))]
Operator = Annotated[Token, Depends(needs(Permission.OPERATE))]
