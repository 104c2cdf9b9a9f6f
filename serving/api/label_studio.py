"""Tasks that people do in Label Studio: sent, fetched, called back."""

from collections import Counter

from fastapi import APIRouter

from loop.domain.outgoing.label_studio import Link
from loop.label_studio.push import Wish
from serving.api.auth import Operator, Wired
from serving.api.schemas.label_studio import (
    InterfaceOut,
    LabelStudioStatusOut,
    PlaceOut,
    ProblemOut,
    PullIn,
    PullOut,
    PushIn,
    PushOut,
    ReleaseIn,
    ReleaseOut,
    SentTaskOut,
    ToldOut,
)

router = APIRouter(prefix="/v1/projects/{project_id}/label-studio", tags=["label studio"])

_MOST_PROBLEMS = 200


@router.post("/push")
def push_tasks(project_id: str, body: PushIn, token: Operator, wired: Wired) -> PushOut:
    """Make some tasks in Label Studio; nobody gets them here while they wait there."""
    done = wired.label_studio_push.push(token, project_id, Wish(**body.model_dump()))
    return PushOut(
        address=_address(wired.label_studio_push.server.address, done.place),
        sent=[SentTaskOut(task_id=link.task_id, remote=link.remote) for link in done.sent],
        problems=[_problem(link) for link in done.problems],
        waiting=done.waiting,
        in_hand=done.in_hand,
        more=done.more,
    )


@router.post("/pull")
def pull_answers(project_id: str, body: PullIn, token: Operator, wired: Wired) -> PullOut:
    """Take what was answered there, a page of tasks at a time; what was taken before is left alone."""
    done = wired.label_studio_pull.pull(token, project_id, after=body.after, take_edits=body.take_edits)
    return PullOut(told=[ToldOut.model_validate(one) for one in done.told], next=done.next)


@router.post("/release")
def release_tasks(project_id: str, body: ReleaseIn, token: Operator, wired: Wired) -> ReleaseOut:
    """Delete tasks there that nobody has answered, and put them back into the queue here."""
    told, more = wired.label_studio_pull.release(token, project_id, body.tasks)
    return ReleaseOut(told=[ToldOut.model_validate(one) for one in told], more=more)


@router.get("")
def label_studio_status(project_id: str, token: Operator, wired: Wired) -> LabelStudioStatusOut:
    """What waits there, what came back, and what kept answers from being taken."""
    with wired.store.read() as tx:
        tx.projects.get(project_id)
        links = tx.label_studio.of_project(project_id)
    counts: dict[tuple[str, int], Counter[str]] = {}
    for link in links:
        counts.setdefault((link.server, link.place), Counter())[link.state] += 1
    return LabelStudioStatusOut(
        places=[PlaceOut.model_validate({"address": _address(*place), "counts": of}) for place, of in counts.items()],
        problems=[_problem(link) for link in links if link.problem][-_MOST_PROBLEMS:],
    )


@router.get("/interface")
def labelling_interface(project_id: str, token: Operator, wired: Wired) -> InterfaceOut:
    """For labelling by the project's recipe in Label Studio."""
    return InterfaceOut(xml=wired.label_studio_push.interface(project_id))


def _address(server: str, place: int) -> str:
    return f"{server}/projects/{place}"


def _problem(link: Link) -> ProblemOut:
    return ProblemOut(task_id=link.task_id, remote=link.remote, why=link.problem)
