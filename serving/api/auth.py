"""Who is calling: bearer tokens, and the permission that each route names."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from loop.domain.access import Permission, Token, require, valid
from loop.domain.errors import Unauthenticated
from loop.domain.identity import digest_of
from loop.wiring import Services
from serving.api.current import Current

bearer = HTTPBearer(auto_error=False, description="a token made with `askance token create`")


async def services(request: Request) -> Services:
    wired: Services = request.app.state.services
    return wired


async def authenticated(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Token:
    """Also leaves the configuration of this moment in `request.state.view`."""
    if credentials is None:
        raise Unauthenticated(
            "this call needs a token.",
            hint="Send Authorization: Bearer TOKEN; `askance up` prints the operator's.",
        )
    current: Current = request.app.state.gateway.current
    request.state.view = await current.view()
    return valid(await current.token(request.state.view, digest_of(credentials.credentials.encode())))


def needs(permission: Permission, *, somewhere: bool = False) -> Callable[..., Awaitable[Token]]:
    """A dependency that lets through whoever may do `permission` in the project of the path. somewhere: in whatever
    project, for routes that learn it from what they read; the use case checks it there."""

    async def check(request: Request, token: Annotated[Token, Depends(authenticated)]) -> Token:
        require(token, permission, token.project_id if somewhere else request.path_params.get("project_id"))
        return token

    check.permission = permission  # type: ignore[attr-defined]  # read by the test that every route names one
    return check


Wired = Annotated[Services, Depends(services)]
Anyone = Annotated[Token, Depends(authenticated)]
producer = needs(Permission.PREDICT)
Producer = Annotated[Token, Depends(producer)]
Reader = Annotated[Token, Depends(needs(Permission.READ))]
Operator = Annotated[Token, Depends(needs(Permission.OPERATE))]
SomeOperator = Annotated[Token, Depends(needs(Permission.OPERATE, somewhere=True))]
