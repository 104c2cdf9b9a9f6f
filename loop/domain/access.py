"""Who may do what. Default deny: a route names the permission it needs, a role holds some."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from loop.domain.errors import Forbidden, Unauthenticated


class Role(StrEnum):
    PRODUCER = "producer"
    REVIEWER = "reviewer"
    OPERATOR = "operator"


class Permission(StrEnum):
    PREDICT = "predict"
    READ = "read"  # projects, items, predictions
    REVIEW = "review"
    OPERATE = "operate"  # projects, models, cycles, imports, tokens


_GRANTS: dict[Role, frozenset[Permission]] = {
    Role.PRODUCER: frozenset({Permission.PREDICT, Permission.READ}),
    Role.REVIEWER: frozenset({Permission.REVIEW, Permission.READ}),
    Role.OPERATOR: frozenset(Permission),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A caller. Only the SHA-256 of the secret is kept. `project_id` None: every project."""

    id: str
    name: str
    role: Role
    secret_digest: str
    project_id: str | None
    created_at: datetime
    revoked_at: datetime | None = None


def valid(token: Token | None) -> Token:
    """The token that a secret was found to be of, if it still counts. Raises Unauthenticated."""
    if token is None or token.revoked_at is not None:
        raise Unauthenticated(
            "the token is unknown or was revoked.",
            hint="Send Authorization: Bearer TOKEN; an operator makes tokens with `askance token create`.",
        )
    return token


def may(token: Token, permission: Permission) -> bool:
    """Whether the role holds the permission, in whatever project."""
    return permission in _GRANTS[token.role]


def reviews(token: Token, project_id: str) -> bool:
    """Whether whoever has the token may review in the project, and still counts."""
    return token.revoked_at is None and may(token, Permission.REVIEW) and token.project_id in (None, project_id)


def roles_that_may(permission: Permission) -> list[Role]:
    return [role for role, granted in _GRANTS.items() if permission in granted]


def require(token: Token, permission: Permission, project_id: str | None) -> None:
    """Raises Forbidden unless `token` may do `permission` in `project_id` (None: in no single project)."""
    if not may(token, permission):
        raise Forbidden(
            f"a {token.role} token may not {permission}.",
            hint="Ask an operator for a token with another role (askance token create).",
            role=token.role,
            permission=permission,
        )
    if token.project_id is not None and token.project_id != project_id:
        raise Forbidden(
            f"this token is for the project {token.project_id!r} only.",
            hint="Use a token of this project.",
            project=project_id,
        )
