"""What people have settled, as a feed for production systems."""

from typing import Annotated

from fastapi import APIRouter, Query

from serving.api.auth import Producer, Wired
from serving.api.options import LAST_ROW
from serving.api.schemas.reviews import ReviewOut, ReviewPage

router = APIRouter(prefix="/v1/projects/{project_id}/reviews", tags=["predictions"])


@router.get("")
def list_reviews(
    project_id: str,
    token: Producer,
    wired: Wired,
    after: Annotated[int, Query(ge=0, le=LAST_ROW, description="a review's `cursor`, or a page's `next`")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> ReviewPage:
    """Predictions that people have settled behind a cursor, oldest first: whoever goes on from `next` misses none and
    sees none twice. One that was opened again and settled anew comes again. Not for reviewers, whose answers are
    to be their own."""
    with wired.store.read() as tx:
        tx.projects.get(project_id)
        page = tx.reviews.after(project_id, after, limit)
    return ReviewPage(reviews=[ReviewOut.model_validate(review) for review in page.reviews], next=page.next)
