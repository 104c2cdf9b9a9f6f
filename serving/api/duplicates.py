"""Near-duplicates among the images that the champion has seen."""

from typing import Annotated

from fastapi import APIRouter, Query

from loop.domain.errors import Invalid
from loop.models import loaded
from selection.duplicates import NEAR_DUPLICATE
from serving.api.auth import Operator, Wired
from serving.api.schemas.objects import ClusterOut, DuplicatesOut

router = APIRouter(prefix="/v1/projects/{project_id}/duplicates", tags=["items"])


@router.get("")
def list_duplicates(
    project_id: str,
    token: Operator,
    wired: Wired,
    threshold: Annotated[float, Query(gt=0, le=1, description="cosine from which on two are near-duplicates")] = (
        NEAR_DUPLICATE
    ),
    after: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    members: Annotated[int, Query(ge=1, le=1000, description="the most items of a cluster that are listed")] = 20,
) -> DuplicatesOut:
    """Clusters of near-duplicate items, the largest first. The first time it takes minutes where there are hundreds of
    thousands; later only new images are compared."""
    with wired.store.read() as tx:
        tx.projects.get(project_id)
        model = loaded.champion(tx, project_id)
    clusters = wired.duplicates.of(model, threshold)
    page = clusters.page(None if after is None else _place(after), limit)
    more = len(page) and page[-1] + 1 < len(clusters)
    return DuplicatesOut(
        model_id=model.id,
        threshold=threshold,
        items=len(clusters.items),
        clusters=len(clusters),
        spare=clusters.spare,
        page=[ClusterOut(size=clusters.size(rank), items=clusters.members(rank, members)) for rank in page],
        next=f"{clusters.size(page[-1])}:{clusters.members(page[-1], 1)[0]}" if more else None,
    )


def _place(after: str) -> tuple[int, str]:
    """Of the last cluster of the page before, its size and its first item: the next page follows it, whatever came."""
    size, _, first = after.partition(":")
    if not (size.isascii() and size.isdigit() and len(size) < 10):
        raise Invalid(f"{after[:80]!r} is no page.", hint="Pass `next` of the page before, as it came.")
    return int(size), first
