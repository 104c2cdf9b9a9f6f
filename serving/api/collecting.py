"""Images for a project, without a prediction."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from serving.api.auth import Producer, Wired
from serving.api.bodies import read_image
from serving.api.schemas.collecting import CollectedOut

router = APIRouter(prefix="/v1/projects/{project_id}/items", tags=["items"])


class About(BaseModel):
    """What a caller may say of an image."""

    source: str = Field(default="", max_length=200, description="where the image comes from, e.g. camera-3")
    group: str = Field(default="", max_length=200, description="clip or scene that must not be split")
    path: str = Field(default="", max_length=1000, description="the file it was, to find it again; kept as meta.path")
    lot: str | None = Field(
        default=None, max_length=64, description="an open upload that the image is of: people are asked to draw on it"
    )


@router.post("", status_code=201)
async def add_item(
    project_id: str, request: Request, token: Producer, wired: Wired, about: Annotated[About, Query()]
) -> CollectedOut:
    """Keep a JPEG, PNG or WebP image (the body, or a multipart file) that no model looks at: what a project without one
    begins with. Sent again, it changes nothing."""
    request.app.state.gateway.rates.take(token.id)
    content = await read_image(request, wired.settings.limits.max_image_bytes)
    found = await run_in_threadpool(
        wired.collecting.add,
        project_id,
        content,
        source=about.source,
        group=about.group,
        meta={"path": about.path} if about.path else {},
        lot_id=about.lot,
        actor=token.name,
    )
    item = found.item
    return CollectedOut(
        digest=item.digest,
        media_type=item.media_type,
        width=item.width,
        height=item.height,
        source=item.source,
        group=item.group,
        new=found.new,
        task_id=found.task_id,
    )
