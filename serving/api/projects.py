"""Projects, their policy, their figures, their history; tokens."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from loop.domain.access import Permission, Token, require
from loop.domain.errors import Invalid
from loop.domain.function_uses import use_from_json
from loop.recipe_document import ProjectDocument
from serving.api.auth import Anyone, Operator, Reader, Wired, needs
from serving.api.documents import described, project_document
from serving.api.options import LAST_ROW
from serving.api.presenters import cycle_out, project_out
from serving.api.schemas.events import EventOut, EventPage
from serving.api.schemas.projects import (
    Me,
    NewTokenOut,
    PolicyIn,
    PolicyOut,
    ProjectOut,
    Summary,
    TokenIn,
    TokenOut,
)

router = APIRouter(prefix="/v1", tags=["projects"])

# Without a project in the path, a token bound to one project does not pass.
GlobalOperator = Annotated[Token, Depends(needs(Permission.OPERATE))]

_PARTS = {"queue", "workflow", "quality", "functions", "gate", "guarantee", "audit_rates"}


@router.get("/me")
def me(token: Anyone) -> Me:
    return Me.model_validate(token)


@router.get("/projects")
def list_projects(token: Anyone, wired: Wired) -> list[ProjectOut]:
    """The projects that this token may see."""
    with wired.store.read() as tx:
        projects = tx.projects.all()
    return [project_out(p) for p in projects if token.project_id in (None, p.id)]


@router.post("/projects", status_code=201, openapi_extra=described(ProjectDocument))
def create_project(
    token: GlobalOperator, wired: Wired, body: Annotated[ProjectDocument, Depends(project_document)]
) -> ProjectOut:
    """A project without data or model, from its first recipe as a JSON or YAML document (docs/recipe.md) with an `id`;
    plain names of labels are enough."""
    recipe = body.first_recipe(wired.recipes.functions())
    return project_out(wired.administration.create_project(body.id, recipe=recipe))


@router.get("/projects/{project_id}")
def get_project(project_id: str, token: Reader, wired: Wired) -> ProjectOut:
    with wired.store.read() as tx:
        return project_out(tx.projects.get(project_id))


@router.patch("/projects/{project_id}/policy")
def change_policy(project_id: str, body: PolicyIn, token: Operator, wired: Wired) -> PolicyOut:
    """What is left out stays as it is. Decisions already made keep the policy version that made them."""
    changes = body.model_dump(exclude_none=True, exclude=_PARTS)
    queue = body.queue.model_dump(exclude_unset=True) if body.queue else {}
    workflow = body.workflow.model_dump(exclude_unset=True) if body.workflow else {}
    quality = body.quality.model_dump(exclude_unset=True) if body.quality else {}
    guarantee = body.guarantee.model_dump(exclude_unset=True) if body.guarantee else {}
    rates = body.audit_rates.model_dump(exclude_unset=True) if body.audit_rates else {}
    gate = body.gate.model_dump(exclude_unset=True) if body.gate else {}
    functions = None if body.functions is None else [use_from_json(use.model_dump()) for use in body.functions]
    parts = (changes, queue, workflow, any(quality.values()), functions is not None, gate, guarantee, rates)
    if not any(parts):
        raise Invalid("nothing to change.", hint=f"Name at least one of {', '.join(PolicyIn.model_fields)}.")
    changed = wired.administration.change_policy(
        project_id, token.name, queue, workflow, quality, functions, gate, guarantee, rates, **changes
    )
    return PolicyOut.model_validate(changed)


@router.get("/projects/{project_id}/summary")
def summary(project_id: str, token: Reader, wired: Wired) -> Summary:
    with wired.store.read() as tx:
        project = tx.projects.get(project_id)
        counts = tx.predictions.counts(project_id)
        tasks = tx.tasks.counts(project_id, wired.clock())
        cycles = tx.cycles.page(project_id, after=None, limit=1)
    return Summary(
        project_id=project_id,
        champion_id=project.champion_id,
        predictions=counts["predictions"],
        routed=counts["routed"],
        audits=counts["audits"],
        tasks=dict(tasks),
        cycle=cycle_out(cycles[0]) if cycles else None,
    )


@router.get("/projects/{project_id}/events")
def events(
    project_id: str,
    token: Operator,
    wired: Wired,
    after: Annotated[int, Query(ge=0, le=LAST_ROW)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    kind: Annotated[str | None, Query(max_length=100, description="policy.changed, rule.failed, …; else all")] = None,
    newest: Annotated[bool, Query(description="the last ones, the newest first, in place of those after a number")] = (
        False
    ),
) -> EventPage:
    """What happened, oldest first. For operators: it tells audits from routed work."""
    if newest and after:
        raise Invalid("`newest` and `after` do not go together.", hint="Leave out one of them.")
    with wired.store.read() as tx:
        tx.projects.get(project_id)
        page = (
            tx.events.newest(project_id, kind, limit=limit)
            if newest
            else tx.events.after(project_id, after, limit, kind=kind)
        )
    last = max((event.sequence for event in page), default=after)
    return EventPage(events=[EventOut.model_validate(event) for event in page], next=last)


@router.get("/tokens")
def list_tokens(token: GlobalOperator, wired: Wired) -> list[TokenOut]:
    with wired.store.read() as tx:
        return [TokenOut.model_validate(t) for t in tx.tokens.all()]


@router.post("/tokens", status_code=201)
def create_token(body: TokenIn, token: Anyone, wired: Wired) -> NewTokenOut:
    """A new token, its secret shown once. An operator of one project makes tokens for that project."""
    require(token, Permission.OPERATE, body.project_id)
    created, secret = wired.administration.create_token(body.name, body.role, body.project_id)
    return NewTokenOut.model_validate(TokenOut.model_validate(created).model_dump() | {"secret": secret})


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(token_id: str, token: GlobalOperator, wired: Wired) -> None:
    with wired.store.begin() as tx:
        tx.tokens.revoke(token_id, wired.clock())
