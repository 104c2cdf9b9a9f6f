"""Snapshots of cycles."""

from datetime import datetime

from pydantic import Field

from loop.domain.item import Split
from serving.api.schemas.wire import Out, Unit


class SnapshotRow(Out):
    digest: str
    cycle_id: str
    created_at: datetime = Field(description="of the cycle")
    images: dict[Split, int] | None = Field(description="where asked for; null also where its head cannot be read")
    boxes: int | None
    labels: int | None = Field(description="how many it knows")


class SnapshotPage(Out):
    snapshots: list[SnapshotRow] = Field(description="newest first")
    next: str | None = Field(description="pass as `after` for the next page")


class SplitCountOut(Out):
    images: int
    boxes: dict[str, int] = Field(description="by label")


class SnapshotOut(Out):
    digest: str
    content: str = Field(description="equal for snapshots that hold the same, whatever wrote their files")
    labels: list[str]
    val_share: Unit
    counts: dict[Split, SplitCountOut]
    left_out: dict[str, int] = Field(description="images that could have been trained on, by why they are not there")
    cycles: list[str] = Field(description="cycles with this snapshot, newest first")


class ChangedOut(Out):
    item: str
    before: int = Field(description="version of the ground truth")
    after: int


class MovedOut(Out):
    item: str
    before: Split
    after: Split


class BeforeAfterOut(Out):
    before: int
    after: int


class DiffOut(Out):
    """Lists hold the items with the smallest digests, at most `limit` each."""

    equal: bool = Field(description="both hold the same")
    added_count: int
    removed_count: int
    changed_count: int
    moved_count: int
    added: list[str]
    removed: list[str]
    changed: list[ChangedOut]
    moved: list[MovedOut]
    shapes: dict[str, BeforeAfterOut] = Field(description="by label")
    images: dict[Split, BeforeAfterOut] = Field(description="by split")
