"""Groups of items with an order: clips, cameras."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, JsonValue

from loop.domain.identity import DIGEST
from loop.domain.items.clips import LONGEST_NAME, MOST_FRAMES_GIVEN, MOST_FRAMES_OF_TASK, GroupKind
from serving.api.schemas.wire import In, Out


class FrameIn(In):
    item_digest: str = Field(pattern=f"^{DIGEST}$")
    time: float | None = Field(default=None, allow_inf_nan=False, description="seconds; rising from frame to frame")


class GroupIn(In):
    kind: GroupKind
    name: str = Field(max_length=LONGEST_NAME)
    frames: list[FrameIn] = Field(min_length=1, max_length=MOST_FRAMES_GIVEN, description="items, in their order")


class GroupOut(Out):
    id: str
    kind: GroupKind
    name: str
    frames: int = Field(description="how many")
    complete: bool = Field(description="false while a video is being imported, or where an import was cut off")
    repeats: int = Field(description="frames of the video that were left out, as the very bytes of an earlier one")
    notes: list[str] = Field(description="what was found amiss in the video")
    meta: dict[str, JsonValue] = Field(description="of the video: file (SHA-256), sampling, codec, size")
    created_at: datetime


class GroupPage(Out):
    groups: list[GroupOut]
    next: str | None


class GroupFrameOut(Out):
    index: int
    item_digest: str
    time: float | None = Field(description="seconds since the first frame of the video; null where nobody knows")
    number: int | None = Field(description="of the frame in the video, from 0")
    width: int
    height: int
    image_url: str


class GroupDetailOut(GroupOut):
    page: list[GroupFrameOut] = Field(description="frames by index")
    next: int | None = Field(description="send it as `after` for the next page")


class ImportedOut(GroupOut):
    added: int = Field(description="frames that this import brought; 0 where the clip was there")


class TasksIn(In):
    window: Annotated[int, Field(ge=1, le=MOST_FRAMES_OF_TASK)] | None = Field(
        default=None, description="frames of a task; null: one task over all"
    )


class TasksOut(Out):
    task_ids: list[str] = Field(description="the first task of each window")
    made: bool = Field(description="false where the group had these tasks already")
