"""Groups of items, clips among them."""

from pathlib import Path

from serving.api.schemas.groups import GroupDetailOut, GroupOut, GroupPage, ImportedOut, TasksOut
from serving.client.calls import Call, Give, Stream, get, method, path, post, stream

_UPLOAD_SECONDS = 3600.0  # of a video, with decoding it


class GroupCalls:
    # "path" is the file's, as it always was: callers may have named it.
    @method
    def upload_clip(
        self, /, project: str, path: Path, *, name: str = "", **sampling: int | float | str
    ) -> Call[ImportedOut]:
        """A video into frames. sampling: every or fps; source. The answer comes when all frames are there."""
        return _upload(project, path, {"name": name or path.name, **sampling})

    @stream
    def groups(self, project: str) -> Stream[GroupOut]:
        """Clips, cameras and other groups, newest first."""
        after: str | None = None
        while True:
            page = yield from get(GroupPage, path("projects", project, "groups"), after=after)
            for group in page.groups:
                yield Give(group)
            after = page.next
            if after is None:
                return

    @method
    def group(self, project: str, group_id: str, *, after: int = -1, limit: int = 100) -> Call[GroupDetailOut]:
        """With its frames behind the index `after`."""
        return get(GroupDetailOut, path("projects", project, "groups", group_id), after=after, limit=limit)

    @method
    def make_clip_tasks(self, project: str, group_id: str, window: int | None = None) -> Call[TasksOut]:
        where = path("projects", project, "groups", group_id, "tasks")
        return post(TasksOut, where, {"window": window}, repeatable=True)


def _upload(project: str, file: Path, params: dict[str, int | float | str]) -> Call[ImportedOut]:
    return Call(
        method="POST",
        path=path("projects", project, "clips"),
        read=ImportedOut.model_validate_json,
        params=params,
        content=file,
        timeout_s=_UPLOAD_SECONDS,
    )
