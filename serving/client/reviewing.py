"""For reviewers: tasks, and for operators: what is asked of people again."""

from collections.abc import Mapping, Sequence

from serving.api.schemas.review import CheckOut, DraftSavedOut, HeartbeatOut, LeaseOut, ReopenedOut, SubmissionOut
from serving.api.schemas.shapes import ShapeIO
from serving.api.schemas.tasks import ListedTaskOut, TaskPage
from serving.client.calls import Call, get, given, method, nothing, path, post


class ReviewingCalls:
    @method
    def lease(self, project: str, count: int = 1) -> Call[LeaseOut]:
        """What I hold already comes first, so that asking again takes no more."""
        return post(LeaseOut, path("projects", project, "tasks", "lease"), {"count": count}, repeatable=True)

    @method
    def heartbeat(self, task_id: str, epoch: int) -> Call[HeartbeatOut]:
        """I still work on it."""
        return post(HeartbeatOut, path("tasks", task_id, "heartbeat"), {"epoch": epoch}, repeatable=True)

    @method
    def submit(
        self,
        task_id: str,
        epoch: int,
        shapes: Sequence[ShapeIO],
        note: str = "",
        *,
        active_seconds: float | None = None,
    ) -> Call[SubmissionOut]:
        """active_seconds: that a person worked on it, without waiting and idling."""
        body = {"epoch": epoch, "shapes": _plain(shapes), "note": note} | given(active_seconds=active_seconds)
        return post(SubmissionOut, path("tasks", task_id, "submit"), body, repeatable=True)

    @method
    def skip(
        self, task_id: str, epoch: int, reason: str, *, active_seconds: float | None = None
    ) -> Call[SubmissionOut]:
        """active_seconds: as of `submit`."""
        body = {"epoch": epoch, "reason": reason} | given(active_seconds=active_seconds)
        return post(SubmissionOut, path("tasks", task_id, "skip"), body, repeatable=True)

    @method
    def check(self, task_id: str, shapes: Sequence[ShapeIO]) -> Call[CheckOut]:
        """What submitting these shapes would meet."""
        return post(CheckOut, path("tasks", task_id, "check"), {"shapes": _plain(shapes)}, repeatable=True)

    @method
    def draft(self, task_id: str, epoch: int, content: Mapping[str, object]) -> Call[DraftSavedOut]:
        return post(DraftSavedOut, path("tasks", task_id, "draft"), {"epoch": epoch, "content": dict(content)})

    @method
    def release(self, task_id: str, epoch: int) -> Call[None]:
        """Give the task back to the queue."""
        return Call(method="POST", path=path("tasks", task_id, "release"), read=nothing, body={"epoch": epoch})

    @method
    def accept(self, task_id: str, epoch: int, note: str = "") -> Call[SubmissionOut]:
        """Of a QA task: its answer stands."""
        body = {"epoch": epoch, "note": note}
        return post(SubmissionOut, path("tasks", task_id, "accept"), body, repeatable=True)

    @method
    def give_back(
        self, task_id: str, epoch: int, issues: Sequence[tuple[str, Sequence[str]]], note: str = ""
    ) -> Call[SubmissionOut]:
        """Of a QA task: its answer goes back to its author. issues: messages with the shapes concerned."""
        told = [{"message": message, "shapes": list(shapes)} for message, shapes in issues]
        body = {"epoch": epoch, "issues": told, "note": note}
        return post(SubmissionOut, path("tasks", task_id, "return"), body, repeatable=True)

    @method
    def tasks(self, /, project: str, *, after: str | None = None, limit: int = 100, **asked: object) -> Call[TaskPage]:
        """What is to be done in its order, for operators. asked: state (open, leased, done or skipped), stage, holder,
        overdue, escalated, group, skill, nobody."""
        return get(TaskPage, path("projects", project, "tasks"), after=after, limit=limit, **asked)

    @method
    def task(self, task_id: str) -> Call[ListedTaskOut]:
        return get(ListedTaskOut, path("tasks", task_id))

    @method
    def take_back(self, task_id: str, epoch: int | None = None) -> Call[ListedTaskOut]:
        """The lease of whoever holds it, who is refused from then on. epoch: of the lease that was looked at."""
        return post(ListedTaskOut, path("tasks", task_id, "take-back"), {"epoch": epoch})

    @method
    def reopen_task(self, task_id: str) -> Call[list[str]]:
        """Gives the ids of the tasks that are open again."""
        return post(ReopenedOut, path("tasks", task_id, "reopen")).giving(_task_ids)

    @method
    def reopen_item(self, project: str, digest: str) -> Call[list[str]]:
        """Gives the ids of the tasks that are open again."""
        return post(ReopenedOut, path("projects", project, "items", digest, "reopen")).giving(_task_ids)


def _plain(shapes: Sequence[ShapeIO]) -> list[dict[str, object]]:
    return [shape.model_dump(mode="json") for shape in shapes]


def _task_ids(reopened: ReopenedOut) -> list[str]:
    return reopened.task_ids
