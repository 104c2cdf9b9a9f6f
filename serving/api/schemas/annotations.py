"""Bulk annotation."""

from datetime import datetime

from pydantic import Field

from loop.domain.items.annotation import AnnotationState
from serving.api.schemas.wire import In, Out


class AnnotationIn(In):
    source: str = Field(
        min_length=1,
        max_length=4000,
        description="a folder, a manifest (.txt, .jsonl, .csv) or a URL that the service can read; paths absolute",
    )
    model_id: str | None = Field(default=None, description="null: the present champion")
    review: bool = Field(default=True, description="whether risky ones become review tasks")


class AnnotationOut(Out):
    """found counts what the source names once it is listed; done + bad of them are answered."""

    id: str
    project_id: str
    model_id: str
    source: str
    review: bool
    state: AnnotationState
    found: int
    done: int
    bad: int
    error: str
    actor: str
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    finished_at: datetime | None


class AnnotationPage(Out):
    annotations: list[AnnotationOut]
    next: str | None = Field(description="pass as `after` for the next page")


class BadImageOut(Out):
    url: str
    reason: str


class BadImagesOut(Out):
    bad: int = Field(description="all of them; at most 1,000 are listed")
    images: list[BadImageOut]
