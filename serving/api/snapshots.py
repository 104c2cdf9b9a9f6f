"""Snapshots: which data a cycle trained and was judged on, and what changed from one to another."""

from typing import Annotated

from fastapi import APIRouter, Query

from loop.domain.cycle import Cycle
from serving.api.auth import Operator, Reader, Wired
from serving.api.schemas.snapshots import (
    BeforeAfterOut,
    ChangedOut,
    DiffOut,
    MovedOut,
    SnapshotOut,
    SnapshotPage,
    SnapshotRow,
    SplitCountOut,
)
from training.snapshot import Head
from training.snapshot_columns import SPLITS
from training.snapshot_diff import Altered, Diff

router = APIRouter(prefix="/v1/projects/{project_id}/snapshots", tags=["models and cycles"])


@router.get("")
def list_snapshots(
    project_id: str,
    token: Reader,
    wired: Wired,
    after: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    counts: Annotated[bool, Query(description="with what is in each, for which a small file of each is read")] = False,
) -> SnapshotPage:
    """Those of the project's cycles, newest first. A page may hold fewer than `limit`: a cycle that failed early has
    none."""
    cycles, following = wired.snapshots.page(project_id, after=after, limit=limit)
    heads = wired.snapshots.heads({str(cycle.snapshot_digest) for cycle in cycles}) if counts else {}
    return SnapshotPage(
        snapshots=[_row(cycle, heads.get(str(cycle.snapshot_digest))) for cycle in cycles], next=following
    )


def _row(cycle: Cycle, head: Head | None) -> SnapshotRow:
    return SnapshotRow(
        digest=str(cycle.snapshot_digest),
        cycle_id=cycle.id,
        created_at=cycle.created_at,
        images=None if head is None else {split: count.images for split, count in head.counts.items()},
        boxes=None if head is None else sum(sum(count.boxes.values()) for count in head.counts.values()),
        labels=None if head is None else len(head.labels),
    )


@router.get("/{digest}")
def get_snapshot(project_id: str, digest: str, token: Reader, wired: Wired) -> SnapshotOut:
    """Labels, and images and boxes of each side of the split."""
    head, cycles = wired.snapshots.head(project_id, digest)
    return SnapshotOut(
        digest=digest,
        content=head.content,
        labels=list(head.labels),
        val_share=head.val_share,
        counts={split: SplitCountOut.model_validate(count) for split, count in head.counts.items()},
        left_out=dict(head.left_out),
        cycles=[cycle.id for cycle in cycles],
    )


@router.get("/{digest}/diff/{other}")
def diff_snapshots(
    project_id: str,
    digest: str,
    other: str,
    token: Operator,
    wired: Wired,
    limit: Annotated[int, Query(ge=0, le=10_000, description="the most items of each list")] = 100,
) -> DiffOut:
    """From `digest` to `other`: items that came, went, have another version of their ground truth or are on another
    side of the split, and shapes of each label. Seconds for a million images."""
    return _diff_out(wired.snapshots.diff(project_id, digest, other), limit)


def _diff_out(found: Diff, limit: int) -> DiffOut:
    return DiffOut(
        equal=found.equal,
        added_count=len(found.added),
        removed_count=len(found.removed),
        changed_count=len(found.changed),
        moved_count=len(found.moved),
        added=found.added.first(limit),
        removed=found.removed.first(limit),
        changed=[ChangedOut(item=item, before=was, after=is_) for item, was, is_ in _first(found.changed, limit)],
        moved=[
            MovedOut(item=item, before=SPLITS[was], after=SPLITS[is_]) for item, was, is_ in _first(found.moved, limit)
        ],
        shapes={label: BeforeAfterOut(before=was, after=is_) for label, (was, is_) in found.shapes.items()},
        images={split: BeforeAfterOut(before=was, after=is_) for split, (was, is_) in found.images.items()},
    )


def _first(altered: Altered, limit: int) -> list[tuple[str, int, int]]:
    before, after = altered.before[:limit].tolist(), altered.after[:limit].tolist()
    return list(zip(altered.first(limit), before, after, strict=True))
