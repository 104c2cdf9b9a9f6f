"""Groups of items with an order: clips and cameras; uploading a video; tasks over frames."""

import tempfile
import threading
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from loop.domain.errors import Overloaded
from loop.domain.item import Item
from loop.domain.items.clips import LONGEST_NAME, BadVideo, Frame, Group, sampling_of
from serving.api.auth import Operator, Producer, Wired
from serving.api.bodies import body_to_file
from serving.api.options import LAST_VERSION
from serving.api.presenters import image_url
from serving.api.schemas.groups import (
    GroupDetailOut,
    GroupFrameOut,
    GroupIn,
    GroupOut,
    GroupPage,
    ImportedOut,
    TasksIn,
    TasksOut,
)

router = APIRouter(prefix="/v1/projects/{project_id}", tags=["clips"])

# Of this process: each takes a core, and a file on the disk.
_importing = threading.Lock()


@router.post("/groups", status_code=201)
def create_group(project_id: str, body: GroupIn, token: Operator, wired: Wired) -> GroupOut:
    """Items that are there already, in an order. Those of a clip or a camera stay on one side of every split."""
    given = [(frame.item_digest, frame.time) for frame in body.frames]
    return GroupOut.model_validate(wired.clips.create(project_id, body.kind, body.name, given, token.name))


@router.get("/groups")
def list_groups(
    project_id: str,
    token: Producer,
    wired: Wired,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> GroupPage:
    """Newest first. Not for reviewers: how old a clip is tells golden items from other work."""
    with wired.store.read() as tx:
        tx.projects.get(project_id)
        page = tx.groups.page(project_id, after=after, limit=limit)
    groups = [GroupOut.model_validate(group) for group in page]
    return GroupPage(groups=groups, next=page[-1].id if len(page) == limit else None)


@router.get("/groups/{group_id}")
def get_group(
    project_id: str,
    group_id: str,
    token: Producer,
    wired: Wired,
    after: Annotated[int, Query(ge=-1, le=2**31 - 2)] = -1,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> GroupDetailOut:
    """With its frames, from the one behind the index `after`."""
    with wired.store.read() as tx:
        group = tx.groups.get(project_id, group_id)
        rows = tx.groups.frames(project_id, group_id, first=after + 1, limit=limit)
    page = [_frame_out(frame, item) for frame, item in rows]
    fields = _fields(group) | {"page": page, "next": page[-1].index if len(page) == limit else None}
    return GroupDetailOut.model_validate(fields)


@router.post("/groups/{group_id}/tasks")
def make_tasks(project_id: str, group_id: str, body: TasksIn, token: Operator, wired: Wired) -> TasksOut:
    """One task over the whole group, or over each window of it. Asking again gives the same tasks."""
    made = wired.clips.make_tasks(project_id, group_id, body.window, token.name)
    return TasksOut(task_ids=[task.id for task in made.tasks], made=made.made)


@router.post("/clips")
async def upload_clip(
    project_id: str,
    request: Request,
    token: Operator,
    wired: Wired,
    name: Annotated[str, Query(min_length=1, max_length=LONGEST_NAME)],
    every: Annotated[int | None, Query(ge=1, le=LAST_VERSION, description="each so many frames")] = None,
    fps: Annotated[float | None, Query(gt=0, le=1000, description="frames a second, at most")] = None,
    source: Annotated[str, Query(max_length=200, description="where it comes from, e.g. camera-3")] = "",
) -> ImportedOut:
    """A video, as the body of the request, into frames. The answer comes when they are there; the same file sent again
    goes on where an import was cut off, and adds nothing where it was not."""
    sampling = sampling_of(every, fps)
    if not _importing.acquire(blocking=False):
        raise Overloaded("another video is being imported.", hint="Send it again when that is done.")
    try:
        with tempfile.TemporaryDirectory(prefix="clip-", dir=wired.settings.data_dir) as folder:
            path = Path(folder) / "video"
            if not await body_to_file(request, path, wired.settings.limits.max_video_bytes):
                raise BadVideo(
                    "the request holds no video.",
                    hint="In the page: Clips, Upload. A program sends a file as the body (curl -X POST -T FILE).",
                )
            imported = await run_in_threadpool(
                wired.clips.import_file,
                project_id,
                path,
                name=name,
                sampling=sampling,
                actor=token.name,
                source=source,
            )
    finally:
        _importing.release()
    return ImportedOut.model_validate(_fields(imported.group) | {"added": imported.added})


def _fields(group: Group) -> dict[str, object]:
    return {name: getattr(group, name) for name in GroupOut.model_fields}


def _frame_out(frame: Frame, item: Item) -> GroupFrameOut:
    return GroupFrameOut(
        index=frame.index,
        item_digest=frame.item_digest,
        time=frame.seconds,
        number=frame.number,
        width=item.width,
        height=item.height,
        image_url=image_url(frame.project_id, frame.item_digest),
    )
