"""Projects, their policy, their figures, their history; tokens."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from loop.domain.access import Permission, Token, require
from loop.domain.errors import Invalid
from loop.domain.policy.function_uses import use_from_json
from loop.domain.ports import INSTALLATION, Transaction
from loop.recipes.document import ProjectDocument
from serving.api.auth import Anyone, Operator, Reader, SomeOperator, Wired, needs
from serving.api.documents import described, project_document
from serving.api.options import LAST_ROW
from serving.api.presenters import cycle_out, is_blind, project_out
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
    return project_out(wired.projects.create(body.id, recipe=recipe))


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
    changed = wired.projects.change_policy(
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
        # How they change with a lease or an answer would tell golden items from other work.
        tasks={} if is_blind(token) else dict(tasks),
        cycle=cycle_out(cycles[0]) if cycles else None,
    )


After = Annotated[int, Query(ge=0, le=LAST_ROW)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Kind = Annotated[
    str | None, Query(max_length=100, description="policy.changed, rule.failed, …; `model`: all of model.…; else all")
]
Newest = Annotated[bool, Query(description="the last ones, the newest first, in place of those after a number")]


@router.get("/projects/{project_id}/events")
def events(
    project_id: str,
    token: Operator,
    wired: Wired,
    after: After = 0,
    limit: Limit = 100,
    kind: Kind = None,
    newest: Newest = False,
) -> EventPage:
    """What happened, oldest first. For operators: it tells audits from routed work."""
    with wired.store.read() as tx:
        tx.projects.get(project_id)
        return _page_of_events(tx, project_id, after, limit, kind, newest=newest)


@router.get("/events")
def installation_events(
    token: GlobalOperator,
    wired: Wired,
    after: After = 0,
    limit: Limit = 100,
    kind: Kind = None,
    newest: Newest = False,
) -> EventPage:
    """What happened and concerns no single project, such as tokens for all of them, oldest first."""
    with wired.store.read() as tx:
        return _page_of_events(tx, INSTALLATION, after, limit, kind, newest=newest)


def _page_of_events(
    tx: Transaction, project_id: str, after: int, limit: int, kind: str | None, *, newest: bool
) -> EventPage:
    if newest and after:
        raise Invalid("`newest` and `after` do not go together.", hint="Leave out one of them.")
    page = (
        tx.events.newest(project_id, kind, limit=limit)
        if newest
        else tx.events.after(project_id, after, limit, kind=kind)
    )
    last = max((event.sequence for event in page), default=after)
    return EventPage(events=[EventOut.model_validate(event) for event in page], next=last)


@router.get("/tokens")
def list_tokens(token: SomeOperator, wired: Wired) -> list[TokenOut]:
    """Oldest first, the revoked ones too. An operator of one project sees that project's."""
    return [TokenOut.model_validate(one) for one in wired.tokens.seen_by(token)]


@router.post("/tokens", status_code=201)
def create_token(body: TokenIn, token: Anyone, wired: Wired) -> NewTokenOut:
    """A new token, its secret shown once. An operator of one project makes tokens for that project. 409 where a valid
    token there has this name."""
    require(token, Permission.OPERATE, body.project_id)
    created, secret = wired.tokens.create(body.name, body.role, body.project_id, actor=token.name)
    return NewTokenOut.model_validate(TokenOut.model_validate(created).model_dump() | {"secret": secret})


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(token_id: str, token: SomeOperator, wired: Wired) -> None:
    """Its secret counts no more from the next call on. An operator of one project revokes that project's."""
    wired.tokens.revoke(token, token_id)
