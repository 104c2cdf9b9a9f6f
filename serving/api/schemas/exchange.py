"""Data sets in and out: what was done, and what was left out."""

from pydantic import Field

from loop.domain.truth import Geometry
from loop.exchange.reading import Layout
from serving.api.schemas.wire import Out


class FormatOut(Out):
    name: Layout
    title: str
    shapes: list[Geometry] = Field(description="that it has a place for")
    holds: list[str]
    does_not_hold: list[str]


class FormatsOut(Out):
    formats: list[FormatOut]


class RemarkOut(Out):
    path: str = Field(description="in the data set, with the line or the task where there is one")
    what: str = Field(description="image, box, shape, attribute, link, annotation, file, split ...")
    why: str
    count: int = Field(description="how many it speaks of")


class ImportOut(Out):
    project_id: str
    format: Layout
    created: bool = Field(description="whether the project was made for it")
    labels: list[str]
    imported: int = Field(description="images that are new to the project")
    updated: int = Field(description="known images with other ground truth than before")
    unchanged: int
    boxes: int = Field(description="shapes of the imported and updated images")
    skipped_counts: dict[str, int] = Field(description="by what was skipped")
    skipped: list[RemarkOut] = Field(description="the first 1,000")
    repaired: list[RemarkOut] = Field(description="the first 1,000: boxes that were clipped to their image")
    skipped_total: int
    repaired_total: int


class ExportOut(Out):
    project_id: str
    format: Layout
    snapshot: str = Field(description="digest of what is exported")
    images: int
    boxes: int = Field(description="shapes that the format has a place for")
    splits: dict[str, int] = Field(description="images in train, val and test (golden)")
    left_out: dict[str, int] = Field(description="what the format cannot hold, and how often that is there")
    dropped: int = Field(default=0, description="images of the snapshot that are not there any more")
