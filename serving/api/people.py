"""People and their work, for operators: groups, skills, limits; opening work again."""

from typing import Annotated

from fastapi import APIRouter, Query

from loop.domain.review.people import Reviewer
from serving.api.auth import Operator, SomeOperator, Wired
from serving.api.item_names import ItemDigest
from serving.api.schemas.queue import PersonIn, PersonOut
from serving.api.schemas.review import ReopenedOut

router = APIRouter(prefix="/v1", tags=["people"])

_MOST_PEOPLE = 1000  # of one answer


@router.get("/people")
def list_people(
    token: SomeOperator,
    wired: Wired,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_PEOPLE)] = _MOST_PEOPLE,
) -> list[PersonOut]:
    """Who may review, oldest token first, behind the token id `after`; fewer than `limit` are the last. An operator of
    one project sees that project's."""
    return [_person_out(one) for one in wired.oversight.people(token, after=after, limit=limit)]


@router.patch("/people/{token_id}")
def describe(token_id: str, body: PersonIn, token: SomeOperator, wired: Wired) -> PersonOut:
    """A person's groups, skills and limits; they hold from the next lease on."""
    given = body.model_dump(exclude_unset=True)
    limits: dict[str, int | None] = {name: given[name] for name in ("max_leases", "max_tasks_a_day") if name in given}
    described = wired.oversight.describe(token, token_id, groups=body.groups, skills=body.skills, limits=limits)
    return _person_out(described)


@router.post("/tasks/{task_id}/reopen")
def reopen_task(task_id: str, token: SomeOperator, wired: Wired) -> ReopenedOut:
    """The whole work of a task again, by whomever; what was answered stays, and counts once."""
    return ReopenedOut(task_ids=[task.id for task in wired.oversight.reopen_task(token, task_id)])


@router.post("/projects/{project_id}/items/{digest}/reopen")
def reopen_item(project_id: str, digest: ItemDigest, token: Operator, wired: Wired) -> ReopenedOut:
    """All closed work on an item again."""
    return ReopenedOut(task_ids=[task.id for task in wired.oversight.reopen_item(token, project_id, digest)])


def _person_out(one: Reviewer) -> PersonOut:
    return PersonOut(
        token_id=one.token.id,
        name=one.token.name,
        role=one.token.role,
        project_id=one.token.project_id,
        groups=list(one.person.groups),
        skills=list(one.person.skills),
        max_leases=one.person.max_leases,
        max_tasks_a_day=one.person.max_tasks_a_day,
        answered=one.answered,
    )
