"""People and their work, for operators: groups, skills, limits; opening work again."""

from fastapi import APIRouter

from serving.api.auth import Operator, SomeOperator, Wired
from serving.api.schemas.queue import PersonIn, PersonOut
from serving.api.schemas.review import ReopenedOut

router = APIRouter(prefix="/v1", tags=["people"])


@router.get("/people")
def list_people(token: SomeOperator, wired: Wired) -> list[PersonOut]:
    """All who may review, oldest token first. An operator of one project sees that project's."""
    return [
        PersonOut(
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
        for one in wired.oversight.people(token)
    ]


@router.patch("/people/{token_id}")
def describe(token_id: str, body: PersonIn, token: SomeOperator, wired: Wired) -> PersonOut:
    """A person's groups, skills and limits; they hold from the next lease on."""
    given = body.model_dump(exclude_unset=True)
    limits: dict[str, int | None] = {name: given[name] for name in ("max_leases", "max_tasks_a_day") if name in given}
    wired.oversight.describe(token, token_id, groups=body.groups, skills=body.skills, limits=limits)
    return next(person for person in list_people(token, wired) if person.token_id == token_id)


@router.post("/tasks/{task_id}/reopen")
def reopen_task(task_id: str, token: SomeOperator, wired: Wired) -> ReopenedOut:
    """The whole work of a task again, by whomever; what was answered stays, and counts once."""
    return ReopenedOut(task_ids=[task.id for task in wired.oversight.reopen_task(token, task_id)])


@router.post("/projects/{project_id}/items/{digest}/reopen")
def reopen_item(project_id: str, digest: str, token: Operator, wired: Wired) -> ReopenedOut:
    """All closed work on an item again."""
    return ReopenedOut(task_ids=[task.id for task in wired.oversight.reopen_item(token, project_id, digest)])
